/** Waits that end at once when the process is asked to stop. */
export class Pause {
  readonly #stopping: AbortSignal;

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
  }

  async for(ms: number): Promise<void> {
    if (this.#stopping.aborted) return;
    const stopped = Promise.withResolvers<void>();
    const stop = () => stopped.resolve();
    this.#stopping.addEventListener("abort", stop, { once: true });
    await Promise.race([Bun.sleep(ms), stopped.promise]);
    this.#stopping.removeEventListener("abort", stop);
  }
}
