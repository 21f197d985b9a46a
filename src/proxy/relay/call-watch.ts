import { jsonRpcCode } from "../../errors.ts";
import { cancelledKey, isObject } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";
import { SUBSCRIPTION } from "./open-requests.ts";
import type { Tap } from "./tap.ts";

/** How a tool call ended. "unavailable" means that Dewey answered, because the upstream could not. */
export const callOutcomes = ["success", "error", "unavailable", "cancelled", "unanswered"] as const;
export type CallOutcome = (typeof callOutcomes)[number];

/** Limit on open requests of one session; beyond it the oldest count as unanswered. */
const MAX_OPEN = 10_000;

interface OpenRequest {
  isCall: boolean;
  sinceMs: number;
}

/** Observes a client's requests and the answers sent to it. */
export interface RequestWatch {
  asked(view: FrameView): void;
  answered(view: FrameView): void;
}

/** Watches one session's requests: how long its tool calls take, and whether any request is in flight. */
export class CallWatch implements RequestWatch {
  readonly #open = new Map<string, OpenRequest>();
  readonly #ended: (outcome: CallOutcome, ms: number) => void;
  /** Set while a caller waits in `idle`. */
  #idle: PromiseWithResolvers<void> | undefined;

  /** `ended` is called for every tool call that has ended. */
  constructor(ended: (outcome: CallOutcome, ms: number) => void) {
    this.#ended = ended;
  }

  /** When a frame last passed, by `performance.now()`. */
  usedMs = performance.now();

  /** Requests of the client in flight. */
  get size(): number {
    return this.#open.size;
  }

  /** Resolves when no request is in flight. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  /** Notes a frame that the client sent. */
  asked(view: FrameView): void {
    this.usedMs = performance.now();
    if (view.kind === "batch") for (const each of view.messages) this.asked(each);
    const cancelled = cancelledKey(view);
    if (cancelled !== undefined) this.#end(cancelled, "cancelled");
    // Nobody waits for the answer to a subscription.
    if (view.kind !== "request" || view.method === SUBSCRIPTION) return;
    this.#open.set(view.key, { isCall: view.method === "tools/call", sinceMs: performance.now() });
    if (this.#open.size <= MAX_OPEN) return;
    const [oldest] = this.#open.keys();
    if (oldest !== undefined) this.#end(oldest, "unanswered");
  }

  /** Notes a frame that was sent to the client. */
  answered(view: FrameView): void {
    this.usedMs = performance.now();
    if (view.kind === "batch") for (const each of view.messages) this.answered(each);
    if (view.kind === "response") this.#end(view.key, outcomeOf(view.message));
  }

  /** Ends the session: open requests count as unanswered. */
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

/** Lets a watch observe the frames that pass through a tap. */
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
