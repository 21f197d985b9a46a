import { Readable } from "node:stream";

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

async function* decompressed(stream: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Uint8Array> {
  const inflated = new DecompressionStream(compression);
  const source = Readable.toWeb(Readable.from(stream)) as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
  const reader = source.pipeThrough(inflated).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
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

/** The beginning of a stream, at least `bytes` long unless the stream is shorter, and a stream that still has it. */
export async function split(
  stream: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ beginning: Buffer; rest: AsyncIterable<Uint8Array> }> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let read = 0;
  while (read < bytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    // A stream may reuse the memory of its chunks.
    chunks.push(new Uint8Array(next.value));
    read += next.value.length;
  }
  const beginning = Buffer.concat(chunks);
  async function* whole() {
    try {
      if (beginning.length > 0) yield beginning;
      yield* { [Symbol.asyncIterator]: () => iterator };
    } finally {
      await iterator.return?.();
    }
  }
  return { beginning, rest: whole() };
}
