import { requestIds } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";

/** The requests of one side that went to the other and have no answer yet. */
export class OpenRequests {
  readonly #ids = new Map<string, unknown>();

  asked(view: FrameView): void {
    for (const id of requestIds(view)) this.add(id);
  }

  add(id: unknown): void {
    this.#ids.set(JSON.stringify(id), id);
  }

  forget(ids: unknown[]): void {
    for (const id of ids) this.#ids.delete(JSON.stringify(id));
  }

  answered(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.answered(each);
    else if (view.kind === "response") this.#ids.delete(JSON.stringify(view.id));
  }

  get size(): number {
    return this.#ids.size;
  }

  has(id: unknown): boolean {
    return this.#ids.has(JSON.stringify(id));
  }

  /** The ids of all that are open, which are no longer open then. */
  takeAll(): unknown[] {
    const ids = [...this.#ids.values()];
    this.#ids.clear();
    return ids;
  }
}
