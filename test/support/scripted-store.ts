import { DeweyError } from "../../src/errors.ts";
import type { ErrorCode } from "../../src/errors.ts";

/** A call to a tool of the store. Times are from `performance.now`. */
interface StoreCall {
  tool: string;
  conversation: string;
  /** The contents of its messages. */
  contents: string[];
  beganMs: number;
  endedMs: number;
}

/** Decides on a call: returns to take it, or throws the error that the store gives. */
type Answer = (call: StoreCall) => void | Promise<void>;

/** Duration of every call. */
const LATENCY_MS = 1;

/** The store as delivery sees it, with replies that the test scripts. Other tests use a real store. */
export class ScriptedStore {
  readonly calls: StoreCall[] = [];
  readonly taken: StoreCall[] = [];
  answer: Answer = take;
  /** The history of its database; a store without one does not know the question. */
  history: string | undefined;
  looks = 0;
  mostInFlight = 0;
  #inFlight = 0;

  async call(tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
    if (tool === "dewey_identify_database") return this.#identify();
    const contents = ((args["messages"] ?? []) as { content: string }[]).map(({ content }) => content);
    const conversation = String(args["conversation_id"]);
    const call: StoreCall = { tool, conversation, contents, beganMs: performance.now(), endedMs: 0 };
    this.calls.push(call);
    this.#inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight);
    try {
      await Bun.sleep(LATENCY_MS);
      await this.answer(call);
      this.taken.push(call);
      return {};
    } finally {
      call.endedMs = performance.now();
      this.#inFlight -= 1;
    }
  }

  #identify(): Record<string, unknown> {
    this.looks += 1;
    if (this.answer === away) throw new DeweyError("unavailable", "not now");
    if (this.history === undefined) throw new DeweyError("invalid", "there is no such tool");
    return { history: this.history };
  }

  contentsOf(conversation: string): string[] {
    return this.taken.filter((call) => call.conversation === conversation).flatMap(({ contents }) => contents);
  }

  /** The pauses between the calls for a conversation. */
  pausesOf(conversation: string): number[] {
    return pausesBetween(this.calls.filter((call) => call.conversation === conversation));
  }
}

export function pausesBetween(calls: StoreCall[]): number[] {
  return calls.slice(1).map(({ beganMs }, index) => beganMs - (calls[index]?.endedMs ?? 0));
}

export const take: Answer = () => {};

export const away: Answer = () => {
  throw new DeweyError("unavailable", "not now");
};

/** Refuses calls that bring a message "bad", and takes all others. */
export const refusing =
  (code: ErrorCode, field?: string): Answer =>
  ({ contents }) => {
    if (contents.includes("bad")) throw new DeweyError(code, "the reason", field === undefined ? {} : { field });
  };
