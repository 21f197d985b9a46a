import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { acquireLock } from "../../lock.ts";
import type { Lock } from "../../lock.ts";
import { encodeEntry } from "./entry.ts";
import type { StateEntry } from "./entry.ts";
import { Segment } from "./segment.ts";

/** `OWNER-000001.spool`: a segment of one process. Beside it are `OWNER.lock`, `OWNER.cursor` and `OWNER.kept`. */
const SEGMENT_NAME = /^([0-9a-f-]{36})-(\d+)\.spool$/;
const NUMBER_DIGITS = 6;
/** Digits of each number in the cursor. Fixed, so that a write always overwrites the whole cursor. */
const OFFSET_DIGITS = 15;
/**
 * Limit on whole segments that are kept after delivery: what a busy proxy records in the seconds or minutes by which a standby
 * may lag behind.
 */
const KEPT_BYTES = 64 * 1024 * 1024;
/**
 * What a dead process has kept is of no use after this time: a conversation may have been deleted for good since, and would
 * come back.
 */
const KEPT_LONGEST_MS = 24 * 3_600_000;

/** A position in a journal. */
export interface Position {
  segment: number;
  offset: number;
}

/** Whether a position is at or before another. */
export function isBefore(a: Position, b: Position): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset <= b.offset);
}

/**
 * Everything that one process writes to the spool: segments, numbered from 1, and a cursor up to which the journal is delivered.
 * Segments are removed once delivered, or, where the history of the database is known that they were delivered to, some time
 * later: the journal can then be rewound. The process holds the journal's lock while it lives. After that, the process that gets
 * the lock delivers the rest.
 */
export class Journal {
  readonly owner: string;
  #start: Position;
  /** Whether undelivered segments before the first one are missing. */
  readonly lacksBeginning: boolean;
  readonly #folder: string;
  readonly #lock: Lock;
  readonly #segments: Map<number, Segment>;
  #delivered: Position;
  /** Everything before this position is removed, or will not be delivered again. */
  #kept: Position;
  /** The history of the database that the kept part was delivered to; undefined while nothing is kept. */
  #history: string | undefined;
  /** Number of the current segment; 0 before the first. */
  #last: number;
  /** Size of all undelivered segments but the last. */
  #earlierBytes = 0;
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
    this.#start = this.lacksBeginning ? { segment: first, offset: 0 } : cursor;
    this.#last = Math.max(0, ...segments.keys());
    this.#delivered = this.#start;
    const kept = readKept(folder, owner);
    this.#history = kept?.history;
    this.#kept = kept && isBefore(kept.position, this.#start) ? kept.position : this.#start;
    if (this.#kept.segment < first)
      this.#kept = first < this.#start.segment ? { segment: first, offset: 0 } : this.#start;
    this.#removeBefore(this.#kept.segment);
    this.#measure();
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

  /** Position from which delivery continues. */
  get start(): Position {
    return this.#start;
  }

  /** The history of the database that the kept part was delivered to. */
  get history(): string | undefined {
    return this.#history;
  }

  /** Position up to which everything is delivered. */
  get delivered(): Position {
    return this.#delivered;
  }

  /** Position from which delivered entries are kept. */
  get kept(): Position {
    return this.#kept;
  }

  /** Whether delivered entries are kept. */
  get isKeeping(): boolean {
    return !isBefore(this.#delivered, this.#kept);
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
    this.#segments.set(number, segment);
    this.#last = number;
    this.#measure();
    return segment;
  }

  /** Counts the entries of its segments, or of those before one. */
  async count(before = Infinity): Promise<number> {
    let count = 0;
    for (const [number, segment] of this.#segments) if (number < before) count += await segment.count();
    return count;
  }

  /** Undelivered bytes. */
  get waitingBytes(): number {
    return this.#earlierBytes + (this.current?.bytes ?? 0) - this.#delivered.offset;
  }

  /** Notes that everything before a position is delivered: saves the cursor and removes whole segments that are not kept. */
  deliveredTo(position: Position): void {
    if (this.isClosed) return;
    const { segment } = this.#delivered;
    this.#delivered = position;
    this.#writeCursor(position);
    if (segment !== position.segment) this.#measure();
    if (this.#history === undefined) this.#kept = position;
    while (this.#keptBytes() > KEPT_BYTES) this.#kept = { segment: this.#kept.segment + 1, offset: 0 };
    this.#removeBefore(this.#kept.segment);
  }

  /**
   * Names the history of the database to which everything is delivered from now on, and keeps what is delivered. Undefined where
   * none is known: then nothing is kept.
   */
  keepFor(history: string | undefined): void {
    if (this.isClosed) return;
    this.#history = history;
    if (history === undefined) this.dropKept();
    this.#writeKept();
  }

  /** Lets go of what is kept before a position. */
  releaseTo(position: Position): void {
    if (this.isClosed || isBefore(position, this.#kept)) return;
    this.#kept = isBefore(position, this.#delivered) ? position : this.#delivered;
    this.#removeBefore(this.#kept.segment);
    this.#writeKept();
  }

  /** Lets go of everything that is kept. Returns whether that frees space. */
  dropKept(): boolean {
    const frees = this.#kept.segment < this.#delivered.segment;
    this.#kept = this.#delivered;
    this.#removeBefore(this.#kept.segment);
    return frees;
  }

  /** Counts what is kept as undelivered. The cursor says so too, so the next process goes on where this one ends. */
  rewind(): void {
    if (this.isClosed) return;
    this.#start = this.#delivered = this.#kept;
    this.#writeCursor(this.#delivered);
    this.#measure();
  }

  /** Removes the journal, once everything is delivered. */
  finish(): void {
    for (const segment of this.#segments.values()) segment.remove();
    this.#close();
    for (const suffix of ["cursor", "kept", "lock"])
      rmSync(join(this.#folder, `${this.owner}.${suffix}`), { force: true });
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
      this.#segments.delete(number);
      segment.remove();
    }
  }

  #measure(): void {
    this.#earlierBytes = 0;
    for (const [number, { bytes }] of this.#segments)
      if (number >= this.#delivered.segment && number < this.#last) this.#earlierBytes += bytes;
  }

  /** Size of the whole segments that are kept. */
  #keptBytes(): number {
    if (this.#kept.segment >= this.#delivered.segment) return 0;
    let sum = 0;
    for (const [number, { bytes }] of this.#segments)
      if (number >= this.#kept.segment && number < this.#delivered.segment) sum += bytes;
    return sum;
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

  /** Saves what is kept. If it is lost, the next process does not know that it could be delivered again. */
  #writeKept(): void {
    const file = join(this.#folder, `${this.owner}.kept`);
    const { segment, offset } = this.#kept;
    try {
      if (this.#history === undefined) rmSync(file, { force: true });
      else writeFileSync(file, `${segment} ${offset} ${this.#history}\n`, { mode: 0o600 });
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

/** Reads what a process has kept; undefined when that is nothing, or too old. */
function readKept(folder: string, owner: string): { position: Position; history: string } | undefined {
  try {
    // The cursor is written with every delivery.
    if (Date.now() - statSync(join(folder, `${owner}.cursor`)).mtimeMs > KEPT_LONGEST_MS) return undefined;
    const text = readFileSync(join(folder, `${owner}.kept`), "latin1");
    const [, segment, offset, history] = /^(\d+) (\d+) (\S+)\n$/.exec(text) ?? [];
    if (history === undefined) return undefined;
    return { position: { segment: Number(segment), offset: Number(offset) }, history };
  } catch {
    // Nothing was delivered, or it was not written.
    return undefined;
  }
}
