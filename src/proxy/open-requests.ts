import { requestIds } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";

/** The client's requests that went to its server and have no answer yet. */
export class OpenRequests {
  readonly #ids = new Map<string, unknown>();

  asked(view: FrameView): void {
    for (const id of requestIds(view)) this.#ids.set(JSON.stringify(id), id);
  }

  answered(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.answered(each);
    else if (view.kind === "response") this.#ids.delete(JSON.stringify(view.id));
  }

  get size(): number {
    return this.#ids.size;
  }

  /** The ids of all that are open, which are no longer open then. */
  takeAll(): unknown[] {
    const ids = [...this.#ids.values()];
    this.#ids.clear();
    return ids;
  }
}
