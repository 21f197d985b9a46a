export interface BackoffOptions {
  firstMs: number;
  /** Cap of the doubling, before jitter. */
  longestMs: number;
  /**
   * Returns the share of each pause, from 0 up to 1, that is added to it, so that many processes do not retry at the same
   * moment. No jitter when absent.
   */
  jitter?: () => number;
}

/** The pauses between attempts that keep failing: doubled each time, up to a cap. */
export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** The pause before the next attempt, in milliseconds. */
  next(): number {
    const pauseMs = this.#nextMs;
    this.#nextMs = Math.min(2 * pauseMs, this.#options.longestMs);
    return pauseMs + pauseMs * (this.#options.jitter?.() ?? 0);
  }

  /** Starts again at the first pause, after an attempt that succeeded. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
