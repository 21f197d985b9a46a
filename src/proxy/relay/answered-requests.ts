import type { FrameView } from "../../wire/frame.ts";
import type { OpenRequests } from "./open-requests.ts";

/** The latest that are remembered: an answer that comes again, after a refusal or on another stream, comes soon. */
const MAX_REMEMBERED = 1000;
/** Longer ids are not remembered: together they would take much memory, and no client makes them. */
const MAX_KEY_CHARACTERS = 1000;
/** The key of answers to what could not be read, which may be many. */
const NO_REQUEST = "null";

/** Requests of a client that have been answered, by the upstream or in its stead, so that none is answered again. */
export class AnsweredRequests {
  readonly #answered = new Set<string>();
  /** Keys that were used again while they were open: it cannot be told which request an answer is for. */
  readonly #shared = new Set<string>();

  /** Notes a frame that goes to the upstream, before it is open: an id that is used again may be answered again. */
  asked(view: FrameView, open: OpenRequests): void {
    if (view.kind === "batch") for (const each of view.messages) this.asked(each, open);
    if (view.kind !== "request") return;
    this.#answered.delete(view.key);
    if (open.has(view.key)) remember(this.#shared, view.key);
  }

  answered(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.answered(each);
    if (view.kind !== "response" || view.key === NO_REQUEST || this.#shared.has(view.key)) return;
    remember(this.#answered, view.key);
  }

  /** Whether a frame holds nothing but answers to requests that have been answered. */
  isRepetition(view: FrameView): boolean {
    if (view.kind === "batch") return view.messages.every((each) => this.isRepetition(each));
    return view.kind === "response" && this.#answered.has(view.key);
  }
}

function remember(keys: Set<string>, key: string): void {
  if (key.length > MAX_KEY_CHARACTERS) return;
  keys.delete(key);
  keys.add(key);
  const [oldest] = keys;
  if (keys.size > MAX_REMEMBERED && oldest !== undefined) keys.delete(oldest);
}
