import { statSync } from "node:fs";
import type { Captured } from "./captured.ts";

/** How long a database must be left alone before it is read, so that an answer is not read word by word … */
const REST_MS = 2000;
/** … unless it has not been left alone for this long. */
const MAX_WAIT_MS = 60_000;
/** A database is read whole: pauses are this many times as long as reading took. */
const PAUSE_SHARE = 20;

/** What tells that a database was written to: its file and its write-ahead log, where most writes go first. */
export interface DatabaseFacts {
  bytes: number;
  modifiedMs: number;
  inode: number;
}

/** The facts of a database; undefined when it is not there. */
export function databaseFacts(path: string): DatabaseFacts | undefined {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file?.isFile() !== true) return undefined;
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  return {
    bytes: file.size + (log?.size ?? 0),
    modifiedMs: Math.max(file.mtimeMs, log?.mtimeMs ?? 0),
    inode: file.ino,
  };
}

/** A client's database that is followed: when to read it again, and which of its rows have changed since the last time. */
export class WatchedDatabase {
  #waitingSinceMs: number | undefined;
  #notBeforeMs = 0;
  /** Hashes of the sessions of the last time, and of this one. */
  #before = new Set<number | bigint>();
  #now = new Set<number | bigint>();

  /** Whether a change is old enough to be read. */
  isReady({ modifiedMs }: DatabaseFacts): boolean {
    const now = Date.now();
    this.#waitingSinceMs ??= now;
    if (now < this.#notBeforeMs) return false;
    return now - modifiedMs >= REST_MS || now - this.#waitingSinceMs >= MAX_WAIT_MS;
  }

  /** Whether a session is another one than when the database was last read to its end. */
  isNew(session: Captured[]): boolean {
    const hash = Bun.hash.xxHash3(JSON.stringify(session));
    this.#now.add(hash);
    return !this.#before.has(hash);
  }

  /**
   * Reads the database with `work`, which returns whether it came to its end. The pause follows also when it throws: a broken
   * database is copied each time before it is found to be broken.
   */
  async read(work: () => Promise<boolean>): Promise<void> {
    const startedMs = performance.now();
    this.#now = new Set();
    try {
      if (!(await work())) return;
      this.#before = this.#now;
      this.#waitingSinceMs = undefined;
    } finally {
      this.#notBeforeMs = Date.now() + (performance.now() - startedMs) * PAUSE_SHARE;
    }
  }
}
