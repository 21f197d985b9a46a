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

/** Parses a stream of server-sent events (WHATWG HTML, 9.2.6), chunk by chunk. */
export class SseReader {
  readonly #decoder = new TextDecoder();
  /** The parts of a line whose end has not arrived; joined once, when it does. */
  #pieces: string[] = [];
  #data: string[] = [];
  #characters = 0;
  #id: string | undefined;
  #event = MESSAGE;
  /** The reconnection time that the server has set, if any, within the bounds. */
  retryMs: number | undefined;

  /** The events that end in this chunk. Throws when an event is larger than the largest frame. */
  push(chunk: Uint8Array): SseEvent[] {
    const text = this.#decoder.decode(chunk, { stream: true });
    this.#characters += text.length;
    if (this.#characters > MAX_FRAME_BYTES) throw new Error(`an event is larger than ${MAX_FRAME_BYTES} bytes`);
    const end = text.lastIndexOf("\n");
    if (end === -1) {
      this.#pieces.push(text);
      return [];
    }
    const lines = [...this.#pieces, text.slice(0, end)].join("").split("\n");
    this.#pieces = [text.slice(end + 1)];
    return lines.flatMap((line) => this.#line(line.endsWith("\r") ? line.slice(0, -1) : line));
  }

  /** The event that this line ends, if any. */
  #line(line: string): SseEvent[] {
    if (line !== "") {
      this.#field(line);
      return [];
    }
    this.#characters = 0;
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
        break;
      case "id":
        this.#id = value;
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
