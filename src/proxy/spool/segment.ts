import { closeSync, fstatSync, ftruncateSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { ENTRY_BEGINNING, HEADER_BYTES, decodeEntry, entryBytes } from "./entry.ts";
import type { Entry } from "./entry.ts";

/** Limit on one read, unless a single entry is larger, so that parsing does not delay the relay. */
const READ_BYTES = 256 * 1024;

/** The result of one read. */
export interface SegmentPart {
  /** Whole entries in order, with the offset at which each ends. */
  entries: { entry: Entry; end: number }[];
  /** The offset to read on from; the end of the segment when nothing is left. */
  next: number;
  /** Bytes that hold no entry. `isTail`: no whole entry follows, so they are the end of a torn write. */
  damage?: { bytes: number; isTail: boolean };
}

/** A file of entries, each with a checksum. One process appends to it; only the holder of the journal's lock reads it. */
export class Segment {
  readonly file: string;
  /** End of the last complete append, which is the file's size unless an append is in progress. */
  bytes: number;
  #descriptor: number | undefined;

  private constructor(file: string, bytes: number, descriptor?: number) {
    this.file = file;
    this.bytes = bytes;
    this.#descriptor = descriptor;
  }

  /** Creates a segment. Its frames are private, so only the owner may read the file. */
  static create(file: string): Segment {
    return new Segment(file, 0, openSync(file, "ax+", 0o600));
  }

  /** Opens a segment that another process left. */
  static open(file: string): Segment {
    return new Segment(file, statSync(file).size);
  }

  /** Appends all or nothing: half an entry would hide the entries after it. */
  append(bytes: Uint8Array): void {
    const descriptor = this.#open();
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(descriptor, bytes, written);
      this.bytes += bytes.length;
    } catch (error) {
      this.#cutBack(descriptor);
      throw error;
    }
  }

  /** The open file, for fsync. */
  get descriptor(): number {
    return this.#open();
  }

  /** Reads the whole entries from an offset on: about `mostBytes` of them, or one larger entry. */
  read(offset: number, mostBytes = READ_BYTES): SegmentPart {
    const bytes = this.#piece(offset, Math.min(mostBytes, READ_BYTES));
    const entries: SegmentPart["entries"] = [];
    let position = 0;
    for (let found = decodeEntry(bytes, position); found; found = decodeEntry(bytes, position)) {
      position = found.next;
      entries.push({ entry: found.entry, end: offset + position });
    }
    if (entries.length > 0 || offset >= this.bytes) return { entries, next: offset + position };
    const next = this.#nextEntry(offset + 1);
    return { entries, next: next ?? this.bytes, damage: { bytes: (next ?? this.bytes) - offset, isTail: !next } };
  }

  /** Counts the entries by their headers alone. */
  async count(): Promise<number> {
    let count = 0;
    for (let offset = 0; offset < this.bytes;) {
      const bytes = this.#bytes(offset, READ_BYTES);
      let position = 0;
      for (let size = entryBytes(bytes, position); size !== undefined; size = entryBytes(bytes, position)) {
        position += size;
        count += 1;
      }
      if (position === 0) return count;
      offset += position;
      await new Promise(setImmediate);
    }
    return count;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** Deletes the file, once everything in it is delivered. */
  remove(): void {
    this.close();
    rmSync(this.file, { force: true });
  }

  #open(): number {
    this.#descriptor ??= openSync(this.file, "r");
    return this.#descriptor;
  }

  #piece(offset: number, length = READ_BYTES): Buffer {
    const bytes = this.#bytes(offset, Math.max(length, HEADER_BYTES));
    const first = entryBytes(bytes, 0) ?? 0;
    // An entry that claims to reach beyond the end is damaged: never allocate what it claims.
    return first <= bytes.length || offset + first > this.bytes ? bytes : this.#bytes(offset, first);
  }

  #bytes(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.bytes - offset)));
    let read = 0;
    while (read < buffer.length) {
      const count = readSync(this.#open(), buffer, read, buffer.length - read, offset + read);
      if (count === 0) break;
      read += count;
    }
    return buffer.subarray(0, read);
  }

  /** The offset of the next whole entry, at or after another. Candidates are found by the bytes that begin every payload. */
  #nextEntry(offset: number): number | undefined {
    for (let from = offset; from < this.bytes; from += READ_BYTES) {
      // Reads overlap by the length of what is searched for, so that none is missed between two.
      const bytes = this.#bytes(from, READ_BYTES + HEADER_BYTES + ENTRY_BEGINNING.length);
      for (let at = bytes.indexOf(ENTRY_BEGINNING); at !== -1; at = bytes.indexOf(ENTRY_BEGINNING, at + 1)) {
        const candidate = from + at - HEADER_BYTES;
        if (candidate >= offset && decodeEntry(this.#piece(candidate), 0)) return candidate;
      }
    }
    return undefined;
  }

  #cutBack(descriptor: number): void {
    try {
      ftruncateSync(descriptor, this.bytes);
    } catch {
      // The rest of the append stays and is skipped in reading, like any damage.
      this.bytes = fstatSync(descriptor).size;
    }
  }
}
