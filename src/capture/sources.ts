import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { decodeEntry } from "../proxy/spool/entry.ts";
import { isObject } from "../wire/frame.ts";
import type { CapturedRow, SourceReader } from "./captured.ts";
import { ChatGptReader, ClaudeExportReader } from "./chats.ts";
import { ClaudeCodeReader } from "./claude-code.ts";
import { CodexReader } from "./codex.ts";
import { DeweyReader } from "./dewey.ts";
import { elements, lines } from "./rows.ts";
import type { SourceRow } from "./rows.ts";
import { spoolPieces } from "./spool.ts";
import { zipEntries } from "./zip.ts";

/** Something that can be imported: a file, or one in a zip. */
export interface Source {
  /** As a person finds it: the path, and for what is in a zip its name there. */
  name: string;
  /** Of a file that is no part of another. */
  path: string | undefined;
  open(): AsyncIterable<Uint8Array>;
}

/** How much of a file is looked at to tell what it is: rows may be long, and the telling ones are among the first. */
const HEAD_BYTES = 1024 * 1024;
/** How much of a file is read at once. */
const CHUNK_BYTES = 256 * 1024;
const ZIP_MAGIC = "PK\u0003\u0004";
/** What is worth a look in a folder or a zip. Of a file that is named, the content decides alone. */
const candidates = /(\.jsonl|\.zip|\.spool|^conversations[^/]*\.json)$/;

/** The files that may be imported at a path, in the order of their names: itself, or what is worth a look in the folder. */
export async function filesAt(path: string): Promise<{ path: string; bytes: number }[]> {
  const found = await stat(path);
  if (!found.isDirectory()) return [{ path, bytes: found.size }];
  const names = await readdir(path, { recursive: true });
  const paths = names
    .filter((name) => candidates.test(basename(name)))
    .toSorted()
    .map((name) => join(path, name));
  const files = await Promise.all(paths.map(async (each) => ({ path: each, found: await stat(each) })));
  return files.filter((each) => each.found.isFile()).map((each) => ({ path: each.path, bytes: each.found.size }));
}

/** What is in a file: itself, or what is worth a look in the zip. Each is to be read before the next is asked for. */
export async function* sourcesIn(path: string): AsyncGenerator<Source> {
  if ((await head(path, ZIP_MAGIC.length)).toString("latin1") !== ZIP_MAGIC) {
    yield { name: path, path, open: () => createReadStream(path, { highWaterMark: CHUNK_BYTES }) };
    return;
  }
  for await (const entry of zipEntries(path)) {
    if (candidates.test(basename(entry.name)))
      yield { name: `${path} ${entry.name}`, path: undefined, open: () => entry.open() };
  }
}

/** What a source holds, recognised by its content. Returns false for what is nothing that is known. */
export async function* piecesOf(source: Source): AsyncGenerator<CapturedRow, boolean> {
  const { beginning, stream } = await peek(source.open());
  const kind = kindOf(beginning, source);
  if (kind === undefined) return false;
  if (kind === "spool") yield* spoolPieces(stream);
  else yield* readPieces(kind.array ? elements(stream) : lines(stream), kind.reader);
  return true;
}

/** What a reader makes of rows, and what it has held back at their end. */
async function* readPieces(rows: AsyncIterable<SourceRow>, reader: SourceReader): AsyncGenerator<CapturedRow> {
  let [number, end] = [0, 0];
  for await (const row of rows) {
    ({ number, end } = row);
    yield { captured: readRow(reader, row), number, end };
  }
  const captured = reader.end();
  if (captured.length > 0) yield { captured, number, end };
}

export function readRow(reader: SourceReader, row: SourceRow): CapturedRow["captured"] {
  if (row.text === undefined) return [{ kind: "broken", reason: "larger than anything that can be stored" }];
  return reader.take(row.text);
}

/** A reader for the lines of a file that grows; undefined when it is no file of lines that is known, or not yet. */
export async function lineReader(path: string): Promise<SourceReader | undefined> {
  const kind = kindOf(await head(path, HEAD_BYTES), { name: path, path });
  return kind === undefined || kind === "spool" || kind.array ? undefined : kind.reader;
}

type Kind = "spool" | { array: boolean; reader: SourceReader };

function kindOf(beginning: Buffer, source: Pick<Source, "name" | "path">): Kind | undefined {
  if (isSpool(beginning)) return "spool";
  const text = beginning
    .toString()
    .replace(/^\uFEFF/, "")
    .trimStart();
  // An element may be larger than what we look at, but its first keys tell.
  if (/^\[\s*\{/.test(text)) {
    if (/"chat_messages"\s*:/.test(text)) return { array: true, reader: new ClaudeExportReader() };
    return /"mapping"\s*:/.test(text) ? { array: true, reader: new ChatGptReader() } : undefined;
  }
  for (const line of text.split("\n")) {
    const reader = lineReaderOf(line, source);
    if (reader) return { array: false, reader };
  }
  return undefined;
}

/** Decides by one row; one that is cut off where we stopped looking is told by its keys. */
function lineReaderOf(line: string, source: Pick<Source, "name" | "path">): SourceReader | undefined {
  const row = parsed(line);
  const has = (key: string) => (row ? key in row : /^\s*\{/.test(line) && line.includes(`"${key}":`));
  const type = row?.["type"] ?? /^\s*\{\s*(?:"timestamp":"[^"]*",)?"type"\s*:\s*"([^"]*)"/.exec(line)?.[1];
  const stem = basename(source.name).replace(/\.jsonl$/, "");
  if (type === "dewey_export") return new DeweyReader();
  if (has("type") && (has("sessionId") || has("uuid") || has("leafUuid"))) {
    return source.path === undefined ? new ClaudeCodeReader(stem) : ClaudeCodeReader.ofFile(source.path, stem);
  }
  if (type === "session_meta" || (row && type === undefined && has("id") && has("timestamp")))
    return new CodexReader(stem);
  return undefined;
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isSpool(beginning: Buffer): boolean {
  try {
    const { kind } = decodeEntry(beginning, 0)?.entry ?? {};
    return kind === "open" || kind === "state";
  } catch {
    return false;
  }
}

async function head(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The beginning of a stream, and a stream that still has it. */
async function peek(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ beginning: Buffer; stream: AsyncIterable<Uint8Array> }> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < HEAD_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    chunks.push(next.value);
    bytes += next.value.length;
  }
  const beginning = Buffer.concat(chunks);
  async function* whole() {
    if (beginning.length > 0) yield beginning;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { beginning, stream: whole() };
}
