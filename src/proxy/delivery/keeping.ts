import type { Journal, Position } from "../spool/journal.ts";

/**
 * How long delivered entries are kept, by looks that found the database's history unchanged. A standby that takes over without
 * synchronous replication lacks what was committed last: seconds, as Patroni limits it, or what a person has allowed.
 */
const KEPT_MS = 300_000;

/** A position up to which a journal was delivered when a look began. */
interface Mark {
  position: Position;
  askedMs: number;
}

/**
 * Keeps what was delivered of a journal for some minutes, and knows when to deliver it again: when the database has another
 * history than the one it was delivered to. Time passes only with looks, so nothing is let go while the store is away.
 */
export class Keeping {
  readonly #journal: Journal;
  readonly #keptMs: number;
  #marks: Mark[] = [];

  /** `keptMs` is shorter in tests. */
  constructor(journal: Journal, keptMs: number = KEPT_MS) {
    this.#journal = journal;
    this.#keptMs = keptMs;
  }

  /** Takes what a look has found. True when what is kept must be delivered again. */
  looked(history: string | undefined, askedMs: number): boolean {
    const journal = this.#journal;
    const before = journal.history;
    if (history === undefined || before === undefined) {
      if (history !== before) journal.keepFor(history);
      return false;
    }
    if (history === before) {
      this.#release(askedMs);
      return false;
    }
    this.#marks = [];
    if (!journal.isKeeping) journal.keepFor(history);
    return journal.isKeeping;
  }

  #release(askedMs: number): void {
    const journal = this.#journal;
    this.#marks.push({ position: journal.delivered, askedMs });
    const old = this.#marks.filter((mark) => mark.askedMs <= askedMs - this.#keptMs).length;
    const last = this.#marks.splice(0, old).at(-1);
    if (last) journal.releaseTo(last.position);
  }
}
