import { visible } from "../visible.ts";

/** Minimum interval between drawings, because drawing is slower than the work. */
const DRAW_INTERVAL_MS = 100;
const BAR_CHARACTERS = 24;

/** A progress bar on stderr when that is a terminal; otherwise nothing is drawn. */
export class ProgressBar {
  readonly #total: number;
  #drawnMs = -Infinity;

  constructor(total: number) {
    this.#total = total;
  }

  /** Draws `done` of the total with a text, unless the bar was drawn just now. */
  show(done: number | (() => number), text: () => string): void {
    if (!process.stderr.isTTY || performance.now() - this.#drawnMs < DRAW_INTERVAL_MS) return;
    this.say(typeof done === "number" ? done : done(), text);
  }

  /** Draws at once, for a text that stays for a while. */
  say(done: number, text: () => string): void {
    if (!process.stderr.isTTY) return;
    this.#drawnMs = performance.now();
    const part = this.#total === 0 ? 1 : Math.min(1, done / this.#total);
    const bar = "█".repeat(Math.round(part * BAR_CHARACTERS)).padEnd(BAR_CHARACTERS, "░");
    const line = `${bar} ${`${Math.floor(part * 100)}`.padStart(3)} %  ${visible(text())}`;
    process.stderr.write(`\r${Bun.sliceAnsi(line, 0, (process.stderr.columns || 80) - 1, { ellipsis: "…" })}\u001B[K`);
  }

  /** Removes the bar, so that other output can follow. */
  clear(): void {
    if (this.#drawnMs > -Infinity) process.stderr.write("\r\u001B[K");
    this.#drawnMs = -Infinity;
  }
}
