import { jsonRpcCode } from "../../errors.ts";
import { isObject } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";
import type { RequestWatch } from "./session.ts";
import type { Tap } from "./tap.ts";

/** How a call of a tool ended. "unavailable" is Dewey's own word, when the upstream is not there to answer. */
export const callOutcomes = ["success", "error", "unavailable", "unanswered"] as const;
export type CallOutcome = (typeof callOutcomes)[number];

/** Requests of one session that are remembered until they are answered; of more, the oldest count as unanswered. */
const MAX_OPEN = 10_000;

interface OpenRequest {
  isCall: boolean;
  sinceMs: number;
}

/** Sees one session's requests and their answers: how long calls took, and whether anything is under way. */
export class CallWatch implements RequestWatch {
  readonly #open = new Map<string, OpenRequest>();
  readonly #ended: (outcome: CallOutcome, ms: number) => void;
  /** Set while somebody waits for it. */
  #idle: PromiseWithResolvers<void> | undefined;

  /** `ended` is told of every call of a tool that has ended. */
  constructor(ended: (outcome: CallOutcome, ms: number) => void) {
    this.#ended = ended;
  }

  /** Requests of the client's that have no answer yet. */
  get size(): number {
    return this.#open.size;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  /** The client has sent a frame. */
  asked(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.asked(each);
    if (view.kind !== "request") return;
    this.#open.set(view.key, { isCall: view.method === "tools/call", sinceMs: performance.now() });
    if (this.#open.size <= MAX_OPEN) return;
    const [oldest] = this.#open.keys();
    if (oldest !== undefined) this.#end(oldest, "unanswered");
  }

  /** The client was sent a frame. */
  answered(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.answered(each);
    if (view.kind === "response") this.#end(view.key, outcomeOf(view.message));
  }

  /** The session is over. */
  close(): void {
    for (const id of this.#open.keys()) this.#end(id, "unanswered");
  }

  #end(id: string, outcome: CallOutcome): void {
    const request = this.#open.get(id);
    if (!request) return;
    this.#open.delete(id);
    if (request.isCall) this.#ended(outcome, performance.now() - request.sinceMs);
    if (this.#open.size > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

function outcomeOf({ error, result }: Json): CallOutcome {
  if (error !== undefined) {
    return isObject(error) && error["code"] === jsonRpcCode("unavailable") ? "unavailable" : "error";
  }
  return isObject(result) && result["isError"] === true ? "error" : "success";
}

/** A tap through which a watch sees frames that nobody else looks at. */
export function watchingTap(tap: Tap, watch: RequestWatch): Tap {
  return {
    frame(direction, frame, pass) {
      if (direction === "up") watch.asked(frame.view);
      tap.frame(direction, frame, () => {
        pass();
        if (direction === "down") watch.answered(frame.view);
      });
    },
    closed: (reason) => tap.closed(reason),
  };
}
