import { afterEach, beforeEach, expect, test } from "bun:test";
import { encodeEntry } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import { Keeping } from "../../../src/proxy/delivery/keeping.ts";
import { frameEntry, spoolFolder } from "../../support/spool-folder.ts";

const MINUTE_MS = 60_000;

let folder: ReturnType<typeof spoolFolder>;
let journal: Journal;
let keeping: Keeping;
beforeEach(() => {
  folder = spoolFolder();
  journal = Journal.create(folder.path);
  journal.begin({ kind: "state", sessions: [] }).append(encodeEntry(frameEntry("s", 1, "frame")));
  keeping = new Keeping(journal);
});
afterEach(() => {
  journal.finish();
  folder[Symbol.dispose]();
});

const deliver = (offset: number) => journal.deliveredTo({ segment: 1, offset });

test("nothing is kept before a look, nor for a server that cannot tell the history", () => {
  deliver(10);
  expect(journal.isKeeping).toBe(false);
  expect(keeping.looked(undefined, 0)).toBe(false);
  deliver(20);
  expect(journal.isKeeping).toBe(false);
  expect(keeping.looked("a-1", 1)).toBe(false);
  deliver(30);
  expect([journal.isKeeping, journal.kept.offset]).toEqual([true, 20]);
  // The server was replaced with an earlier version.
  expect([keeping.looked(undefined, 2), journal.isKeeping]).toEqual([false, false]);
});

test("what was delivered five minutes before a look that finds the same history is let go", () => {
  keeping.looked("a-1", 0);
  deliver(10);
  for (let minute = 1; minute <= 4; minute++) keeping.looked("a-1", minute * MINUTE_MS);
  deliver(20);
  expect(journal.kept.offset).toBe(0);
  expect(keeping.looked("a-1", 5.5 * MINUTE_MS)).toBe(false);
  expect(journal.kept.offset).toBe(0);
  keeping.looked("a-1", 6.5 * MINUTE_MS);
  expect([journal.kept.offset, journal.isKeeping]).toEqual([10, true]);
  keeping.looked("a-1", 12 * MINUTE_MS);
  expect([journal.kept.offset, journal.isKeeping]).toEqual([20, false]);
});

test("an outage lets nothing go, however long it is", () => {
  keeping.looked("a-1", 0);
  deliver(10);
  keeping.looked("a-1", 10);
  expect(keeping.looked("a-2", 600 * MINUTE_MS)).toBe(true);
  expect(journal.kept.offset).toBe(0);
});

test("another history asks for delivery only where something is kept, and is the journal's from then on", () => {
  keeping.looked("a-1", 0);
  expect([keeping.looked("a-2", 1), journal.history]).toEqual([false, "a-2"]);
  deliver(10);
  expect(keeping.looked("a-2", 2)).toBe(false);
  expect(keeping.looked("b-1", 3)).toBe(true);
});
