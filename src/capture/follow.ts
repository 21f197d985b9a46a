import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { hashedUuid } from "../uuid.ts";
import type { CapturedRow, SourceReader } from "./captured.ts";
import { lines } from "./rows.ts";
import { lineReader, readRow } from "./sources.ts";

/** How much before the place that was reached must be unchanged for the file to be the same one. */
const MARK_BYTES = 256;

/** How far a file was read: a place behind a whole line. */
export interface Reached {
  /** In bytes. */
  end: number;
  /** The number of lines before it. */
  number: number;
  /** A hash of what stands right before it, by which a rewritten file is recognised. */
  mark: string;
}

const BEGINNING: Reached = { end: 0, number: 0, mark: "" };

/** Reads what is appended to a file of lines, as often as it is asked to. */
export class FollowedFile {
  readonly path: string;
  readonly #makeReader: () => Promise<SourceReader | undefined>;
  #reader: SourceReader | undefined;
  #read = BEGINNING;
  /** Rows up to here were yielded in an earlier life: the reader only needs to have seen them. */
  #yieldedBytes = 0;
  /** The size at which no kind of source knew the file. */
  #unknownBytes = -1;

  /** The reader is found by the content, unless it is given. */
  constructor(path: string, makeReader: () => Promise<SourceReader | undefined> = () => lineReader(path)) {
    this.path = path;
    this.#makeReader = makeReader;
  }

  /** The place behind the last row that was yielded. */
  get reached(): Reached {
    return this.#read;
  }

  /** Whether it is a plain file of lines that is known; others are read whole. False for a file that is not there. */
  async canFollow(): Promise<boolean> {
    const bytes = await sizeOf(this.path);
    return bytes > 0 && (await this.#readerAt(bytes)) !== undefined;
  }

  /** Takes up the file where an earlier life of this process stopped, unless it was rewritten since. */
  async resume(reached: Reached): Promise<void> {
    if (await this.#isUnchangedBefore(reached, await sizeOf(this.path))) this.#yieldedBytes = reached.end;
  }

  /** What has come since the last time, up to the last line end: behind it the writer may still be at work. */
  async *more(): AsyncGenerator<CapturedRow, void> {
    const bytes = await sizeOf(this.path);
    if (bytes === this.#read.end) return;
    if (!(await this.#isUnchangedBefore(this.#read, bytes))) this.#restart();
    const reader = await this.#readerAt(bytes);
    if (reader === undefined || bytes === 0) return;
    const stream = createReadStream(this.path, { start: this.#read.end, end: bytes - 1 });
    for await (const row of lines(stream, this.#read, true)) {
      const captured = readRow(reader, row);
      this.#read = { end: row.end, number: row.number, mark: "" };
      if (row.end > this.#yieldedBytes) yield { captured, number: row.number, end: row.end };
    }
    this.#read = { ...this.#read, mark: await this.#markBefore(this.#read.end) };
  }

  /** What the reader still holds back, when nothing more will be read. */
  rest(): CapturedRow {
    const { end, number } = this.#read;
    return { captured: this.#reader?.end() ?? [], end, number };
  }

  #restart(): void {
    this.#read = BEGINNING;
    this.#yieldedBytes = 0;
    this.#reader = undefined;
  }

  async #readerAt(bytes: number): Promise<SourceReader | undefined> {
    if (this.#reader !== undefined || bytes === this.#unknownBytes) return this.#reader;
    try {
      this.#reader = await this.#makeReader();
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    if (this.#reader === undefined) this.#unknownBytes = bytes;
    return this.#reader;
  }

  /** Whether the file is longer than what was read, and still says the same right before that place. */
  async #isUnchangedBefore({ end, mark }: Reached, bytes: number): Promise<boolean> {
    if (bytes < end) return false;
    return mark === "" || (await this.#markBefore(end)) === mark;
  }

  async #markBefore(end: number): Promise<string> {
    try {
      await using file = await open(this.path);
      const length = Math.min(end, MARK_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, end - length);
      return hashedUuid(buffer.subarray(0, bytesRead).toString("latin1"));
    } catch (error) {
      if (isMissing(error)) return "";
      throw error;
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** A file that is not there is as if it were empty. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
