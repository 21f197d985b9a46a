import { createHash } from "node:crypto";
import { isDeeperThan, isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import { MediaReducer, base64Facts } from "./media.ts";

/** Longer strings are stored in the content only; metadata has their length and hash, so that nothing large is stored twice. */
const MAX_REPEATED_CHARACTERS = 1000;
/** Metadata nested deeper is kept as JSON text. The store takes at most 100 levels. */
const MAX_DEPTH = 64;
/** Values nested deeper are never written as JSON: beyond about 25,000 levels that takes seconds. */
const MAX_WRITTEN_LEVELS = 10_000;
/** Limit on the parts other than text that metadata lists. */
const MAX_LISTED_BLOCKS = 1000;
/** What every stateless request says of its client. A session's conversation has it once. */
const identityKeys = ["protocolVersion", "clientInfo", "clientCapabilities"].map(
  (name) => `io.modelcontextprotocol/${name}`,
);

/** The readable content of a frame, and the rest of it as metadata. */
export interface Described {
  content: string;
  metadata: Json;
}

/** Describes a request: the method or tool, then each argument on its own line. Throws when it is nested too deeply to be written. */
export function describeRequest(method: string, tool: string | undefined, params: Json): Described {
  const args = tool === undefined ? withoutMeta(params) : params["arguments"];
  const parts = new Parts();
  const lines = isObject(args)
    ? Object.entries(args).map(([name, value]) => `${name}: ${parts.argument(name, value)}`)
    : args === undefined
      ? []
      : [parts.readable(args)];
  const meta = metaOf(params);
  return {
    content: [tool ?? method, ...lines].join("\n"),
    metadata: {
      ...(args === undefined ? {} : { arguments: abridged(args) }),
      ...parts.metadata(),
      ...(meta === undefined ? {} : { meta: abridged(meta) }),
    },
  };
}

/** Describes any value: a text as it is, anything else as JSON. Throws like `describeRequest`. */
export function describeValue(value: unknown): Described {
  const parts = new Parts();
  return { content: parts.readable(value), metadata: parts.metadata() };
}

/** Describes what a client answers to the requests of an unfinished call, each by its key. Throws like `describeRequest`. */
export function describeInputs(responses: unknown): Described {
  const parts = new Parts();
  const entries = isObject(responses) ? Object.entries(responses) : [];
  const said = entries.map(
    ([key, value]) => `${key}: ${isObject(value) ? parts.answer(value) : parts.readable(value)}`,
  );
  return {
    content: said.join("\n\n") || "(no input)",
    metadata: { ...(entries.length === 0 ? {} : { inputs: abridged(responses) }), ...parts.metadata() },
  };
}

/** Describes what an unfinished call asks its client for, each request by its key. Throws like `describeRequest`. */
export function describeInputRequests(requests: unknown): Described {
  const entries = isObject(requests) ? Object.entries(requests) : [];
  const described = entries.map(([key, value]) => {
    const request = isObject(value) ? value : {};
    const params = isObject(request["params"]) ? request["params"] : {};
    const { content, metadata } = describeRequest(methodOf(request), undefined, params);
    return { content: `${key}: ${content}`, blocks: metadata["blocks"] };
  });
  const blocks = described.flatMap((each) => (Array.isArray(each.blocks) ? (each.blocks as unknown[]) : []));
  return {
    content: described.map((each) => each.content).join("\n\n") || "(more time is needed)",
    metadata: { ...(entries.length === 0 ? {} : { requests: abridged(requests) }), ...listed(blocks) },
  };
}

function methodOf({ method }: Json): string {
  return typeof method === "string" ? method : "input";
}

/** Describes what a server says of itself when a session begins: its name, its version and its instructions. */
export function describeIntroduction(result: Json): Described {
  const meta = isObject(result["_meta"]) ? result["_meta"] : {};
  const given = result["serverInfo"] ?? meta["io.modelcontextprotocol/serverInfo"];
  const info = isObject(given) ? given : {};
  const texts = (...values: unknown[]) => values.filter((each) => typeof each === "string" && each !== "");
  const name = texts(info["title"] ?? info["name"], info["version"]).join(" ") || "a server without a name";
  return {
    content: texts(name, info["description"], result["instructions"]).join("\n\n"),
    metadata: {
      ...(typeof info["name"] === "string" ? { server_name: abridged(info["name"]) } : {}),
      ...(typeof info["version"] === "string" ? { server_version: abridged(info["version"]) } : {}),
    },
  };
}

/**
 * Describes a response: the text of its blocks, or of its structured content; other blocks by type, size and hash. Throws
 * when it is nested too deeply to be written.
 */
export function describeResult(response: Json): Described & { outcome: "success" | "error" } {
  const { error, result } = response;
  const parts = new Parts();
  if (error !== undefined) return describeError(error, parts);
  if (!isObject(result)) return { content: parts.readable(result), metadata: parts.metadata(), outcome: "success" };
  const outcome = result["isError"] === true ? "error" : "success";
  const content = parts.answer(result);
  const structured = result["structuredContent"];
  const isRepeated = structured === undefined || blocksOf(result) === undefined || content === "";
  const beside = isRepeated ? undefined : besideText(content, structured);
  const { action, model, stopReason } = result;
  const meta = metaOf(result);
  return {
    content: content || (structured === undefined ? "" : parts.readable(structured)) || parts.names() || "(no content)",
    metadata: {
      ...(isElicited(result) ? { action, ...answered(result["content"]) } : {}),
      ...(typeof model === "string" ? { model: abridged(model) } : {}),
      ...(typeof stopReason === "string" ? { stop_reason: abridged(stopReason) } : {}),
      ...listed([...parts.blocks, ...(beside?.blocks ?? [])]),
      ...(beside === undefined ? {} : { structured: abridged(beside.value) }),
      ...(meta === undefined ? {} : { meta: abridged(meta) }),
    },
    outcome,
  };
}

/** Structured content beside a text, without the bytes of its parts; undefined when the text says the same. */
function besideText(text: string, structured: unknown): { value: unknown; blocks: unknown[] } | undefined {
  const parts = new Parts();
  const value = parts.reduced(structured);
  return saysTheSame(text, value) ? undefined : { value, blocks: parts.blocks };
}

function describeError(error: unknown, parts: Parts): Described & { outcome: "error" } {
  if (!isObject(error)) return { content: parts.readable(error), metadata: parts.metadata(), outcome: "error" };
  const { code, message, data } = error;
  const said = parts.readable(plain(message));
  const lines = [`error ${plain(code)}: ${said}`, ...(data === undefined ? [] : [parts.readable(data)])];
  return { content: lines.join("\n"), metadata: { error_code: abridged(code), ...parts.metadata() }, outcome: "error" };
}

/** Makes texts of the parts of a message, and collects what is not text. */
class Parts {
  readonly #media = new MediaReducer();
  readonly #blocks: Json[] = [];

  /** A text of an argument. Messages for a model are read like a conversation. */
  argument(name: string, value: unknown): string {
    if (name !== "messages" || !Array.isArray(value) || value.length === 0 || !value.every(isMessage)) {
      return this.readable(value);
    }
    return value.map((each) => `\n${String(each["role"])}: ${this.#said(each["content"])}`).join("");
  }

  /** The text of an answer: its blocks, the answer of a person, or its JSON. Empty when all its blocks are something else. */
  answer(result: Json): string {
    if (isElicited(result)) return this.#elicited(result);
    const { roots, completion } = result;
    if (Array.isArray(roots)) return roots.map((root) => this.#root(root)).join("\n") || "(no roots)";
    if (isObject(completion) && Array.isArray(completion["values"])) {
      return completion["values"].map((value) => this.readable(value)).join("\n") || "(no values)";
    }
    const blocks = blocksOf(result);
    return blocks === undefined ? this.readable(result) : this.#texts(blocks);
  }

  /** A string as it is, anything else as JSON, indented unless it is deeply nested; without the bytes of other parts. */
  readable(value: unknown): string {
    if (typeof value === "string") return this.#media.text(value);
    if (isDeeperThan(value, MAX_DEPTH)) return this.#media.text(written(value));
    return JSON.stringify(this.#media.value(value), null, 1) ?? "";
  }

  /** A value without the bytes of other parts. */
  reduced(value: unknown): unknown {
    return isDeeperThan(value, MAX_DEPTH) ? value : this.#media.value(value);
  }

  /** The types of the blocks that are not text. */
  names(): string {
    return this.#blocks.map((each) => `[${String(each["type"])}]`).join(" ");
  }

  /** Everything that is not text. */
  get blocks(): unknown[] {
    return [...this.#blocks, ...this.#media.found];
  }

  metadata(): Json {
    return listed(this.blocks);
  }

  #texts(blocks: Json[]): string {
    const texts = blocks.map((block) => {
      const text = textOf(block);
      if (text !== undefined) return this.#media.text(text);
      if (block["type"] === "tool_use") return this.#toolUse(block);
      if (block["type"] === "tool_result") return this.#said(block["content"]);
      this.#blocks.push(facts(block));
      return "";
    });
    return texts.filter((text) => text !== "").join("\n\n");
  }

  /** The text of one block or of several. */
  #said(content: unknown): string {
    const before = this.#blocks.length;
    const text = this.#texts(blocksOf({ content }) ?? []);
    return (
      text ||
      this.#blocks
        .slice(before)
        .map((each) => `[${String(each["type"])}]`)
        .join(" ")
    );
  }

  #toolUse({ name, input }: Json): string {
    return `${plain(name)}${input === undefined ? "" : `\n${this.readable(input)}`}`;
  }

  /** What a person answered: the action, and each field on its own line. */
  #elicited({ action, content }: Json): string {
    const fields = isObject(content)
      ? Object.entries(content).map(([name, value]) => `${name}: ${this.readable(value)}`)
      : content === undefined || content === null
        ? []
        : [this.readable(content)];
    return [String(action), ...fields].join("\n");
  }

  #root(root: unknown): string {
    if (!isObject(root) || typeof root["uri"] !== "string") return this.readable(root);
    return typeof root["name"] === "string" ? `${root["uri"]} (${root["name"]})` : root["uri"];
  }
}

/** Whether a result is a person's answer to an elicitation. */
function isElicited(result: Json): boolean {
  return typeof result["action"] === "string" && !Array.isArray(result["content"]);
}

function answered(content: unknown): Json {
  return content === undefined || content === null ? {} : { answer: abridged(content) };
}

function isMessage(value: unknown): value is Json {
  return isObject(value) && typeof value["role"] === "string" && "content" in value;
}

/** The content blocks of a result of a tool, prompt, resource or model; undefined for any other form. */
function blocksOf(result: Json): Json[] | undefined {
  const { content, contents, messages } = result;
  const list = content ?? contents ?? messages;
  if (isObject(list)) return [list];
  if (typeof list === "string") return [{ type: "text", text: list }];
  if (!Array.isArray(list)) return undefined;
  return list.flatMap((each: unknown) => {
    if (!isObject(each)) return [{ type: "text", text: typeof each === "string" ? each : written(each) }];
    // A message of a prompt holds a block or several; a tool's result that a model is given is itself a block.
    const inner = each["type"] === "tool_result" ? undefined : each["content"];
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
  const source = isObject(block["source"]) ? block["source"] : {};
  const data = block["data"] ?? block["blob"] ?? resource["blob"] ?? source["data"];
  const media = new MediaReducer();
  const rest = Object.entries({ ...source, ...block, ...resource }).flatMap(([key, value]) =>
    typeof value === "string" && !/^(data|blob|text)$/.test(key) ? [[key, abridged(media.text(value))]] : [],
  );
  const type = typeof resource["uri"] === "string" || typeof block["uri"] === "string" ? "resource" : "unknown";
  const known = { type, ...(Object.fromEntries(rest) as Json) };
  return typeof data === "string" ? { ...known, ...base64Facts(data) } : known;
}

/** The parts that are not text, for metadata. */
function listed(blocks: unknown[]): Json {
  if (blocks.length === 0) return {};
  const more = blocks.length - MAX_LISTED_BLOCKS;
  return { blocks: blocks.slice(0, MAX_LISTED_BLOCKS), ...(more > 0 ? { more_blocks: more } : {}) };
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

/** `_meta` without what identifies the client; undefined when nothing is left. */
function metaOf({ _meta: meta }: Json): unknown {
  if (!isObject(meta) || !identityKeys.some((key) => key in meta)) return meta;
  const rest = Object.entries(meta).filter(([key]) => !identityKeys.includes(key));
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}

/** A word of a message, such as a code. Peers may send any value, and `String` throws for some objects. */
export function plain(value: unknown): string {
  return typeof value === "object" && value !== null ? written(value) : String(value);
}

/** A deeply nested value as JSON. */
function written(value: unknown): string {
  if (isDeeperThan(value, MAX_WRITTEN_LEVELS)) throw new RangeError(`nested deeper than ${MAX_WRITTEN_LEVELS} levels`);
  return JSON.stringify(value);
}

/** A value for metadata: long strings by length and hash, and levels too deep for the store as JSON text. */
export function abridged(value: unknown, depth = 0): unknown {
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
