import { DeweyError } from "../../errors.ts";

// Reads a tar as a stream: those that Dewey writes, and those of the tar program with --format=ustar (POSIX.1-1988).

export const BLOCK_BYTES = 512;

/** The header of an entry. */
export interface Header {
  name: string;
  /** Bytes that follow the header. */
  size: number;
  mode: number;
  kind: "file" | "folder" | "link" | "other";
  /** Target of a link. */
  target: string;
}

/** Parses a header; undefined for any other block, such as the empty ones at the end of an archive. */
export function parseHeader(block: Uint8Array): Header | undefined {
  const text = Buffer.from(block).toString("latin1");
  const field = (start: number, length: number) => text.slice(start, start + length).replace(/\0.*$/s, "");
  const octal = (start: number, length: number) => Number.parseInt(field(start, length), 8);
  if (!text.startsWith("ustar", 257) || octal(148, 8) !== headerSum(block)) return undefined;
  const kinds: Record<string, Header["kind"]> = { "0": "file", "\0": "file", "2": "link", "5": "folder" };
  return {
    name: [field(345, 155), field(0, 100)].filter(Boolean).join("/"),
    size: octal(124, 12),
    mode: octal(100, 8),
    kind: kinds[text.charAt(156)] ?? "other",
    target: field(157, 100),
  };
}

/** The checksum of a header; the checksum field itself counts as spaces. */
export function headerSum(block: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
  }
  return sum;
}

/** Bytes of padding after an entry of this size. */
export function padding(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Reads exact numbers of bytes from a stream. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #what: string;
  #rest: Uint8Array = new Uint8Array();

  /** `what` names the stream in errors. */
  constructor(chunks: AsyncIterable<Uint8Array>, what: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#what = what;
  }

  /** Reads this many bytes. Throws `invalid` when the stream ends early. */
  async take(bytes: number): Promise<Uint8Array> {
    const parts = [this.#rest];
    let held = this.#rest.length;
    while (held < bytes) {
      const next = await this.#next();
      parts.push(next);
      held += next.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  /** Reads this many bytes in parts, as they arrive, so that they are never all in memory. Throws like `take`. */
  async *parts(bytes: number): AsyncGenerator<Uint8Array> {
    for (let wanted = bytes; wanted > 0;) {
      if (this.#rest.length === 0) this.#rest = await this.#next();
      const part = this.#rest.subarray(0, wanted);
      this.#rest = this.#rest.subarray(part.length);
      wanted -= part.length;
      yield part;
    }
  }

  async #next(): Promise<Uint8Array> {
    const next = await this.#chunks.next();
    if (next.done === true) throw new DeweyError("invalid", `${this.#what} is cut off`);
    return next.value;
  }
}
