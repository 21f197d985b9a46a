/** Drawn at most so often: a terminal is slower than what it shows. */
const DRAW_INTERVAL_MS = 100;
const BAR_CHARACTERS = 24;

/** A bar on stderr, where a person looks at a terminal; elsewhere nothing is drawn. */
export class ProgressBar {
  readonly #total: number;
  #drawnMs = -Infinity;

  constructor(total: number) {
    this.#total = total;
  }

  /** `done` of the total, and what there is to say of it; now and then, when it is drawn. */
  show(done: number, text: () => string): void {
    if (performance.now() - this.#drawnMs >= DRAW_INTERVAL_MS) this.say(done, text);
  }

  /** The same at once: what is said now stands for a while. */
  say(done: number, text: () => string): void {
    if (!process.stderr.isTTY) return;
    this.#drawnMs = performance.now();
    const part = this.#total === 0 ? 1 : Math.min(1, done / this.#total);
    const bar = "█".repeat(Math.round(part * BAR_CHARACTERS)).padEnd(BAR_CHARACTERS, "░");
    const line = `${bar} ${`${Math.floor(part * 100)}`.padStart(3)} %  ${text()}`;
    process.stderr.write(`\r${Bun.sliceAnsi(line, 0, (process.stderr.columns || 80) - 1, { ellipsis: "…" })}\u001B[K`);
  }

  /** Takes the bar away, before something else is said. */
  clear(): void {
    if (this.#drawnMs > -Infinity) process.stderr.write("\r\u001B[K");
    this.#drawnMs = -Infinity;
  }
}
