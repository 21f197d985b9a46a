import { createHash } from "node:crypto";
import { isDeeperThan, isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";

/** Longer strings are stored in the content only; metadata has their length and hash, so that nothing large is stored twice. */
const MAX_REPEATED_CHARACTERS = 1000;
/** Metadata nested deeper is kept as JSON text. The store takes at most 100 levels. */
const MAX_DEPTH = 64;
/** Values nested deeper are never written as JSON: beyond about 25,000 levels that takes seconds. */
const MAX_WRITTEN_LEVELS = 10_000;

/** The readable content of a frame, and the rest of it as metadata. */
export interface Described {
  content: string;
  metadata: Json;
}

/** Describes a request: the method or tool, then each argument on its own line. Throws when it is nested too deeply to be written. */
export function describeRequest(method: string, tool: string | undefined, params: Json): Described {
  const args = tool === undefined ? withoutMeta(params) : params["arguments"];
  const lines = isObject(args)
    ? Object.entries(args).map(([name, value]) => `${name}: ${readable(value)}`)
    : args === undefined
      ? []
      : [readable(args)];
  return {
    content: [tool ?? method, ...lines].join("\n"),
    metadata: {
      ...(args === undefined ? {} : { arguments: abridged(args) }),
      ...(params["_meta"] === undefined ? {} : { meta: abridged(params["_meta"]) }),
    },
  };
}

/**
 * Describes a response: the text of its blocks, or of its structured content; other blocks by type, size and hash. Throws
 * when it is nested too deeply to be written.
 */
export function describeResult(response: Json): Described & { outcome: "success" | "error" } {
  const { error, result } = response;
  if (error !== undefined) return describeError(error);
  if (!isObject(result)) return { content: readable(result), metadata: {}, outcome: "success" };
  const outcome = result["isError"] === true ? "error" : "success";
  const blocks = blocksOf(result);
  if (blocks === undefined) {
    return { content: readable(result), metadata: {}, outcome };
  }
  const text = blocks.flatMap((block) => textOf(block) ?? []).join("\n\n");
  const others = blocks.filter((block) => textOf(block) === undefined).map(facts);
  const structured = result["structuredContent"];
  const shown = text || (structured === undefined ? "" : readable(structured));
  return {
    content: shown || others.map((each) => `[${String(each["type"])}]`).join(" ") || "(no content)",
    metadata: {
      ...(others.length > 0 ? { blocks: others } : {}),
      ...(structured === undefined || !text || saysTheSame(text, structured)
        ? {}
        : { structured: abridged(structured) }),
      ...(result["_meta"] === undefined ? {} : { meta: abridged(result["_meta"]) }),
    },
    outcome,
  };
}

function describeError(error: unknown): Described & { outcome: "error" } {
  if (!isObject(error)) return { content: readable(error), metadata: {}, outcome: "error" };
  const { code, message, data } = error;
  const lines = [`error ${String(code)}: ${String(message)}`, ...(data === undefined ? [] : [readable(data)])];
  return { content: lines.join("\n"), metadata: { error_code: abridged(code) }, outcome: "error" };
}

/** The content blocks of a result of a tool, prompt, resource or model; undefined for any other form. */
function blocksOf(result: Json): Json[] | undefined {
  const { content, contents, messages } = result;
  const list = content ?? contents ?? messages;
  if (isObject(list)) return [list];
  if (!Array.isArray(list)) return undefined;
  return list.flatMap((each: unknown) => {
    if (!isObject(each)) return [{ type: "text", text: readable(each) }];
    const inner = each["content"];
    return isObject(inner) ? [inner] : Array.isArray(inner) ? inner.filter(isObject) : [each];
  });
}

function textOf(block: Json): string | undefined {
  if (typeof block["text"] === "string") return block["text"];
  const resource = block["resource"];
  return isObject(resource) && typeof resource["text"] === "string" ? resource["text"] : undefined;
}

/** A block without text: its string fields, with size and hash in place of its bytes. */
function facts(block: Json): Json {
  const resource = isObject(block["resource"]) ? block["resource"] : {};
  const data = block["data"] ?? block["blob"] ?? resource["blob"];
  const rest = Object.fromEntries(
    Object.entries({ ...block, ...resource }).filter(
      ([key, value]) => typeof value === "string" && !/^(data|blob|text)$/.test(key),
    ),
  );
  if (typeof data !== "string") return { type: "unknown", ...rest };
  const bytes = Buffer.from(data, "base64");
  return { type: "unknown", ...rest, bytes: bytes.length, sha256: sha256(bytes) };
}

function saysTheSame(text: string, structured: unknown): boolean {
  try {
    return Bun.deepEquals(JSON.parse(text), structured);
  } catch {
    return false;
  }
}

function withoutMeta(params: Json): Json | undefined {
  const { _meta, ...rest } = params;
  return Object.keys(rest).length === 0 ? undefined : rest;
}

/** A string as it is, anything else as JSON, indented unless it is deeply nested. */
function readable(value: unknown): string {
  if (typeof value === "string") return value;
  return isDeeperThan(value, MAX_DEPTH) ? written(value) : (JSON.stringify(value, null, 1) ?? "");
}

/** A deeply nested value as JSON. */
function written(value: unknown): string {
  if (isDeeperThan(value, MAX_WRITTEN_LEVELS)) throw new RangeError(`nested deeper than ${MAX_WRITTEN_LEVELS} levels`);
  return JSON.stringify(value);
}

/** A value for metadata: long strings by length and hash, and levels too deep for the store as JSON text. */
function abridged(value: unknown, depth = 0): unknown {
  if (typeof value === "string" && value.length > MAX_REPEATED_CHARACTERS) {
    return { characters: value.length, sha256: sha256(value) };
  }
  if (value === null || typeof value !== "object") return value;
  if (depth === MAX_DEPTH) return abridged(written(value), depth);
  if (Array.isArray(value)) return value.map((each) => abridged(each, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, abridged(each, depth + 1)]));
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
