import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createLog } from "../../../src/log.ts";
import { Courier } from "../../../src/proxy/delivery/courier.ts";
import { Outbox } from "../../../src/proxy/delivery/outbox.ts";
import { Suspects } from "../../../src/proxy/delivery/suspects.ts";
import { SetAside } from "../../../src/proxy/delivery/set-aside.ts";
import { encodeEntry } from "../../../src/proxy/spool/entry.ts";
import type { Entry } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import { Ledger } from "../../../src/proxy/spool/ledger.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";
import { ScriptedStore } from "../../support/scripted-store.ts";
import { frameEntry, sessionOpen, spoolFolder } from "../../support/spool-folder.ts";

let folder: ReturnType<typeof spoolFolder>;
let journal: Journal;
let store: ScriptedStore;
let outbox: Outbox;
let damaged: number;
let log: string[];
beforeEach(() => {
  folder = spoolFolder();
  mkdirSync(folder.path);
  journal = Journal.create(folder.path);
  store = new ScriptedStore();
  outbox = new Outbox({
    client: store,
    setAside: new SetAside(folder.path),
    suspects: new Suspects(folder.path, Infinity),
    log: quiet,
  });
  damaged = 0;
  log = [];
});
afterEach(() => {
  outbox.stop();
  journal.finish();
  folder[Symbol.dispose]();
});

const courierOf = (of = journal) =>
  new Courier({
    journal: of,
    outbox,
    log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
    onDamage: (bytes) => (damaged += bytes),
  });

const [one, other] = [sessionOpen("one"), sessionOpen("other")];
const call = (session: string, sequence: number, name: string) =>
  frameEntry(
    session,
    sequence,
    JSON.stringify({ jsonrpc: "2.0", id: sequence, method: "tools/call", params: { name } }),
  );
const unspoken = (session: string, sequence: number) => frameEntry(session, sequence, '{"jsonrpc":"2.0","method":"n"}');

/** Writes entries to the journal's last segment; returns where each ends. */
function write(...entries: Entry[]): number[] {
  const segment = journal.current ?? journal.begin({ kind: "state", sessions: [] });
  return entries.map((entry) => {
    segment.append(encodeEntry(entry));
    return segment.bytes;
  });
}

const cursor = () => {
  const [segment, offset] = readFileSync(`${folder.path}/${journal.owner}.cursor`, "latin1").trim().split(" ");
  return { segment: Number(segment), offset: Number(offset) };
};
const all = 1e9;
const said = (conversation: string) => store.contentsOf(conversation);

describe("delivering a journal", () => {
  test("sends its records in order, moves the cursor to the end, and continues with entries written later", async () => {
    const courier = courierOf();
    expect([courier.isAtEnd, courier.isDelivered, courier.deliveredEntries]).toEqual([true, true, 0]);
    const ends = write(one, call("one", 1, "a"), unspoken("one", 2), call("one", 3, "b"), unspoken("one", 4));
    expect(courier.isAtEnd).toBe(false);
    await courier.read(all);
    expect([courier.isAtEnd, courier.isDelivered, courier.readTime]).toEqual([true, false, call("one", 4, "").time]);
    expect(courier.oldestTime).toBe(call("one", 1, "").time);
    await until("the delivery", () => courier.isDelivered);
    expect(said("one")).toEqual(["a", "b"]);
    expect(cursor()).toEqual({ segment: 1, offset: ends.at(-1) as number });
    expect([courier.deliveredEntries, courier.oldestTime, journal.waitingBytes]).toEqual([6, undefined, 0]);
    write(call("one", 5, "c"));
    expect([courier.isAtEnd, courier.isDelivered]).toEqual([false, false]);
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect([said("one"), courier.deliveredEntries]).toEqual([["a", "b", "c"], 7]);
  });

  test("moves the cursor only past entries before which everything is delivered", async () => {
    const gate = Promise.withResolvers<void>();
    // The conversation is begun: its first entry makes three deliveries, and the first of them goes through.
    const isHeld = (call: { conversation: string; contents: string[] }) =>
      call.conversation === "one" && call.contents.length > 0;
    store.answer = (call) => (isHeld(call) ? gate.promise : undefined);
    const courier = courierOf();
    const ends = write(
      other,
      call("other", 1, "x"),
      unspoken("other", 2),
      one,
      call("one", 1, "a"),
      call("other", 3, "y"),
    );
    await courier.read(all);
    await until("the other's records", () => said("other").length === 2 && !outbox.isQuiet);
    await until("the other call", () => store.calls.some(isHeld));
    await until("the cursor", () => cursor().offset === ends[3]);
    expect([courier.isDelivered, courier.deliveredEntries]).toEqual([false, 5]);
    expect(courier.oldestTime).toBe(call("one", 1, "").time);
    gate.resolve();
    await until("the delivery", () => courier.isDelivered);
    expect([cursor().offset, courier.deliveredEntries]).toEqual([ends[5] as number, 7]);
  });

  test("removes each segment once it is delivered, and skips missing numbers", async () => {
    const courier = courierOf();
    const ledger = new Ledger();
    for (const entry of [one, call("one", 1, "a")]) ledger.take(entry);
    write(one, call("one", 1, "a"));
    for (let number = 2; number <= 4; number++) journal.begin(ledger.state());
    write(call("one", 2, "b"));
    journal.segment(3)?.remove();
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect(said("one")).toEqual(["a", "b"]);
    expect([journal.segment(1), journal.segment(2), cursor().segment]).toEqual([undefined, undefined, 4]);
  });

  test("reads about as much as it may, in as many reads as that takes", async () => {
    const courier = courierOf();
    const entries = Array.from({ length: 10 }, (_, index) => call("one", index + 1, `${index}`));
    const large = "x".repeat(300_000);
    const largeEntries = [11, 12, 13, 14, 15].map((sequence) => call("one", sequence, large));
    const ends = write(one, ...entries, ...largeEntries);
    await courier.read(ends[5] ?? 0);
    expect(courier.readTime).toBe(entries[4]?.time as number);
    await courier.read(1);
    expect(courier.readTime).toBe(entries[5]?.time as number);
    await courier.read((ends[14] ?? 0) - (ends[6] ?? 0));
    expect(courier.readTime).toBe(largeEntries[3]?.time as number);
    await courier.read(all);
    expect(courier.isAtEnd).toBe(true);
  });

  test("lets the event loop turn between two reads, since relaying goes first", async () => {
    const courier = courierOf();
    const large = "x".repeat(300_000);
    write(one, ...[1, 2, 3, 4, 5].map((sequence) => call("one", sequence, large)));
    const read: number[] = [];
    let isReading = true;
    const watch = () => {
      read.push(courier.readTime);
      if (isReading) setImmediate(watch);
    };
    setImmediate(watch);
    await courier.read(all);
    isReading = false;
    expect(new Set(read).size).toBeGreaterThan(4);
  });

  /** Fills the memory with large records that the store takes once the gate opens. */
  async function filled() {
    const gate = Promise.withResolvers<void>();
    store.answer = () => gate.promise;
    const courier = courierOf();
    const large = "x".repeat(10_000_000);
    write(one, ...[1, 2, 3, 4, 5, 6].map((sequence) => call("one", sequence, `${sequence}${large}`)));
    const reading = courier.read(all);
    await until("a full outbox", () => outbox.isFull);
    // Reading a record takes one turn of the event loop. In memory it takes its tool's name twice.
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    expect(courier.readTime).toBe(call("one", 2, "").time);
    return { courier, reading, gate };
  }

  test("pauses reading while memory is full", async () => {
    const { courier, reading, gate } = await filled();
    expect(courier.isAtEnd).toBe(false);
    gate.resolve();
    await reading;
    await until("the delivery", () => courier.isDelivered);
    expect(said("one")).toHaveLength(6);
  });

  test("stops reading when the journal is released while memory is full", async () => {
    const { courier, reading, gate } = await filled();
    journal.release();
    gate.resolve();
    await reading;
    expect(courier.readTime).toBe(call("one", 2, "").time);
  });

  test("reads nothing from a released journal", async () => {
    const courier = courierOf();
    write(one, call("one", 1, "a"));
    journal.release();
    await courier.read(all);
    expect([courier.readTime, store.calls]).toEqual([0, []]);
  });
});

describe("a journal that a dead process left", () => {
  /** Leaves the journal like a killed process, and takes it over. */
  function found(): Journal {
    const { owner } = journal;
    journal.release();
    const adopted = Journal.adopt(folder.path, owner);
    if (!adopted) throw new Error("the journal was not found");
    journal = adopted;
    return adopted;
  }

  test("is delivered from its cursor on; earlier entries are read for their state only", async () => {
    const [, delivered = 0] = write(one, call("one", 1, "a"), call("one", 2, "b"));
    journal.deliveredTo({ segment: 1, offset: delivered });
    const courier = courierOf(found());
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect(store.calls.map(({ tool, contents }) => [tool, contents])).toEqual([["dewey_store_messages_bulk", ["b"]]]);
    expect(courier.deliveredEntries).toBe(4);
  });

  test("ends with a close for every open session", async () => {
    write(one, call("one", 1, "a"), other, call("other", 1, "b"));
    write({ kind: "close", session: "other", sequence: 2, time: 1, reason: "bye" });
    const courier = courierOf(found());
    await courier.read(all);
    await courier.finish();
    expect(courier.isDelivered).toBe(true);
    expect(store.calls.filter(({ tool }) => tool === "dewey_update_conversation")).toHaveLength(2);
    expect(said("one")).toEqual(["a", "(no answer: the proxy ended before the session did)"]);
    expect(said("other")).toEqual(["b", "(no answer: bye)"]);
  });

  test("begins its conversations again when its first segment is missing", async () => {
    write(one, call("one", 1, "a"));
    const ledger = new Ledger();
    for (const entry of [one, call("one", 1, "a")]) ledger.take(entry);
    journal.begin(ledger.state());
    write(call("one", 2, "b"));
    journal.segment(1)?.remove();
    const courier = courierOf(found());
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect(store.calls[0]?.tool).toBe("dewey_begin_conversation");
    expect(said("one")).toEqual(["b"]);
  });

  test("loses only its damaged bytes, and the log names the file and the place", async () => {
    const ends = write(one, call("one", 1, "a"), call("one", 2, "b"), call("one", 3, "c"), call("one", 4, "d"));
    const { file } = journal.current ?? { file: "" };
    const bytes = readFileSync(file);
    bytes.fill(0, ends[1], ends[2]);
    writeFileSync(file, bytes.subarray(0, bytes.length - 5));
    const courier = courierOf(found());
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect(said("one")).toEqual(["a", "c"]);
    const [lost, torn] = [(ends[2] ?? 0) - (ends[1] ?? 0), (ends[4] ?? 0) - 5 - (ends[3] ?? 0)];
    expect(damaged).toBe(lost + torn);
    const lines = log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { level: "error", file, offset: ends[1], bytes: lost },
      { level: "warn", file, offset: ends[3], bytes: torn },
    ]);
  });

  test("loses only the segment that is unreadable", async () => {
    const ledger = new Ledger();
    for (const entry of [one, call("one", 1, "a")]) ledger.take(entry);
    write(one, call("one", 1, "a"));
    journal.begin(ledger.state());
    const [size = 0] = write(call("one", 2, "b"));
    ledger.take(call("one", 2, "b"));
    journal.begin(ledger.state());
    write(call("one", 3, "c"));
    const { file } = journal.segment(2) ?? { file: "" };
    const adopted = found();
    rmSync(file);
    const courier = courierOf(adopted);
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect([said("one"), damaged]).toEqual([["a", "c"], size]);
    expect(JSON.parse(log[0] ?? "")).toMatchObject({ level: "error", file, offset: 0 });
  });

  test("loses only the entry that is malformed", async () => {
    const strange = { kind: "state", sessions: "none" } as unknown as Entry;
    write(one, call("one", 1, "a"), strange, call("one", 2, "b"));
    const courier = courierOf(found());
    await courier.read(all);
    await until("the delivery", () => courier.isDelivered);
    expect([said("one"), damaged, courier.deliveredEntries]).toEqual([["a", "b"], encodeEntry(strange).length, 5]);
    expect(JSON.parse(log[0] ?? "")).toMatchObject({ level: "error", kind: "state" });
  });
});
