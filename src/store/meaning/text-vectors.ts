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
/** A text over which the endpoint failed more often, alone and between texts that it took, is cut in half as well. */
const MAX_WHOLE_FAILURES = 1;
/** Limit on texts that are remembered as the possible cause of a failure. */
const MAX_SUSPECTS = 1000;
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
  readonly #endpoint: Pick<Endpoint, "embed">;
  readonly #options: TextVectorsOptions;
  /**
   * How often the endpoint failed over a text that was asked for alone, by the text's hash. Remembered, since some servers end
   * over such a text: then it must not be the first one that they get when they are back, for ever.
   */
  readonly #failures = new Map<number | bigint, number>();
  /** Texts that are asked for at a time. */
  most = FIRST_TEXTS;

  constructor(endpoint: Pick<Endpoint, "embed">, options: TextVectorsOptions) {
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
    if (texts.some((text) => this.#isSuspect(text))) return this.#apart(model, texts, signal);
    await this.#options.queriesAnswered();
    const startedMs = performance.now();
    try {
      const vectors = await this.#request(model, texts, signal);
      const tookMs = performance.now() - startedMs;
      if (tookMs < QUICK_MS && texts.length >= this.most) this.most = Math.min(MOST_TEXTS, 2 * this.most);
      if (tookMs > SLOW_MS) this.most = Math.max(1, Math.floor(texts.length / 2));
      return vectors;
    } catch (error) {
      const failure = overTexts(error, signal);
      const [text = ""] = texts;
      if (texts.length === 1 && failure.kind !== "refused") this.#suspect(text);
      // It may fail over everything, by a wrong model or an empty account: then it is away.
      await this.#probe(model, signal);
      const alone: (Float32Array | undefined)[] = [];
      for (const each of texts) alone.push(await this.#alone(model, each, signal));
      return alone;
    }
  }

  /** The vectors of texts among which are suspects: these are asked for last, and only of an endpoint that is there. */
  async #apart(model: Model, texts: string[], signal: AbortSignal): Promise<(Float32Array | undefined)[]> {
    const others = texts.filter((text) => !this.#isSuspect(text));
    const vectors = new Map<string, Float32Array | undefined>();
    const found = others.length === 0 ? [] : await this.#some(model, others, signal);
    for (const [index, text] of others.entries()) vectors.set(text, found[index]);
    await this.#probe(model, signal);
    for (const text of texts) if (!vectors.has(text)) vectors.set(text, await this.#alone(model, text, signal));
    return texts.map((text) => vectors.get(text));
  }

  /**
   * The vector of a text beside which others failed, or of as much of it as is taken. Throws that the endpoint is away when it
   * takes no other text either.
   */
  async #alone(model: Model, text: string, signal: AbortSignal): Promise<Float32Array | undefined> {
    for (let refusals = 0; ;) {
      const halvings = refusals + Math.max(0, (this.#failures.get(Bun.hash(text)) ?? 0) - MAX_WHOLE_FAILURES);
      if (halvings > MAX_HALVINGS) break;
      try {
        const [vector] = await this.#request(model, [beginningOf(text, halvings)], signal);
        if (halvings === 0) this.#failures.delete(Bun.hash(text));
        return vector;
      } catch (error) {
        if (overTexts(error, signal).kind === "refused") refusals += 1;
        else {
          this.#suspect(text);
          await this.#probe(model, signal);
        }
      }
    }
    await this.#probe(model, signal);
    return undefined;
  }

  #isSuspect(text: string): boolean {
    return this.#failures.size > 0 && this.#failures.has(Bun.hash(text));
  }

  /** Notes that the endpoint failed over a text alone. */
  #suspect(text: string): void {
    const hash = Bun.hash(text);
    const failures = (this.#failures.get(hash) ?? 0) + 1;
    this.#failures.delete(hash);
    this.#failures.set(hash, failures);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_SUSPECTS && oldest !== undefined) this.#failures.delete(oldest);
  }

  /** Throws that the endpoint is away when it takes no text at all. */
  async #probe(model: Model, signal: AbortSignal): Promise<void> {
    try {
      await this.#request(model, [PROBE], signal);
    } catch (error) {
      throw error instanceof EndpointFailure ? new EndpointFailure("away", error.message, error) : error;
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

/** A failure over which the texts are looked at one by one; any other is thrown. */
function overTexts(error: unknown, signal: AbortSignal): EndpointFailure {
  if (signal.aborted || !(error instanceof EndpointFailure) || !error.mayBeOfTexts) throw error;
  return error;
}

/** The first part of a text that is cut in half this often. */
function beginningOf(text: string, halvings: number): string {
  return text.slice(0, Math.ceil(text.length / 2 ** halvings));
}
