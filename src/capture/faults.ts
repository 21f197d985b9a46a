import { Backoff } from "../backoff.ts";
import type { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { SourcePlace } from "./captured.ts";

/** Pauses before what the server failed to store is told again: doubled each time. */
const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 60_000;

/** What rests, since when, and until when. */
interface Rest {
  backoff: Backoff;
  sinceMs: number;
  untilMs: number;
}

/** What the server failed to store for a fault of its own, by the transcript or the session that it is of. */
export class Faults {
  readonly #log: Log;
  readonly #rests = new Map<string, Rest>();
  /** The sources in which something failed since the last time. */
  #failed = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Notes a fault; each source's first is logged. */
  note(place: SourcePlace, { message: reason }: DeweyError): void {
    if (!this.#failed.has(place.source) && !this.#rests.has(place.source))
      this.#log.error("the server failed to store a message; it is tried again", { ...place, reason });
    this.#failed.add(place.source);
  }

  /** Whether something is not to be told yet. */
  isResting(key: string): boolean {
    return performance.now() < (this.#rests.get(key)?.untilMs ?? 0);
  }

  /** Whether something rests that has failed for less than this long. */
  areYoung(patienceMs: number): boolean {
    return [...this.#rests.values()].some(({ sinceMs }) => performance.now() - sinceMs < patienceMs);
  }

  /**
   * Ends the telling of something: without a fault it rests no longer, with one it rests, and so do the sources that failed.
   * Returns these.
   */
  settle(key: string): string[] {
    const failed = [...this.#failed];
    this.#failed = new Set();
    if (failed.length === 0) this.#rests.delete(key);
    else for (const each of new Set([key, ...failed])) this.#rest(each);
    return failed;
  }

  #rest(key: string): void {
    const { backoff, sinceMs } = this.#rests.get(key) ?? {
      backoff: new Backoff({ firstMs: FIRST_REST_MS, longestMs: LONGEST_REST_MS }),
      sinceMs: performance.now(),
    };
    this.#rests.set(key, { backoff, sinceMs, untilMs: performance.now() + backoff.next() });
  }
}
