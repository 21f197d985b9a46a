/**
 * The largest frame. 20 MB of content is promised to pass, and JSON may write a character in six (`\u0000`), so that a
 * frame of it can come near 120 MB.
 */
export const MAX_FRAME_BYTES = 128 * 1024 * 1024;

/**
 * What a frame is, as far as whoever relays needs to know. The frame itself is never changed by looking at it. An `id` is
 * the message's; one that JavaScript's numbers cannot hold is an object that `JSON.stringify` writes as it came. The `key` is
 * the id's JSON: 1 is not "1".
 */
export type FrameView =
  | { kind: "request"; id: unknown; key: string; method: string; message: Json }
  | { kind: "notification"; method: string; message: Json }
  | { kind: "response"; id: unknown; key: string; isError: boolean; message: Json }
  | { kind: "batch"; messages: FrameView[] }
  | { kind: "invalid"; reason: "not JSON" | "not JSON-RPC" };

/** A frame that was looked at, so that nobody looks at it twice. */
export interface ViewedFrame {
  text: string;
  view: FrameView;
}

export type Json = Record<string, unknown>;

/** JSON-RPC's own error codes. */
export const PARSE_ERROR = -32_700;
export const INVALID_REQUEST = -32_600;

/** Looks at a frame. Never throws. */
export function viewFrame(text: string): FrameView {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "invalid", reason: "not JSON" };
  }
  if (!Array.isArray(value)) return viewMessage(value, hasInexactId(value) ? exactIds(text)[0] : undefined);
  if (value.length === 0) return { kind: "invalid", reason: "not JSON-RPC" };
  const ids = value.some(hasInexactId) ? exactIds(text) : undefined;
  return { kind: "batch", messages: value.map((message, index) => viewMessage(message, ids?.[index])) };
}

function viewMessage(value: unknown, exactId: unknown): FrameView {
  if (!isObject(value)) return { kind: "invalid", reason: "not JSON-RPC" };
  const { method } = value;
  const id = exactId ?? value["id"];
  if (typeof method === "string") {
    return "id" in value
      ? { kind: "request", id, key: keyOf(id), method, message: value }
      : { kind: "notification", method, message: value };
  }
  if ("id" in value && ("result" in value || "error" in value)) {
    return { kind: "response", id, key: keyOf(id), isError: "error" in value, message: value };
  }
  return { kind: "invalid", reason: "not JSON-RPC" };
}

/** As `JSON.stringify` writes it, which is asked for what is no number. */
function keyOf(id: unknown): string {
  return typeof id === "number" ? String(id) : JSON.stringify(id);
}

/** The ids of the requests in a frame: one, or several in a batch. */
export function requestIds(view: FrameView): unknown[] {
  if (view.kind === "batch") return view.messages.flatMap(requestIds);
  return view.kind === "request" ? [view.id] : [];
}

/** Whether the id is a number that JavaScript's own cannot be trusted with. */
function hasInexactId(message: unknown): boolean {
  return isObject(message) && typeof message["id"] === "number" && !Number.isSafeInteger(message["id"]);
}

/** The messages' ids; those numbers stand in them as they were written, and are written so again. */
function exactIds(text: string): unknown[] {
  const keepNumbers = (key: string, value: unknown, context?: { source?: string }): unknown =>
    key === "id" && typeof value === "number" && context?.source !== undefined ? rawJson(context.source) : value;
  const value = JSON.parse(text, keepNumbers) as Json | Json[];
  return [value].flat().map((message) => (isObject(message) ? message["id"] : undefined));
}

/** A value that `JSON.stringify` writes as this text. TypeScript does not know ECMAScript's `JSON.rawJSON` yet. */
const rawJson = (text: string) => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);

export function isObject(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/**
 * A frame as one line. JSON allows raw line breaks between its tokens only, never inside a string, so that a space says
 * the same; on stdio a line break would end the frame.
 */
export function asLine(frame: string): string {
  return /[\r\n]/.test(frame) ? frame.replace(/[\r\n]/g, " ") : frame;
}

/** A JSON-RPC error frame; `id` is the request's, or null when it is not known. */
export function errorFrame(id: unknown, code: number, message: string): string {
  return JSON.stringify({ jsonrpc: "2.0", id: id ?? null, error: { code, message } });
}
