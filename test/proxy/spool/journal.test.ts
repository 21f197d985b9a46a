import { describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { encodeEntry } from "../../../src/proxy/spool/entry.ts";
import type { StateEntry } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import { frameEntry, spoolFolder } from "../../support/spool-folder.ts";

const nothing: StateEntry = { kind: "state", sessions: [] };
const bytes = encodeEntry(frameEntry("s", 1, "frame"));

/** A journal whose segments differ in size: the first has one entry after its state, the second two, and so on. */
function filled(folder: string, segments: number): Journal {
  const journal = Journal.create(folder);
  for (let number = 1; number <= segments; number++) {
    const segment = journal.begin(nothing);
    for (let count = 1; count <= number; count++) segment.append(bytes);
  }
  return journal;
}

const sizeOf = (journal: Journal, ...numbers: number[]) =>
  numbers.reduce((sum, number) => sum + (journal.segment(number)?.bytes ?? 0), 0);
const named = (folder: string, ending: string) => readdirSync(folder).filter((name) => name.endsWith(ending));

test("a journal has one owner at a time", () => {
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

test("a journal removes delivered segments, and its next owner continues at the cursor", async () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 3);
  const left = sizeOf(mine, 2, 3) - 10;
  expect(mine.waitingBytes).toBe(sizeOf(mine, 1, 2, 3));
  expect(await mine.count()).toBe(2 + 3 + 4);
  mine.deliveredTo({ segment: 2, offset: 10 });
  expect([mine.waitingBytes, mine.segment(1), mine.current]).toEqual([left, undefined, mine.segment(3)]);
  expect(named(folder.path, ".spool")).toHaveLength(2);
  mine.release();
  expect(Journal.waitingBytes(folder.path, undefined)).toBe(left);
  expect(Journal.waitingBytes(folder.path, mine.owner)).toBe(0);
  const found = Journal.adopt(folder.path, mine.owner);
  expect(found).toMatchObject({ start: { segment: 2, offset: 10 }, lacksBeginning: false, waitingBytes: left });
  expect([found?.after(1), found?.after(2), found?.after(3)]).toEqual([2, 3, undefined]);
  found?.deliveredTo({ segment: 3, offset: 0 });
  expect(found?.waitingBytes).toBe(found?.segment(3)?.bytes as number);
  found?.finish();
});

test("an adopted journal is read in the order of its numbers, however the folder lists them", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 3);
  mine.release();
  const listed = readdirSync(folder.path);
  for (const order of [listed.toSorted(), listed.toSorted().toReversed()]) {
    using listing = spyOn(fs, "readdirSync");
    listing.mockImplementationOnce((() => order) as unknown as typeof fs.readdirSync);
    const found = Journal.adopt(folder.path, mine.owner);
    expect([found?.current, found?.after(0)]).toEqual([found?.segment(3), 1]);
    // Only segments before the position are removed.
    found?.deliveredTo({ segment: 1, offset: 10 });
    expect(found?.segment(1)).toBeDefined();
    found?.release();
  }
});

test("the cursor is overwritten as a whole, however many digits it has", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 11);
  const cursor = () => readFileSync(join(folder.path, `${mine.owner}.cursor`), "latin1");
  for (const position of [
    { segment: 9, offset: 123_456_789_012 },
    { segment: 10, offset: 1 },
  ]) {
    mine.deliveredTo(position);
    expect(cursor().trim().split(" ").map(Number)).toEqual([position.segment, position.offset]);
    expect(cursor()).toHaveLength(32);
  }
  mine.finish();
});

test("a released or finished journal writes nothing, and leaves no open file", () => {
  for (const end of ["release", "finish"] as const) {
    using folder = spoolFolder();
    const mine = filled(folder.path, 1);
    const { descriptor } = mine.segment(1) ?? { descriptor: -1 };
    mine.deliveredTo({ segment: 1, offset: 10 });
    mine[end]();
    expect(mine.isClosed).toBe(true);
    expect(() => fstatSync(descriptor)).toThrow("EBADF");
    // Files opened now reuse the descriptors of the closed ones.
    const victims = [1, 2, 3, 4, 5, 6].map((number) => join(folder.path, `victim-${number}`));
    const descriptors = victims.map((victim) => openSync(victim, "w"));
    mine.deliveredTo({ segment: 1, offset: 20 });
    expect(victims.map((victim) => readFileSync(victim, "latin1")).join("")).toBe("");
    for (const each of descriptors) closeSync(each);
    // Ending it twice must not release the next owner's lock.
    const next = Journal.adopt(folder.path, mine.owner);
    mine[end]();
    expect(Journal.adopt(folder.path, mine.owner)).toBeUndefined();
    next?.finish();
  }
});

test("delivered segments that were not removed yet are removed when the journal is adopted", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 3);
  const left = sizeOf(mine, 3) - 10;
  mine.release();
  writeFileSync(join(folder.path, `${mine.owner}.cursor`), `${"3".padStart(15, "0")} ${"10".padStart(15, "0")}\n`);
  const found = Journal.adopt(folder.path, mine.owner);
  expect([found?.waitingBytes, named(folder.path, ".spool").length]).toEqual([left, 1]);
  found?.finish();
});

test("a segment that cannot be begun leaves no file, and the previous one stays current", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 1);
  const before = mine.current;
  using writes = spyOn(fs, "writeSync");
  writes.mockImplementationOnce(() => {
    throw new Error("ENOSPC");
  });
  expect(() => mine.begin(nothing)).toThrow("ENOSPC");
  expect([mine.current, named(folder.path, ".spool").length]).toEqual([before, 1]);
  expect(mine.begin(nothing)).toBe(mine.segment(2) as NonNullable<typeof before>);
  mine.finish();
});

test("adopting a journal that was delivered in the meantime returns nothing and leaves nothing", () => {
  using folder = spoolFolder();
  mkdirSync(folder.path);
  expect(Journal.adopt(folder.path, crypto.randomUUID())).toBeUndefined();
  expect(readdirSync(folder.path)).toEqual([]);
});

test("owners are listed once each, oldest first, and none for a missing folder", () => {
  using folder = spoolFolder();
  expect(Journal.owners(folder.path)).toEqual([]);
  expect(Journal.waitingBytes(`${folder.path}/deeper`, undefined)).toBe(0);
  const journals = [filled(folder.path, 2), filled(folder.path, 1)];
  for (const other of ["set-aside.jsonl", "x-000001.spool", `${crypto.randomUUID()}.spool`])
    writeFileSync(join(folder.path, other), "x");
  expect(Journal.owners(folder.path)).toEqual(journals.map(({ owner }) => owner).toSorted());
  expect(Journal.waitingBytes(folder.path, journals[1]?.owner)).toBe(journals[0]?.waitingBytes as number);
  for (const journal of journals) journal.finish();
});

test("a journal knows whether its first segments are missing", () => {
  for (const removed of [[1], [1, 2], [2]]) {
    using folder = spoolFolder();
    const mine = filled(folder.path, 3);
    mine.release();
    for (const number of removed) unlinkSync(join(folder.path, `${mine.owner}-00000${number}.spool`));
    const found = Journal.adopt(folder.path, mine.owner);
    const isFirst = removed.includes(1);
    expect(found).toMatchObject({
      start: { segment: isFirst ? removed.length + 1 : 1, offset: 0 },
      lacksBeginning: isFirst,
    });
    if (!isFirst) expect(found?.after(1)).toBe(3);
    found?.finish();
  }
});

test("an unreadable cursor means the beginning", () => {
  using folder = spoolFolder();
  const mine = filled(folder.path, 1);
  mine.deliveredTo({ segment: 1, offset: 10 });
  mine.release();
  for (const cursor of ["00000", "7", "1 x\n"]) {
    writeFileSync(join(folder.path, `${mine.owner}.cursor`), cursor);
    const found = Journal.adopt(folder.path, mine.owner);
    expect(found).toMatchObject({ start: { segment: 1, offset: 0 }, lacksBeginning: false });
    found?.release();
  }
});

test("files removed during the count, or shorter than their cursor, count as empty", () => {
  using folder = spoolFolder();
  mkdirSync(folder.path);
  const owner = crypto.randomUUID();
  writeFileSync(join(folder.path, `${owner}-000002.spool`), bytes);
  writeFileSync(join(folder.path, `${owner}.cursor`), `${"2".padStart(15, "0")} ${"99999".padStart(15, "0")}\n`);
  expect(Journal.waitingBytes(folder.path, undefined)).toBe(0);
  using listing = spyOn(fs, "readdirSync");
  listing.mockImplementationOnce((() => [`${owner}-000003.spool`]) as unknown as typeof fs.readdirSync);
  expect(Journal.waitingBytes(folder.path, undefined)).toBe(0);
});

test("the journals of hundreds of proxies are counted with one listing of the folder", () => {
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

describe("what is kept after delivery", () => {
  test("is none where no history of a database is known", () => {
    using folder = spoolFolder();
    const mine = filled(folder.path, 3);
    mine.keepFor(undefined);
    mine.deliveredTo({ segment: 3, offset: 10 });
    expect([mine.isKeeping, mine.kept]).toEqual([false, { segment: 3, offset: 10 }]);
    expect(named(folder.path, ".spool")).toHaveLength(1);
    expect(named(folder.path, ".kept")).toEqual([]);
    mine.finish();
  });

  test("counts as delivered until the journal is rewound, and as undelivered for the next owner then", async () => {
    using folder = spoolFolder();
    const mine = filled(folder.path, 3);
    mine.deliveredTo({ segment: 1, offset: 10 });
    mine.keepFor("a-1");
    mine.deliveredTo({ segment: 3, offset: 20 });
    const left = sizeOf(mine, 3) - 20;
    expect([mine.isKeeping, mine.history, mine.waitingBytes]).toEqual([true, "a-1", left]);
    expect(named(folder.path, ".spool")).toHaveLength(3);
    expect(Journal.waitingBytes(folder.path, undefined)).toBe(left);
    expect([await mine.count(), await mine.count(3)]).toEqual([2 + 3 + 4, 2 + 3]);

    mine.rewind();
    const all = sizeOf(mine, 1, 2, 3) - 10;
    expect([mine.start, mine.isKeeping, mine.waitingBytes]).toEqual([{ segment: 1, offset: 10 }, false, all]);
    mine.release();
    expect(Journal.waitingBytes(folder.path, undefined)).toBe(all);
    const found = Journal.adopt(folder.path, mine.owner);
    expect(found).toMatchObject({ start: { segment: 1, offset: 10 }, history: "a-1", waitingBytes: all });
    found?.finish();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("is known to the next owner, unless it is too old", () => {
    for (const hours of [23, 25]) {
      using folder = spoolFolder();
      const mine = filled(folder.path, 3);
      mine.keepFor("a-1");
      mine.deliveredTo({ segment: 3, offset: 20 });
      mine.release();
      const then = Date.now() / 1000 - hours * 3600;
      utimesSync(join(folder.path, `${mine.owner}.cursor`), then, then);
      const found = Journal.adopt(folder.path, mine.owner);
      expect(found?.start).toEqual({ segment: 3, offset: 20 });
      expect(found?.kept).toEqual(hours === 23 ? { segment: 1, offset: 0 } : { segment: 3, offset: 20 });
      expect(named(folder.path, ".spool")).toHaveLength(hours === 23 ? 3 : 1);
      found?.finish();
    }
  });

  test("is let go of up to a position, never further than delivery, and never taken back", () => {
    using folder = spoolFolder();
    const mine = filled(folder.path, 3);
    mine.keepFor("a-1");
    mine.deliveredTo({ segment: 2, offset: 20 });
    mine.releaseTo({ segment: 2, offset: 10 });
    expect([mine.kept, mine.isKeeping, mine.segment(1)]).toEqual([{ segment: 2, offset: 10 }, true, undefined]);
    mine.releaseTo({ segment: 1, offset: 10 });
    expect(mine.kept).toEqual({ segment: 2, offset: 10 });
    mine.releaseTo({ segment: 3, offset: 10 });
    expect([mine.kept, mine.isKeeping]).toEqual([{ segment: 2, offset: 20 }, false]);
    mine.finish();
  });

  test("takes at most 64 MB of disk", () => {
    using folder = spoolFolder();
    const mine = Journal.create(folder.path);
    mine.keepFor("a-1");
    const megabytes = 15;
    for (let number = 1; number <= 7; number++) mine.begin(nothing).append(Buffer.alloc(megabytes * 1024 * 1024));
    mine.deliveredTo({ segment: 7, offset: 1 });
    expect(mine.kept).toEqual({ segment: 3, offset: 0 });
    expect(named(folder.path, ".spool")).toHaveLength(5);
    mine.finish();
  });

  test("gives way when the disk is full", () => {
    using folder = spoolFolder();
    const mine = filled(folder.path, 2);
    mine.keepFor("a-1");
    mine.deliveredTo({ segment: 1, offset: 20 });
    expect([mine.dropKept(), mine.isKeeping]).toEqual([false, false]);
    mine.deliveredTo({ segment: 2, offset: 20 });
    expect([mine.dropKept(), mine.isKeeping]).toEqual([true, false]);
    expect(named(folder.path, ".spool")).toHaveLength(1);
    mine.finish();
  });
});
