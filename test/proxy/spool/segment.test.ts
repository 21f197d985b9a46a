import { afterAll, beforeEach, describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { fstatSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeEntry, encodeEntry } from "../../../src/proxy/spool/entry.ts";
import type { Entry } from "../../../src/proxy/spool/entry.ts";
import { Segment } from "../../../src/proxy/spool/segment.ts";
import { frameEntry, spoolFolder } from "../../support/spool-folder.ts";

const folder = spoolFolder();
mkdirSync(folder.path);
afterAll(() => folder[Symbol.dispose]());
let files = 0;
let file = "";
beforeEach(() => (file = join(folder.path, `${(files += 1)}`)));

const entry = (sequence: number, frame: string): Entry => frameEntry("s", sequence, frame);

/** Writes a file of entries. Returns the offset at which each ends. */
function written(entries: Entry[]): number[] {
  const encoded = entries.map(encodeEntry);
  writeFileSync(file, Buffer.concat(encoded));
  let end = 0;
  return encoded.map((bytes) => (end += bytes.length));
}

/** Reads the whole file like a reader of journals. */
function readAll(): { entries: Entry[]; damage: { bytes: number; isTail: boolean }[] } {
  const segment = Segment.open(file);
  const entries: Entry[] = [];
  const damage = [];
  for (let offset = 0; offset < segment.bytes;) {
    const piece = segment.read(offset);
    entries.push(...piece.entries.map((each) => each.entry));
    if (piece.damage) damage.push(piece.damage);
    expect(piece.next).toBeGreaterThan(offset);
    offset = piece.next;
  }
  segment.close();
  return { entries, damage };
}

describe("an entry", () => {
  test("comes back as it was, whatever is in its frame", () => {
    for (const frame of ["", "{}", "a\nb\r\n\u0000", "é漢🙂", "z".repeat(2_000_000)]) {
      const bytes = encodeEntry(entry(1, frame));
      expect(decodeEntry(bytes, 0)).toEqual({ entry: entry(1, frame), next: bytes.length });
    }
    const close: Entry = { kind: "close", session: "s", sequence: 2, time: 3, reason: "bye" };
    expect(decodeEntry(encodeEntry(close), 0)?.entry).toEqual(close);
  });

  test("is rejected if torn or changed at any byte, and so are zeros", () => {
    const bytes = encodeEntry(entry(1, '{"jsonrpc":"2.0"}'));
    for (let length = 0; length < bytes.length; length++)
      expect(decodeEntry(bytes.subarray(0, length), 0)).toBeUndefined();
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(decodeEntry(changed, 0)).toBeUndefined();
    }
    expect(decodeEntry(Buffer.alloc(100), 0)).toBeUndefined();
  });
});

describe("a segment", () => {
  test("returns its whole entries up to a torn write, and reports the torn bytes", () => {
    const entries = [entry(1, "first"), entry(2, "second"), entry(3, "third")];
    const ends = written(entries);
    const bytes = readFileSync(file);
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(file, bytes.subarray(0, length));
      const whole = ends.filter((end) => end <= length).length;
      const torn = length - (ends[whole - 1] ?? 0);
      expect(readAll()).toEqual({
        entries: entries.slice(0, whole),
        damage: torn === 0 ? [] : [{ bytes: torn, isTail: true }],
      });
    }
  });

  test("damaged at any byte returns every other entry, and reports the lost bytes", () => {
    const entries = [entry(1, '{"kind":"frame"}'), entry(2, "second"), entry(3, "third")];
    const ends = written(entries);
    const bytes = readFileSync(file);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      writeFileSync(file, changed);
      const hit = ends.findIndex((end) => at < end);
      const size = (ends[hit] ?? 0) - (ends[hit - 1] ?? 0);
      expect(readAll()).toEqual({
        entries: entries.filter((_, index) => index !== hit),
        damage: [{ bytes: size, isTail: hit === 2 }],
      });
    }
  });

  test("with a zeroed page returns the entries around it", () => {
    const entries = Array.from({ length: 400 }, (_, index) => entry(index + 1, "x".repeat(1000)));
    const ends = written(entries);
    const bytes = readFileSync(file);
    bytes.fill(0, 8192, 12_288);
    writeFileSync(file, bytes);
    const { entries: left, damage } = readAll();
    const whole = entries.filter((_, index) => (ends[index] ?? 0) <= 8192 || (ends[index - 1] ?? 0) >= 12_288);
    expect(left).toEqual(whole);
    expect(damage).toEqual([{ bytes: expect.any(Number), isTail: false }]);
  });

  test("is read in parts, even if an entry is larger than a part", async () => {
    const entries = [
      entry(1, "a"),
      entry(2, "b".repeat(3_000_000)),
      entry(3, "c".repeat(900_000)),
      entry(4, "d".repeat(200_000)),
      entry(5, "e".repeat(200_000)),
    ];
    written(entries);
    expect(readAll()).toEqual({ entries, damage: [] });
    const segment = Segment.open(file);
    expect(await segment.count()).toBe(5);
    segment.close();
  });

  test("is readable by its owner only, and leaves nothing when it is removed", () => {
    const segment = Segment.create(file);
    segment.append(encodeEntry(entry(1, "secret")));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { descriptor } = segment;
    segment.remove();
    expect(readdirSync(folder.path)).not.toContain(`${files}`);
    expect(() => fstatSync(descriptor)).toThrow("EBADF");
    // Removing it twice is no error.
    segment.remove();
  });

  test("never replaces an existing file", () => {
    writeFileSync(file, "mine");
    expect(() => Segment.create(file)).toThrow("EEXIST");
  });

  test("is read about as far as asked, at most 256 kB at once, with the end of each entry", () => {
    const entries = Array.from({ length: 3000 }, (_, index) => entry(index + 1, "x".repeat(100)));
    const ends = written(entries);
    const segment = Segment.open(file);
    const little = segment.read(0, 2000);
    expect(little.next).toBeWithin(1700, 2001);
    expect(little.entries.map(({ end }) => end)).toEqual(ends.slice(0, little.entries.length));
    const next = segment.read(little.next, 2000);
    expect(next.entries[0]).toEqual({
      entry: entries[little.entries.length] as Entry,
      end: ends[little.entries.length] as number,
    });
    for (const part of [segment.read(0), segment.read(0, 10_000_000)])
      expect(part.next).toBeWithin(256 * 1024 - 300, 256 * 1024 + 1);
    expect(segment.read(segment.bytes)).toEqual({ entries: [], next: segment.bytes });
    segment.close();
  });

  test("can be read after it was closed, and leaves no open file", () => {
    written([entry(1, "first")]);
    const segment = Segment.open(file);
    expect(segment.read(0).entries).toHaveLength(1);
    const { descriptor } = segment;
    segment.close();
    expect(() => fstatSync(descriptor)).toThrow("EBADF");
    expect(segment.read(0).entries).toHaveLength(1);
    segment.close();
  });

  test("counts its entries up to a torn write", async () => {
    for (const torn of [Buffer.alloc(4), encodeEntry(entry(3, "third")).subarray(0, 20)]) {
      written([entry(1, "first"), entry(2, "second")]);
      writeFileSync(file, torn, { flag: "a" });
      const segment = Segment.open(file);
      // A complete header counts as an entry: the rest of it may be in progress.
      expect(await segment.count()).toBe(torn.length < 8 ? 2 : 3);
      segment.close();
    }
  });

  test("ends with its last complete append, whatever follows in the file", () => {
    const segment = Segment.create(file);
    segment.append(encodeEntry(entry(1, "first")));
    writeFileSync(file, encodeEntry(entry(2, "under way")), { flag: "a" });
    expect(segment.read(0).entries).toHaveLength(1);
    expect(segment.read(segment.bytes)).toEqual({ entries: [], next: segment.bytes });
    segment.close();
  });

  test("is read completely when the system returns short reads", () => {
    written([entry(1, "first"), entry(2, "second")]);
    const { readSync } = fs;
    using reads = spyOn(fs, "readSync");
    reads.mockImplementation(((descriptor: number, into: Uint8Array, at: number, length: number, position: number) =>
      readSync(descriptor, into, at, Math.min(7, length), position)) as typeof fs.readSync);
    expect(readAll()).toEqual({ entries: [entry(1, "first"), entry(2, "second")], damage: [] });
  });

  test("truncated by another program returns the entries that are left", () => {
    const [first = 0, second = 0] = written([entry(1, "first"), entry(2, "second")]);
    const segment = Segment.open(file);
    writeFileSync(file, readFileSync(file).subarray(0, first + 10));
    expect(segment.read(0)).toMatchObject({ entries: [{ entry: entry(1, "first") }], next: first });
    expect(segment.read(first)).toEqual({
      entries: [],
      next: second,
      damage: { bytes: second - first, isTail: true },
    });
    segment.close();
  });

  test("finds the next whole entry after damage of any length", () => {
    const bytes = encodeEntry(entry(1, "whole"));
    for (let length = 256 * 1024 - 40; length < 256 * 1024 + 20; length++) {
      writeFileSync(file, Buffer.concat([Buffer.alloc(length, "x"), bytes]));
      expect(readAll()).toEqual({ entries: [entry(1, "whole")], damage: [{ bytes: length, isTail: false }] });
    }
  });
});

describe("an append", () => {
  const first = encodeEntry(entry(1, "first"));
  const second = encodeEntry(entry(2, "second"));

  test("is complete when the system makes short writes", () => {
    const segment = Segment.create(file);
    const { writeSync } = fs;
    using writes = spyOn(fs, "writeSync");
    writes.mockImplementation(((descriptor: number, bytes: Uint8Array, offset: number) =>
      writeSync(descriptor, bytes, offset, Math.min(5, bytes.length - offset))) as typeof fs.writeSync);
    segment.append(first);
    segment.append(second);
    expect(segment.bytes).toBe(first.length + second.length);
    expect(segment.read(0).entries.map((each) => each.entry)).toEqual([entry(1, "first"), entry(2, "second")]);
    segment.close();
  });

  /** Lets the next append write ten bytes and then fail. */
  function failingWrites() {
    const { writeSync } = fs;
    const writes = spyOn(fs, "writeSync");
    writes.mockImplementationOnce(((descriptor: number, bytes: Uint8Array) =>
      writeSync(descriptor, bytes, 0, 10)) as typeof fs.writeSync);
    writes.mockImplementationOnce(() => {
      throw new Error("ENOSPC");
    });
    return writes;
  }

  test("that fails halfway is rolled back", () => {
    const segment = Segment.create(file);
    segment.append(first);
    using _ = failingWrites();
    expect(() => segment.append(second)).toThrow("ENOSPC");
    expect([segment.bytes, statSync(file).size]).toEqual([first.length, first.length]);
    segment.append(second);
    expect(readAll()).toEqual({ entries: [entry(1, "first"), entry(2, "second")], damage: [] });
    segment.close();
  });

  test("that cannot be rolled back counts as damage, and the next append follows it", () => {
    const segment = Segment.create(file);
    segment.append(first);
    using _ = failingWrites();
    using cuts = spyOn(fs, "ftruncateSync");
    cuts.mockImplementationOnce(() => {
      throw new Error("EIO");
    });
    expect(() => segment.append(second)).toThrow("ENOSPC");
    expect(segment.bytes).toBe(first.length + 10);
    segment.append(second);
    expect(readAll()).toEqual({
      entries: [entry(1, "first"), entry(2, "second")],
      damage: [{ bytes: 10, isTail: false }],
    });
    segment.close();
  });
});
