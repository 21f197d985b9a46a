import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { acquireLock } from "../../lock.ts";
import type { Lock } from "../../lock.ts";
import { encodeEntry } from "./entry.ts";
import type { StateEntry } from "./entry.ts";
import { Segment } from "./segment.ts";

/** `OWNER-000001.spool`: the segments of one process, beside its `OWNER.lock` and `OWNER.cursor`. */
const SEGMENT_NAME = /^([0-9a-f-]{36})-(\d+)\.spool$/;
const NUMBER_DIGITS = 6;
/** Digits of a byte offset in the cursor, so that it is always written over as a whole. */
const OFFSET_DIGITS = 15;

/** A place in a journal: everything before it is delivered. */
export interface Position {
  segment: number;
  offset: number;
}

/**
 * What one process has written: segments, numbered from 1 and removed from the front as they are delivered, and a cursor
 * that says how far that is. The process holds its lock for as long as it lives; afterwards whoever gets the lock is the
 * one to deliver what is left.
 */
export class Journal {
  readonly owner: string;
  /** Where delivery goes on, as it was found. */
  readonly start: Position;
  /** Whether something before the first segment is missing that was not delivered. */
  readonly lacksBeginning: boolean;
  readonly #folder: string;
  readonly #lock: Lock;
  readonly #segments: Map<number, Segment>;
  #delivered: Position;
  /** The number of the segment that is written to; 0 before there is any. */
  #last: number;
  /** Of all segments but the last. */
  #earlierBytes: number;
  #cursorFile: number | undefined;
  /** No longer ours. */
  isClosed = false;

  private constructor(folder: string, owner: string, lock: Lock, segments: Map<number, Segment>) {
    this.#folder = folder;
    this.owner = owner;
    this.#lock = lock;
    this.#segments = segments;
    const cursor = readCursor(join(folder, `${owner}.cursor`));
    const first = Math.min(...segments.keys(), Number.MAX_SAFE_INTEGER);
    this.lacksBeginning = segments.size > 0 && first > cursor.segment;
    this.start = this.lacksBeginning ? { segment: first, offset: 0 } : cursor;
    this.#last = Math.max(0, ...segments.keys());
    this.#earlierBytes = [...segments].reduce((sum, [number, each]) => sum + (number < this.#last ? each.bytes : 0), 0);
    this.#delivered = this.start;
    this.#removeBefore(this.start.segment);
  }

  /** A journal of this process. Throws when the folder cannot be written to. */
  static create(folder: string): Journal {
    makeFolder(folder);
    const owner = Bun.randomUUIDv7();
    const lock = acquireLock(join(folder, `${owner}.lock`));
    if (!lock) throw new Error(`${owner}.lock is held by somebody else`);
    return new Journal(folder, owner, lock, new Map());
  }

  /** The owners of the journals in a folder, ours and others', the oldest first. */
  static owners(folder: string): string[] {
    makeFolder(folder);
    return [...new Set(readdirSync(folder).flatMap((name) => SEGMENT_NAME.exec(name)?.[1] ?? []))].toSorted();
  }

  /** The journal of a process that is no more, locked for us; undefined when its process lives or another has it. */
  static adopt(folder: string, owner: string): Journal | undefined {
    const lock = acquireLock(join(folder, `${owner}.lock`));
    if (!lock) return undefined;
    const journal = new Journal(folder, owner, lock, segmentsOf(folder, owner));
    if (journal.#segments.size > 0) return journal;
    // Delivered and removed by another since the folder was listed.
    journal.finish();
    return undefined;
  }

  /**
   * Bytes in a folder that wait for delivery, whoever's they are, but for one owner's. The folder is listed once: hundreds
   * of proxies may have left something while the store was away, and the relay waits for the answer.
   */
  static waitingBytes(folder: string, except: string | undefined): number {
    makeFolder(folder);
    const cursors = new Map<string, Position>();
    let sum = 0;
    for (const name of readdirSync(folder)) {
      const [, owner, number] = SEGMENT_NAME.exec(name) ?? [];
      if (owner === undefined || owner === except) continue;
      const cursor = cursors.get(owner) ?? readCursor(join(folder, `${owner}.cursor`));
      cursors.set(owner, cursor);
      const ahead = Number(number) - cursor.segment;
      if (ahead < 0) continue;
      // It may have been removed since the folder was listed.
      const size = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
      sum += ahead === 0 ? Math.max(0, size - cursor.offset) : size;
    }
    return sum;
  }

  /** The segment that is written to, when there is one. */
  get current(): Segment | undefined {
    return this.#segments.get(this.#last);
  }

  segment(number: number): Segment | undefined {
    return this.#segments.get(number);
  }

  /** The segment after one, whose number need not be the next: a person may have removed some. */
  after(number: number): number | undefined {
    const later = [...this.#segments.keys()].filter((each) => each > number);
    return later.length === 0 ? undefined : Math.min(...later);
  }

  /** Begins the next segment, with what is open at its beginning. */
  begin(state: StateEntry): Segment {
    const number = this.#last + 1;
    const name = `${this.owner}-${String(number).padStart(NUMBER_DIGITS, "0")}.spool`;
    const segment = Segment.create(join(this.#folder, name));
    try {
      segment.append(encodeEntry(state));
    } catch (error) {
      segment.remove();
      throw error;
    }
    this.#earlierBytes += this.current?.bytes ?? 0;
    this.#segments.set(number, segment);
    this.#last = number;
    return segment;
  }

  /** How many entries it has. */
  async count(): Promise<number> {
    let count = 0;
    for (const segment of this.#segments.values()) count += await segment.count();
    return count;
  }

  /** Bytes that wait for delivery. */
  get waitingBytes(): number {
    return this.#earlierBytes + (this.current?.bytes ?? 0) - this.#delivered.offset;
  }

  /** Everything before a place is delivered: whole segments go, and the place is kept for whoever comes next. */
  deliveredTo(position: Position): void {
    if (this.isClosed) return;
    this.#delivered = position;
    this.#writeCursor(position);
    this.#removeBefore(position.segment);
  }

  /** Everything is delivered: nothing of it stays. */
  finish(): void {
    for (const segment of this.#segments.values()) segment.remove();
    this.#close();
    for (const suffix of ["cursor", "lock"]) rmSync(join(this.#folder, `${this.owner}.${suffix}`), { force: true });
  }

  /** Leaves it to whoever comes next. */
  release(): void {
    for (const segment of this.#segments.values()) segment.close();
    this.#close();
  }

  #close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.#cursorFile !== undefined) closeSync(this.#cursorFile);
    this.#lock.release();
  }

  #removeBefore(first: number): void {
    for (const [number, segment] of this.#segments) {
      if (number >= first) break;
      if (number < this.#last) this.#earlierBytes -= segment.bytes;
      this.#segments.delete(number);
      segment.remove();
    }
  }

  /** A cursor that is lost costs a repetition, which the store recognises. */
  #writeCursor({ segment, offset }: Position): void {
    const text = `${String(segment).padStart(OFFSET_DIGITS, "0")} ${String(offset).padStart(OFFSET_DIGITS, "0")}\n`;
    try {
      this.#cursorFile ??= openSync(
        join(this.#folder, `${this.owner}.cursor`),
        constants.O_WRONLY | constants.O_CREAT,
        0o600,
      );
      writeSync(this.#cursorFile, text, 0);
    } catch {
      // On a full disk, for instance.
    }
  }
}

function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

function segmentsOf(folder: string, owner: string): Map<number, Segment> {
  const found = readdirSync(folder).flatMap((name): [number, Segment][] => {
    const [, of, number] = SEGMENT_NAME.exec(name) ?? [];
    if (of !== owner) return [];
    try {
      return [[Number(number), Segment.open(join(folder, name))]];
    } catch {
      // Removed since the folder was listed.
      return [];
    }
  });
  return new Map(found.toSorted(([a], [b]) => a - b));
}

/** The beginning, where there is no cursor, or none that can be read. */
function readCursor(file: string): Position {
  try {
    const [, segment, offset] = /^(\d+) (\d+)\n$/.exec(readFileSync(file, "latin1")) ?? [];
    if (segment !== undefined && offset !== undefined) return { segment: Number(segment), offset: Number(offset) };
  } catch {
    // None was written yet.
  }
  return { segment: 1, offset: 0 };
}
