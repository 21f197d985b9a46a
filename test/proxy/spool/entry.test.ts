import { describe, expect, test } from "bun:test";
import { EntryBuffer, HEADER_BYTES, decodeEntry, encodeEntry, entryBytes } from "../../../src/proxy/spool/entry.ts";
import type { Entry } from "../../../src/proxy/spool/entry.ts";
import { frameEntry, sessionOpen } from "../../support/spool-folder.ts";

const open = sessionOpen("s");
const all: Entry[] = [
  open,
  { ...open, sessionKey: "a key" },
  { ...frameEntry("s", 1, "{}"), claimed: true },
  frameEntry("s", 2, "two\nlines"),
  { kind: "gap", session: "s", sequence: 3, time: 2, fromTime: 1, frames: 7, bytes: 70 },
  { kind: "close", session: "s", sequence: 4, time: 3, reason: "bye" },
  {
    kind: "state",
    sessions: [
      {
        open,
        begun: true,
        lastSequence: 1,
        lastTime: 2,
        hasGap: false,
        calls: [["up 1", { method: "ping", time: 1 }]],
      },
    ],
  },
];

describe("an entry of every kind", () => {
  test("is decoded as it was encoded, one after another", () => {
    const bytes = Buffer.concat(all.map(encodeEntry));
    let offset = 0;
    for (const entry of all) {
      expect(entryBytes(bytes, offset)).toBe(encodeEntry(entry).length);
      const found = decodeEntry(bytes, offset);
      expect(found?.entry).toStrictEqual(entry);
      offset = found?.next ?? 0;
    }
    expect(offset).toBe(bytes.length);
  });

  test("has a size as soon as its header is complete", () => {
    const bytes = encodeEntry(open);
    expect(entryBytes(bytes.subarray(0, HEADER_BYTES - 1), 0)).toBeUndefined();
    expect(entryBytes(bytes.subarray(0, HEADER_BYTES), 0)).toBe(bytes.length);
  });

  test("is rejected when its checksum is right and its JSON is not", () => {
    const payload = Buffer.from("no JSON");
    const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
    bytes.writeUInt32BE(payload.length, 0);
    bytes.writeUInt32BE(Bun.hash.crc32(payload), 4);
    payload.copy(bytes, HEADER_BYTES);
    expect(decodeEntry(bytes, 0)).toBeUndefined();
  });
});

describe("a buffer", () => {
  test("holds the entries added since it was cleared, however large", () => {
    const buffer = new EntryBuffer();
    for (let round = 0; round < 3; round++) {
      const added: Entry[] = [];
      for (let sequence = 1; sequence <= 200; sequence++) {
        const entry = frameEntry("s", sequence, "é漢🙂".repeat(sequence * (round + 1)));
        added.push(entry);
        buffer.add(entry);
      }
      expect(buffer.count).toBe(200);
      expect(buffer.bytes.equals(Buffer.concat(added.map(encodeEntry)))).toBe(true);
      buffer.clear();
      expect([buffer.count, buffer.bytes.length]).toEqual([0, 0]);
    }
  });

  /** How much memory a buffer has taken. */
  const memoryOf = (buffer: EntryBuffer) => buffer.bytes.buffer.byteLength;

  test("keeps up to 1 MiB of memory when it is cleared", () => {
    const buffer = new EntryBuffer();
    buffer.add(frameEntry("s", 1, "x".repeat(500_000)));
    buffer.clear();
    expect(memoryOf(buffer)).toBeWithin(500_000, 600_000);
    buffer.add(frameEntry("s", 1, "x".repeat(5_000_000)));
    expect(memoryOf(buffer)).toBeGreaterThan(5_000_000);
    buffer.clear();
    expect(memoryOf(buffer)).toBe(1024 * 1024);
  });

  test("reserves exactly what a long text needs, and doubles when it grows", () => {
    const buffer = new EntryBuffer();
    buffer.add(frameEntry("s", 1, "x".repeat(100_000)));
    expect(memoryOf(buffer)).toBeWithin(100_000, 101_000);
    buffer.add(frameEntry("s", 2, "x"));
    expect(memoryOf(buffer)).toBeWithin(200_000, 202_000);
  });
});
