import { MAX_FRAME_BYTES } from "../wire/frame.ts";

/** A piece of a source that a reader can understand alone: a line, or an element of an array. */
export interface Row {
  /** Undefined when it is larger than anything that could be stored. */
  text: string | undefined;
  /** The line's number, or the element's, from 1. */
  number: number;
  /** Where in the source it ends, in bytes. */
  end: number;
}

/** A larger row could not be sent to the store; it is passed over without being held in memory. */
const MAX_ROW_BYTES = MAX_FRAME_BYTES;

const NEWLINE = 0x0a;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Joins the chunks of one row, as long as it is small enough to be of use. */
class Pieces {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** The stream may use the chunk's memory again, so that a piece is copied (a Buffer's `slice` would not). */
  push(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes <= MAX_ROW_BYTES) this.#parts.push(new Uint8Array(piece));
    else this.#parts = [];
  }

  take(last: Uint8Array): string | undefined {
    const bytes = this.#bytes + last.length;
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    if (bytes > MAX_ROW_BYTES) return undefined;
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    return Buffer.from(whole.buffer, whole.byteOffset, whole.length).toString();
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }
}

/**
 * The lines of a stream that are not empty. What follows the last line end is a row too, unless `unfinished` says that a
 * writer may still be at it.
 */
export async function* lines(
  stream: AsyncIterable<Uint8Array>,
  from: { end: number; number: number } = { end: 0, number: 0 },
  unfinished = false,
): AsyncGenerator<Row> {
  const pieces = new Pieces();
  let { end, number } = from;
  for await (const chunk of stream) {
    let start = 0;
    for (let found = chunk.indexOf(NEWLINE); found !== -1; found = chunk.indexOf(NEWLINE, start)) {
      const text = pieces.take(chunk.subarray(start, found));
      start = found + 1;
      number += 1;
      if (text === undefined || text.trim() !== "") yield { text, number, end: end + start };
    }
    pieces.push(chunk.subarray(start));
    end += chunk.length;
  }
  if (pieces.isEmpty || unfinished) return;
  const text = pieces.take(new Uint8Array());
  if (text === undefined || text.trim() !== "") yield { text, number: number + 1, end };
}

/** The elements of a JSON array that are objects, one at a time: an export of years is one array of gigabytes. */
export async function* elements(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Row> {
  const pieces = new Pieces();
  let [depth, number, end] = [0, 0, 0];
  let [inString, escaped] = [false, false];
  for await (const chunk of stream) {
    let start = depth > 1 ? 0 : -1;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (depth === 1) start = index;
        depth += 1;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
        if (depth !== 1) continue;
        number += 1;
        yield { text: pieces.take(chunk.subarray(start, index + 1)), number, end: end + index + 1 };
        start = -1;
      }
    }
    if (start !== -1) pieces.push(chunk.subarray(start));
    end += chunk.length;
  }
  if (!pieces.isEmpty) yield { text: pieces.take(new Uint8Array()), number: number + 1, end };
}
