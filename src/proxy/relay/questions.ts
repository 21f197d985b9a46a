import type { FrameView } from "../../wire/frame.ts";
import { OpenRequests } from "./open-requests.ts";

/** The requests that upstreams have sent to a client: those of the current one, and those of ones that are gone. */
export class Questions {
  readonly #open = new OpenRequests();
  readonly #stale = new OpenRequests();

  /** Notes a frame of the upstream. An id that it uses is its own from then on. */
  asked(view: FrameView): void {
    this.#open.asked(view);
    this.#stale.forget(view);
  }

  /** Notes a frame that goes to the upstream. */
  answered(view: FrameView): void {
    this.#open.answered(view);
  }

  /** Whether this answers an upstream that is gone. The next one may use the same id for another request. True once for each. */
  answersStale(view: FrameView): boolean {
    if (view.kind !== "response" || !this.#stale.has(view.key)) return false;
    this.#stale.answered(view);
    return true;
  }

  /** The upstream is gone. Returns the ids of the requests that it has sent and that are not answered. */
  abandon(): unknown[] {
    const ids = this.#open.takeAll();
    for (const id of ids) this.#stale.add(id);
    return ids;
  }
}
