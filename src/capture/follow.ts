import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { CapturedRow, SourceReader } from "./captured.ts";
import { lines } from "./rows.ts";
import { lineReader, readRow } from "./sources.ts";

/** Reads what is appended to a file of lines, as often as it is asked to. */
export class FollowedFile {
  readonly path: string;
  readonly #makeReader: () => Promise<SourceReader | undefined>;
  #reader: SourceReader | undefined;
  #read = { end: 0, number: 0 };

  /** The reader is found by the content, unless it is given. */
  constructor(path: string, makeReader: () => Promise<SourceReader | undefined> = () => lineReader(path)) {
    this.path = path;
    this.#makeReader = makeReader;
  }

  /** Whether it is a plain file of lines that is known; others are read whole. */
  async canFollow(): Promise<boolean> {
    this.#reader ??= await this.#makeReader();
    return this.#reader !== undefined;
  }

  /** What has come since the last time, up to the last line end: behind it the writer may still be at work. */
  async *more(): AsyncGenerator<CapturedRow, void> {
    const bytes = await sizeOf(this.path);
    // Rewritten from the beginning, or gone and made again.
    if (bytes < this.#read.end) {
      this.#read = { end: 0, number: 0 };
      this.#reader = undefined;
    }
    if (bytes === this.#read.end) return;
    this.#reader ??= await this.#makeReader();
    if (this.#reader === undefined) return;
    const stream = createReadStream(this.path, { start: this.#read.end, end: bytes - 1 });
    for await (const row of lines(stream, this.#read, true)) {
      const captured = readRow(this.#reader, row);
      this.#read = { end: row.end, number: row.number };
      yield { captured, ...this.#read };
    }
  }

  /** What the reader still holds back, when nothing more will be read. */
  rest(): CapturedRow {
    return { captured: this.#reader?.end() ?? [], ...this.#read };
  }
}

/** A file that is not there is as if it were empty. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
