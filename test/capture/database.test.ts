import { afterEach, beforeEach, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSnapshot } from "../../src/capture/database.ts";
import { lookOf } from "../../src/capture/sources.ts";
import { temporaryHome } from "../support/home.ts";

let home: ReturnType<typeof temporaryHome>;
let path: string;
beforeEach(() => {
  home = temporaryHome();
  path = join(home.path, "a b?#%.db");
});
afterEach(() => home[Symbol.dispose]());

const open = (mode: "wal" | "delete") => {
  const database = new Database(path);
  database.run(`pragma journal_mode = ${mode}`);
  database.run("create table t (x)");
  database.run("insert into t values (1)");
  return database;
};
const values = async () => {
  await using snapshot = await openSnapshot(path);
  return snapshot.database.query("select x from t order by x").values().flat();
};
/** Everything in the folder, by name, size, time and content. */
const state = () =>
  readdirSync(home.path).map((name) => {
    const file = join(home.path, name);
    return [name, statSync(file).mtimeMs, Bun.hash(readFileSync(file))];
  });
const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith("dewey-import-"));

test("a database is read where it is, and nothing is written beside it", async () => {
  open("delete").close();
  const before = state();
  expect(await values()).toEqual([1]);
  expect(state()).toEqual(before);
});

test("a database whose log is empty is read where it is, and no log is made for it", async () => {
  open("wal").close();
  const before = state();
  expect(before).toHaveLength(1);
  expect(await values()).toEqual([1]);
  expect(state()).toEqual(before);
});

test("rows that a running program has only in its log are read, and nothing is written beside it", async () => {
  using live = open("wal");
  live.run("insert into t values (2)");
  const before = state();
  const copiesBefore = copies();
  expect(await values()).toEqual([1, 2]);
  expect(state()).toEqual(before);
  expect(copies()).toEqual(copiesBefore);
  live.run("insert into t values (3)");
  expect(await values()).toEqual([1, 2, 3]);
});

test("a copy that a killed process left behind is removed with the next copy, and that of a running one is not", async () => {
  using live = open("wal");
  live.run("insert into t values (2)");
  const ended = Bun.spawnSync(["true"]).pid;
  const folders = [ended, process.pid].map((pid) => join(tmpdir(), `dewey-import-${pid}-${crypto.randomUUID()}`));
  for (const folder of folders) {
    mkdirSync(folder);
    writeFileSync(join(folder, "copy.db"), "what people said");
  }
  try {
    expect(await values()).toEqual([1, 2]);
    expect(folders.map((folder) => existsSync(folder))).toEqual([false, true]);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
});

test("a log that a program has left behind when it died is read", async () => {
  const live = open("wal");
  live.run("insert into t values (2)");
  const [database, log] = [readFileSync(path), readFileSync(`${path}-wal`)];
  live.close();
  writeFileSync(path, database);
  writeFileSync(`${path}-wal`, log);
  expect(await values()).toEqual([1, 2]);
});

test("a database in a folder that may not be written to is read", async () => {
  open("delete").close();
  chmodSync(home.path, 0o500);
  expect(await values()).toEqual([1]);
  chmodSync(home.path, 0o700);
});

test("a write during the reading is noticed", async () => {
  using live = open("delete");
  await using snapshot = await openSnapshot(path);
  expect(await snapshot.hasChanged()).toBe(false);
  live.run("create table later as select zeroblob(10000)");
  expect(await snapshot.hasChanged()).toBe(true);
});

test("a database of no known kind is described by its tables", async () => {
  open("delete").close();
  expect(await lookOf(path)).toBe("an SQLite database with t");
});
