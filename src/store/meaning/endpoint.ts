import { unitVector } from "./vectors.ts";

/** Where texts are sent to be embedded, and how. */
export interface EndpointOptions {
  /** The base, such as `http://localhost:11434/v1`; `/embeddings` is added. */
  url: string;
  /** A function returns the one that is valid now. */
  key?: string | (() => string) | undefined;
  /** Asked for, where the model can shorten its vectors. */
  dimensions?: number | undefined;
}

/** Dimensions of the largest models that are served today, doubled. */
const MAX_DIMENSIONS = 8192;
/** A number of a vector takes up to 25 characters; this is for all of them, and what stands around. */
const BYTES_PER_NUMBER = 32;
const REPLY_OVERHEAD_BYTES = 100_000;
/** llama.cpp refuses a text that is too long with this one. Servers that are busy or restarting answer with others. */
const INTERNAL_ERROR = 500;
/** A longer `Retry-After` is cut: an endpoint must not switch meaning off for a day. */
const MAX_RETRY_AFTER_MS = 600_000;

/**
 * Why an endpoint gave no vectors. `away`: it does not answer, or is busy. `refused`: it does not take this request, such as a
 * text that is too long. `wrong`: its answer cannot be used. Messages name no text, and nothing of what it said: that may
 * quote the request or the key.
 */
export class EndpointFailure extends Error {
  readonly kind: "away" | "refused" | "wrong";
  /** How long it asks to be left alone. */
  readonly retryAfterMs: number | undefined;
  /**
   * Whether the texts may be the cause, and others would get vectors: models answer some texts with NaN, and servers break
   * down, or run into an error of their own, over what is too long for them.
   */
  readonly mayBeOfTexts: boolean;

  constructor(
    kind: EndpointFailure["kind"],
    message: string,
    {
      retryAfterMs,
      mayBeOfTexts = kind === "wrong",
    }: { retryAfterMs?: number | undefined; mayBeOfTexts?: boolean } = {},
  ) {
    super(message);
    this.name = "EndpointFailure";
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
    this.mayBeOfTexts = mayBeOfTexts;
  }
}

/** A server of embeddings in OpenAI's form. What it answers is not trusted: it is bounded and checked. */
export class Endpoint {
  readonly #url: string;
  readonly #options: EndpointOptions;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#url = `${options.url.replace(/\/+$/, "")}/embeddings`;
  }

  /**
   * Returns a unit vector for each text, all of the same size: of `dimensions`, when these are known. Throws an
   * `EndpointFailure`, within the limit.
   */
  async embed(
    model: string,
    texts: string[],
    { limitMs, dimensions, signal }: { limitMs: number; dimensions?: number | undefined; signal?: AbortSignal },
  ): Promise<Float32Array[]> {
    const late = AbortSignal.timeout(limitMs);
    const ended = signal ? AbortSignal.any([signal, late]) : late;
    try {
      const response = await this.#ask(model, texts, ended);
      const most = REPLY_OVERHEAD_BYTES + texts.length * (dimensions ?? MAX_DIMENSIONS) * BYTES_PER_NUMBER;
      return vectorsIn(parsed(await bounded(response, most)), texts.length, dimensions);
    } catch (error) {
      if (error instanceof EndpointFailure) throw error;
      const mayBeOfTexts = true;
      if (late.aborted)
        throw new EndpointFailure("away", `it did not answer within ${limitMs / 1000} s`, { mayBeOfTexts });
      throw new EndpointFailure("away", "it cannot be reached, or broke the connection off", { mayBeOfTexts });
    }
  }

  async #ask(model: string, input: string[], signal: AbortSignal): Promise<Response> {
    const { dimensions } = this.#options;
    const key = typeof this.#options.key === "function" ? this.#options.key() : this.#options.key;
    const response = await fetch(this.#url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json",
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify({ model, input, ...(dimensions === undefined ? {} : { dimensions }) }),
      // Another place was not named by the settings, and would get the texts and the key.
      redirect: "manual",
      signal,
    });
    if (response.ok) return response;
    // Bun keeps a connection busy until its body is read.
    await response.body?.cancel();
    throw statusFailure(response);
  }
}

function statusFailure({ status, headers }: Response): EndpointFailure {
  const said = `it answers with status ${status}`;
  const settings = (remedy: string) => new EndpointFailure("wrong", `${said}: ${remedy}`, { mayBeOfTexts: false });
  if (status >= 300 && status < 400) return settings("it redirects; set DEWEY_EMBEDDINGS_URL to where it leads");
  if (status === 401 || status === 403) return settings("it does not take the key; correct DEWEY_EMBEDDINGS_KEY");
  if (status === 404 || status === 405)
    return settings("it has no such address or model; correct DEWEY_EMBEDDINGS_URL or DEWEY_EMBEDDINGS_MODEL");
  const isInput = status >= 400 && status <= INTERNAL_ERROR && status !== 408 && status !== 425 && status !== 429;
  return new EndpointFailure(isInput ? "refused" : "away", said, {
    retryAfterMs: retryAfter(headers.get("retry-after")),
    mayBeOfTexts: isInput,
  });
}

/** Milliseconds of a `Retry-After`, in seconds or as a date. */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS) : undefined;
}

/** Reads a body of at most this many bytes. */
async function bounded(response: Response, most: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let held = 0;
  // Leaving the loop cancels the rest.
  const body: AsyncIterable<Uint8Array> | undefined = response.body ?? undefined;
  for await (const piece of body ?? []) {
    held += piece.length;
    if (held > most) throw new EndpointFailure("wrong", "its answer is longer than its vectors can be");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new EndpointFailure("wrong", "its answer is no JSON; DEWEY_EMBEDDINGS_URL should end in /v1 or the like");
  }
}

function vectorsIn(answer: unknown, count: number, dimensions: number | undefined): Float32Array[] {
  const data = fieldOf(answer, "data");
  if (!Array.isArray(data)) throw new EndpointFailure("wrong", "its answer holds no list of vectors named data");
  if (data.length !== count)
    throw new EndpointFailure("wrong", `it returned ${data.length} vectors for ${count} texts`);
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count });
  for (const [place, row] of data.entries()) {
    const index = fieldOf(row, "index") ?? place;
    if (typeof index !== "number" || !(index in vectors) || vectors[index] !== undefined)
      throw new EndpointFailure("wrong", "its vectors do not say which text each is for");
    vectors[index] = checked(fieldOf(row, "embedding"), dimensions ?? vectors.find(Boolean)?.length);
  }
  return vectors as Float32Array[];
}

function checked(values: unknown, dimensions: number | undefined): Float32Array {
  if (!Array.isArray(values) || values.length === 0 || values.length > MAX_DIMENSIONS)
    throw new EndpointFailure("wrong", `an embedding should be a list of 1 to ${MAX_DIMENSIONS} numbers`);
  if (dimensions !== undefined && values.length !== dimensions)
    throw new EndpointFailure("wrong", `it returned a vector of ${values.length} dimensions instead of ${dimensions}`);
  const vector = unitVector(values);
  if (!vector) throw new EndpointFailure("wrong", "it returned a vector of zeros, or with values that are no numbers");
  return vector;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
