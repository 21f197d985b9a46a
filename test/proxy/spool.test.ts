import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeEntry, encodeEntry } from "../../src/proxy/entry.ts";
import type { Entry } from "../../src/proxy/entry.ts";
import { Segment, Spool } from "../../src/proxy/spool.ts";
import { quiet } from "../support/postgres.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dewey-spool-"));
  folders.push(folder);
  return join(folder, "spool");
}

const entry = (sequence: number, frame: string): Entry => ({
  kind: "frame",
  session: "s",
  sequence,
  direction: "up",
  time: 1,
  frame,
});
const append = (spool: Spool, one: Entry) => new Promise<boolean>((resolve) => spool.append(one, resolve));

describe("an entry", () => {
  test("comes back as it was, whatever is in its frame", () => {
    for (const frame of ["", "{}", "a\nb\r\n\u0000", "é漢🙂", "z".repeat(2_000_000)]) {
      const bytes = encodeEntry(entry(1, frame));
      expect(decodeEntry(bytes, 0)).toEqual({ entry: entry(1, frame), next: bytes.length });
    }
    const close: Entry = { kind: "close", session: "s", sequence: 2, time: 3, reason: "bye" };
    expect(decodeEntry(encodeEntry(close), 0)?.entry).toEqual(close);
  });

  test("that is torn at any byte, or changed in any, is not taken for one", () => {
    const bytes = encodeEntry(entry(1, '{"jsonrpc":"2.0"}'));
    for (let length = 0; length < bytes.length; length++)
      expect(decodeEntry(bytes.subarray(0, length), 0)).toBeUndefined();
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(decodeEntry(changed, 0)).toBeUndefined();
    }
  });
});

describe("a segment", () => {
  test("gives back its whole entries up to where it is torn", () => {
    const folder = newFolder();
    const written = Segment.create(folder);
    const entries = [entry(1, "first"), entry(2, "second"), entry(3, "third")];
    for (const one of entries) written.append(encodeEntry(one));
    const bytes = readFileSync(written.file);
    written.release();
    const [one, two] = [encodeEntry(entries[0] as Entry).length, encodeEntry(entries[1] as Entry).length];
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(written.file, bytes.subarray(0, length));
      const [found] = Segment.adopt(folder);
      const whole = length === bytes.length ? 3 : length >= one + two ? 2 : length >= one ? 1 : 0;
      expect(found?.read(0).entries).toEqual(entries.slice(0, whole));
      found?.release();
    }
  });

  test("is read in pieces, also where an entry is larger than a piece", () => {
    const segment = Segment.create(newFolder());
    const entries = [
      entry(1, "a"),
      entry(2, "b".repeat(3_000_000)),
      entry(3, "c".repeat(900_000)),
      entry(4, "d".repeat(900_000)),
    ];
    for (const one of entries) segment.append(encodeEntry(one));
    const read: Entry[] = [];
    for (let offset = 0; offset < segment.bytes;) {
      const piece = segment.read(offset);
      read.push(...piece.entries);
      offset = piece.next;
    }
    expect(read).toEqual(entries);
    segment.remove();
  });

  test("belongs to one while it lives, and to the next when that one is no more", () => {
    const folder = newFolder();
    const mine = Segment.create(folder);
    expect(Segment.adopt(folder)).toEqual([]);
    mine.append(encodeEntry(entry(1, "left")));
    mine.release();
    const [found] = Segment.adopt(folder);
    expect(found?.read(0).entries).toEqual([entry(1, "left")]);
    expect(Segment.adopt(folder)).toEqual([]);
    found?.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("is nobody else's business", () => {
    const folder = newFolder();
    const segment = Segment.create(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(segment.file).mode & 0o777).toBe(0o600);
    segment.remove();
  });
});

describe("the spool", () => {
  test("writes what comes in one turn with one append, before it lets any of it go on", async () => {
    const folder = newFolder();
    let appends = 0;
    const spool = new Spool(folder, quiet, () => (appends += 1));
    const passed: number[] = [];
    await Promise.all(
      [1, 2, 3].map((sequence) =>
        append(spool, entry(sequence, `frame ${sequence}`)).then((written) => {
          expect(written).toBe(true);
          expect(readFileSync(spool.segment?.file ?? "", "utf8")).toContain(`frame ${sequence}`);
          passed.push(sequence);
        }),
      ),
    );
    expect([passed, appends]).toEqual([[1, 2, 3], 1]);
    spool.segment?.remove();
  });

  test("lets frames go on when it cannot write, counts them, and writes again when it can", async () => {
    const folder = newFolder();
    // A file in the place of the folder refuses like a full disk does.
    writeFileSync(folder, "");
    const spool = new Spool(folder, quiet, () => {});
    expect(await append(spool, entry(1, "lost"))).toBe(false);
    expect(spool.lostFrames).toBe(1);
    rmSync(folder);
    expect(await append(spool, entry(2, "kept"))).toBe(true);
    expect(spool.segment?.read(0).entries).toEqual([entry(2, "kept")]);
    spool.segment?.remove();
  });

  test("leaves nothing of an append that failed half-way", async () => {
    // A limit on the size of files makes a write fail in the middle; it holds for a whole process.
    const folder = newFolder();
    const script = join(import.meta.dir, "../support/spool-host.ts");
    const child = Bun.spawnSync(
      ["sh", "-c", `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`, process.execPath, script, folder],
      { stdout: "pipe", stderr: "inherit" },
    );
    expect(JSON.parse(child.stdout.toString())).toEqual([true, false, true]);
    const [found] = Segment.adopt(folder);
    expect(found?.read(0).entries).toMatchObject([{ sequence: 1 }, { sequence: 3 }]);
    found?.remove();
  });
});
