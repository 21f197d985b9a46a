import { createHash } from "node:crypto";
import { DeweyError } from "../../errors.ts";
import { BLOCK_BYTES, ByteReader, headerSum, padding, parseHeader } from "./tar.ts";

// A tar of named pieces, compressed with zstd. The last piece holds the SHA-256 of all others in the format of `sha256sum`,
// so that `tar --zstd -xf FILE && sha256sum -c SHA256SUMS` checks it without Dewey. It is written and read piece by piece,
// so its size is unlimited.

/** A file of the archive, small enough to be held in memory. */
export interface ArchivePiece {
  name: string;
  bytes: Uint8Array;
}

/** Maximum size of a piece; an archive with a larger one was not made by Dewey. */
export const MAX_PIECE_BYTES = 4 * 1024 * 1024;

/** What an archive may need, since 50 kB could fill a memory or a disk. */
export interface UnpackLimits {
  /** Number of pieces; those of a store of 4 TB. */
  pieces: number;
  /**
   * How many times its own size an archive unpacks to, beyond `allowanceBytes`. Repeated text may shrink to a ten-thousandth,
   * but no store consists of it: each row has a random id.
   */
  ratio: number;
  allowanceBytes: number;
}

const limits: UnpackLimits = { pieces: 1_000_000, ratio: 1000, allowanceBytes: 1024 * 1024 * 1024 };

const SUMS = "SHA256SUMS";
/** The first bytes of a zstd frame (RFC 8878). */
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

/** The archive of the pieces. If reading them fails, the stream fails. */
export function packed(pieces: AsyncIterable<ArchivePiece>): ReadableStream<Uint8Array> {
  return streamOf(tar(pieces)).pipeThrough(new CompressionStream("zstd"));
}

/** A stream that runs at its reader's pace. */
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

async function* tar(pieces: AsyncIterable<ArchivePiece>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let sums = "";
  for await (const piece of pieces) {
    sums += `${sha256(piece.bytes)}  ${piece.name}\n`;
    yield entry(piece);
  }
  yield entry({ name: SUMS, bytes: Buffer.from(sums) });
  yield new Uint8Array(2 * BLOCK_BYTES);
}

/**
 * The pieces of an archive, in order; one is in memory at a time. Throws `invalid` for one that is foreign, cut off or damaged,
 * or that unpacks to more than a backup can hold.
 */
export async function* unpacked(
  archive: AsyncIterable<Uint8Array>,
  { pieces, ...size }: UnpackLimits = limits,
): AsyncGenerator<ArchivePiece> {
  const reader = new ByteReader(decompressed(archive, size), "the backup");
  // The list of sums may be long, so that only its own sum is kept.
  const sums = createHash("sha256");
  let sumsBytes = 0;
  for (let count = 0; count <= pieces; count += 1) {
    const { name, size } = pieceHeader(await reader.take(BLOCK_BYTES));
    if (name === SUMS) {
      if (size !== sumsBytes) throw damaged();
      const found = createHash("sha256");
      for await (const part of reader.parts(size)) found.update(part);
      if (found.digest("hex") !== sums.digest("hex")) throw damaged();
      // Two empty blocks end a tar; they must be complete too.
      await reader.take(padding(size) + 2 * BLOCK_BYTES);
      return;
    }
    const bytes = await reader.take(size);
    await reader.take(padding(size));
    const line = Buffer.from(`${sha256(bytes)}  ${name}\n`);
    sums.update(line);
    sumsBytes += line.length;
    yield { name, bytes };
  }
  throw foreign();
}

async function* decompressed(
  archive: AsyncIterable<Uint8Array>,
  { ratio, allowanceBytes }: Omit<UnpackLimits, "pieces">,
): AsyncGenerator<Uint8Array> {
  let reason: unknown;
  let packedBytes = 0;
  let unpackedBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of archive) {
      packedBytes += chunk.length;
      yield chunk;
    }
  }
  const source = streamOf(checked(counted(), (error) => (reason = error)));
  try {
    for await (const chunk of source.pipeThrough(new DecompressionStream("zstd"))) {
      unpackedBytes += chunk.length;
      if (unpackedBytes > allowanceBytes + ratio * packedBytes) throw (reason = oversized());
      yield chunk;
    }
  } catch {
    // The decompressor's message describes its own state; a reason of ours is clearer.
    throw reason ?? damaged();
  }
}

/** Passes the archive on if it begins like a zstd frame. */
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

/** A tar entry (POSIX ustar): a header block, and the bytes padded to whole blocks. */
function entry({ name, bytes }: ArchivePiece): Uint8Array<ArrayBuffer> {
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

function pieceHeader(block: Uint8Array): { name: string; size: number } {
  const header = parseHeader(block);
  if (!header) throw damaged();
  if (!(header.size >= 0)) throw damaged();
  if (header.name !== SUMS && header.size > MAX_PIECE_BYTES) throw foreign();
  return header;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function damaged(): DeweyError {
  return new DeweyError("invalid", "the backup is damaged or cut off");
}

function oversized(): DeweyError {
  return new DeweyError("invalid", "the backup unpacks to far more than any store holds; it was not made by Dewey");
}

export function foreign(): DeweyError {
  return new DeweyError("invalid", "this is not a Dewey backup");
}
