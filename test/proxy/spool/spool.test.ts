import { describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeEntry } from "../../../src/proxy/spool/entry.ts";
import type { Entry } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import type { Segment } from "../../../src/proxy/spool/segment.ts";
import { Spool } from "../../../src/proxy/spool/spool.ts";
import { createLog } from "../../../src/log.ts";
import { stopClock } from "../../support/clock.ts";
import { until } from "../../support/rpc.ts";
import { canMount, smallDisk } from "../../support/small-disk.ts";
import { frameEntry, sessionOpen, spoolFolder, spoolOptions } from "../../support/spool-folder.ts";

const append = (spool: Spool, open: ReturnType<typeof sessionOpen>, sequence: number, frame = "frame") =>
  new Promise<void>((passed) => spool.append({ open, entry: frameEntry(open.session, sequence, frame), pass: passed }));
const close = (spool: Spool, open: ReturnType<typeof sessionOpen>, sequence: number) =>
  new Promise<void>((passed) => {
    const entry = { kind: "close", session: open.session, sequence, time: 1_767_225_700_000, reason: "bye" } as const;
    spool.append({ open, entry, pass: passed });
  });

/** The entries of a journal's first segment after its state. */
function entriesOf(journal: Journal | undefined): Entry[] {
  const entries =
    journal
      ?.segment(1)
      ?.read(0)
      .entries.map((each) => each.entry) ?? [];
  expect(entries.shift()).toEqual({ kind: "state", sessions: [] });
  return entries;
}

/** Every entry of a segment, however large it is. */
function allEntriesOf(segment: Segment | undefined): Entry[] {
  const entries: Entry[] = [];
  const { bytes = 0 } = segment ?? {};
  for (let offset = 0; offset < bytes;) {
    const part = segment?.read(offset);
    entries.push(...(part?.entries.map(({ entry }) => entry) ?? []));
    offset = part?.next ?? bytes;
  }
  return entries;
}

describe("the spool", () => {
  test("appends all entries of one turn with one write, before their frames go on", async () => {
    using folder = spoolFolder();
    let appends = 0;
    const spool = new Spool(spoolOptions(folder.path, { onAppend: () => (appends += 1) }));
    const [one, other] = [sessionOpen(), sessionOpen()];
    const passed: string[] = [];
    const frames: [typeof one, number][] = [
      [one, 1],
      [other, 1],
      [one, 2],
    ];
    await Promise.all(
      frames.map(async ([open, sequence]) => {
        const frame = `frame ${sequence} of ${open.session}`;
        await append(spool, open, sequence, frame);
        expect(readFileSync(spool.journal?.current?.file ?? "", "utf8")).toContain(frame);
        passed.push(frame);
      }),
    );
    expect(passed).toEqual(frames.map(([open, sequence]) => `frame ${sequence} of ${open.session}`));
    expect(appends).toBe(1);
    expect(entriesOf(spool.journal).map((entry) => entry.kind)).toEqual(["open", "frame", "open", "frame", "frame"]);
    expect(spool.entries).toBe(6);
    spool.journal?.finish();
  });

  test.each([false, true])("lets a frame go on although one before it fails (sync %p)", async (sync) => {
    using folder = spoolFolder();
    const lines: string[] = [];
    const log = createLog({ level: "error", format: "json", write: (line) => lines.push(line) });
    const spool = new Spool(spoolOptions(folder.path, { sync, log }));
    const [one, other] = [sessionOpen(), sessionOpen()];
    const pass = () => {
      throw new Error("odd");
    };
    spool.append({ open: one, entry: frameEntry(one.session, 1, "odd"), pass });
    await append(spool, other, 1);
    expect(lines).toEqual([expect.stringMatching(new RegExp(`failed on a frame.*${one.session}.*odd`)) as string]);
    expect(entriesOf(spool.journal)).toHaveLength(4);
    spool.journal?.finish();
  });

  test.skipIf(!canMount)(
    "lets frames go on when the disk is full, and marks one gap per session afterwards",
    async () => {
      using disk = smallDisk(64);
      const spool = new Spool(spoolOptions(join(disk.path, "spool")));
      const [before, during, ended] = [sessionOpen(), sessionOpen(), sessionOpen()];
      await append(spool, before, 1, "small");
      disk.fill();
      // The current page has room for a few more.
      let kept = 0;
      for (let next = 2; spool.failure === undefined; next++) {
        kept = next - 1;
        await append(spool, before, next, "small");
      }
      await append(spool, before, kept + 2, "small");
      await append(spool, during, 1, "small");
      await append(spool, ended, 1, "small");
      await close(spool, ended, 2);
      expect(spool).toMatchObject({ lostFrames: 4, lostBytes: 20, failure: expect.stringContaining("ENOSPC") });
      disk.free();
      // No further frame is needed.
      await until("the gaps", () => spool.failure === undefined);
      await append(spool, before, kept + 3, "kept again");
      const gap = (open: typeof before, sequence: number, frames: number): Entry => ({
        kind: "gap",
        session: open.session,
        sequence,
        time: 1_767_225_600_000 + sequence,
        fromTime: 1_767_225_600_000 + sequence - frames + 1,
        frames,
        bytes: frames * 5,
      });
      expect(entriesOf(spool.journal).slice(kept)).toEqual([
        frameEntry(before.session, kept, "small"),
        gap(before, kept + 2, 2),
        during,
        gap(during, 1, 1),
        ended,
        gap(ended, 1, 1),
        { kind: "close", session: ended.session, sequence: 2, time: 1_767_225_700_000, reason: "bye" },
        frameEntry(before.session, kept + 3, "kept again"),
      ]);
      spool.close();
      spool.journal?.finish();
    },
  );

  test.skipIf(!canMount)("lets frames go on while its folder is read-only, and records afterwards", async () => {
    using disk = smallDisk(64);
    disk.readOnly(true);
    const spool = new Spool(spoolOptions(join(disk.path, "spool")));
    const open = sessionOpen();
    await append(spool, open, 1, "gone");
    expect(spool).toMatchObject({ lostFrames: 1, failure: expect.stringContaining("EROFS") });
    disk.readOnly(false);
    await until("the gap", () => spool.failure === undefined);
    expect(entriesOf(spool.journal)).toMatchObject([{ kind: "open" }, { kind: "gap", frames: 1, bytes: 4 }]);
    spool.close();
    spool.journal?.finish();
  });

  test("keeps its entries and refuses new ones when it reaches its size or age limit", async () => {
    using folder = spoolFolder();
    let waiting = { bytes: 0, oldestTime: undefined as number | undefined };
    const spool = new Spool(
      spoolOptions(folder.path, { limits: { bytes: 10_000, ageMs: 1000 }, waiting: () => waiting }),
    );
    const open = sessionOpen();
    await append(spool, open, 1);
    waiting = { bytes: 9_900, oldestTime: undefined };
    await append(spool, open, 2);
    expect(spool.failure).toContain("DEWEY_SPOOL_MAX_MB");
    waiting = { bytes: 100, oldestTime: Date.now() - 2000 };
    await append(spool, open, 3);
    expect(spool.failure).toContain("DEWEY_SPOOL_MAX_DAYS");
    waiting = { bytes: 100, oldestTime: Date.now() };
    await append(spool, open, 4);
    expect([spool.failure, spool.lostFrames]).toEqual([undefined, 2]);
    expect(entriesOf(spool.journal).map((entry) => [entry.kind, "frames" in entry && entry.frames])).toEqual([
      ["open", false],
      ["frame", false],
      ["gap", 2],
      ["frame", false],
    ]);
    spool.close();
    spool.journal?.finish();
  });

  test("counts other processes' entries in the folder", async () => {
    using folder = spoolFolder();
    const other = Journal.create(folder.path);
    other.begin({ kind: "state", sessions: [] }).append(Buffer.alloc(20_000));
    const spool = new Spool(spoolOptions(folder.path, { limits: { bytes: 10_000, ageMs: 1e12 } }));
    await append(spool, sessionOpen(), 1);
    expect(spool.failure).toContain("DEWEY_SPOOL_MAX_MB");
    spool.close();
    other.finish();
  });

  test("syncs before frames go on if told so, and writes entries that arrive during a sync together", async () => {
    using folder = spoolFolder();
    let appends = 0;
    const spool = new Spool(spoolOptions(folder.path, { sync: true, onAppend: () => (appends += 1) }));
    const open = sessionOpen();
    const passed: number[] = [];
    const all = Array.from({ length: 20 }, async (_, index) => {
      // One per turn of the event loop.
      for (let turn = 0; turn < index; turn++) await new Promise(setImmediate);
      await append(spool, open, index + 1);
      passed.push(index + 1);
    });
    await Promise.all(all);
    expect(passed).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(appends).toBeLessThan(20);
    spool.close();
    spool.journal?.finish();
  });

  test("rolls back an append that the disk refused halfway, and can be read by others after a kill", () => {
    using folder = spoolFolder();
    const script = join(import.meta.dir, "../../support/spool-host.ts");
    // A file size limit makes a write fail halfway. It applies to a whole process.
    const child = Bun.spawnSync(
      ["sh", "-c", `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`, process.execPath, script, folder.path],
      { stdout: "pipe", stderr: "inherit" },
    );
    expect(JSON.parse(child.stdout.toString())).toEqual([0, 1, 1]);
    const [owner = ""] = Journal.owners(folder.path);
    const journal = Journal.adopt(folder.path, owner);
    expect(entriesOf(journal)).toMatchObject([
      { kind: "open" },
      { kind: "frame", sequence: 1 },
      { kind: "gap", sequence: 2, frames: 1, bytes: 10_000_000 },
      { kind: "frame", sequence: 3 },
    ]);
    journal?.finish();
  });

  test("keeps its size limit to the byte, including the entries being written", async () => {
    const open = sessionOpen();
    const bytes = [open, frameEntry(open.session, 1, "frame")].reduce((sum, each) => sum + encodeEntry(each).length, 0);
    for (const [limit, isLost] of [
      [1000 + bytes, false],
      [1000 + bytes - 1, true],
    ] as const) {
      using folder = spoolFolder();
      const spool = new Spool(
        spoolOptions(folder.path, {
          limits: { bytes: limit, ageMs: 1e12 },
          waiting: () => ({ bytes: 1000, oldestTime: undefined }),
        }),
      );
      await append(spool, open, 1);
      expect(spool.failure !== undefined).toBe(isLost);
      spool.close();
      spool.journal?.finish();
    }
  });

  test("scans the folder for other processes' entries every ten seconds", async () => {
    using clock = stopClock();
    using folder = spoolFolder();
    const spool = new Spool(spoolOptions(folder.path, { limits: { bytes: 10_000, ageMs: 1e12 } }));
    const open = sessionOpen();
    await append(spool, open, 1);
    const other = Journal.create(folder.path);
    other.begin({ kind: "state", sessions: [] }).append(Buffer.alloc(20_000));
    await clock.pass(9990, 10);
    await append(spool, open, 2);
    expect(spool.failure).toBeUndefined();
    await clock.pass(20, 10);
    await append(spool, open, 3);
    expect(spool.failure).toContain("DEWEY_SPOOL_MAX_MB");
    // This process's own journal is not counted twice.
    other.finish();
    await clock.pass(11_100, 10);
    expect(spool.failure).toBeUndefined();
    spool.close();
    spool.journal?.finish();
  });

  test("retries a failed write every second until it succeeds", async () => {
    using clock = stopClock();
    using folder = spoolFolder();
    let oldestTime: number | undefined = 0;
    let asked = 0;
    let appends = 0;
    const spool = new Spool(
      spoolOptions(folder.path, {
        limits: { bytes: 1e12, ageMs: 1000 },
        onAppend: () => (appends += 1),
        waiting() {
          asked += 1;
          return { bytes: 0, oldestTime };
        },
      }),
    );
    const open = sessionOpen();
    await append(spool, open, 1);
    expect([asked, spool.lostFrames]).toEqual([1, 1]);
    await clock.pass(3010, 10);
    expect([asked, appends]).toEqual([4, 0]);
    oldestTime = undefined;
    await clock.pass(1000, 10);
    expect([asked, appends, spool.failure]).toEqual([5, 1, undefined]);
    await clock.pass(5000, 10);
    expect(asked).toBe(5);
    expect(entriesOf(spool.journal)).toMatchObject([{ kind: "open" }, { kind: "gap", sequence: 1 }]);
    spool.close();
    spool.journal?.finish();
  });

  test("marks the losses of ten thousand sessions, and counts those of all", async () => {
    using folder = spoolFolder();
    let oldestTime: number | undefined = 0;
    const spool = new Spool(
      spoolOptions(folder.path, {
        limits: { bytes: 1e12, ageMs: 1000 },
        waiting: () => ({ bytes: 0, oldestTime }),
      }),
    );
    const sessions = Array.from({ length: 10_001 }, (_, index) => sessionOpen(`s${index}`));
    await Promise.all(sessions.map((open) => append(spool, open, 1)));
    await append(spool, sessions[0] ?? sessionOpen(), 2);
    await append(spool, sessions[10_000] ?? sessionOpen(), 2);
    expect(spool.lostFrames).toBe(10_003);
    oldestTime = undefined;
    await append(spool, sessions[10_000] ?? sessionOpen(), 3);
    const entries = allEntriesOf(spool.journal?.current);
    const gaps = entries.filter((entry) => entry.kind === "gap");
    expect(gaps).toHaveLength(10_000);
    expect(gaps[0]).toMatchObject({ session: "s0", frames: 2 });
    expect(entries.slice(-2)).toMatchObject([
      { kind: "open", session: "s10000" },
      { kind: "frame", session: "s10000", sequence: 3 },
    ]);
    expect(spool.entries).toBe(entries.length);
    spool.close();
    spool.journal?.finish();
  });

  describe("a segment of 8 MB", () => {
    const large = "x".repeat(1024 * 1024);
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}';

    test("is followed by another, which begins with the state of open sessions and calls", async () => {
      using folder = spoolFolder();
      const spool = new Spool(spoolOptions(folder.path));
      const [open, over] = [sessionOpen(), sessionOpen()];
      await append(spool, open, 1, call);
      await append(spool, over, 1);
      await close(spool, over, 2);
      for (let sequence = 2; sequence <= 9; sequence++) await append(spool, open, sequence, large);
      const { journal } = spool;
      expect([journal?.current, journal?.segment(1)?.bytes]).toEqual([journal?.segment(1), expect.any(Number)]);
      expect(journal?.segment(1)?.bytes).toBeGreaterThan(8 * 1024 * 1024);
      await append(spool, open, 10);
      expect(journal?.current).toBe(journal?.segment(2));
      const [state, frame, ...rest] = journal?.current?.read(0).entries.map(({ entry }) => entry) ?? [];
      expect(state).toMatchObject({
        kind: "state",
        sessions: [{ open, lastSequence: 9, calls: [["up 1", { method: "tools/call", tool: "slow" }]] }],
      });
      expect([frame, rest]).toEqual([frameEntry(open.session, 10, "frame"), []]);
      spool.close();
      journal?.finish();
    });

    test("grows on when the next one cannot be begun, which is retried after another 8 MB", async () => {
      using folder = spoolFolder();
      const log: string[] = [];
      const spool = new Spool(
        spoolOptions(folder.path, {
          log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
        }),
      );
      const open = sessionOpen();
      for (let sequence = 1; sequence <= 8; sequence++) await append(spool, open, sequence, large);
      const { openSync } = fs;
      using opens = spyOn(fs, "openSync");
      let refused = 0;
      opens.mockImplementation(((path: string, ...rest: [string]) => {
        if (!path.endsWith("-000002.spool")) return openSync(path, ...rest);
        refused += 1;
        throw new Error("EMFILE");
      }) as typeof fs.openSync);
      for (let sequence = 9; sequence <= 17; sequence++) await append(spool, open, sequence, large);
      expect([refused, spool.lostFrames, log.length]).toEqual([2, 0, 2]);
      opens.mockRestore();
      for (let sequence = 18; sequence <= 25; sequence++) await append(spool, open, sequence, large);
      expect(spool.journal?.current).toBe(spool.journal?.segment(2));
      spool.close();
      spool.journal?.finish();
    });
  });

  test("writes pending entries on close, and passes later frames unrecorded", async () => {
    using folder = spoolFolder();
    let appends = 0;
    const spool = new Spool(spoolOptions(folder.path, { onAppend: () => (appends += 1) }));
    const open = sessionOpen();
    const last = append(spool, open, 1);
    spool.close();
    await last;
    await append(spool, open, 2);
    expect([entriesOf(spool.journal).length, spool.lostFrames, appends]).toEqual([2, 0, 1]);
    spool.journal?.finish();
  });

  test("marks losses on close, and logs an error if that fails too", async () => {
    using folder = spoolFolder();
    for (const isLost of [false, true]) {
      const log: string[] = [];
      let oldestTime: number | undefined = 0;
      const spool = new Spool(
        spoolOptions(folder.path, {
          limits: { bytes: 1e12, ageMs: 1000 },
          waiting: () => ({ bytes: 0, oldestTime }),
          log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
        }),
      );
      const open = sessionOpen();
      await append(spool, open, 1);
      await append(spool, open, 2);
      expect(log.filter((line) => line.includes("cannot be recorded"))).toHaveLength(1);
      if (!isLost) oldestTime = undefined;
      spool.close();
      if (isLost) expect(log.at(-1)).toMatch(/gap could not be marked.*"sessions":1,"frames":2/);
      else expect(entriesOf(spool.journal)).toMatchObject([{ kind: "open" }, { kind: "gap", frames: 2 }]);
      expect(log.filter((line) => line.includes("recording resumed"))).toHaveLength(isLost ? 0 : 1);
      spool.journal?.finish();
    }
  });

  test("lets frames go on when fdatasync fails, and logs it", async () => {
    using folder = spoolFolder();
    const log: string[] = [];
    const spool = new Spool(
      spoolOptions(folder.path, {
        sync: true,
        log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
      }),
    );
    using folders = spyOn(fs, "fsyncSync");
    using syncs = spyOn(fs, "fdatasync");
    syncs.mockImplementation(((_descriptor: number, done: (error: Error | null) => void) =>
      setImmediate(() => done(new Error("EIO")))) as unknown as typeof fs.fdatasync);
    const open = sessionOpen();
    await append(spool, open, 1);
    expect([syncs, folders].map((spy) => spy.mock.calls.length)).toEqual([1, 1]);
    expect(log.join("")).toMatch(/fdatasync failed.*EIO/);
    await append(spool, open, 2);
    // The folder is synced once per segment.
    expect([syncs, folders].map((spy) => spy.mock.calls.length)).toEqual([2, 1]);
    expect(spool.failure).toBeUndefined();
    spool.close();
    spool.journal?.finish();
  });

  test("writes entries that wait for a sync on close, without waiting for the disk", async () => {
    using folder = spoolFolder();
    const spool = new Spool(spoolOptions(folder.path, { sync: true }));
    using syncs = spyOn(fs, "fdatasync");
    syncs.mockImplementation((() => {}) as unknown as typeof fs.fdatasync);
    const open = sessionOpen();
    void append(spool, open, 1);
    await until("the sync to begin", () => syncs.mock.calls.length === 1);
    const waiting = append(spool, open, 2);
    spool.close();
    await waiting;
    expect(entriesOf(spool.journal)).toMatchObject([{ kind: "open" }, { sequence: 1 }, { sequence: 2 }]);
    expect(syncs).toHaveBeenCalledTimes(1);
    spool.journal?.finish();
  });
});
