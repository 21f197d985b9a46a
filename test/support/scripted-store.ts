import { DeweyError } from "../../src/errors.ts";
import type { ErrorCode } from "../../src/errors.ts";

/** One call of a tool of the store. Times are those of `performance.now`. */
interface StoreCall {
  tool: string;
  conversation: string;
  /** Of the messages that it brings. */
  contents: string[];
  beganMs: number;
  endedMs: number;
}

/** How the store answers a call: it takes it when this returns, and refuses it with the error that this throws. */
type Answer = (call: StoreCall) => void | Promise<void>;

/** The milliseconds that the store takes for a call. */
const LATENCY_MS = 1;

/** The store's tools as delivery sees them, answered as a test says. What a real store answers is tested with a real one. */
export class ScriptedStore {
  readonly calls: StoreCall[] = [];
  readonly taken: StoreCall[] = [];
  answer: Answer = take;
  mostInFlight = 0;
  #inFlight = 0;

  async call(tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
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
