import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, readdirSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { acquireLock } from "../lock.ts";
import type { Lock } from "../lock.ts";
import type { Log } from "../log.ts";
import { decodeEntry, encodeEntry, entryBytes } from "./entry.ts";
import type { Entry } from "./entry.ts";

const SUFFIX = ".spool";
/** How much of a segment is read at once, unless an entry is larger. */
const READ_BYTES = 1024 * 1024;

/** A file of entries that one process appends to, or that a dead one has left. */
export class Segment {
  readonly file: string;
  readonly #lock: Lock;
  readonly #descriptor: number;
  /** Written by this process. */
  bytes = 0;

  private constructor(file: string, lock: Lock, descriptor: number) {
    this.file = file;
    this.#lock = lock;
    this.#descriptor = descriptor;
  }

  /** Makes a segment and locks it for as long as this process lives. The frames in it are nobody else's business. */
  static create(folder: string): Segment {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, `${Bun.randomUUIDv7()}${SUFFIX}`);
    const lock = acquireLock(`${file}.lock`);
    if (!lock) throw new Error(`${file} is locked by somebody else`);
    return new Segment(file, lock, openSync(file, "ax+", 0o600));
  }

  /** The segments of processes that are no more, locked for us. */
  static adopt(folder: string): Segment[] {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return readdirSync(folder)
      .filter((name) => name.endsWith(SUFFIX))
      .toSorted()
      .flatMap((name) => {
        const file = join(folder, name);
        const lock = acquireLock(`${file}.lock`);
        if (!lock) return [];
        try {
          return [new Segment(file, lock, openSync(file, "r"))];
        } catch {
          // Delivered and removed by another since the folder was listed.
          lock.release();
          return [];
        }
      });
  }

  /** Appends all or nothing: half an entry would hide everything behind it. */
  append(bytes: Uint8Array): void {
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written);
      this.bytes += bytes.length;
    } catch (error) {
      ftruncateSync(this.#descriptor, this.bytes);
      throw error;
    }
  }

  /** The whole entries from an offset on, a megabyte or one large entry at a time, and where the next would begin. */
  read(offset: number): { entries: Entry[]; next: number } {
    let bytes = this.#bytes(offset, READ_BYTES);
    const first = entryBytes(bytes, 0);
    if (first !== undefined && first > bytes.length && bytes.length === READ_BYTES) bytes = this.#bytes(offset, first);
    const entries: Entry[] = [];
    let position = 0;
    for (let found = decodeEntry(bytes, position); found; found = decodeEntry(bytes, position)) {
      entries.push(found.entry);
      position = found.next;
    }
    return { entries, next: offset + position };
  }

  /** Everything in it is delivered. */
  remove(): void {
    unlinkSync(this.file);
    this.release();
    unlinkSync(`${this.file}.lock`);
  }

  /** Leaves it to whoever comes next. */
  release(): void {
    closeSync(this.#descriptor);
    this.#lock.release();
  }

  #bytes(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    return buffer.subarray(0, readSync(this.#descriptor, buffer, 0, length, offset));
  }
}

/**
 * The recorder's durable queue. Entries that come in one turn of the event loop are appended with one write, and their
 * frames go on when it has returned: then they are in the operating system's hands, and outlive this process. When the
 * disk refuses, the frames go on all the same, and the loss is counted.
 */
export class Spool {
  readonly #folder: string;
  readonly #log: Log;
  readonly #onAppend: () => void;
  #segment: Segment | undefined;
  #pending: { entry: Entry; pass: (written: boolean) => void }[] = [];
  #failing = false;
  /** Frames that were relayed and could not be written. */
  lostFrames = 0;

  constructor(folder: string, log: Log, onAppend: () => void) {
    this.#folder = folder;
    this.#log = log;
    this.#onAppend = onAppend;
  }

  /** The segment that is written to now. */
  get segment(): Segment | undefined {
    return this.#segment;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Takes an entry; `pass` is called when it is written, or could not be, in the order of the entries. */
  append(entry: Entry, pass: (written: boolean) => void): void {
    this.#pending.push({ entry, pass });
    if (this.#pending.length === 1) setImmediate(() => this.flush());
  }

  /** Writes what waits. */
  flush(): void {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    const written = this.#write(pending.map(({ entry }) => entry));
    for (const { pass } of pending) pass(written);
    if (written) this.#onAppend();
  }

  /**
   * Begins a new segment that opens with `state`, and answers the old one, which has nothing left to deliver. The caller
   * makes sure that no entry waits and that the state is that of the old segment's end.
   */
  rotate(state: Entry): Segment | undefined {
    const fresh = Segment.create(this.#folder);
    fresh.append(encodeEntry(state));
    const old = this.#segment;
    this.#segment = fresh;
    return old;
  }

  #write(entries: Entry[]): boolean {
    try {
      this.#segment ??= Segment.create(this.#folder);
      this.#segment.append(Buffer.concat(entries.map(encodeEntry)));
      if (this.#failing) this.#log.info("frames are recorded again");
      this.#failing = false;
      return true;
    } catch (error) {
      if (!this.#failing) this.#log.error("frames cannot be recorded; they are relayed all the same", { error });
      this.#failing = true;
      this.lostFrames += entries.filter((entry) => entry.kind === "frame").length;
      return false;
    }
  }
}
