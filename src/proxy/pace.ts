/** From so many frames a second on the relay is under load: people and agents make a few, one quick client thousands. */
const BUSY_FRAMES_PER_SECOND = 500;
/** Over how long that is looked at. */
const SAMPLE_MS = 50;
/**
 * How often delivery takes a small turn while the relay is under load, and how long it is content with that: then it takes
 * what it needs, so that no load, however long, keeps what was recorded from being found.
 */
const BUSY_PAUSE_MS = 1000;
const LONGEST_DELAY_MS = 10_000;
/** How much is read in a turn: enough for large calls, and little under load. */
const READ_AHEAD_BYTES = 1024 * 1024;
const BUSY_READ_BYTES = 64 * 1024;
/**
 * Pauses between readings of what is written: at least a moment, and until the store has taken what was read before,
 * but not so long that one conversation that it does not take is felt by the others.
 */
const READ_PAUSE_MS = 10;
const LONGEST_READ_PAUSE_MS = 1000;
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
  #isBusy = false;
  #isStopped = false;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Resolves when it is delivery's turn, with the bytes that it should read. `waitingSinceMs` is when what is next was recorded. */
  async turn(waitingSinceMs: number): Promise<number> {
    await Bun.sleep(READ_PAUSE_MS);
    const startedMs = performance.now();
    while (!this.#isStopped) {
      const isHeldBack = this.#sample() && Date.now() - waitingSinceMs < LONGEST_DELAY_MS && !this.#options.isFilling();
      const waitedMs = performance.now() - startedMs;
      if (isHeldBack && waitedMs >= BUSY_PAUSE_MS) return BUSY_READ_BYTES;
      if (!isHeldBack && (this.#options.isQuiet() || waitedMs >= LONGEST_READ_PAUSE_MS)) break;
      await Bun.sleep(isHeldBack ? SAMPLE_MS : QUIET_POLL_MS);
    }
    return READ_AHEAD_BYTES;
  }

  /** From now on it is always delivery's turn. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Whether the relay is under load. */
  #sample(): boolean {
    const now = performance.now();
    const elapsedMs = now - this.#sampledMs;
    if (elapsedMs < SAMPLE_MS) return this.#isBusy;
    const frames = this.#options.frames();
    this.#isBusy = ((frames - this.#sampledFrames) * 1000) / elapsedMs > BUSY_FRAMES_PER_SECOND;
    this.#sampledMs = now;
    this.#sampledFrames = frames;
    return this.#isBusy;
  }
}
