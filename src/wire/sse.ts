import { MAX_FRAME_BYTES, asLine } from "./frame.ts";

/** The type of events without one. */
const MESSAGE = "message";

/**
 * Bounds of the reconnection time that a server may set. Below the minimum a server that sends 0 would be asked without a
 * pause; above the maximum its client would seem hung, and timers overflow.
 */
const MIN_RETRY_MS = 10;
const MAX_RETRY_MS = 300_000;

/** A server-sent event, with the fields that MCP uses. */
export interface SseEvent {
  /** Sent as `Last-Event-ID` by a client that reconnects. */
  id: string | undefined;
  /** The type of the event; absent for messages. */
  event?: string;
  /** Empty in an event that carries only an id. */
  data: string;
}

/** The text of an event; without a frame it carries only the id, and without an id it cannot be resumed from. */
export function sseEvent(id: string | undefined, frame: string | undefined): string {
  const named = id === undefined ? "" : `id: ${id}\n`;
  return frame === undefined ? `${named}data: \n\n` : `event: message\n${named}data: ${asLine(frame)}\n\n`;
}

/** A comment, which clients ignore, to keep a quiet stream open. */
export const SSE_COMMENT = ":\n\n";

/** Parses a stream of server-sent events (WHATWG HTML, 9.2.6), chunk by chunk. Lines end with `\n`, `\r\n` or `\r`. */
export class SseReader {
  readonly #decoder = new TextDecoder();
  /** The parts of a line whose end has not arrived; joined once, when it does. */
  #pieces: string[] = [];
  #piecesCharacters = 0;
  /** Whether the last chunk ended with `\r`: a `\n` that begins the next one belongs to the same line end. */
  #endedWithReturn = false;
  #data: string[] = [];
  #dataCharacters = 0;
  #id: string | undefined;
  #event = MESSAGE;
  /** The reconnection time that the server has set, if any, within the bounds. */
  retryMs: number | undefined;

  /** The events that end in this chunk. Throws when an event is larger than the largest frame. */
  push(chunk: Uint8Array): SseEvent[] {
    const decoded = this.#decoder.decode(chunk, { stream: true });
    if (decoded === "") return [];
    const text = this.#endedWithReturn && decoded.startsWith("\n") ? decoded.slice(1) : decoded;
    this.#endedWithReturn = text.endsWith("\r");
    const end = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r"));
    const last = text.slice(0, text.startsWith("\r\n", end - 1) ? end - 1 : end);
    const events = end === -1 ? [] : linesOf(this.#taken(last)).flatMap((line) => this.#line(line));
    this.#pieces.push(text.slice(end + 1));
    this.#piecesCharacters += text.length - end - 1;
    if (this.#piecesCharacters + this.#dataCharacters > MAX_FRAME_BYTES)
      throw new Error(`an event is larger than ${MAX_FRAME_BYTES} bytes`);
    return events;
  }

  /** The unfinished line with what follows of it; the next one begins empty. */
  #taken(rest: string): string {
    const text = [...this.#pieces, rest].join("");
    this.#pieces = [];
    this.#piecesCharacters = 0;
    return text;
  }

  /** The event that this line ends, if any. */
  #line(line: string): SseEvent[] {
    if (line !== "") {
      this.#field(line);
      return [];
    }
    if (this.#data.length === 0) {
      this.#event = MESSAGE;
      return [];
    }
    const event = {
      id: this.#id,
      data: this.#data.join("\n"),
      ...(this.#event === MESSAGE ? {} : { event: this.#event }),
    };
    this.#data = [];
    this.#dataCharacters = 0;
    this.#id = undefined;
    this.#event = MESSAGE;
    return [event];
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (colon === -1 ? line : line.slice(0, colon)) {
      case "data":
        this.#data.push(value);
        // With its line break, so that empty lines count, too.
        this.#dataCharacters += value.length + 1;
        break;
      case "id":
        if (!value.includes("\0")) this.#id = value;
        break;
      case "event":
        this.#event = value === "" ? MESSAGE : value;
        break;
      case "retry":
        if (/^\d+$/.test(value)) this.retryMs = Math.min(Math.max(Number(value), MIN_RETRY_MS), MAX_RETRY_MS);
        break;
      default:
        // The standard ignores comments and unknown fields.
        break;
    }
  }
}

/** The lines of a text; those that all end with `\n` are split by the faster way. */
function linesOf(text: string): string[] {
  return text.includes("\r") ? text.split(/\r\n|[\r\n]/) : text.split("\n");
}
