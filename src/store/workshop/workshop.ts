import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Redactor } from "../redact/redact.ts";
import type { Opening, Order, Reply } from "./worker.ts";
import { make } from "./works.ts";
import type { Given, Made, WorkName } from "./works.ts";

/** More characters than this are read aside: the worst shapes of text take a millisecond for a thousand. */
const LIGHT_CHARACTERS = 50_000;
/** What a number, a list or an object counts for besides its texts. */
const VALUE_CHARACTERS = 20;
/** Values with more parts are handed over as JSON: cloning a million of them takes more than a second, five times as long. */
const MAX_CLONED_PARTS = 1000;
/**
 * Characters that may wait for the thread. Callers behind them are refused, and repeat their call: nothing that waits for
 * so long would be answered before its caller's deadline.
 */
const MAX_WAITING_CHARACTERS = 200_000_000;
/** How long a work may take, besides its characters: about ten times the worst text that is known, on a busy machine. */
const LONGEST_WORK_MS = 30_000;
const LONGEST_WORK_MS_PER_CHARACTER = 0.02;
/** A work after which the thread died is repeated once: what kills two threads would kill the third. */
const MAX_DEATHS = 2;
/** A thread without work is ended after this: it holds some tens of megabytes. */
const IDLE_MS = 60_000;

/** Where the thread's program is: beside this file, or in the binary by its place under the entry point's folder. */
const program = Bun.main.startsWith("/$bunfs/")
  ? "./store/workshop/worker.ts"
  : new URL("worker.ts", import.meta.url).href;

/** A work for the thread. */
interface Job {
  order: Order;
  characters: number;
  deaths: number;
  settle: PromiseWithResolvers<unknown>;
}

/** Starts a thread; tests give one that they can end. */
export type StartThread = () => Worker;

/**
 * Prepares values for the database: small ones at once, and large ones in a thread of its own, one at a time and in order,
 * because reading some megabytes would hold up every other client. The results are the same.
 */
export class Workshop {
  readonly redactor: Redactor;
  readonly #log: Log;
  readonly #start: StartThread;
  #thread: Worker | undefined;
  #inHand: Job | undefined;
  #waiting: Job[] = [];
  #waitingCharacters = 0;
  /** Ends a work that takes too long, or an idle thread. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(redactor: Redactor, log: Log, start: StartThread = () => new Worker(program, { ref: false })) {
    this.redactor = redactor;
    this.#log = log;
    this.#start = start;
  }

  /** Does a work, at once when its values are small. Throws `unavailable` when too much waits or the thread died twice. */
  make<Name extends WorkName>(name: Name, ...given: Given<Name>): Made<Name> | Promise<Made<Name>> {
    if (!isHeavy(given)) return make(this.redactor, name, given);
    if (this.#waitingCharacters > MAX_WAITING_CHARACTERS) throw busy();
    const order = { name, given: hasManyParts(given) ? JSON.stringify(given) : given };
    const characters = typeof order.given === "string" ? order.given.length : charactersIn(given);
    const settle = Promise.withResolvers<unknown>();
    this.#waiting.push({ order, characters, deaths: 0, settle });
    this.#waitingCharacters += characters;
    this.#next();
    return settle.promise as Promise<Made<Name>>;
  }

  /** Ends the thread, and refuses what waits for it. */
  close(): void {
    const left = [...(this.#inHand ? [this.#inHand] : []), ...this.#waiting];
    this.#end();
    this.#waiting = [];
    this.#waitingCharacters = 0;
    for (const job of left) job.settle.reject(new DeweyError("unavailable", "the server is stopping; try again"));
  }

  #next(): void {
    if (this.#inHand !== undefined) return;
    const job = this.#waiting.shift();
    clearTimeout(this.#timer);
    if (job === undefined) {
      this.#timer = setTimeout(() => this.#end(), IDLE_MS);
      this.#timer.unref();
      return;
    }
    this.#waitingCharacters -= job.characters;
    this.#inHand = job;
    const limitMs = LONGEST_WORK_MS + LONGEST_WORK_MS_PER_CHARACTER * job.characters;
    this.#timer = setTimeout(() => this.#late(), limitMs);
    try {
      (this.#thread ??= this.#opened()).postMessage(job.order);
    } catch (error) {
      // A value that cannot be handed over, such as one that is nested too deeply.
      this.#finish((settle) => settle.reject(error));
    }
  }

  #opened(): Worker {
    const thread = this.#start();
    thread.addEventListener("message", (event: MessageEvent<Reply>) => {
      if (thread === this.#thread) this.#answered(event.data);
    });
    // Both come when the thread's program fails; the first one counts.
    for (const event of ["close", "error"]) {
      thread.addEventListener(event, () => {
        if (thread === this.#thread) this.#died();
      });
    }
    thread.postMessage({ added: this.redactor.added } satisfies Opening);
    return thread;
  }

  #answered({ made, failure, ended }: Reply): void {
    for (const kind of ended) this.redactor.noteEnded(kind);
    this.#finish((settle) => (failure === undefined ? settle.resolve(made) : settle.reject(new Error(failure))));
  }

  #died(): void {
    const job = this.#inHand;
    this.#end();
    this.#log.warn("the thread that prepares large texts ended; another one takes its place");
    if (job === undefined) return this.#next();
    job.deaths += 1;
    if (job.deaths < MAX_DEATHS) {
      this.#waiting.unshift(job);
      this.#waitingCharacters += job.characters;
    } else
      job.settle.reject(new DeweyError("unavailable", "preparing a large text failed twice; try again, or shorten it"));
    this.#next();
  }

  #late(): void {
    this.#log.warn("preparing a large text took too long and was ended", { characters: this.#inHand?.characters });
    const job = this.#inHand;
    this.#end();
    job?.settle.reject(new DeweyError("unavailable", "preparing a large text took too long; try again, or shorten it"));
    this.#next();
  }

  #finish(settle: (promise: Job["settle"]) => void): void {
    const job = this.#inHand;
    this.#inHand = undefined;
    if (job !== undefined) settle(job.settle);
    this.#next();
  }

  #end(): void {
    const thread = this.#thread;
    clearTimeout(this.#timer);
    this.#thread = undefined;
    this.#inHand = undefined;
    thread?.terminate();
  }
}

/** Whether values hold more text than is read in a moment. */
export function isHeavy(given: unknown): boolean {
  return charactersIn(given, LIGHT_CHARACTERS) > LIGHT_CHARACTERS;
}

function hasManyParts(given: unknown): boolean {
  const left = [given];
  for (let count = 1; left.length > 0;) {
    const value = left.pop();
    if (value === null || typeof value !== "object") continue;
    const parts: unknown[] = Array.isArray(value) ? value : Object.values(value);
    count += parts.length;
    if (count > MAX_CLONED_PARTS) return true;
    for (const part of parts) left.push(part);
  }
  return false;
}

/** Characters in values; counts no further once there are more than `most`. */
function charactersIn(given: unknown, most = Infinity): number {
  let sum = 0;
  const left = [given];
  while (left.length > 0 && sum <= most) {
    const value = left.pop();
    sum += typeof value === "string" ? value.length : VALUE_CHARACTERS;
    if (value === null || typeof value !== "object") continue;
    const isList = Array.isArray(value);
    const parts: unknown[] = isList ? value : Object.values(value);
    // A wide one is heavy by its parts alone.
    if (parts.length * VALUE_CHARACTERS > most) return parts.length * VALUE_CHARACTERS;
    for (const part of parts) left.push(part);
    if (!isList) for (const key of Object.keys(value)) sum += key.length;
  }
  return sum;
}

function busy(): DeweyError {
  return new DeweyError("unavailable", "too many large texts wait to be prepared; try again later");
}
