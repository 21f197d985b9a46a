import type { Log } from "../../log.ts";
import { within } from "../../deadline.ts";
import { EndpointFailure } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Model } from "./models.ts";

/** How long a search waits for its query's vector. A small model on a processor takes 20 to 100 ms, a provider 300. */
const QUERY_LIMIT_MS = 800;
/** How long the endpoint may work on it for the searches after: a model that sleeps is loaded first. */
const LATE_LIMIT_MS = 30_000;
/** Queries that are remembered: 1 MB with 384 dimensions, 16 MB with 4,096. */
const MAX_REMEMBERED = 1000;
/** A query that the endpoint refuses, since it is too long for the model, is cut in half this often. */
const MAX_HALVINGS = 3;
/** How often an endpoint that failed is tried again, by a search that does not wait for it. */
const RETRY_MS = 1000;

type Outcome = "found" | "remembered" | "away" | "resting";

/**
 * Gets the vectors of queries. A search never waits longer than the limit: after a failure the endpoint is asked beside the
 * searches, until it has answered in time.
 */
export class QueryVectors {
  readonly #endpoint: Pick<Endpoint, "embed">;
  readonly #log: Log;
  /** By model and text, the least recently used first. */
  readonly #remembered = new Map<string, Float32Array>();
  readonly #asked = new Map<string, Promise<Float32Array>>();
  readonly #counts: Record<Outcome, number> = { found: 0, remembered: 0, away: 0, resting: 0 };
  #retryAtMs: number | undefined;
  #waiting = 0;
  #answered = Promise.withResolvers<void>();

  constructor(endpoint: Pick<Endpoint, "embed">, log: Log) {
    this.#endpoint = endpoint;
    this.#log = log;
    this.#answered.resolve();
  }

  /** Queries by how they were answered: `resting` while the endpoint is only tried beside searches. */
  get counts(): Readonly<Record<Outcome, number>> {
    return this.#counts;
  }

  get isAway(): boolean {
    return this.#retryAtMs !== undefined;
  }

  /** Resolves when no search waits for a vector. */
  answered(): Promise<void> {
    return this.#answered.promise;
  }

  /** The vector of a query; undefined while the endpoint is away. Never throws, and takes no longer than the limit. */
  async of(text: string, model: Model): Promise<Float32Array | undefined> {
    const key = `${model.id} ${text}`;
    const known = this.#remembered.get(key);
    if (known) {
      this.#remember(key, known);
      return this.#count("remembered", known);
    }
    if (this.#retryAtMs !== undefined) {
      if (performance.now() >= this.#retryAtMs && this.#asked.size === 0) void this.#ask(key, text, model);
      return this.#count("resting", undefined);
    }
    this.#begin();
    try {
      const vector = await within(QUERY_LIMIT_MS, this.#ask(key, text, model), () => undefined);
      if (!vector) this.#rest(`it takes longer than ${QUERY_LIMIT_MS} ms for a query`);
      return this.#count(vector ? "found" : "away", vector);
    } catch {
      return this.#count("away", undefined);
    } finally {
      this.#end();
    }
  }

  /** Asks the endpoint, once for each text at a time. What comes late is remembered for the next search. */
  #ask(key: string, text: string, model: Model): Promise<Float32Array> {
    const asked = this.#asked.get(key) ?? this.#request(key, text, model).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asked);
    // A search that waits no longer does not hear of its failure.
    asked.catch(() => {});
    return asked;
  }

  async #request(key: string, text: string, model: Model): Promise<Float32Array> {
    const startedMs = performance.now();
    try {
      const vector = await this.#embed(text, model);
      this.#remember(key, vector);
      if (performance.now() - startedMs < QUERY_LIMIT_MS) this.#retryAtMs = undefined;
      return vector;
    } catch (error) {
      if (error instanceof EndpointFailure) this.#rest(error.message, error.retryAfterMs);
      else this.#rest("it cannot be asked");
      throw error;
    }
  }

  /** The vector of a text, or of as much of its beginning as the endpoint takes. */
  async #embed(text: string, { name, dimensions, queryPrefix }: Model): Promise<Float32Array> {
    const lateMs = performance.now() + LATE_LIMIT_MS;
    for (let halvings = 0; ; halvings += 1) {
      const said = text.slice(0, Math.ceil(text.length / 2 ** halvings)).toWellFormed();
      const limitMs = Math.max(1, Math.ceil(lateMs - performance.now()));
      try {
        const [vector] = await this.#endpoint.embed(name, [queryPrefix + said], { limitMs, dimensions });
        if (vector) return vector;
        throw new EndpointFailure("wrong", "it returned no vector");
      } catch (error) {
        if (!(error instanceof EndpointFailure) || error.kind !== "refused" || halvings === MAX_HALVINGS) throw error;
      }
    }
  }

  /** Asks the endpoint no more for a while: for as long as it says, if it does. */
  #rest(reason: string, retryAfterMs = 0): void {
    if (this.#retryAtMs === undefined)
      this.#log.warn("the embeddings endpoint gives no vectors for queries in time; words answer", { reason });
    this.#retryAtMs = Math.max(this.#retryAtMs ?? 0, performance.now() + Math.max(RETRY_MS, retryAfterMs));
  }

  #remember(key: string, vector: Float32Array): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, vector);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }

  #count<Result>(outcome: Outcome, result: Result): Result {
    this.#counts[outcome] += 1;
    return result;
  }

  #begin(): void {
    if (this.#waiting === 0) this.#answered = Promise.withResolvers();
    this.#waiting += 1;
  }

  #end(): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#answered.resolve();
  }
}
