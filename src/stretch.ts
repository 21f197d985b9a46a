/** How long one caller's work may hold the event loop before others have their turn: hardly anyone notices it. */
const LONGEST_STRETCH_MS = 20;

/** Long work in stretches: between two of its steps it lets the event loop turn, when the stretch was long. */
export class Stretch {
  #sinceMs = performance.now();

  async rest(): Promise<void> {
    if (performance.now() - this.#sinceMs < LONGEST_STRETCH_MS) return;
    await new Promise(setImmediate);
    this.#sinceMs = performance.now();
  }
}
