/** Rate of frames above which the relay is in a burst. People and agents cause a few a second, one fast client thousands. */
const BURST_FRAMES_PER_SECOND = 500;
/** Interval over which the rate is measured. */
const SAMPLE_MS = 50;
/**
 * While frames pass, delivery pauses for this many times the duration of its last turn. The pause follows the time a turn
 * takes, not the number of frames: on a machine short of processors turns take longer, and so do the pauses.
 */
const PAUSE_SHARE = 4;
const LONGEST_PAUSE_MS = 5000;
/** Least pause between turns in a burst. */
const BURST_PAUSE_MS = 1000;
/** Entries that have waited this long go first, so that no load keeps recorded messages from being found. */
const LONGEST_DELAY_MS = 10_000;
/** Bytes read in a turn: enough for large calls, and little while frames pass. */
const READ_AHEAD_BYTES = 1024 * 1024;
const SMALL_READ_BYTES = 64 * 1024;
/** Least pause between two turns, so that entries written in between go together. */
const READ_PAUSE_MS = 10;
/** Longest wait for the store after a turn, so that one conversation that it does not take does not hold up the others. */
const LONGEST_WAIT_MS = 1000;
const QUIET_POLL_MS = 5;

export interface PaceOptions {
  /** Frames recorded so far. */
  frames: () => number;
  /** Whether no delivery is in flight. */
  isQuiet: () => boolean;
  /** Whether the spool is filling up, so that delivery must not wait. */
  isFilling: () => boolean;
}

/**
 * Decides when delivery may read on. Relaying goes first: the store and its database often share the machine with it, and
 * recorded frames are safe on disk. So a burst has the processors to itself and is delivered afterwards.
 */
export class Pace {
  readonly #options: PaceOptions;
  #sampledMs = performance.now();
  #sampledFrames = 0;
  #framesPerSecond = 0;
  #turnBeganMs = 0;
  #turnTookMs = 0;
  #isStopped = false;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /**
   * Resolves when it is delivery's turn, with the number of bytes to read. `waitingSinceMs` is the time (since 1970) at which
   * the next entry was recorded.
   */
  async turn(waitingSinceMs: number): Promise<number> {
    await Bun.sleep(READ_PAUSE_MS);
    const askedMs = performance.now();
    let isHeldBack = this.#isHeldBack(waitingSinceMs);
    while (isHeldBack && performance.now() - askedMs < this.#pauseMs()) {
      await Bun.sleep(SAMPLE_MS);
      isHeldBack = this.#isHeldBack(waitingSinceMs);
    }
    this.#turnBeganMs = performance.now();
    return isHeldBack ? SMALL_READ_BYTES : READ_AHEAD_BYTES;
  }

  /** Resolves when the store has taken the turn's records, or after `LONGEST_WAIT_MS`. */
  async settled(): Promise<void> {
    const lateMs = performance.now() + LONGEST_WAIT_MS;
    while (!this.#options.isQuiet() && performance.now() < lateMs && !this.#isStopped) await Bun.sleep(QUIET_POLL_MS);
    this.#turnTookMs = performance.now() - this.#turnBeganMs;
  }

  /** From now on delivery never waits. */
  stop(): void {
    this.#isStopped = true;
  }

  #isHeldBack(waitingSinceMs: number): boolean {
    if (this.#isStopped || Date.now() - waitingSinceMs > LONGEST_DELAY_MS || this.#options.isFilling()) return false;
    this.#sample();
    return this.#framesPerSecond > 0;
  }

  #pauseMs(): number {
    const leastMs = this.#framesPerSecond > BURST_FRAMES_PER_SECOND ? BURST_PAUSE_MS : 0;
    return Math.min(Math.max(leastMs, PAUSE_SHARE * this.#turnTookMs), LONGEST_PAUSE_MS);
  }

  #sample(): void {
    const elapsedMs = performance.now() - this.#sampledMs;
    if (elapsedMs < SAMPLE_MS) return;
    const frames = this.#options.frames();
    this.#framesPerSecond = ((frames - this.#sampledFrames) * 1000) / elapsedMs;
    this.#sampledMs += elapsedMs;
    this.#sampledFrames = frames;
  }
}
