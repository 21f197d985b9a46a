import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Captured } from "../../src/capture/captured.ts";
import { filesAt } from "../../src/capture/files.ts";
import { Importer } from "../../src/capture/importer.ts";
import { piecesOf, sourcesIn } from "../../src/capture/sources.ts";
import type { Store } from "../../src/store/store.ts";
import { unknownAuthor } from "../../src/store/context-history.ts";
import { callTool, tools } from "../../src/tools/tools.ts";
import { temporaryHome } from "./home.ts";

/** Rows as lines of JSON; a text is a line as it is. */
export const jsonLines = (...rows: (object | string)[]): string =>
  rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join("");

/** What the readers make of one file, or undefined when no kind knows it. */
export async function captureFile(name: string, content: string | Uint8Array): Promise<Captured[] | undefined> {
  using home = temporaryHome();
  writeFileSync(join(home.path, name), content);
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

/** Calls a tool without a server. */
export const call = async (store: Store, name: string, args: Record<string, unknown>) => {
  const tool = tools.get(name);
  if (!tool) throw new Error(`there is no tool ${name}`);
  return await callTool(tool, store, args, unknownAuthor, new AbortController().signal);
};

/** Imports files, by their paths in one folder, in the order in which they are given. Returns the importer's counts. */
export async function importFiles(store: Store, files: Record<string, string | Uint8Array>): Promise<Importer> {
  using home = temporaryHome();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(home.path, name)), { recursive: true });
    writeFileSync(join(home.path, name), content);
  }
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
  return importer;
}
