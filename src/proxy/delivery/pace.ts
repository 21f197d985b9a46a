/** From so many frames a second on the relay is in a burst: people and agents make a few, one quick client thousands. */
const BURST_FRAMES_PER_SECOND = 500;
/** Over how long that is looked at. */
const SAMPLE_MS = 50;
/**
 * While frames pass, delivery pauses for so many times as long as its last turn took. It is a share of the time and no
 * share of what passes: on a machine that is short of processors a turn takes longer, and so does the pause.
 */
const PAUSE_SHARE = 4;
const LONGEST_PAUSE_MS = 5000;
/** In a burst it takes a small turn in this time at most. */
const BURST_PAUSE_MS = 1000;
/** How long it is content with that: then it takes what it needs, so that no load keeps what was recorded from being found. */
const LONGEST_DELAY_MS = 10_000;
/** How much is read in a turn: enough for large calls, and little while frames pass. */
const READ_AHEAD_BYTES = 1024 * 1024;
const SMALL_READ_BYTES = 64 * 1024;
/** At least a moment goes by between two turns, so that what is written meanwhile goes together. */
const READ_PAUSE_MS = 10;
/** How long the store is waited for, so that one conversation that it does not take is not felt by the others. */
const LONGEST_WAIT_MS = 1000;
const QUIET_POLL_MS = 5;

export interface PaceOptions {
  /** Frames so far. */
  frames: () => number;
  /** Whether nothing is on its way to the store. */
  isQuiet: () => boolean;
  /** Whether so much waits that it is time to deliver, whatever else there is to do. */
  isFilling: () => boolean;
}

/**
 * Says when delivery reads on. Relaying goes first: the store and its database share the machine with it, and what is
 * recorded is safe on disk. So a burst has the processors to itself, and is delivered behind it.
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

  /** Resolves when it is delivery's turn, with the bytes that it should read. `waitingSinceMs` is when what is next was recorded. */
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

  /** Resolves when the store has taken what the turn has brought, or after a while. */
  async settled(): Promise<void> {
    const lateMs = performance.now() + LONGEST_WAIT_MS;
    while (!this.#options.isQuiet() && performance.now() < lateMs && !this.#isStopped) await Bun.sleep(QUIET_POLL_MS);
    this.#turnTookMs = performance.now() - this.#turnBeganMs;
  }

  /** From now on it is always delivery's turn. */
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
