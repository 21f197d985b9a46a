import type { Random } from "../faults/random.ts";
import { chainOf, chains, secretHeads } from "../support/growth.ts";

type Json = Record<string, unknown>;

/** Sizes are spread evenly over the orders of magnitude up to this: most texts are small, and each size has its turn. */
const MOST_CHARACTERS = 300_000;
const WORDS = [
  "walrus",
  "the",
  "to",
  "Zug",
  "équipe",
  "東京",
  "getUserName",
  "a/b/c.ts",
  "foo_bar",
  "-x",
  '"q"',
  "or",
  "%s",
];

/** Generates texts and values of the shapes that have been known to hold up programs. */
export class Texts {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A text of some shape: a chain, several behind each other or mixed, words, or characters at random. */
  text(most = MOST_CHARACTERS): string {
    const characters = Math.ceil(Math.exp(this.#random.next() * Math.log(most)));
    const parts = this.#random.integer(1, 4);
    const part = Math.ceil(characters / parts);
    return Array.from({ length: parts }, () => this.#part(part)).join(this.#of(["", " ", "\n", "\n\n"]));
  }

  /** Metadata: flat, wide, or nested, sometimes more deeply than is allowed. */
  metadata(): Json {
    const shape = this.#random.next();
    if (shape < 0.5) return { kind: this.text(50), note: this.text(2000) };
    if (shape < 0.8) {
      const keys = this.#random.integer(1, 3000);
      return Object.fromEntries(Array.from({ length: keys }, (_, index) => [`${this.text(20)}${index}`, index]));
    }
    let value: unknown = this.text(100);
    for (let depth = this.#random.integer(1, 150); depth > 0; depth -= 1)
      value = this.#random.chance(0.5) ? [value] : { [this.text(10)]: value };
    return { value };
  }

  /** What a client may put on a wire instead of a message. */
  frame(): string {
    const depth = this.#random.integer(1, 50_000);
    return this.#of([
      () => this.text(20_000),
      () => "[".repeat(depth),
      () => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${"[".repeat(depth)}${"]".repeat(depth)}}`,
      () => `{"jsonrpc":"2.0","id":${'{"a":'.repeat(depth)}1${"}".repeat(depth)},"method":"ping"}`,
      () => JSON.stringify({ jsonrpc: "2.0", method: this.text(100), params: this.metadata() }),
      () => this.#mistyped(depth),
      () =>
        `[${Array.from({ length: this.#random.integer(1, 500) }, () => '{"jsonrpc":"2.0","method":"x"}').join(",")}]`,
    ])();
  }

  /** A message with a value in a known place that is no text, and that `String` throws for. */
  #mistyped(depth: number): string {
    const value = this.#of(['{"toString":1,"valueOf":1}', `${"[".repeat(depth)}${"]".repeat(depth)}`]);
    const method = this.#of(["tools/call", "resources/subscribe", "notifications/cancelled", "completion/complete"]);
    const field = this.#of(["name", "uri", "requestId", "requestState", "level"]);
    const client = `"io.modelcontextprotocol/clientInfo":{"name":${value}},"progressToken":${value}`;
    const id = method.startsWith("notifications/") ? "" : '"id":"mistyped",';
    return `{"jsonrpc":"2.0",${id}"method":"${method}","params":{"${field}":${value},"_meta":{${client}}}}`;
  }

  #part(characters: number): string {
    const shape = this.#random.next();
    if (shape < 0.4) return chainOf(this.#of(chains), characters);
    if (shape < 0.5) return this.#of(secretHeads) + chainOf(this.#of(chains), characters);
    const pieces: string[] = [];
    for (let length = 0; length < characters;) {
      const piece = this.#piece(shape);
      pieces.push(piece);
      length += piece.length;
    }
    return pieces.join("").slice(0, characters);
  }

  #piece(shape: number): string {
    if (shape < 0.7) return `${this.#of(WORDS)}${this.#of([" ", "\n", "-", "_", ".", "/"])}`;
    if (shape < 0.9) return this.#of(chains).repeat(this.#random.integer(1, 20));
    return String.fromCharCode(this.#random.integer(0, 0xff_ff));
  }

  #of<Item>(items: readonly Item[]): Item {
    return items[this.#random.integer(0, items.length - 1)]!;
  }
}
