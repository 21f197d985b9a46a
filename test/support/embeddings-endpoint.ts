/** Dimensions of the vectors, unless a test wants others. */
const DIMENSIONS = 256;
/** Characters of a piece of a word: words with a stem in common share most pieces. */
const PIECE = 3;

/** Words that mean the same, so that a text can be found by another's words. */
const MEANINGS: string[][] = [
  ["car", "automobile", "vehicle"],
  ["doctor", "physician"],
  ["guitar", "instrument"],
  ["happy", "glad", "joyful"],
  ["login", "authentication", "signin"],
  ["slow", "sluggish", "latency"],
  ["database", "postgres", "storage"],
];

/** What an endpoint does with a request. */
export type Behaviour =
  | "answer"
  | "hang"
  | "drop"
  | "busy"
  | "redirect"
  | "nan"
  | "zeros"
  | "short"
  | "few"
  | "huge"
  | "noJson"
  | "refuse"
  | "unauthorized";

/**
 * An embeddings endpoint in OpenAI's form for tests, whose vectors are true: sums of hashed pieces of words, where words of
 * the same meaning are the same word. It behaves as it is told, also by `refuses` and
 * `failsOver`, for single texts.
 */
export class TestEndpoint implements AsyncDisposable {
  behaviour: Behaviour = "answer";
  /** Requests that it still answers, whatever its behaviour is. */
  answersFirst = 0;
  /** Delays each answer. */
  delayMs = 0;
  dimensions = DIMENSIONS;
  /** Seconds of the `Retry-After` of `busy`. */
  retryAfter = "1";
  /** Texts that it refuses. */
  refuses: (text: string) => boolean = () => false;
  /** Texts over which it fails, with an error of its own. */
  failsOver: (text: string) => boolean = () => false;
  /** What it was sent. */
  readonly requests: { model: string; input: string[]; dimensions?: number; authorization: string | null }[] = [];
  readonly #server: Bun.Server<undefined>;
  readonly #released = Promise.withResolvers<void>();

  constructor(port = 0) {
    this.#server = Bun.serve({
      port,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/v1`;
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** The texts of all requests. */
  get texts(): string[] {
    return this.requests.flatMap(({ input }) => input);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.resolve();
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    if (request.method === "GET") return Response.json({ object: "list", data: [{ id: "test-embed" }] });
    const body = (await request.json()) as { model: string; input: string[]; dimensions?: number };
    this.requests.push({ ...body, authorization: request.headers.get("authorization") });
    const behaviour = this.requests.length <= this.answersFirst ? "answer" : this.behaviour;
    if (this.delayMs > 0) await Bun.sleep(this.delayMs);
    if (behaviour === "hang") await this.#released.promise;
    if (behaviour === "drop") return new Response('{"data": [', { headers: { "content-length": "1000" } });
    if (behaviour === "busy") return new Response("", { status: 429, headers: { "retry-after": this.retryAfter } });
    if (behaviour === "unauthorized") return Response.json({ error: "no such key: secret-key" }, { status: 401 });
    if (behaviour === "redirect") return Response.redirect("http://127.0.0.1:9/elsewhere");
    if (behaviour === "noJson") return new Response("<html>welcome</html>");
    if (behaviour === "huge") return new Response("[".repeat(100_000_000));
    if (behaviour === "refuse" || body.input.some(this.refuses))
      return Response.json({ error: "too long" }, { status: 400 });
    if (body.input.some(this.failsOver)) return Response.json({ error: "input is too large" }, { status: 500 });
    return Response.json({ object: "list", model: body.model, data: this.#vectors(body, behaviour) });
  }

  #vectors({ input, dimensions = this.dimensions }: { input: string[]; dimensions?: number }, behaviour: Behaviour) {
    const sizes = behaviour === "short" ? dimensions - 1 : dimensions;
    const vectors = input.map((text, index) => ({ object: "embedding", index, embedding: vectorOf(text, sizes) }));
    const [first] = vectors;
    if (behaviour === "nan" && first) first.embedding = first.embedding.map(() => Number.NaN);
    if (behaviour === "zeros" && first) first.embedding = first.embedding.map(() => 0);
    return behaviour === "few" ? vectors.slice(1) : vectors;
  }
}

/** The vector of a text. */
export function vectorOf(text: string, dimensions = DIMENSIONS): number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const meant = MEANINGS.find((words) => words.includes(word))?.[0] ?? word;
    const padded = ` ${meant} `;
    for (let at = 0; at + PIECE <= padded.length; at += 1) add(vector, padded.slice(at, at + PIECE));
  }
  // A text without words has a direction, too.
  vector[0] = (vector[0] ?? 0) + 0.01;
  return vector;
}

/** Adds a piece in two dimensions, with signs, so that different pieces hardly ever look alike. */
function add(vector: number[], piece: string): void {
  const hash = Bun.hash(piece);
  for (const shift of [0n, 24n]) {
    const index = Number((hash >> shift) % BigInt(vector.length));
    vector[index] = (vector[index] ?? 0) + ((hash >> (shift + 20n)) % 2n === 0n ? 1 : -1);
  }
}
