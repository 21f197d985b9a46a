import type { SQL } from "bun";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { isLoopback } from "../../loopback.ts";
import { pause } from "../../pause.ts";
import type { Database } from "../database/database.ts";
import { one } from "../database/one.ts";
import { Embedder } from "./embedder.ts";
import type { EmbeddingProgress } from "./embedder.ts";
import { Endpoint } from "./endpoint.ts";
import type { EndpointOptions } from "./endpoint.ts";
import { prefixesOf } from "./families.ts";
import { askedModel } from "./models.ts";
import type { Model } from "./models.ts";
import { QueryVectors } from "./query-vectors.ts";
import { SignIndex } from "./sign-index.ts";

/** How often the model that queries are asked of, and new vectors, are looked for. */
const LOOK_MS = 2000;
/** How often the queue is counted, and how far: reading more rows would take longer than anybody waits for a health check. */
const COUNT_MS = 10_000;
const MAX_COUNTED = 100_000;

/** Where vectors come from. */
export interface MeaningOptions extends EndpointOptions {
  model: string;
  /** What stands before each text; that of the model's family when absent. */
  queryPrefix?: string | undefined;
  documentPrefix?: string | undefined;
}

/** A model whose vectors can be searched. */
export interface Ready {
  model: Model;
  index: SignIndex;
}

/** A query with its vector. */
export interface Asked extends Ready {
  vector: Float32Array;
}

/** Why there is no vector: `away` the endpoint, `loading` the vectors that there are, or there are `none` yet. */
export type Lacking = "away" | "loading" | "none";

/** State of search by meaning, for health, metrics and people. */
export interface MeaningState {
  endpoint: "ok" | "away";
  /** Whether texts are sent beyond this machine. */
  remote: boolean;
  /** Why it gives no vectors. */
  reason?: string;
  model: string;
  /** The earlier model that queries are asked of while the new one is not complete. */
  asked?: string;
  dimensions?: number;
  /** Whether every message has its vectors, new ones excepted. */
  complete: boolean;
  /** Messages that still lack vectors; there may be more than are counted. */
  queued: number;
  queued_is_lower_bound?: true;
  /** Passages that queries are compared with, and the memory that this takes. */
  passages: number;
  index_bytes: number;
  /** Later passages are found within narrow filters only. */
  index_full?: true;
  /** Whether this server embeds; another one may. */
  embedding: boolean;
  embedded: Pick<EmbeddingProgress, "passages" | "messages" | "refused" | "failures">;
  queries: QueryVectors["counts"];
}

/** Search by meaning: makes vectors in the background, and those of queries. Absent when no endpoint is configured. */
export class Meaning {
  readonly #database: Database;
  readonly #log: Log;
  readonly #options: MeaningOptions;
  readonly #vectors: QueryVectors;
  readonly #embedder: Embedder;
  #ready: Ready | undefined;
  #isLoading = false;
  #queued = 0;
  #countedMs = -Infinity;

  constructor(database: Database, options: MeaningOptions, log: Log) {
    this.#database = database;
    this.#options = options;
    this.#log = log;
    const endpoint = new Endpoint(options);
    this.#vectors = new QueryVectors(endpoint, log);
    const family = prefixesOf(options.model);
    this.#embedder = new Embedder(database, endpoint, {
      model: options.model,
      documentPrefix: options.documentPrefix ?? family.document,
      queryPrefix: options.queryPrefix ?? family.query,
      queriesAnswered: () => this.#vectors.answered(),
      log,
    });
  }

  /** Embeds, and keeps the vectors at hand, until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    const embedding = this.#embedder.keep(signal);
    while (!signal.aborted) {
      await this.look().catch((error: unknown) => {
        if (!signal.aborted) this.#log.warn("the vectors of messages could not be read; it will be retried", { error });
      });
      await pause(LOOK_MS, signal);
    }
    await embedding;
  }

  /** Looks for the model that queries are asked of, and reads what is new of its vectors. */
  async look(): Promise<void> {
    const model = await this.#database.retried(askedModel);
    if (performance.now() - this.#countedMs >= COUNT_MS) {
      this.#countedMs = performance.now();
      const { queued } = await this.#database.retried((sql) =>
        one<{ queued: number }>(sql`
          select count(*)::float8 as queued from (select from dewey_meaning_queue limit ${MAX_COUNTED}) as counted`),
      );
      this.#queued = queued;
    }
    if (!model) return void (this.#ready = undefined);
    const index = this.#ready?.model.id === model.id ? this.#ready.index : new SignIndex(model);
    this.#isLoading = this.#ready === undefined;
    await index.read((work) => this.#database.retried(work));
    this.#ready = { model, index };
    this.#isLoading = false;
  }

  /** The vector of a query, or why there is none. Takes no longer than a query's limit. */
  async ask(text: string): Promise<Asked | Lacking> {
    const ready = this.#ready;
    if (!ready) return this.#isLoading ? "loading" : "none";
    const vector = await this.#vectors.of(text, ready.model);
    return vector ? { ...ready, vector } : "away";
  }

  state(): MeaningState {
    const { model } = this.#options;
    const { isHere, failure, passages, messages, refused, failures } = this.#embedder.progress;
    const ready = this.#ready;
    const use = ready?.index.use;
    const reason = failure ?? (this.#vectors.isAway ? "it gives no vectors for queries in time" : undefined);
    return {
      endpoint: reason === undefined ? "ok" : "away",
      remote: !isLoopback(new URL(this.#options.url).hostname),
      ...(reason === undefined ? {} : { reason }),
      model,
      ...(ready && ready.model.name !== model ? { asked: ready.model.name } : {}),
      ...(ready ? { dimensions: ready.model.dimensions } : {}),
      complete: ready?.model.isComplete === true && ready.model.name === model,
      queued: this.#queued,
      ...(this.#queued === MAX_COUNTED ? { queued_is_lower_bound: true } : {}),
      passages: use?.passages ?? 0,
      index_bytes: use?.bytes ?? 0,
      ...(use?.isFull ? { index_full: true } : {}),
      embedding: isHere,
      embedded: { passages, messages, refused, failures },
      queries: this.#vectors.counts,
    };
  }
}

/** The highest passage that this transaction sees, after the index has read what is new. */
export async function visiblePassages(sql: SQL, { index, model }: Ready): Promise<number> {
  await index.readOnce(sql);
  const { last } = await one<{ last: number }>(sql`
    select coalesce((select id from dewey_meaning_passages where model = ${model.id}::uuid order by id desc limit 1), 0)::float8
      as last`);
  return last;
}

/** A later page needs the same vectors as the first. */
export function cannotGoOn(): DeweyError {
  const remedy = "try again in a moment, or start over with mode: words";
  return new DeweyError("unavailable", `the next page needs the embeddings endpoint, which is away; ${remedy}`);
}
