import { expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { mkdirSync, readdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeEntry } from "../../../src/proxy/spool/entry.ts";
import type { StateEntry } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import { frameEntry, spoolFolder } from "../../support/spool-folder.ts";

const nothing: StateEntry = { kind: "state", sessions: [] };
const bytes = encodeEntry(frameEntry("s", 1, "frame"));

function filled(folder: string, segments: number): Journal {
  const journal = Journal.create(folder);
  for (let number = 1; number <= segments; number++) journal.begin(nothing).append(bytes);
  return journal;
}

test("a journal belongs to one while it lives, and to the next when that one is no more", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 1);
  expect(Journal.owners(folder.path)).toEqual([mine.owner]);
  expect(Journal.adopt(folder.path, mine.owner)).toBeUndefined();
  mine.release();
  const found = Journal.adopt(folder.path, mine.owner);
  expect(found?.segment(1)?.read(0).entries).toHaveLength(2);
  expect(Journal.adopt(folder.path, mine.owner)).toBeUndefined();
  found?.finish();
  expect(readdirSync(folder.path)).toEqual([]);
  expect(statSync(folder.path).mode & 0o777).toBe(0o700);
});

test("a journal lets go of what is delivered, and whoever finds it goes on from there", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 3);
  const size = mine.current?.bytes ?? 0;
  expect(mine.waitingBytes).toBe(3 * size);
  mine.deliveredTo({ segment: 2, offset: 10 });
  expect(mine.waitingBytes).toBe(2 * size - 10);
  expect(readdirSync(folder.path).filter((name) => name.endsWith(".spool"))).toHaveLength(2);
  mine.release();
  expect(Journal.waitingBytes(folder.path, undefined)).toBe(2 * size - 10);
  const found = Journal.adopt(folder.path, mine.owner);
  expect(found).toMatchObject({
    start: { segment: 2, offset: 10 },
    lacksBeginning: false,
    waitingBytes: 2 * size - 10,
  });
  expect(found?.after(2)).toBe(3);
  found?.finish();
});

test("a journal of which a person has removed a piece says so, and is found all the same", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 3);
  mine.release();
  unlinkSync(join(folder.path, `${mine.owner}-000001.spool`));
  const found = Journal.adopt(folder.path, mine.owner);
  expect(found).toMatchObject({ start: { segment: 2, offset: 0 }, lacksBeginning: true });
  found?.finish();
});

test("a cursor that cannot be read costs a repetition and nothing else", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 1);
  mine.deliveredTo({ segment: 1, offset: 10 });
  mine.release();
  writeFileSync(join(folder.path, `${mine.owner}.cursor`), "00000");
  const found = Journal.adopt(folder.path, mine.owner);
  expect(found).toMatchObject({ start: { segment: 1, offset: 0 }, lacksBeginning: false });
  found?.finish();
});

test("what hundreds of proxies have left is counted in one listing of the folder", () => {
  using folder = spoolFolder();
  mkdirSync(folder.path);
  const owners = 100;
  for (let index = 0; index < owners; index++) {
    const owner = crypto.randomUUID();
    for (const number of [1, 2, 3]) writeFileSync(join(folder.path, `${owner}-00000${number}.spool`), bytes);
    writeFileSync(join(folder.path, `${owner}.cursor`), `${"2".padStart(15, "0")} ${"10".padStart(15, "0")}\n`);
  }
  using listings = spyOn(fs, "readdirSync");
  expect(Journal.waitingBytes(folder.path, undefined)).toBe(owners * (2 * bytes.length - 10));
  expect(listings).toHaveBeenCalledTimes(1);
});
