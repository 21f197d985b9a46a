import { createHash } from "node:crypto";
import { isObject } from "../../wire/frame.ts";

/** A part of a message that is not text: its bytes are not stored. */
export interface MediaFacts {
  type: string;
  mimeType?: string;
  bytes: number;
  sha256: string;
}

/** Shorter texts are not taken for Base64: names, hashes, ids and keys are this long. */
const MIN_CHARACTERS = 64;
/** Without a type or a file's first bytes to go by, only long runs are taken for Base64. */
const MIN_UNNAMED_CHARACTERS = 1024;
/** Every line of wrapped Base64 but the last has at least this many characters: PEM has 64, MIME 76. */
const MIN_LINE_CHARACTERS = 60;
/** Distance between the characters that are looked at. A run of this many has one of them. */
const STRIDE_CHARACTERS = 40;
/** Of a run whose kind is unknown, this many characters are judged. */
const JUDGED_CHARACTERS = 4096;
/** Encoded binary data has nearly all 64 characters; words, digits and repetitions have fewer than these. */
const MIN_DISTINCT_CHARACTERS = 32;
/** Limit on a data URI's part before its data. */
const MAX_URI_HEAD_CHARACTERS = 200;

const UNKNOWN_TYPE = "application/octet-stream";

/** Files by the Base64 of their first bytes. */
const signatures: readonly [string, string][] = [
  ["iVBORw0KGgo", "image/png"],
  ["/9j/", "image/jpeg"],
  ["R0lGODdh", "image/gif"],
  ["R0lGODlh", "image/gif"],
  ["SUkqA", "image/tiff"],
  ["TU0AK", "image/tiff"],
  ["UklGR", UNKNOWN_TYPE],
  ["JVBERi0", "application/pdf"],
  ["UEsDB", "application/zip"],
  ["H4sIA", "application/gzip"],
  ["SUQzA", "audio/mpeg"],
  ["SUQzB", "audio/mpeg"],
  ["T2dnU", "audio/ogg"],
  ["ZkxhQ", "audio/flac"],
  ["GkXfo", "video/webm"],
  ["AGFzbQ", "application/wasm"],
];

/** The kinds of RIFF files, by the four bytes at 8. */
const riffKinds: Readonly<Record<string, string>> = {
  WEBP: "image/webp",
  WAVE: "audio/wav",
  "AVI ": "video/x-msvideo",
};

/** Names under which JSON gives the type of the data beside it. */
const typeNames = ["mimeType", "mime_type", "mimetype", "mediaType", "media_type", "contentType", "content_type"];
/** Names under which it gives the data. */
const dataNames = new Set("data blob base64 bytes body content contents file image audio video payload".split(" "));

const isBase64 = new Uint8Array(128);
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
  isBase64[character.charCodeAt(0)] = 1;
}
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const SLASH = 0x2f;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LOWER_N = 0x6e;
const LOWER_R = 0x72;

/**
 * Replaces Base64 in texts and in JSON values by its type, size and hash, and collects these facts. Takes time linear in
 * the text. Everything else stays as it is.
 */
export class MediaReducer {
  readonly found: MediaFacts[] = [];

  /** A text with its Base64 replaced: in data URIs, in JSON text, in lines, or by itself. */
  text(text: string): string {
    if (text.length < MIN_CHARACTERS) return text;
    let reduced = "";
    let kept = 0;
    for (let at = STRIDE_CHARACTERS - 1; at < text.length; at += STRIDE_CHARACTERS) {
      if (!isBase64[text.charCodeAt(at)]) continue;
      const run = runAround(text, at, kept);
      // The next run begins behind this one.
      at = Math.max(at, run.end);
      const head = uriHead(text, run.start, kept);
      const mimeType = head?.mimeType ?? guessedType(text, run);
      if (mimeType === undefined) continue;
      reduced +=
        text.slice(kept, head?.start ?? run.start) + this.#placeholder(text.slice(run.start, run.end), mimeType);
      kept = run.end;
    }
    return kept === 0 ? text : reduced + text.slice(kept);
  }

  /** A JSON value with the Base64 in its strings replaced; the value itself when it has none. For values of moderate depth. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return mapped(value, (each) => this.value(each));
    if (!isObject(value)) return value;
    const mimeType = namedType(value);
    if (value["type"] === "Buffer" && isBytes(value["data"])) {
      return this.#placeholderOf(Uint8Array.from(value["data"]), UNKNOWN_TYPE);
    }
    let changed: Record<string, unknown> | undefined;
    for (const [key, each] of Object.entries(value)) {
      const isNamed = mimeType !== undefined && dataNames.has(key) && typeof each === "string" && isWholeBase64(each);
      const reduced = isNamed ? this.#placeholder(each, mimeType) : this.value(each);
      if (reduced !== each) (changed ??= { ...value })[key] = reduced;
    }
    return changed ?? value;
  }

  #placeholder(base64: string, mimeType: string): string {
    return this.#placeholderOf(decoded(base64), mimeType);
  }

  #placeholderOf(bytes: Uint8Array, mimeType: string): string {
    const facts = { type: "base64", mimeType, ...sizeAndHash(bytes) };
    this.found.push(facts);
    return `[${mimeType}, ${facts.bytes} bytes, sha256 ${facts.sha256}]`;
  }
}

/** Size and hash of Base64's bytes. */
export function base64Facts(base64: string): { bytes: number; sha256: string } {
  return sizeAndHash(decoded(base64));
}

function sizeAndHash(bytes: Uint8Array): { bytes: number; sha256: string } {
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Line breaks and the backslashes of JSON's escapes are not part of the data. */
function decoded(base64: string): Uint8Array {
  return Buffer.from(base64.includes("\\") ? base64.replaceAll(/\\[nr]|\\/g, "") : base64, "base64");
}

interface Run {
  start: number;
  end: number;
}

/** The run of Base64 around a character, at or after `from`, over line breaks and JSON's escapes of both `/` and line breaks. */
function runAround(text: string, at: number, from: number): Run {
  let start = at;
  while (start > from && (isBase64[text.charCodeAt(start - 1)] || isEscapedSlash(text, start - 1))) start -= 1;
  // The letter of an escape in front of the run, as in `\nAAAA`, is not part of it.
  if (start > from && text.charCodeAt(start - 1) === BACKSLASH && text.charCodeAt(start) !== SLASH) start += 1;
  let end = at;
  let line = start;
  for (;;) {
    while (isBase64[text.charCodeAt(end)] || isEscapedSlash(text, end)) end += 1;
    const next = end + breakLength(text, end);
    if (next === end || end - line < MIN_LINE_CHARACTERS || !isBase64[text.charCodeAt(next)]) break;
    line = next;
    end = next;
  }
  while (text.charCodeAt(end) === EQUALS) end += 1;
  return { start, end };
}

function isEscapedSlash(text: string, at: number): boolean {
  return text.charCodeAt(at) === BACKSLASH && text.charCodeAt(at + 1) === SLASH;
}

/** Length of the line break at a position, as such or as JSON escapes it; 0 when there is none. */
function breakLength(text: string, at: number): number {
  const first = text.charCodeAt(at);
  const second = text.charCodeAt(at + 1);
  if (first === LINE_FEED) return 1;
  if (first === CARRIAGE_RETURN) return second === LINE_FEED ? 2 : 1;
  if (first !== BACKSLASH) return 0;
  if (second === LOWER_N) return 2;
  if (second !== LOWER_R) return 0;
  return text.charCodeAt(at + 2) === BACKSLASH && text.charCodeAt(at + 3) === LOWER_N ? 4 : 2;
}

/** The head of a data URI that ends where the data starts, such as `data:image/png;base64,`. */
function uriHead(text: string, start: number, from: number): { start: number; mimeType: string } | undefined {
  if (text[start - 1] !== ",") return undefined;
  const before = text.slice(Math.max(from, start - MAX_URI_HEAD_CHARACTERS), start);
  if (!/;base64,$/i.test(before.slice(-";base64,".length))) return undefined;
  const at = before.toLowerCase().lastIndexOf("data:");
  if (at === -1) return undefined;
  const [mimeType] = before.slice(at + "data:".length).split(/[;,]/, 1);
  return { start: start - before.length + at, mimeType: (mimeType ?? "").replaceAll("\\", "") || "text/plain" };
}

/** The type of a run that names none, by its first bytes; undefined when it is no Base64. */
function guessedType(text: string, { start, end }: Run): string | undefined {
  if (end - start < MIN_CHARACTERS) return undefined;
  const first = text.slice(start, start + 64).replaceAll("\\", "");
  const signature = signatures.find(([prefix]) => first.startsWith(prefix));
  if (signature?.[0] === "UklGR") return riffKinds[Buffer.from(first.slice(0, 16), "base64").toString("latin1", 8)];
  if (signature !== undefined) return signature[1];
  if (/^AAAA[\w+/][GWm2]Z0eXB/.test(first)) return "video/mp4";
  if (end - start < MIN_UNNAMED_CHARACTERS) return undefined;
  return isVaried(text.slice(start, Math.min(end, start + JUDGED_CHARACTERS))) ? UNKNOWN_TYPE : undefined;
}

/** Whether text has the variety of encoded bytes: many different characters, with letters of both cases and digits. */
function isVaried(text: string): boolean {
  const distinct = new Set(text);
  const has = (pattern: RegExp) => [...distinct].filter((each) => pattern.test(each)).length;
  return distinct.size >= MIN_DISTINCT_CHARACTERS && has(/[A-Z]/) > 8 && has(/[a-z]/) > 8 && has(/\d/) > 4;
}

/** Whether a text is nothing but Base64, in one piece or in lines. */
function isWholeBase64(text: string): boolean {
  if (text.length < MIN_CHARACTERS) return false;
  let end = text.length;
  while (end > 0 && /[=\r\n]/.test(text.charAt(end - 1))) end -= 1;
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (!isBase64[code] && code !== LINE_FEED && code !== CARRIAGE_RETURN) return false;
  }
  return true;
}

function namedType(value: Record<string, unknown>): string | undefined {
  for (const name of typeNames) if (typeof value[name] === "string") return value[name];
  return value["encoding"] === "base64" ? UNKNOWN_TYPE : undefined;
}

function isBytes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isInteger(each) && each >= 0 && each <= 255);
}

function mapped(list: unknown[], change: (value: unknown) => unknown): unknown[] {
  const changed = list.map(change);
  return changed.some((each, index) => each !== list[index]) ? changed : list;
}
