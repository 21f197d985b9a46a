import { once } from "node:events";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { ZstdFrames } from "./zstd-frames.ts";

/** How much of a stream tells its encoding. */
const MARK_BYTES = 4;
/** How much of a text without a mark is looked at for the zeros of UTF-16. */
const UTF16_SAMPLE_BYTES = 64;

/**
 * A stream of UTF-8 without a byte order mark, of one that may be compressed (gzip, zstd) or written in UTF-16. The content
 * decides, not the name.
 */
export async function* decodedText(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { beginning, rest } = await split(stream, UTF16_SAMPLE_BYTES);
  const compression = compressionOf(beginning);
  if (compression !== undefined) {
    yield* decodedText(decompressed(rest, compression));
    return;
  }
  const encoding = utf16Of(beginning);
  if (encoding === undefined) yield* withoutMark(rest);
  else yield* reencoded(rest, encoding);
}

type Compression = "gzip" | "zstd";

function compressionOf(beginning: Buffer): Compression | undefined {
  const mark = beginning.subarray(0, MARK_BYTES).toString("hex");
  if (mark.startsWith("1f8b")) return "gzip";
  return mark === "28b52ffd" ? "zstd" : undefined;
}

/**
 * What a compressed stream holds, up to where it ends or is damaged: its error is thrown behind everything before it. A pipe would
 * throw away what it has read ahead.
 */
async function* decompressed(stream: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Uint8Array> {
  const inflating = compression === "gzip" ? createGunzip() : createZstdDecompress();
  const frames = compression === "zstd" ? new ZstdFrames() : undefined;
  let failure: Error | undefined;
  inflating.on("error", (error: Error) => (failure ??= error));
  /** Yields what comes until a piece of input is used up. */
  async function* until(used: Promise<void>): AsyncGenerator<Uint8Array> {
    let isUsed = false;
    const ended = used.then(() => (isUsed = true));
    for (;;) {
      const chunk = inflating.read() as Buffer | null;
      if (chunk !== null) yield chunk;
      else if (isUsed || failure !== undefined) return;
      else await Promise.race([ended, once(inflating, "readable").catch(() => {})]);
    }
  }
  try {
    for await (const chunk of stream) {
      frames?.push(chunk);
      yield* until(new Promise((used) => inflating.write(chunk, () => used())));
      if (failure !== undefined) throw failure;
    }
    const closed = once(inflating, "close").catch(() => {});
    inflating.end();
    yield* until(Promise.race([closed, once(inflating, "end").catch(() => {})]).then(() => {}));
    if (frames?.isWhole === false) failure ??= new Error("unexpected end of file");
    if (failure !== undefined) throw failure;
  } finally {
    inflating.destroy();
  }
}

type Utf16 = "utf-16le" | "utf-16be";

/** UTF-16 by its mark, or by the zero beside each of the first characters of JSON. */
function utf16Of(beginning: Buffer): Utf16 | undefined {
  const mark = beginning.subarray(0, 2).toString("hex");
  if (mark === "fffe") return "utf-16le";
  if (mark === "feff") return "utf-16be";
  if (beginning.length < MARK_BYTES) return undefined;
  const zeros = (from: number) => [0, 2].every((index) => beginning[from + index] === 0);
  if (zeros(1) && !zeros(0)) return "utf-16le";
  return zeros(0) && !zeros(1) ? "utf-16be" : undefined;
}

async function* reencoded(stream: AsyncIterable<Uint8Array>, encoding: Utf16): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding);
  const encoder = new TextEncoder();
  for await (const chunk of stream) yield encoder.encode(decoder.decode(chunk, { stream: true }));
  yield encoder.encode(decoder.decode());
}

async function* withoutMark(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of stream) {
    const hasMark = isFirst && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf;
    isFirst = false;
    yield hasMark ? chunk.subarray(3) : chunk;
  }
}

/**
 * The beginning of a stream, at least `bytes` long unless the stream is shorter, and a stream that still has it. An error of the
 * stream within its beginning is thrown behind that.
 */
export async function split(
  stream: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ beginning: Buffer; rest: AsyncIterable<Uint8Array> }> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let failure: { error: unknown } | undefined;
  try {
    for (let read = 0; read < bytes;) {
      const next = await iterator.next();
      if (next.done === true) break;
      // A stream may reuse the memory of its chunks.
      chunks.push(new Uint8Array(next.value));
      read += next.value.length;
    }
  } catch (error) {
    if (chunks.length === 0) throw error;
    failure = { error };
  }
  const beginning = Buffer.concat(chunks);
  async function* whole() {
    try {
      if (beginning.length > 0) yield beginning;
      if (failure !== undefined) throw failure.error;
      yield* { [Symbol.asyncIterator]: () => iterator };
    } finally {
      await iterator.return?.();
    }
  }
  return { beginning, rest: whole() };
}
