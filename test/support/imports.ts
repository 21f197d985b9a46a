import { Database } from "bun:sqlite";
import type { SQLQueryBindings } from "bun:sqlite";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Captured, CapturedMessage } from "../../src/capture/captured.ts";
import { filesAt } from "../../src/capture/files.ts";
import { Importer } from "../../src/capture/importer.ts";
import type { MessageCounts } from "../../src/capture/message-counts.ts";
import { piecesOf, sourcesIn } from "../../src/capture/sources.ts";
import type { Store } from "../../src/store/store.ts";
import { unknownAuthor } from "../../src/store/context-history.ts";
import { callTool, tools } from "../../src/tools/tools.ts";
import { temporaryHome } from "./home.ts";

/** Rows as lines of JSON; a text is a line as it is. */
export const jsonLines = (...rows: (object | string)[]): string =>
  rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join("");

/** What the readers make of one file, or undefined when no kind knows it. */
export const captureFile = (name: string, content: string | Uint8Array): Promise<Captured[] | undefined> =>
  captureIn({ [name]: content }, name);

/** The same of a file that has others around it, which are given by their paths in one folder. */
export async function captureIn(
  files: Record<string, string | Uint8Array>,
  name: string,
): Promise<Captured[] | undefined> {
  using home = temporaryHome();
  writeFiles(home.path, files);
  const captured: Captured[] = [];
  for await (const source of sourcesIn(join(home.path, name))) {
    const pieces = piecesOf(source);
    for (let next = await pieces.next(); ; next = await pieces.next()) {
      if (next.done && !next.value) return undefined;
      if (next.done) break;
      captured.push(...next.value.captured);
    }
  }
  return captured;
}

/** Writes files by their paths in a folder. */
function writeFiles(folder: string, files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** The file of an SQLite database with these tables, which are made of rows, each a value for every column. */
export function sqlite(tables: Record<string, Record<string, unknown>[]>): Uint8Array {
  using database = new Database(":memory:");
  for (const [table, rows] of Object.entries(tables)) {
    const columns = Object.keys(rows[0] ?? {});
    database.run(`create table ${table} (${columns.join(", ")})`);
    const insert = database.query(`insert into ${table} values (${columns.map(() => "?").join(", ")})`);
    for (const row of rows) insert.run(...(columns.map((column) => row[column]) as SQLQueryBindings[]));
  }
  return database.serialize();
}

/** A conversation as captured: its facts, and each message's role, kind and words, without bookkeeping. */
export interface Told {
  id: string;
  facts: Record<string, unknown> | undefined;
  title: unknown;
  said: [role: string, kind: unknown, content: string][];
  messages: CapturedMessage[];
}

/** The conversations in a file, in their order. */
export async function told(files: Record<string, string | Uint8Array>, name: string): Promise<Told[]> {
  const captured = (await captureIn(files, name)) ?? [];
  const talks = new Map<string, Told>();
  for (const each of captured) {
    if (each.kind === "conversation") {
      const { conversation_id, metadata, ...begin } = each.begin;
      talks.set(conversation_id, {
        id: conversation_id,
        facts: { ...begin, ...metadata },
        title: undefined,
        said: [],
        messages: [],
      });
    }
    if (each.kind === "facts" && each.facts.title !== undefined) {
      const talk = talks.get(each.facts.conversation_id ?? "");
      if (talk) talk.title = each.facts.title;
    }
    if (each.kind !== "message") continue;
    const { role, content, metadata } = each.message;
    const talk = talks.get(each.conversation);
    talk?.messages.push(each.message);
    if (metadata?.["bookkeeping"] !== true) talk?.said.push([role, metadata?.["kind"], content]);
  }
  return [...talks.values()];
}

/** Calls a tool without a server. */
export const call = async (store: Store, name: string, args: Record<string, unknown>) => {
  const tool = tools.get(name);
  if (!tool) throw new Error(`there is no tool ${name}`);
  return await callTool(tool, store, args, unknownAuthor, new AbortController().signal);
};

/** Imports files, by their paths in one folder, in the order in which they are given. Returns the importer's counts. */
export async function importFiles(store: Store, files: Record<string, string | Uint8Array>): Promise<MessageCounts> {
  using home = temporaryHome();
  writeFiles(home.path, files);
  const importer = new Importer({
    call: (name, args) => call(store, name, args),
    onRefused: ({ row }, reason) => {
      throw new Error(`row ${row} was refused: ${reason}`);
    },
  });
  const { files: found } = await filesAt(home.path);
  const rank = (path: string) => Object.keys(files).findIndex((name) => join(home.path, name) === path);
  for (const { path } of found.toSorted((a, b) => rank(a.path) - rank(b.path)))
    for await (const source of sourcesIn(path))
      for await (const piece of piecesOf(source))
        for (const each of piece.captured) await importer.take(each, { source: path, row: piece.number });
  await importer.finish();
  return importer.counts;
}
