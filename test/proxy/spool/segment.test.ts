import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
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

/** A file of entries, and where each of them ends. */
function written(entries: Entry[]): number[] {
  const encoded = entries.map(encodeEntry);
  writeFileSync(file, Buffer.concat(encoded));
  let end = 0;
  return encoded.map((bytes) => (end += bytes.length));
}

/** Everything that can be read of the file, as the reader of a journal does it. */
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

  test("that is torn at any byte, or changed in any, is not taken for one, and neither are zeros", () => {
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
  test("gives back its whole entries up to where it is torn, and says what is torn off", () => {
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

  test("that is damaged at any byte gives back every other entry, and says what is lost", () => {
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

  test("in which a disk has put zeros for a whole page gives back what is around it", () => {
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

  test("is read in pieces, also where an entry is larger than a piece", async () => {
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

  test("is nobody else's business, and leaves nothing when it is removed", () => {
    const segment = Segment.create(file);
    segment.append(encodeEntry(entry(1, "secret")));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    segment.remove();
    expect(readdirSync(folder.path)).not.toContain(`${files}`);
  });
});
