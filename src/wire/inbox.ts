import type { LinkHandlers } from "./link.ts";

/**
 * Limit on what is read ahead while the owner is paused. A little is read all the same, because a closed connection is
 * noticed only while reading; the session of a client that has left would stay open otherwise.
 */
const MAX_HELD_CHARACTERS = 4_000_000;

/** Holds frames that arrive before the owner is ready or while it is paused, and reports the close once. */
export class Inbox {
  #handlers: LinkHandlers | undefined;
  #isPaused = true;
  #held: string[] = [];
  #heldCharacters = 0;
  #resumed = Promise.withResolvers<void>();
  #closed: { reason: string; exitCode: number | undefined } | undefined;

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.resume();
    if (this.#closed) handlers.closed(this.#closed.reason, this.#closed.exitCode);
  }

  frame(text: string): void {
    // After the close no resume may follow, and what the peer has sent is bounded by now.
    if (this.#handlers && (!this.#isPaused || this.#closed !== undefined)) {
      this.#handlers.frame(text);
      return;
    }
    this.#held.push(text);
    this.#heldCharacters += text.length;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const held = this.#held;
    this.#held = [];
    this.#heldCharacters = 0;
    for (const text of held) this.frame(text);
    this.#resumed.resolve();
    this.#resumed = Promise.withResolvers();
  }

  /** Whether to stop reading from the peer for now. */
  get isFull(): boolean {
    return this.#heldCharacters >= MAX_HELD_CHARACTERS;
  }

  /** Resolves when reading may go on. */
  async room(): Promise<void> {
    while (this.isFull) await this.#resumed.promise;
  }

  drained(): void {
    this.#handlers?.drained();
  }

  /** Gives a frame back to the owner. Returns false when the owner takes none back. */
  unsent(text: string): boolean {
    this.#handlers?.unsent?.(text);
    return this.#handlers?.unsent !== undefined;
  }

  /** Delivers the frames that are held, then reports the close. */
  closed(reason: string, exitCode?: number): void {
    if (this.#closed) return;
    this.#closed = { reason, exitCode };
    if (!this.#handlers) return;
    this.resume();
    this.#handlers.closed(reason, exitCode);
  }
}
