import { Backoff } from "../../backoff.ts";
import type { Log } from "../../log.ts";
import { pause } from "../../pause.ts";
import type { Database } from "../database/database.ts";
import { EndpointFailure } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  RENEW_MS,
  complete,
  embedWith,
  hold,
  indexNewMessages,
  letGo,
  queueNew,
  removeOthers,
  workFor,
} from "./models.ts";
import type { Model } from "./models.ts";
import { keepVectors, nextQueued } from "./queue.ts";
import type { Embedded, Queued } from "./queue.ts";
import { TextVectors } from "./text-vectors.ts";
import type { TextVectorsOptions } from "./text-vectors.ts";

/** Looks for new messages, and for a server that has died. */
const INTERVAL_MS = 1000;
/** Requests at a time: an endpoint that has answered one finds the next. */
const LANES = 2;
/** Messages that a lane reads at once, as many as fill a request when they are short. */
const MESSAGES_AT_ONCE = 64;
/** Pauses after failures. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** Reading the whole table of messages, when a model is embedded for the first time. */
const QUEUE_EXTRA_MS = 600_000;
/** What a server embeds with. */
export interface EmbedderOptions extends Omit<TextVectorsOptions, "answered"> {
  model: string;
  queryPrefix: string;
  log: Log;
}

/** How far embedding has come. */
export interface EmbeddingProgress {
  /** Whether this server does it. */
  isHere: boolean;
  /** Passages and messages that this server has embedded since it started. */
  passages: number;
  messages: number;
  /** Messages that were passed over because the endpoint refuses their texts. */
  refused: number;
  failures: number;
  /** Why the endpoint gave no vectors last, until it does again. */
  failure?: string | undefined;
}

/** What a lane embeds next; `gone` are those in the queue that are not to be embedded. */
interface Claim {
  messages: Queued[];
  gone: string[];
}

/**
 * Makes the vectors of messages behind the callers' backs: the newest first, one server at a time, and on where it stopped.
 * What it has read and not yet stored is lost with its process, and read again.
 */
export class Embedder {
  readonly #database: Database;
  readonly #options: EmbedderOptions;
  readonly #vectors: TextVectors;
  readonly #id = crypto.randomUUID();
  readonly #inFlight = new Set<string>();
  readonly #backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS, jitter: Math.random });
  readonly #progress: EmbeddingProgress = { isHere: false, passages: 0, messages: 0, refused: 0, failures: 0 };
  #model: Model | undefined;
  /** The snapshot at which there was nothing to do. */
  #settledAt: string | undefined;
  #lastClaim = Promise.resolve();

  constructor(database: Database, endpoint: Endpoint, options: EmbedderOptions) {
    this.#database = database;
    this.#options = options;
    this.#vectors = new TextVectors(endpoint, { ...options, answered: () => this.#recovered() });
  }

  get progress(): Readonly<EmbeddingProgress> {
    return this.#progress;
  }

  /** Embeds whatever lacks vectors, until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let pauseMs = INTERVAL_MS;
      try {
        if (await this.#holds()) await this.#work(signal);
      } catch (error) {
        if (!signal.aborted) pauseMs = this.#failed(error);
      }
      await pause(pauseMs, signal);
    }
    if (this.#progress.isHere) await this.#database.retried((sql) => letGo(sql, this.#id)).catch(() => {});
  }

  /** Whether there is something to do, and no other server does it. */
  async #holds(): Promise<boolean> {
    const { now, isThere } = await this.#database.retried((sql) => workFor(sql, this.#settledAt));
    this.#progress.isHere = false;
    if (!isThere) {
      this.#settledAt = now;
      if (this.#model) return false;
    }
    const held = await this.#database.retried((sql) => hold(sql, this.#id));
    this.#progress.isHere = held !== "elsewhere";
    // Another server may have begun another model meanwhile.
    if (held !== "again") this.#model = undefined;
    return this.#progress.isHere;
  }

  /** Embeds until nothing is queued. */
  async #work(signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const ending = AbortSignal.any([signal, ended.signal]);
    const renewing = this.#renew(ending, ended);
    let queueing = Promise.resolve();
    try {
      const model = (this.#model ??= await this.#begin(signal));
      await this.#queueNew(model);
      queueing = this.#queueMore(model, ending);
      // Those of an attempt that failed are read again.
      this.#inFlight.clear();
      const lanes = Array.from({ length: LANES }, () => this.#lane(model, ending));
      const outcomes = await Promise.allSettled(lanes);
      const failed = outcomes.find((outcome) => outcome.status === "rejected");
      if (failed) throw failed.reason;
      if (ending.aborted) return;
      if (await this.#database.transaction((sql) => complete(sql, model)))
        this.#options.log.info("every message has its vectors", { model: model.name });
      while (!ending.aborted && (await this.#database.transaction((sql) => removeOthers(sql, model))));
    } finally {
      ended.abort();
      await Promise.all([renewing, queueing]);
    }
  }

  async #queueNew(model: Model): Promise<void> {
    await this.#database.transaction((sql) => queueNew(sql, model), QUEUE_EXTRA_MS);
  }

  /** Queues what is stored while others are embedded: the newest need not wait for what lies long. */
  async #queueMore(model: Model, signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(INTERVAL_MS, signal);
      if (signal.aborted) return;
      // A failure ends the work when the work itself meets it.
      await this.#queueNew(model).catch(() => {});
    }
  }

  /** Keeps the hold while requests are under way; ends the work when another server has it. */
  async #renew(signal: AbortSignal, ended: AbortController): Promise<void> {
    for (;;) {
      await pause(RENEW_MS, signal);
      if (signal.aborted) return;
      // A failure ends the work when the work itself meets it.
      const held = await this.#database.retried((sql) => hold(sql, this.#id)).catch(() => "again");
      if (held !== "again") return ended.abort();
    }
  }

  /** Asks the endpoint what the model's vectors are like, and makes it the one that is embedded. */
  async #begin(signal: AbortSignal): Promise<Model> {
    const { model, documentPrefix, queryPrefix, log } = this.#options;
    const dimensions = await this.#vectors.dimensionsOf(model, signal);
    await this.#database.exclusive(indexNewMessages);
    const wanted = { name: model, dimensions, documentPrefix, queryPrefix };
    const begun = await this.#database.transaction((sql) => embedWith(sql, wanted), QUEUE_EXTRA_MS);
    log.info("embedding messages for search by meaning", { model, dimensions });
    return begun;
  }

  /**
   * Embeds group by group until nothing is left for it. While the endpoint works on one, the one before is stored and the next
   * is read, so that it does not wait for the database.
   */
  async #lane(model: Model, signal: AbortSignal): Promise<void> {
    let next = awaitedLater(this.#claim());
    let stored = Promise.resolve();
    try {
      while (!signal.aborted) {
        const { messages, gone } = await next;
        if (messages.length === 0 && gone.length === 0) return await stored;
        next = awaitedLater(this.#claim());
        const embedded = await this.#embedAll(model, messages, signal);
        await stored;
        if (!signal.aborted) stored = awaitedLater(this.#store(model, embedded, gone));
      }
    } finally {
      await Promise.allSettled([next, stored]);
    }
  }

  async #store(model: Model, embedded: Embedded[], gone: string[]): Promise<void> {
    const passages = await this.#database.transaction((sql) => keepVectors(sql, model, embedded, gone));
    this.#progress.passages += passages;
    this.#progress.messages += embedded.length;
    for (const { id } of embedded) this.#inFlight.delete(id);
  }

  /** Takes the newest messages that no other lane works on, up to the texts of a request, at least one. */
  #claim(): Promise<Claim> {
    // One after the other: two that read at the same time would read the same.
    const claim = this.#lastClaim.then(() => this.#take());
    this.#lastClaim = claim.then(
      () => {},
      () => {},
    );
    return claim;
  }

  async #take(): Promise<Claim> {
    const read = await this.#database.retried((sql) => nextQueued(sql, MESSAGES_AT_ONCE, [...this.#inFlight]));
    let texts = 0;
    const messages = read.messages.filter(({ passages }, index) => {
      texts += passages.length;
      return index === 0 || texts <= this.#vectors.most;
    });
    for (const { id } of messages) this.#inFlight.add(id);
    return { messages, gone: read.gone };
  }

  async #embedAll(model: Model, messages: Queued[], signal: AbortSignal): Promise<Embedded[]> {
    const texts = messages.flatMap(({ text, passages }) => passages.map(({ start, end }) => text.slice(start, end)));
    const vectors = await this.#vectors.of(model, texts, signal);
    let at = 0;
    return messages.map((message) => {
      const own = vectors.slice(at, (at += message.passages.length));
      if (own.includes(undefined)) this.#progress.refused += 1;
      return { ...message, vectors: own };
    });
  }

  #recovered(): void {
    if (this.#progress.failure === undefined) return;
    this.#progress.failure = undefined;
    this.#backoff.reset();
    this.#options.log.info("the embeddings endpoint answers again");
  }

  /** Notes a failure, and returns the pause before the next attempt. */
  #failed(error: unknown): number {
    const { log } = this.#options;
    if (!(error instanceof EndpointFailure)) {
      log.warn("messages could not be embedded; it will be retried", { error });
      return this.#backoff.next();
    }
    this.#progress.failures += 1;
    if (this.#progress.failure !== error.message)
      log.warn("the embeddings endpoint gives no vectors; words alone are searched", { reason: error.message });
    this.#progress.failure = error.message;
    this.#vectors.slowDown();
    return Math.max(error.retryAfterMs ?? 0, this.#backoff.next());
  }
}

/** Of a promise that is awaited later, a failure before that is none that nobody hears of. */
function awaitedLater<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}
