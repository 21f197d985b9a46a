import { createHash } from "node:crypto";
import { DeweyError } from "../errors.ts";

// A tar of named pieces, compressed with zstd, whose last piece holds the SHA-256 of all others as `sha256sum` writes
// them: `tar --zstd -xf FILE && sha256sum -c SHA256SUMS` needs nothing of Dewey's. It is written and read piece by piece,
// so that it may be as large as it likes.

/** A file of the archive, small enough to be held whole. */
export interface Piece {
  name: string;
  bytes: Uint8Array;
}

/** No piece is larger; what is, is no archive of ours. */
export const MAX_PIECE_BYTES = 4 * 1024 * 1024;

const SUMS = "SHA256SUMS";
const BLOCK_BYTES = 512;
/** A zstd frame begins so (RFC 8878). */
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

/** The archive of the pieces. A failure of theirs is the stream's. */
export function packed(pieces: AsyncIterable<Piece>): ReadableStream<Uint8Array> {
  return streamOf(tar(pieces)).pipeThrough(new CompressionStream("zstd"));
}

/** A stream at its reader's pace. */
function streamOf(chunks: AsyncGenerator<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}

async function* tar(pieces: AsyncIterable<Piece>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let sums = "";
  for await (const piece of pieces) {
    sums += `${sha256(piece.bytes)}  ${piece.name}\n`;
    yield entry(piece);
  }
  yield entry({ name: SUMS, bytes: Buffer.from(sums) });
  yield new Uint8Array(2 * BLOCK_BYTES);
}

/** The pieces of an archive, in their order. Throws `invalid` for what is none, is cut off or damaged. */
export async function* unpacked(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const reader = new Reader(decompressed(archive));
  let sums = "";
  for (;;) {
    const header = await reader.take(BLOCK_BYTES);
    const { name, size } = parseHeader(header);
    const bytes = await reader.take(size);
    await reader.take(padding(size));
    if (name === SUMS) {
      if (Buffer.from(bytes).toString() !== sums) throw damaged();
      // The two empty blocks behind it end the archive; nothing may be missing of them either.
      await reader.take(2 * BLOCK_BYTES);
      return;
    }
    sums += `${sha256(bytes)}  ${name}\n`;
    yield { name, bytes };
  }
}

async function* decompressed(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let reason: unknown;
  const source = streamOf(checked(archive, (error) => (reason = error)));
  try {
    for await (const chunk of source.pipeThrough(new DecompressionStream("zstd"))) yield chunk;
  } catch {
    // The decompressor's words are about its own state; what we know better is said first.
    throw reason ?? damaged();
  }
}

/** Passes the archive on when it begins as one does. */
async function* checked(
  archive: AsyncIterable<Uint8Array>,
  failed: (reason: unknown) => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let beginning: number[] | undefined = [];
  try {
    for await (const chunk of archive) {
      beginning?.push(...chunk.subarray(0, MAGIC.length));
      if (beginning !== undefined && beginning.length >= MAGIC.length) {
        if (MAGIC.some((byte, index) => beginning?.[index] !== byte)) throw foreign();
        beginning = undefined;
      }
      yield chunk as Uint8Array<ArrayBuffer>;
    }
    if (beginning !== undefined) throw foreign();
  } catch (error) {
    failed(error);
    throw error;
  }
}

/** Takes a stream apart by lengths. */
class Reader {
  readonly #chunks: AsyncGenerator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncGenerator<Uint8Array>) {
    this.#chunks = chunks;
  }

  /** Exactly so many bytes. Throws `invalid` when the stream ends before. */
  async take(bytes: number): Promise<Uint8Array> {
    const parts = [this.#rest];
    let held = this.#rest.length;
    while (held < bytes) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new DeweyError("invalid", "the backup is cut off");
      parts.push(next.value);
      held += next.value.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = all.subarray(bytes);
    return all.subarray(0, bytes);
  }
}

/** A file as tar has it (POSIX ustar): a block that describes it, and its bytes in whole blocks. */
function entry({ name, bytes }: Piece): Uint8Array<ArrayBuffer> {
  const block = Buffer.alloc(BLOCK_BYTES + bytes.length + padding(bytes.length));
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  block.write(name, 0, 100, "latin1");
  block.write(octal(0o600, 7) + octal(0, 7) + octal(0, 7) + octal(bytes.length, 11) + octal(0, 11), 100, "latin1");
  block.write("        0", 148, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.write(`${octal(headerSum(block), 6)} `, 148, "latin1");
  block.set(bytes, BLOCK_BYTES);
  return block;
}

function parseHeader(header: Uint8Array): { name: string; size: number } {
  const text = Buffer.from(header).toString("latin1");
  const name = text.slice(0, 100).replace(/\0.*$/s, "");
  const size = Number.parseInt(text.slice(124, 136), 8);
  const sum = Number.parseInt(text.slice(148, 156), 8);
  if (!text.startsWith("ustar", 257) || sum !== headerSum(header)) throw damaged();
  if (name !== SUMS && !(size <= MAX_PIECE_BYTES)) throw foreign();
  return { name, size };
}

/** The sum of a header's bytes, in which the sum's own place counts as spaces. */
function headerSum(block: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
  }
  return sum;
}

function padding(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function damaged(): DeweyError {
  return new DeweyError("invalid", "the backup is damaged or cut off");
}

export function foreign(): DeweyError {
  return new DeweyError("invalid", "this is no backup of Dewey's");
}
