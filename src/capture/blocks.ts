import { createHash } from "node:crypto";
import { describeRequest } from "../proxy/delivery/describe.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { exactDigits, hasExactDigits, shallow, writtenJson } from "./captured.ts";
import type { CapturedMessage } from "./captured.ts";

// Content blocks, as the models' APIs and MCP have them, and what tools are called with and answer in them.

/**
 * The words of Dewey's own tools stay in metadata, where nothing is searched. Otherwise every search would find the searches
 * before it, and what they had found.
 */
const OWN_TOOL = /^mcp__dewey__/;
/** Fields of a block that hold no words for a person: ids, types, and what only a program reads. `data` is bytes in a text. */
const WORDLESS =
  /^(?:type|id|uuid|.*_id|.*Id|data|blob|signature|encrypted_.*|status|role|media_type|mime_type|mimeType|content_type|cache_control|start_.*|stop_.*|flags|file_uuid|file_kind|asset_pointer|language|format|detail|metadata|page_age|is_error)$/;
/** Fields that hold a program's word most times, and sometimes a sentence: then it has a space. */
const TERSE = /^(?:status|language|format|detail)$/;
/** A longer run of characters without a space is an encoding of bytes, and no text. */
const MAX_WORD_CHARACTERS = 2000;
/** Levels of a block that are looked through for words. */
const MAX_BLOCK_DEPTH = 12;
/** Digits of a hash that tell two pictures apart for a person; metadata has all of it. */
const SHOWN_HASH_CHARACTERS = 16;
/** A shorter text is no picture. */
const MIN_DATA_CHARACTERS = 200;
/** A shorter text costs less than it would to look where it stands. */
const MIN_REPEATED_CHARACTERS = 200;

/** The call of a tool: its name, and each argument on a line of its own, as the proxy records calls. */
export function toolCall(
  tool: string,
  toolUseId: string,
  input: unknown,
): Pick<CapturedMessage, "content" | "metadata"> {
  const { content, metadata: exact } = describeRequest("tools/call", tool, { arguments: input });
  // Metadata takes numbers with exact digits as texts.
  const metadata = hasExactDigits(input) ? { ...exact, arguments: shallow(input) } : exact;
  return {
    content: OWN_TOOL.test(tool) ? tool : content,
    metadata: { tool, tool_use_id: toolUseId, ...metadata },
  };
}

/** A tool's answer: its text as it came, and in metadata its other parts. */
export function toolResult(tool: string | undefined, content: unknown): { content: string; metadata: Json } {
  const blocks = Array.isArray(content) ? content : content === undefined || content === null ? [] : [content];
  const others = blocks.filter((block: unknown) => textOf(block) === undefined);
  const text = readable(blocks);
  if (tool !== undefined && OWN_TOOL.test(tool)) {
    return { content: `(${text.length} characters of Dewey's own)`, metadata: { own_result: shallow(content) } };
  }
  return { content: text || "(no content)", metadata: others.length > 0 ? { blocks: others.map(kept) } : {} };
}

export function blocksOf(content: unknown): Json[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) return [{ type: "text", text: content === undefined ? "" : JSON.stringify(content) }];
  const blocks = content.map((block: unknown) => (isObject(block) ? block : { type: "text", text: String(block) }));
  return blocks.length > 0 ? blocks : [{ type: "text", text: "" }];
}

/** The text of a block that is nothing but text. */
export function textOf(block: unknown): string | undefined {
  if (typeof block === "string") return block;
  if (!isObject(block) || !/^(?:text|input_text|output_text|summary_text|reasoning_text)$/.test(String(block["type"])))
    return undefined;
  return typeof block["text"] === "string" ? block["text"] : undefined;
}

/** Everything in blocks that a person can read, a block a paragraph; the others by their names. */
export function readable(blocks: unknown[]): string {
  return blocks
    .map((block) => textOf(block) ?? otherText(block))
    .filter((text) => text !== "")
    .join("\n\n");
}

/** What a person can read in a block that is not text: a value that is no block is shown as JSON, with its digits. */
function otherText(block: unknown): string {
  if (!isObject(block) || (block["type"] ?? block["content_type"]) === undefined) return writtenJson(block);
  if (!isData(block)) return wordsOf(block) || blockName(block);
  // A document's title and context; what names a picture is told beside it.
  const words = block["type"] === "document" ? wordsOf(block) : "";
  return [words, blockName(block)].filter(isText).join("\n");
}

/** The words in a block of any type, in their order, a line each. Empty when it has none. */
export function wordsOf(value: unknown): string {
  const words: string[] = [];
  gather(value, words, 0);
  return words.join("\n");
}

function gather(value: unknown, words: string[], depth: number): void {
  if (typeof value === "string") {
    if (value.trim() !== "" && !isEncoded(value)) words.push(value);
    return;
  }
  if (value === null || typeof value !== "object" || exactDigits(value) !== undefined || depth === MAX_BLOCK_DEPTH)
    return;
  if (Array.isArray(value)) {
    for (const each of value) gather(each, words, depth + 1);
    return;
  }
  // A document's text, where another has its bytes.
  if ("type" in value && value.type === "text" && "data" in value) gather(value.data, words, depth + 1);
  for (const [key, each] of Object.entries(value))
    if (!WORDLESS.test(key) || hasWords(key, each)) gather(each, words, depth + 1);
}

/** Whether a field that holds no words most times holds some here. */
function hasWords(key: string, value: unknown): boolean {
  if (typeof value === "string") return TERSE.test(key) && value.includes(" ");
  return key === "data";
}

/** A name for a block without words: its type, and for a picture its size and hash. */
function blockName(block: unknown): string {
  if (!isObject(block)) return `[${block === null ? "null" : typeof block}]`;
  const { mediaType, bytes, sha256 } = dataOf(block) ?? {};
  const size = bytes === undefined ? undefined : `${bytes} bytes`;
  const hash = sha256 === undefined ? undefined : `sha256:${sha256.slice(0, SHOWN_HASH_CHARACTERS)}`;
  return `[${[block["type"] ?? block["content_type"] ?? "block", mediaType, size, hash].filter(isText).join(" ")}]`;
}

/** A value for metadata, as `shallow` makes it, with bytes as type, size and hash. */
export function kept(value: unknown): unknown {
  return shallow(value, 0, withoutBytes);
}

/** The same, where a long text that is the message's content is not kept again: clients write what a tool printed twice. */
export function keptBeside(content: string, value: unknown): unknown {
  if (content.length < MIN_REPEATED_CHARACTERS) return kept(value);
  const repeated = { same_as: "content" };
  return shallow(value, 0, (text, isMedia) => (text === content ? repeated : withoutBytes(text, isMedia)));
}

function withoutBytes(text: string, isMedia: boolean): unknown {
  return isMedia || isEncoded(text) ? factsOfBytes(text) : text;
}

function isData(block: unknown): boolean {
  return isObject(block) && dataOf(block) !== undefined;
}

interface DataFacts {
  mediaType?: string | undefined;
  bytes?: number;
  sha256?: string;
}

/** The bytes that a block holds: of Claude's `source`, MCP's `data`, or a `data:` address. */
function dataOf(block: Json): DataFacts | undefined {
  const source = isObject(block["source"]) ? block["source"] : block;
  if (source["type"] === "text") return undefined;
  const image = isObject(block["image_url"]) ? block["image_url"]["url"] : block["image_url"];
  const mediaType = [source["media_type"], source["mimeType"], source["mime_type"]].find(isText);
  const isEncodedText = (each: unknown) => typeof each === "string" && (mediaType !== undefined || isEncoded(each));
  const encoded = [source["data"], image].find(isEncodedText);
  return typeof encoded === "string" ? { mediaType, ...factsOfBytes(encoded) } : undefined;
}

/** Whether a text is an encoding of bytes: a `data:` address, or a long run of base64 alone. */
function isEncoded(text: string): boolean {
  if (text.startsWith("data:") && text.slice(0, 200).includes(";base64,")) return true;
  if (text.length < MIN_DATA_CHARACTERS) return false;
  const beginning = text.slice(0, MAX_WORD_CHARACTERS);
  if (!/^[A-Za-z0-9+/=_-]+$/.test(beginning)) return false;
  return text.length > MAX_WORD_CHARACTERS || (/[A-Z]/.test(text) && /[a-z]/.test(text) && /\d|\+|=/.test(text));
}

function factsOfBytes(encoded: string): Required<Pick<DataFacts, "bytes" | "sha256">> & { mediaType?: string } {
  const comma = encoded.startsWith("data:") ? encoded.indexOf(",") : -1;
  const bytes = Buffer.from(encoded.slice(comma + 1), "base64");
  const mediaType = comma === -1 ? undefined : /^data:([\w/+.-]{1,100})/.exec(encoded)?.[1];
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes: bytes.length, sha256, ...(mediaType === undefined ? {} : { mediaType }) };
}

/** Whether a text has every line of another, whatever stands around and between them. */
export function hasLines(text: string, lines: string): boolean {
  return text.includes(lines.trim()) || areAmong(lines, linesOf([text]));
}

/** The lines of texts, without the spaces around them. */
export function linesOf(texts: readonly string[]): Set<string> {
  return new Set(texts.flatMap((text) => text.split("\n").map((line) => line.trim())));
}

/** Whether every line of a text is one of these; empty ones always are. */
export function areAmong(text: string, lines: ReadonlySet<string>): boolean {
  return text.split("\n").every((line) => line.trim() === "" || lines.has(line.trim()));
}

/** The content of a result in MCP's form: its blocks, or what it has in their place. */
export function contentOfResult(result: unknown): unknown {
  if (!isObject(result) || !("content" in result)) return result;
  const { content, structuredContent } = result;
  const isEmpty = content === null || (Array.isArray(content) && content.length === 0);
  return isEmpty && structuredContent !== undefined ? [structuredContent] : content;
}

export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
