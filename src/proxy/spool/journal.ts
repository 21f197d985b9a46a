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

/** `OWNER-000001.spool`: a segment of one process. Beside it are `OWNER.lock` and `OWNER.cursor`. */
const SEGMENT_NAME = /^([0-9a-f-]{36})-(\d+)\.spool$/;
const NUMBER_DIGITS = 6;
/** Digits of each number in the cursor. Fixed, so that a write always overwrites the whole cursor. */
const OFFSET_DIGITS = 15;

/** A position in a journal. */
export interface Position {
  segment: number;
  offset: number;
}

/**
 * Everything that one process writes to the spool: segments, numbered from 1 and removed once delivered, and a cursor up to
 * which the journal is delivered. The process holds the journal's lock while it lives. After that, the process that gets the
 * lock delivers the rest.
 */
export class Journal {
  readonly owner: string;
  /** Position from which delivery continues. */
  readonly start: Position;
  /** Whether undelivered segments before the first one are missing. */
  readonly lacksBeginning: boolean;
  readonly #folder: string;
  readonly #lock: Lock;
  readonly #segments: Map<number, Segment>;
  #delivered: Position;
  /** Number of the current segment; 0 before the first. */
  #last: number;
  /** Size of all segments but the last. */
  #earlierBytes: number;
  #cursorFile: number | undefined;
  /** Whether the lock was given up. */
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

  /** Creates this process's journal. Throws when the folder is not writable. */
  static create(folder: string): Journal {
    makeFolder(folder);
    const owner = Bun.randomUUIDv7();
    const lock = acquireLock(join(folder, `${owner}.lock`));
    if (!lock) throw new Error(`${owner}.lock is held by another process`);
    return new Journal(folder, owner, lock, new Map());
  }

  /** The owners of all journals in a folder, oldest first. */
  static owners(folder: string): string[] {
    makeFolder(folder);
    return [...new Set(readdirSync(folder).flatMap((name) => SEGMENT_NAME.exec(name)?.[1] ?? []))].toSorted();
  }

  /** Takes over the journal of a dead process; undefined while its process lives or another one has it. */
  static adopt(folder: string, owner: string): Journal | undefined {
    const lock = acquireLock(join(folder, `${owner}.lock`));
    if (!lock) return undefined;
    const journal = new Journal(folder, owner, lock, segmentsOf(folder, owner));
    if (journal.#segments.size > 0) return journal;
    // Delivered and removed by another process since the folder was listed.
    journal.finish();
    return undefined;
  }

  /**
   * Undelivered bytes in a folder, of all owners except one. Lists the folder only once: hundreds of proxies may have left
   * journals while the store was unavailable, and the relay waits for the result.
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
      // Possibly removed since the folder was listed.
      const size = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
      sum += ahead === 0 ? Math.max(0, size - cursor.offset) : size;
    }
    return sum;
  }

  /** The segment that is written to, if there is one. */
  get current(): Segment | undefined {
    return this.#segments.get(this.#last);
  }

  segment(number: number): Segment | undefined {
    return this.#segments.get(number);
  }

  /** The number of the next segment. Numbers may be missing: a person may have removed files. */
  after(number: number): number | undefined {
    const later = [...this.#segments.keys()].filter((each) => each > number);
    return later.length === 0 ? undefined : Math.min(...later);
  }

  /** Begins the next segment, which starts with the state of what is open. */
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

  /** Counts its entries. */
  async count(): Promise<number> {
    let count = 0;
    for (const segment of this.#segments.values()) count += await segment.count();
    return count;
  }

  /** Undelivered bytes. */
  get waitingBytes(): number {
    return this.#earlierBytes + (this.current?.bytes ?? 0) - this.#delivered.offset;
  }

  /** Notes that everything before a position is delivered: saves the cursor and removes whole segments. */
  deliveredTo(position: Position): void {
    if (this.isClosed) return;
    this.#delivered = position;
    this.#writeCursor(position);
    this.#removeBefore(position.segment);
  }

  /** Removes the journal, once everything is delivered. */
  finish(): void {
    for (const segment of this.#segments.values()) segment.remove();
    this.#close();
    for (const suffix of ["cursor", "lock"]) rmSync(join(this.#folder, `${this.owner}.${suffix}`), { force: true });
  }

  /** Gives up the lock and leaves the rest to another process. */
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

  /** Saves the cursor. If it is lost, delivered records are sent again, and the store recognises them. */
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
      // For example on a full disk. The next write tries again.
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

/** Reads a cursor; the beginning when it is missing or unreadable. */
function readCursor(file: string): Position {
  try {
    const [, segment, offset] = /^(\d+) (\d+)\n$/.exec(readFileSync(file, "latin1")) ?? [];
    if (segment !== undefined && offset !== undefined) return { segment: Number(segment), offset: Number(offset) };
  } catch {
    // Not written yet.
  }
  return { segment: 1, offset: 0 };
}
