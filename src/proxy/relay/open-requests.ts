import { cancelledKey } from "../../wire/frame.ts";
import type { FrameView } from "../../wire/frame.ts";

/** A stream of notifications (2026-07-28): it is answered only when the server ends it. */
export const SUBSCRIPTION = "subscriptions/listen";

/** Requests that one side sent and the other has not answered yet. */
export class OpenRequests {
  readonly #ids = new Map<string, unknown>();
  /** Keys of the open ones that are subscriptions, and perhaps of earlier ones. */
  #subscriptions = new Set<string>();

  /** Notes a frame of the asking side: it opens requests, and a cancelled one is no longer open. */
  asked(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.asked(each);
    else if (view.kind === "request") {
      this.#ids.set(view.key, view.id);
      this.#subscriptions.delete(view.key);
      if (view.method === SUBSCRIPTION) this.#subscriptions.add(view.key);
    } else this.#ids.delete(cancelledKey(view) ?? "");
  }

  add(id: unknown): void {
    this.#ids.set(JSON.stringify(id), id);
  }

  /** Drops the ids of these requests, which are now in use for something else. */
  forget(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.forget(each);
    else if (view.kind === "request") this.#ids.delete(view.key);
  }

  answered(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.answered(each);
    else if (view.kind === "response") this.#ids.delete(view.key);
  }

  /** Number of requests that an answer can be expected for, soon or late. */
  get size(): number {
    this.#subscriptions = this.#subscriptions.intersection(this.#ids);
    return this.#ids.size - this.#subscriptions.size;
  }

  has(key: string): boolean {
    return this.#ids.has(key);
  }

  /** Removes and returns all open ids. */
  takeAll(): unknown[] {
    const ids = [...this.#ids.values()];
    this.#ids.clear();
    this.#subscriptions.clear();
    return ids;
  }
}
