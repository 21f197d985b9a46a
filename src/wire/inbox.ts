import type { LinkHandlers } from "./link.ts";

/** Keeps what arrives before the owner is ready, and tells the end once. */
export class Inbox {
  #handlers: LinkHandlers | undefined;
  #early: string[] = [];
  #closed: string | undefined;

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    const early = this.#early;
    this.#early = [];
    for (const frame of early) handlers.frame(frame);
    if (this.#closed !== undefined) handlers.closed(this.#closed);
  }

  frame(text: string): void {
    if (this.#handlers) this.#handlers.frame(text);
    else this.#early.push(text);
  }

  drained(): void {
    this.#handlers?.drained();
  }

  closed(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#handlers?.closed(reason);
  }
}
