import { EndpointFailure } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Model } from "./models.ts";

/** Texts of a request. It begins with few and takes more while the endpoint is quick. */
const FIRST_TEXTS = 8;
const MOST_TEXTS = 64;
/** A request that is answered sooner than this leaves room for more texts; one that takes longer delays queries. */
const QUICK_MS = 250;
const SLOW_MS = 750;
/** A model that is loaded first, or a machine that is busy, may take so long. */
const REQUEST_LIMIT_MS = 60_000;
/** A text that the endpoint refuses is cut in half this often before its message is passed over. */
const MAX_HALVINGS = 3;
/** Any text: its vector tells the model's dimensions, and whether the endpoint takes texts at all. */
const PROBE = "dewey";

/** What the vectors of messages are asked for with. */
export interface TextVectorsOptions {
  documentPrefix: string;
  /** Resolves when no query waits for its vector: people wait for these. */
  queriesAnswered(): Promise<void>;
  /** Called when the endpoint has given vectors. */
  answered(): void;
}

/** The vectors of texts, as the endpoint gives them: as many at a time as it answers quickly, and none of what it refuses. */
export class TextVectors {
  readonly #endpoint: Endpoint;
  readonly #options: TextVectorsOptions;
  /** Texts that are asked for at a time. */
  most = FIRST_TEXTS;

  constructor(endpoint: Endpoint, options: TextVectorsOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  /** Asks the endpoint how many dimensions the model's vectors have. */
  async dimensionsOf(model: string, signal: AbortSignal): Promise<number> {
    const [probe] = await this.#endpoint.embed(model, [PROBE], { limitMs: REQUEST_LIMIT_MS, signal });
    return probe?.length ?? 0;
  }

  /** Asks for fewer at a time, after a failure. */
  slowDown(): void {
    this.most = Math.max(1, Math.floor(this.most / 2));
  }

  /** The vectors of texts, fewer when the signal aborts; undefined for one that the endpoint refuses even when it is short. */
  async of(model: Model, texts: string[], signal: AbortSignal): Promise<(Float32Array | undefined)[]> {
    const vectors: (Float32Array | undefined)[] = [];
    for (let at = 0; at < texts.length && !signal.aborted;) {
      const part = texts.slice(at, at + this.most);
      vectors.push(...(await this.#some(model, part, signal)));
      at += part.length;
    }
    return vectors;
  }

  async #some(model: Model, texts: string[], signal: AbortSignal): Promise<(Float32Array | undefined)[]> {
    await this.#options.queriesAnswered();
    const startedMs = performance.now();
    try {
      const vectors = await this.#request(model, texts, signal);
      const tookMs = performance.now() - startedMs;
      if (tookMs < QUICK_MS && texts.length >= this.most) this.most = Math.min(MOST_TEXTS, 2 * this.most);
      if (tookMs > SLOW_MS) this.most = Math.max(1, Math.floor(texts.length / 2));
      return vectors;
    } catch (error) {
      if (!(error instanceof EndpointFailure) || error.kind !== "refused") throw error;
      // It may refuse everything, by a wrong model or an empty account: then it is away.
      await this.#probe(model, signal);
      const alone: (Float32Array | undefined)[] = [];
      for (const text of texts) alone.push(await this.#alone(model, text, signal));
      return alone;
    }
  }

  /** The vector of a text that was refused beside others, or of as much of it as is taken. */
  async #alone(model: Model, text: string, signal: AbortSignal): Promise<Float32Array | undefined> {
    let said = text;
    for (let halvings = 0; halvings <= MAX_HALVINGS; halvings += 1) {
      try {
        return (await this.#request(model, [said], signal))[0];
      } catch (error) {
        if (!(error instanceof EndpointFailure) || error.kind !== "refused") throw error;
        said = said.slice(0, Math.ceil(said.length / 2)).toWellFormed();
      }
    }
    await this.#probe(model, signal);
    return undefined;
  }

  /** Throws that the endpoint is away when it takes no text at all. */
  async #probe(model: Model, signal: AbortSignal): Promise<void> {
    try {
      await this.#request(model, [PROBE], signal);
    } catch (error) {
      throw error instanceof EndpointFailure ? new EndpointFailure("away", error.message, error.retryAfterMs) : error;
    }
  }

  async #request({ name, dimensions }: Model, texts: string[], signal: AbortSignal): Promise<Float32Array[]> {
    const { documentPrefix } = this.#options;
    // A cut may leave half of a character, which JSON of some servers refuses.
    const input = texts.map((text) => documentPrefix + text.toWellFormed());
    const vectors = await this.#endpoint.embed(name, input, { limitMs: REQUEST_LIMIT_MS, dimensions, signal });
    this.#options.answered();
    return vectors;
  }
}
