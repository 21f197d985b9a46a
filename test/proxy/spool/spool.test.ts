import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Entry } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import { Spool } from "../../../src/proxy/spool/spool.ts";
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

/** What a journal's first segment holds beside the state at its beginning. */
function entriesOf(journal: Journal | undefined): Entry[] {
  const entries =
    journal
      ?.segment(1)
      ?.read(0)
      .entries.map((each) => each.entry) ?? [];
  expect(entries.shift()).toEqual({ kind: "state", sessions: [] });
  return entries;
}

describe("the spool", () => {
  test("writes what comes in one turn with one append, before it lets any of it go on", async () => {
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

  test.skipIf(!canMount)(
    "lets frames go on when the disk is full, and marks one gap a session afterwards",
    async () => {
      using disk = smallDisk(64);
      const spool = new Spool(spoolOptions(join(disk.path, "spool")));
      const [before, during, ended] = [sessionOpen(), sessionOpen(), sessionOpen()];
      await append(spool, before, 1, "small");
      disk.fill();
      // The page that is begun takes a few more.
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
      // Nothing need be relayed for it.
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

  test.skipIf(!canMount)("lets frames go on when its folder is read-only, and begins when it is not", async () => {
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

  test("keeps the oldest when it holds as much, or as old, as it may", async () => {
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

  test("counts what other processes have in the folder", async () => {
    using folder = spoolFolder();
    const other = Journal.create(folder.path);
    other.begin({ kind: "state", sessions: [] }).append(Buffer.alloc(20_000));
    const spool = new Spool(spoolOptions(folder.path, { limits: { bytes: 10_000, ageMs: 1e12 } }));
    await append(spool, sessionOpen(), 1);
    expect(spool.failure).toContain("DEWEY_SPOOL_MAX_MB");
    spool.close();
    other.finish();
  });

  test("asks the disk before a frame goes on, if it is told so, and writes together what comes meanwhile", async () => {
    using folder = spoolFolder();
    let appends = 0;
    const spool = new Spool(spoolOptions(folder.path, { sync: true, onAppend: () => (appends += 1) }));
    const open = sessionOpen();
    const passed: number[] = [];
    const all = Array.from({ length: 20 }, async (_, index) => {
      // A turn of the event loop each.
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

  test("leaves nothing of an append that the disk refused half-way, and is read by others when it was killed", () => {
    using folder = spoolFolder();
    const script = join(import.meta.dir, "../../support/spool-host.ts");
    // A limit on the size of files makes a write fail in the middle; it holds for a whole process.
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
});
