/**
 * The largest frame. 20 MB of content is promised to pass, and JSON may write a character in six (`\u0000`), so that a
 * frame of it can come near 120 MB.
 */
export const MAX_FRAME_BYTES = 128 * 1024 * 1024;

/** What a frame is, as far as whoever relays needs to know. The frame itself is never changed by looking at it. */
export type FrameView =
  | { kind: "request"; id: unknown; method: string; message: Json }
  | { kind: "notification"; method: string; message: Json }
  | { kind: "response"; id: unknown; isError: boolean; message: Json }
  | { kind: "batch"; messages: FrameView[] }
  | { kind: "invalid"; reason: "not JSON" | "not JSON-RPC" };

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
  if (Array.isArray(value) && value.length > 0) return { kind: "batch", messages: value.map(viewMessage) };
  return viewMessage(value);
}

function viewMessage(value: unknown): FrameView {
  if (!isObject(value)) return { kind: "invalid", reason: "not JSON-RPC" };
  const { id, method } = value;
  if (typeof method === "string") {
    return "id" in value
      ? { kind: "request", id, method, message: value }
      : { kind: "notification", method, message: value };
  }
  if ("id" in value && ("result" in value || "error" in value)) {
    return { kind: "response", id, isError: "error" in value, message: value };
  }
  return { kind: "invalid", reason: "not JSON-RPC" };
}

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
