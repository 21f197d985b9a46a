/** Decodes invalid UTF-8 to U+FFFD. A byte order mark at the beginning of a text is not part of it. */
const decoder = new TextDecoder();

/** Text gathered from bytes, and whether it is only the beginning of what there was. */
export interface GatheredText {
  text: string;
  isCut: boolean;
}

/** Joins the chunks of one text once, when it is complete. Keeps at most `maxBytes` of it. */
export class Chunks {
  readonly #maxBytes: number;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes added since the last `take`, kept or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a copy: a stream may reuse the memory of its chunks. (A Buffer's `slice` would not copy.) */
  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    const room = this.#maxBytes - this.#keptBytes;
    if (room === 0 || chunk.length === 0) return;
    const kept = new Uint8Array(chunk.subarray(0, room));
    this.#kept.push(kept);
    this.#keptBytes += kept.length;
  }

  /** The text so far. */
  peek(): GatheredText {
    return this.#joined(new Uint8Array());
  }

  /** The text with its last chunk; the next one begins empty. */
  take(last: Uint8Array = new Uint8Array()): GatheredText {
    const gathered = this.#joined(last);
    this.#kept = [];
    this.#keptBytes = 0;
    this.#bytes = 0;
    return gathered;
  }

  #joined(last: Uint8Array): GatheredText {
    const rest = last.subarray(0, this.#maxBytes - this.#keptBytes);
    const bytes = this.#kept.length === 0 ? rest : Buffer.concat([...this.#kept, rest]);
    return { text: decoder.decode(bytes), isCut: this.#bytes + last.length > this.#maxBytes };
  }
}
