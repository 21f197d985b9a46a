import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { decodeEntry } from "../proxy/spool/entry.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { Beside } from "./beside.ts";
import type { CapturedRow, SourceReader } from "./captured.ts";
import { SQLITE_MAGIC, openSnapshot, tablesOf } from "./database.ts";
import { decodedText, split } from "./encoding.ts";
import { zipCandidates } from "./files.ts";
import { lines, objects, objectsIn, tornIn } from "./rows.ts";
import type { SourceRow } from "./rows.ts";
import type { DatabaseKind, Form, Head, SourceFile, SourceKind } from "./source-kind.ts";
import { databaseKinds, sourceKinds } from "./source-kinds.ts";
import { spoolPieces } from "./spool.ts";
import { withMessages } from "./talk.ts";
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
/** Rows of the beginning by which a kind is told. */
const HEAD_ROWS = 50;
/** How much of a file is read at once. */
const CHUNK_BYTES = 256 * 1024;
const ZIP_MAGIC = "PK\u0003\u0004";

/** What is in a file: itself, or what is worth a look in the zip. Each is to be read before the next is asked for. */
export async function* sourcesIn(path: string): AsyncGenerator<Source> {
  if (!(await beginsWith(path, ZIP_MAGIC))) {
    yield { name: path, path, open: () => createReadStream(path, { highWaterMark: CHUNK_BYTES }) };
    return;
  }
  for await (const entry of zipEntries(path)) {
    if (zipCandidates.test(entry.name))
      yield { name: `${path} ${entry.name}`, path: undefined, open: () => entry.open() };
  }
}

/** What is known of a source once it is read, with what could not be read beside it; false when no kind knows it. */
export type SourceEnd = (Pick<SourceReader, "consulted"> & { unread?: ReadonlyMap<string, string> }) | false;

/** The contents of a source, recognised by their own marks. */
export async function* piecesOf(source: Source): AsyncGenerator<CapturedRow, SourceEnd> {
  if (source.path !== undefined && (await beginsWith(source.path, SQLITE_MAGIC)))
    return yield* databasePieces(source.path, await fileOf(source));
  const { beginning: bytes, rest } = await split(source.open(), HEAD_BYTES);
  if (isSpool(bytes)) {
    yield* spoolPieces(rest);
    return {};
  }
  const { beginning, rest: text } = await split(decodedText(rest), HEAD_BYTES);
  const file = await fileOf(source);
  const known = recognised(headOf(beginning, file));
  if (known === undefined) return false;
  if (known.form === "beside") return {};
  const rows = typeof known.form === "string" ? lines(text) : objects(text, known.form.depth);
  const reader = known.kind.reader(file);
  yield* readPieces(rows, reader);
  const { consulted } = reader;
  return { ...(consulted && { consulted }), unread: file.beside.unread };
}

/** The pieces that a reader makes of rows, and what it has held back at their end, or where they cannot be read on. */
async function* readPieces(rows: AsyncIterable<SourceRow>, reader: SourceReader): AsyncGenerator<CapturedRow> {
  let [number, end] = [0, 0];
  let failure: { error: unknown } | undefined;
  const left = rows[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await left.next().catch((error: unknown) => void (failure = { error }));
      if (next === undefined || next.done === true) break;
      ({ number, end } = next.value);
      yield { captured: readRow(reader, next.value), number, end };
    }
    const captured = reader.end();
    if (captured.length > 0) yield { captured, number, end };
  } finally {
    await left.return?.();
  }
  if (failure !== undefined) throw failure.error;
}

/** The contents of a database, when a kind knows its tables. */
async function* databasePieces(path: string, file: SourceFile): AsyncGenerator<CapturedRow, SourceEnd> {
  await using snapshot = await openSnapshot(path);
  const { database } = snapshot;
  const tables = tablesOf(database);
  const kind = databaseKinds.find((each) => isOf(each, tables));
  if (kind === undefined) return false;
  let number = 0;
  for (const row of kind.rows(database)) {
    number += 1;
    yield { captured: readOrTell(() => withMessages(kind.read(row, database, file))), number, end: 0 };
  }
  const reason = "was written to while it was read; import it again";
  if (await snapshot.hasChanged()) yield { captured: [{ kind: "broken", reason }], number, end: 0 };
  return {};
}

function isOf({ tables: needed }: DatabaseKind, tables: Map<string, Set<string>>): boolean {
  return Object.entries(needed).every(([table, columns]) => columns.every((column) => tables.get(table)?.has(column)));
}

function readOrTell(read: () => CapturedRow["captured"]): CapturedRow["captured"] {
  try {
    return read();
  } catch (error) {
    return [{ kind: "broken", reason: error instanceof Error ? error.message : String(error) }];
  }
}

/** Reads a row; a line that holds several objects, or one behind the half of another, is read as several rows. */
export function readRow(reader: SourceReader, row: SourceRow): CapturedRow["captured"] {
  if (row.text === undefined) return [{ kind: "broken", reason: "larger than anything that can be stored" }];
  const take = (text: string) => readOrTell(() => reader.take(text));
  // A crash leaves zeros where the file system had not written yet.
  const text = row.text.startsWith("\0") ? row.text.replace(/^\0+/, "") : row.text;
  if (text === "") return [];
  const captured = take(text);
  if (!isBroken(captured)) return captured;
  const rows = objectsIn(text);
  if (rows === undefined) return tornIn(text)?.flatMap(take) ?? captured;
  return rows.flatMap((each) => {
    const of = take(each);
    return (isBroken(of) ? tornIn(each)?.flatMap(take) : undefined) ?? of;
  });
}

function isBroken(captured: CapturedRow["captured"]): boolean {
  return captured.length === 1 && captured[0]?.kind === "broken";
}

/** A reader for the lines of a file that grows; undefined when it is no plain file of lines that is known, or not yet. */
export async function lineReader(path: string): Promise<SourceReader | undefined> {
  const bytes = await firstBytes(path, HEAD_BYTES);
  const file = await fileOf({ name: path, path });
  const known = isSpool(bytes) ? undefined : recognised(headOf(bytes, file));
  return known?.form === "lines" ? known.kind.reader(file) : undefined;
}

/** The name of a source's file, without its folders and without extensions such as `.jsonl.zst`. */
async function fileOf({ name, path }: Pick<Source, "name" | "path">): Promise<SourceFile> {
  const plain = basename(name);
  const stem = plain.replace(/\.(?:gz|zst)$/, "").replace(/\.jsonl?$/, "");
  const time = path === undefined ? undefined : (await stat(path)).mtime.toISOString();
  return { name: plain, stem, path, time, beside: new Beside() };
}

function recognised(head: Head): { kind: SourceKind; form: Form } | undefined {
  for (const kind of sourceKinds) {
    const form = kind.form(head);
    if (form !== undefined) return { kind, form };
  }
  return undefined;
}

function headOf(beginning: Buffer, { name, stem, path }: SourceFile): Head {
  const text = beginning.toString().replace(/^\uFEFF/, "");
  const lines = text.split("\n", HEAD_ROWS);
  const texts = lines.flatMap((line) => objectsIn(line) ?? [line]);
  const rows = texts.map(parsed).filter((row) => row !== undefined);
  return { name, stem, path, text, rows, cut: beginning.length >= HEAD_BYTES ? (lines.at(-1) ?? "") : "" };
}

function parsed(line: string): Json | undefined {
  if (!/^\s*\{/.test(line)) return undefined;
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

async function beginsWith(path: string, magic: string): Promise<boolean> {
  return (await firstBytes(path, magic.length)).toString("latin1") === magic;
}

async function firstBytes(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What a file of no known kind looks like: the first keys of its JSON, or a database's tables. Undefined for any other. */
export async function lookOf(path: string): Promise<string | undefined> {
  if (await beginsWith(path, SQLITE_MAGIC)) {
    await using snapshot = await openSnapshot(path);
    const tables = [...tablesOf(snapshot.database).keys()].slice(0, LOOK_KEYS);
    return tables.length === 0 ? "an empty SQLite database" : `an SQLite database with ${tables.join(", ")}`;
  }
  const { beginning } = await split(
    decodedText(createReadStream(path, { end: HEAD_BYTES - 1, highWaterMark: CHUNK_BYTES })),
    HEAD_BYTES,
  );
  const text = beginning.toString().trimStart();
  if (!/^[[{]/.test(text)) return undefined;
  const keys = [...text.slice(0, LOOK_CHARACTERS).matchAll(/"([A-Za-z_]\w{0,40})"\s*:/g)].map(([, key]) => key);
  const first = [...new Set(keys)].slice(0, LOOK_KEYS);
  return first.length === 0 ? undefined : `JSON with ${first.join(", ")}`;
}

/** Keys that say what a file looks like, and how much of it they are sought in. */
const LOOK_KEYS = 6;
const LOOK_CHARACTERS = 4000;
