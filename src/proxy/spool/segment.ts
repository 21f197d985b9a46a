import { closeSync, fstatSync, ftruncateSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { ENTRY_BEGINNING, HEADER_BYTES, decodeEntry, entryBytes } from "./entry.ts";
import type { Entry } from "./entry.ts";

/** How much of a segment is read at once, unless an entry is larger: parsing it should not be felt by the relay. */
const READ_BYTES = 256 * 1024;

/** What a reading has found. */
export interface SegmentPart {
  /** Whole entries in their order, and where each ends. */
  entries: { entry: Entry; end: number }[];
  /** Where to read on; the end of the segment when there is no more. */
  next: number;
  /** Bytes that are no entry. When nothing whole follows them they are the end of a write that was cut off. */
  damage?: { bytes: number; isTail: boolean };
}

/** A file of entries, each with its checksum. One process appends to it, and whoever holds the lock of its journal reads. */
export class Segment {
  readonly file: string;
  /** Where whole appends end: the file's size, but for an append that is under way. */
  bytes: number;
  #descriptor: number | undefined;

  private constructor(file: string, bytes: number, descriptor?: number) {
    this.file = file;
    this.bytes = bytes;
    this.#descriptor = descriptor;
  }

  /** A new one. The frames in it are nobody else's business. */
  static create(file: string): Segment {
    return new Segment(file, 0, openSync(file, "ax+", 0o600));
  }

  /** One that another process has left. */
  static open(file: string): Segment {
    return new Segment(file, statSync(file).size);
  }

  /** Appends all or nothing: half an entry would hide what is behind it. */
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

  /** The open file, for asking the disk to keep it. */
  get descriptor(): number {
    return this.#open();
  }

  /** The whole entries from an offset on: a piece of about so many bytes at most, or one large entry. */
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

  /** How many entries there are, by their headers alone. */
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

  /** Everything in it is delivered. */
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
    // What says that it goes beyond the end is damaged, however much it says.
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

  /** Where the next whole entry begins, at or behind an offset: every entry's payload begins alike. */
  #nextEntry(offset: number): number | undefined {
    for (let from = offset; from < this.bytes; from += READ_BYTES) {
      // Pieces overlap by what an entry is recognised by, so that none is missed between two.
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
      // What stays is passed over in reading, as any damage is.
      this.bytes = fstatSync(descriptor).size;
    }
  }
}
