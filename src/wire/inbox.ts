import type { LinkHandlers } from "./link.ts";

/**
 * What is read of a peer at most while its owner takes nothing. A client says little while its server is slow, and whoever
 * is read is seen to leave; nobody would end its session otherwise.
 */
const MAX_HELD_CHARACTERS = 4_000_000;

/** Keeps what arrives before the owner is ready, or while it takes nothing, and tells the end once. */
export class Inbox {
  #handlers: LinkHandlers | undefined;
  #isPaused = true;
  #held: string[] = [];
  #heldCharacters = 0;
  #resumed = Promise.withResolvers<void>();
  #closed: string | undefined;

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.resume();
    if (this.#closed !== undefined) handlers.closed(this.#closed);
  }

  frame(text: string): void {
    if (!this.#isPaused) {
      this.#handlers?.frame(text);
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

  /** Whether the peer should not be read any further for now. */
  get isFull(): boolean {
    return this.#heldCharacters >= MAX_HELD_CHARACTERS;
  }

  /** Resolves when it may be read again. */
  async room(): Promise<void> {
    while (this.isFull) await this.#resumed.promise;
  }

  drained(): void {
    this.#handlers?.drained();
  }

  /** What came before the end is told before it. */
  closed(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    if (!this.#handlers) return;
    this.resume();
    this.#handlers.closed(reason);
  }
}
