import { doing } from "../watchdog.ts";

/**
 * The largest frame. Contents of 20 MB must pass, and JSON may escape a character as six (`\u0000`), so a frame can reach
 * 120 MB.
 */
export const MAX_FRAME_BYTES = 128 * 1024 * 1024;

/**
 * A parsed frame, as far as a relay needs it; the frame itself is never changed. `id` is the message's id; a number that
 * JavaScript cannot represent exactly is an object that `JSON.stringify` writes with its original digits. `key` is the id as
 * JSON: 1 and "1" differ.
 */
export type FrameView =
  | { kind: "request"; id: unknown; key: string; method: string; message: Json }
  | { kind: "notification"; method: string; message: Json }
  | { kind: "response"; id: unknown; key: string; isError: boolean; message: Json }
  | { kind: "batch"; messages: FrameView[] }
  | { kind: "invalid"; reason: "not JSON" | "not JSON-RPC" };

/** A frame with its view, so that it is parsed once. */
export interface ViewedFrame {
  text: string;
  view: FrameView;
}

export type Json = Record<string, unknown>;

/** Error codes defined by JSON-RPC. */
export const PARSE_ERROR = -32_700;
export const INVALID_REQUEST = -32_600;

/** Shorter frames are parsed in a few milliseconds. */
const LONG_FRAME_CHARACTERS = 100_000;

/** Parses a frame. Never throws. */
export function viewFrame(text: string): FrameView {
  return text.length < LONG_FRAME_CHARACTERS ? viewed(text) : doing("parsing a frame", () => viewed(text));
}

function viewed(text: string): FrameView {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "invalid", reason: "not JSON" };
  }
  try {
    if (!Array.isArray(value)) return viewMessage(value, hasInexactId(value) ? exactIds(text)[0] : undefined);
    if (value.length === 0) return { kind: "invalid", reason: "not JSON-RPC" };
    const ids = value.some(hasInexactId) ? exactIds(text) : undefined;
    return { kind: "batch", messages: value.map((message, index) => viewMessage(message, ids?.[index])) };
  } catch {
    // Nested deeper than JavaScript can look through for exact ids.
    return { kind: "invalid", reason: "not JSON-RPC" };
  }
}

function viewMessage(value: unknown, exactId: unknown): FrameView {
  if (!isObject(value)) return { kind: "invalid", reason: "not JSON-RPC" };
  const { method } = value;
  // JSON-RPC has no objects or arrays as ids, and one can be nested so deeply that writing it takes seconds, or throws.
  const id = exactId ?? (isNested(value["id"]) ? null : value["id"]);
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

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** `JSON.stringify` of the id, with a fast path for numbers. */
function keyOf(id: unknown): string {
  return typeof id === "number" ? String(id) : JSON.stringify(id);
}

/** The ids of the requests in a frame: none, one, or several in a batch. */
export function requestIds(view: FrameView): unknown[] {
  if (view.kind === "batch") return view.messages.flatMap(requestIds);
  return view.kind === "request" ? [view.id] : [];
}

/** The key of the request that a notification cancels; undefined for other frames. */
export function cancelledKey(view: FrameView): string | undefined {
  if (view.kind !== "notification" || view.method !== "notifications/cancelled") return undefined;
  const { params } = view.message;
  const id = isObject(params) ? params["requestId"] : undefined;
  return typeof id === "string" || typeof id === "number" ? keyOf(id) : undefined;
}

/** Whether the id is a number that JavaScript may not represent exactly. */
function hasInexactId(message: unknown): boolean {
  return isObject(message) && typeof message["id"] === "number" && !Number.isSafeInteger(message["id"]);
}

/** The ids of the messages; numbers keep the digits they were written with. Throws at extreme depths. */
function exactIds(text: string): unknown[] {
  const keepNumbers = (key: string, value: unknown, context?: { source?: string }): unknown =>
    key === "id" && typeof value === "number" && context?.source !== undefined ? rawJson(context.source) : value;
  const value = JSON.parse(text, keepNumbers) as Json | Json[];
  return [value].flat().map((message) => (isObject(message) ? message["id"] : undefined));
}

/** A value that `JSON.stringify` writes as this text. TypeScript has no type for `JSON.rawJSON` yet. */
const rawJson = (text: string) => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);

export function isObject(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/**
 * Whether a value is nested deeper than `levels`: 0 for `1`, 1 for `[]` and `[1]`. Takes time linear in the value's size at
 * any depth; `JSON.stringify` takes seconds beyond about 25,000 levels, and throws beyond 40,000.
 */
export function isDeeperThan(value: unknown, levels: number): boolean {
  let nested = [value].filter(isNested);
  for (let depth = 0; depth < levels && nested.length > 0; depth++) {
    nested = nested.flatMap((each) => (Object.values(each) as unknown[]).filter(isNested));
  }
  return nested.length > 0;
}

/**
 * A frame as one line: on stdio a line break ends the frame. JSON allows raw line breaks only between tokens, so a space
 * means the same.
 */
export function asLine(frame: string): string {
  return /[\r\n]/.test(frame) ? frame.replace(/[\r\n]/g, " ") : frame;
}

/** A JSON-RPC error frame; `id` is the request's, or null when unknown. */
export function errorFrame(id: unknown, code: number, message: string): string {
  return JSON.stringify({ jsonrpc: "2.0", id: id ?? null, error: { code, message } });
}
