import { Chunks } from "./chunks.ts";
import type { GatheredText } from "./chunks.ts";

const NEWLINE = 0x0a;

/** A line without its line end (`\n` or `\r\n`). */
export interface Line extends GatheredText {
  /** Its length in the stream, with `\n`. */
  bytes: number;
}

/** Cuts a stream of bytes into lines, in time linear in the stream. Keeps at most `maxBytes` of a line. */
export class LineSplitter {
  readonly #unfinished: Chunks;

  constructor(maxBytes: number) {
    this.#unfinished = new Chunks(maxBytes);
  }

  /** Bytes of the line whose end has not arrived. */
  get unfinishedBytes(): number {
    return this.#unfinished.bytes;
  }

  /** The line whose end has not arrived, as far as it goes. */
  get unfinished(): Line {
    return lineOf(this.#unfinished.peek(), this.#unfinished.bytes);
  }

  /** The lines that end in this chunk, decoded lazily. The caller must consume all of them before the next `push`. */
  *push(chunk: Uint8Array): Generator<Line> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const bytes = this.#unfinished.bytes + end + 1 - start;
      const line = this.#unfinished.take(chunk.subarray(start, end));
      start = end + 1;
      yield lineOf(line, bytes);
    }
    this.#unfinished.add(chunk.subarray(start));
  }
}

function lineOf({ text, isCut }: GatheredText, bytes: number): Line {
  return { text: !isCut && text.endsWith("\r") ? text.slice(0, -1) : text, isCut, bytes };
}
