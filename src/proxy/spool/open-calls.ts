import { createHash } from "node:crypto";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import type { Direction } from "../relay/tap.ts";
import type { OpenCall, OpenCallsState, OpenTask } from "./entry.ts";

/** Limit on unanswered requests of a session; beyond it the oldest are forgotten. Many requests are never answered. */
const MAX_OPEN_CALLS = 10_000;
/** Limit on a session's unfinished tasks, and on its calls that wait for input. */
const MAX_WAITING = 1000;
/** Longer ids are known by their hash. */
const MAX_KEY_CHARACTERS = 200;

/** The unanswered requests of a session, its tasks, and its calls that wait for their client's input. */
export class OpenCalls {
  readonly #calls: Map<string, OpenCall>;
  readonly #tasks: Map<string, OpenTask>;
  #waiting: [string, OpenCall][];

  constructor(state: Partial<OpenCallsState> = {}) {
    this.#calls = new Map(state.calls);
    this.#tasks = new Map(state.tasks);
    this.#waiting = [...(state.waiting ?? [])];
  }

  state(): OpenCallsState {
    return {
      calls: [...this.#calls],
      ...(this.#tasks.size > 0 ? { tasks: [...this.#tasks] } : {}),
      ...(this.#waiting.length > 0 ? { waiting: this.#waiting } : {}),
    };
  }

  /**
   * Notes a request. An open one with the same id is kept beside it: both may be answered. Returns whether an older one had
   * to be forgotten.
   */
  asked(key: string, call: OpenCall, sequence: number): boolean {
    const older = this.#calls.get(key);
    this.#calls.delete(key);
    if (older) {
      const aside = `${key} #${sequence}`;
      this.#calls.set(aside, older);
      call.older = aside;
    }
    this.#calls.set(key, call);
    if (this.#calls.size <= MAX_OPEN_CALLS) return false;
    forgetOldest(this.#calls);
    return true;
  }

  /** Takes the newest open request with this id. */
  answered(key: string): OpenCall | undefined {
    const call = this.#calls.get(key);
    if (!call) return undefined;
    this.#calls.delete(key);
    const { older: aside, ...rest } = call;
    const older = aside === undefined ? undefined : this.#calls.get(aside);
    if (aside !== undefined && older) {
      this.#calls.delete(aside);
      this.#calls.set(key, older);
    }
    return rest;
  }

  /** Marks a request as cancelled. Its answer may be on its way. */
  cancelled(direction: Direction, requestKey: string): OpenCall | undefined {
    const json = idKey(requestKey);
    const call = this.#newest((each, key) => key.startsWith(direction) && each.id === json);
    if (!call || call.cancelled) return undefined;
    call.cancelled = true;
    return call;
  }

  /** The request to whose progress a token belongs. */
  progressing(direction: Direction, token: unknown): OpenCall | undefined {
    if (typeof token !== "string" && typeof token !== "number") return undefined;
    const json = idKey(JSON.stringify(token));
    const task = () => [...this.#tasks.values()].findLast(({ call }) => call.progressToken === json)?.call;
    return this.#newest((each, key) => key.startsWith(direction) && each.progressToken === json) ?? task();
  }

  /** Notes that a call needs its client's input, and will be sent again with it. */
  needsInput(call: OpenCall, { requestState, inputRequests }: Json): OpenCall {
    const round = { ...call, round: (call.round ?? 0) + 1 };
    this.#waiting.push([roundKey(round, requestState, inputRequests), round]);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    return round;
  }

  /** Takes the call that a request continues with its input. */
  continued(call: OpenCall, { requestState, inputResponses }: Json): OpenCall | undefined {
    const key = roundKey(call, requestState, inputResponses);
    const index = this.#waiting.findIndex(([each]) => each === key);
    return index === -1 ? undefined : this.#waiting.splice(index, 1)[0]?.[1];
  }

  /** Notes that a call has become a task. */
  becameTask(id: string, call: OpenCall, status: string): OpenTask {
    const task: OpenTask = { call: { ...call, task: id }, status };
    this.#tasks.delete(id);
    this.#tasks.set(id, task);
    if (this.#tasks.size > MAX_WAITING) forgetOldest(this.#tasks);
    return task;
  }

  task(id: unknown): OpenTask | undefined {
    return typeof id === "string" ? this.#tasks.get(id) : undefined;
  }

  /** What was never answered, oldest first. */
  unanswered(): OpenCall[] {
    const tasks = [...this.#tasks.values()].filter((each) => !each.isAnswered).map((each) => each.call);
    const calls = [...this.#calls.values(), ...tasks, ...this.#waiting.map(([, call]) => call)];
    return calls.filter((each) => !each.cancelled).toSorted((a, b) => a.time - b.time);
  }

  #newest(matches: (call: OpenCall, key: string) => boolean): OpenCall | undefined {
    let newest: OpenCall | undefined;
    for (const [key, call] of this.#calls) if (matches(call, key)) newest = call;
    return newest;
  }
}

/** The key of a request. The two sides number theirs independently, as do the clients that a stateless session groups. */
export function callKey(direction: Direction, key: string, exchange: number | undefined): string {
  return exchange === undefined || direction === "down"
    ? `${direction} ${idKey(key)}`
    : `${direction} e${exchange} ${idKey(key)}`;
}

/** An id as a key of bounded length. */
export function idKey(key: string): string {
  return key.length > MAX_KEY_CHARACTERS ? `hash ${hash(key)}` : key;
}

/** Identifies the continuation of a call: by the state that the server has given it, else by the inputs. */
function roundKey({ method, tool }: OpenCall, state: unknown, inputs: unknown): string {
  const by = typeof state === "string" ? state : JSON.stringify(isObject(inputs) ? Object.keys(inputs).toSorted() : []);
  return `${method} ${tool ?? ""} ${hash(by)}`;
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
