import { FAREWELL_STALL_MS, STALL_LIMIT_MS } from "./limits.ts";

export interface StallWatchOptions {
  /** Bytes that the client has taken so far. It may stay slow: any of them is progress. */
  takenBytes(): number;
  /** Called when the client has taken nothing for the limit; the watch has stopped. */
  stalled(): void;
  limitMs?: number | undefined;
}

/**
 * Looks, while data is queued for a client, whether it takes any of it. Progress is measured in bytes, since the queue of a
 * slow client may never become empty. It is checked once per limit, so a stall lasts at most twice as long.
 */
export class StallWatch {
  readonly #options: StallWatchOptions;
  #check: ReturnType<typeof setInterval> | undefined;

  constructor(options: StallWatchOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#check !== undefined;
  }

  /** Starts, unless it is running. */
  start(): void {
    if (this.#check !== undefined) return;
    let before = this.#options.takenBytes();
    this.#check = setInterval(() => {
      const taken = this.#options.takenBytes();
      if (taken > before) before = taken;
      else {
        this.stop();
        this.#options.stalled();
      }
    }, this.#options.limitMs ?? STALL_LIMIT_MS);
  }

  stop(): void {
    clearInterval(this.#check);
    this.#check = undefined;
  }
}

/** Resolves with the promise, or once a peer that is being left has taken nothing for `FAREWELL_STALL_MS`. */
export async function whileTaken(done: Promise<unknown>, takenBytes: () => number): Promise<void> {
  const stalled = Promise.withResolvers<void>();
  const watch = new StallWatch({ takenBytes, stalled: () => stalled.resolve(), limitMs: FAREWELL_STALL_MS });
  watch.start();
  await Promise.race([done, stalled.promise]);
  watch.stop();
}
