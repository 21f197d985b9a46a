import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from "bun:test";
import { readFileSync, readdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ToolClient } from "../../../src/tool-client.ts";
import { createLog } from "../../../src/log.ts";
import { encodeEntry } from "../../../src/proxy/spool/entry.ts";
import type { SessionOpen, StateEntry } from "../../../src/proxy/spool/entry.ts";
import { Shipper } from "../../../src/proxy/delivery/shipper.ts";
import type { ShipperOptions } from "../../../src/proxy/delivery/shipper.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import type { Store } from "../../../src/store/store.ts";
import { stopClock } from "../../support/clock.ts";
import { testListener } from "../../support/listener.ts";
import { freePort } from "../../support/ports.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";
import { ScriptedStore, away, refusing, take } from "../../support/scripted-store.ts";
import { frameEntry, sessionOpen, spoolFolder } from "../../support/spool-folder.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

let server: Awaited<ReturnType<typeof testListener>>;
let store: Store;
beforeAll(async () => {
  server = await testListener(engine, { store: { maxConnections: 8 } });
  ({ store } = server);
});
afterAll(() => server[Symbol.asyncDispose]());

let folder: ReturnType<typeof spoolFolder>;
let log: string[] = [];
beforeEach(() => {
  folder = spoolFolder();
  log = [];
});
afterEach(() => folder[Symbol.dispose]());

const nowhere = `ws://127.0.0.1:${freePort()}/`;

/** A recorder for a store at `url`. */
function startShipper(
  url = server.url,
  options: Partial<ShipperOptions> = {},
): { shipper: Shipper; client: ToolClient; leave: () => Promise<void> } {
  const client = new ToolClient({ url, deadlineMs: 5000 });
  const shipper = new Shipper({
    folder: folder.path,
    limits: { bytes: 1e12, ageMs: 1e12 },
    sync: false,
    client,
    log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
    ...options,
  });
  shipper.start();
  return {
    shipper,
    client,
    async leave() {
      await shipper.stop(0);
      await client.close();
    },
  };
}

const recordFrame = (shipper: Shipper, open: SessionOpen, sequence: number, frame: string) =>
  new Promise<void>((passed) =>
    shipper.spool.append({ open, entry: frameEntry(open.session, sequence, frame), pass: passed }),
  );

/** Records numbered calls of a session and their answers. */
async function recordCalls(shipper: Shipper, open: SessionOpen, from: number, to: number, text = ""): Promise<void> {
  for (let number = from; number <= to; number++) {
    const asked = { jsonrpc: "2.0", id: number, method: "tools/call", params: { name: `call ${number}` } };
    const answer = {
      jsonrpc: "2.0",
      id: number,
      result: { content: [{ type: "text", text: `answer ${number}${text}` }] },
    };
    await recordFrame(shipper, open, 2 * number - 1, JSON.stringify(asked));
    await recordFrame(shipper, open, 2 * number, JSON.stringify(answer));
  }
}

const pairs = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => [`call ${from + index}`, `answer ${from + index}`]).flat();

async function contents(conversation_id: string): Promise<string[]> {
  return (await store.messages.page({ conversation_id, full: true })).messages.map((message) => message.content);
}

const delivered = (shipper: Shipper) => until("an empty queue", () => shipper.health().queued_bytes === 0);
const segments = () =>
  readdirSync(folder.path)
    .toSorted()
    .filter((name) => name.endsWith(".spool"));
/** One long word: PostgreSQL does not index it, which keeps the tests fast. */
const LONG = "x".repeat(190_000);

describe("the recorder", () => {
  test("mcpproxy-go #1173: delivers while it records, frees disk space as it goes, and leaves nothing behind", async () => {
    const { shipper, leave } = startShipper(server.url, { keptMs: 0, lookIntervalMs: 50 });
    const open = sessionOpen();
    await recordCalls(shipper, open, 1, 60, LONG);
    await delivered(shipper);
    const health = shipper.health();
    expect(health).toMatchObject({ recording: true, queued_records: 0, oldest_age_seconds: null, lost_frames: 0 });
    expect(health).toMatchObject({ delivered_messages: 120, last_error: null, set_aside: 0, set_aside_file: null });
    await until("freed disk space", () => segments().length === 1);
    expect(statSync(join(folder.path, segments()[0] ?? "")).size).toBeLessThan(9_000_000);
    await leave();
    expect(readdirSync(folder.path)).toEqual([]);
    expect((await contents(open.session)).map((content) => content.replace(LONG, ""))).toEqual([...pairs(1, 60)]);
  });

  test("fills several segments while the store is unavailable, and the next recorder delivers them in order", async () => {
    const first = startShipper(nowhere);
    const [one, other] = [sessionOpen(), sessionOpen()];
    for (let number = 1; number <= 110; number++) {
      await recordCalls(first.shipper, one, number, number, LONG);
      await recordCalls(first.shipper, other, number, number);
      await Bun.sleep(2);
    }
    await until("several segments", () => segments().length >= 3);
    const health = first.shipper.health();
    expect(health.last_error).toContain("cannot be reached");
    // The frames, and a few openings and states.
    expect(health.queued_records).toBeWithin(440, 450);
    expect(health.queued_bytes).toBeGreaterThan(20_000_000);
    for (const name of segments()) expect(statSync(join(folder.path, name)).size).toBeLessThan(10_000_000);
    expect(health.oldest_age_seconds).toBeGreaterThan(0);
    await first.leave();

    const second = startShipper();
    await until("an empty folder", () => readdirSync(folder.path).length === 0);
    expect(second.shipper.health()).toMatchObject({ queued_records: 0, queued_bytes: 0, delivered_messages: 440 });
    await second.leave();
    expect(await contents(other.session)).toEqual(pairs(1, 110));
    expect((await contents(one.session)).map((content) => content.replace(LONG, ""))).toEqual(pairs(1, 110));
  });

  test("delivers the segments after one that a person removed, with their sessions and open calls", async () => {
    const first = startShipper(nowhere);
    const open = sessionOpen();
    await recordFrame(
      first.shipper,
      open,
      1,
      '{"jsonrpc":"2.0","id":"open","method":"tools/call","params":{"name":"slow"}}',
    );
    for (let number = 2; segments().length < 2; number++)
      await recordCalls(first.shipper, open, number, number, LONG).then(() => Bun.sleep(2));
    await recordFrame(first.shipper, open, 1_000_001, '{"jsonrpc":"2.0","method":"notifications/x"}');
    await recordFrame(
      first.shipper,
      open,
      1_000_002,
      '{"jsonrpc":"2.0","id":"open","result":{"content":[{"type":"text","text":"at last"}]}}',
    );
    await first.leave();
    unlinkSync(join(folder.path, segments()[0] ?? ""));

    const second = startShipper();
    await until("an empty folder", () => readdirSync(folder.path).length === 0);
    const { messages, metadata } = await store.messages.page({ conversation_id: open.session, full: true });
    expect(messages.at(-1)).toMatchObject({ content: "at last", role: "assistant", metadata: { tool: "slow" } });
    expect(metadata).toMatchObject({
      started_at: expect.any(String),
      ended_at: expect.any(String),
      end_reason: "the proxy ended before the session did",
    });
    await second.leave();
  });

  test("logs damage and torn writes in the spool, and recovers the entries around them", async () => {
    const first = startShipper(nowhere);
    const [one, other] = [sessionOpen(), sessionOpen()];
    await recordCalls(first.shipper, one, 1, 3);
    await recordCalls(first.shipper, other, 1, 3);
    await first.leave();
    const file = join(folder.path, segments()[0] ?? "");
    const bytes = readFileSync(file);
    // Destroys the opening and the first request of the second session, and half of its last answer.
    bytes.fill(
      0,
      bytes.indexOf(`{"kind":"open","session":"${other.session}"`),
      bytes.indexOf("answer 1", bytes.indexOf(other.session)) - 150,
    );
    writeFileSync(file, bytes.subarray(0, bytes.length - 20));

    const second = startShipper();
    await until("an empty folder", () => readdirSync(folder.path).length === 0);
    expect(await contents(one.session)).toEqual(pairs(1, 3));
    const left = await contents(other.session);
    expect(left[0]).toBe("The beginning of what was recorded of this session is damaged.");
    expect(left.slice(-4)).toEqual([...pairs(2, 2), "call 3", "(no answer: the proxy ended before the session did)"]);
    expect(second.shipper.health().damaged_bytes).toBeGreaterThan(100);
    expect(log.filter((line) => line.includes("the entries after it were recovered"))).toHaveLength(1);
    expect(log.filter((line) => line.includes("ends in a torn write"))).toHaveLength(1);
    await second.leave();
  });

  test("skips a malformed entry", async () => {
    const first = startShipper(nowhere);
    const open = sessionOpen();
    await recordCalls(first.shipper, open, 1, 1);
    const strange = { kind: "state", sessions: "none" } as unknown as StateEntry;
    first.shipper.spool.journal?.current?.append(encodeEntry(strange));
    await recordCalls(first.shipper, open, 2, 2);
    await first.leave();
    const second = startShipper();
    await until("an empty folder", () => readdirSync(folder.path).length === 0);
    expect(await contents(open.session)).toEqual(pairs(1, 2));
    expect(log.filter((line) => line.includes("is malformed; it was skipped"))).not.toHaveLength(0);
    await second.leave();
  });

  test("stores late records in a conversation in the trash, and drops those of a deleted one", async () => {
    const { shipper, leave } = startShipper();
    const [trashed, purged] = [sessionOpen(), sessionOpen()];
    for (const open of [trashed, purged]) await recordCalls(shipper, open, 1, 2);
    await delivered(shipper);
    await store.conversations.delete({ conversation_id: trashed.session, force: false });
    await store.conversations.delete({ conversation_id: purged.session, force: true });
    for (const open of [trashed, purged]) await recordCalls(shipper, open, 3, 4);
    await delivered(shipper);
    expect(shipper.health()).toMatchObject({ dropped_records: 4, set_aside: 0 });
    await store.conversations.restore({ conversation_id: trashed.session });
    expect(await contents(trashed.session)).toEqual(pairs(1, 4));
    await leave();
  });

  test("does not restore a permanently deleted conversation when another recorder takes over", async () => {
    const first = startShipper();
    const open = sessionOpen();
    await recordCalls(first.shipper, open, 1, 2);
    await delivered(first.shipper);
    await store.conversations.delete({ conversation_id: open.session, force: true });
    // Like a killed process, which removes nothing.
    first.shipper.spool.journal?.release();
    const second = startShipper();
    await until("an empty folder", () => readdirSync(folder.path).length === 0);
    expect(second.shipper.health()).toMatchObject({ dropped_records: 1, delivered_messages: 0 });
    expect(contents(open.session)).rejects.toMatchObject({ code: "not_found" });
    await second.leave();
    await first.client.close();
  });

  test("sets aside a record that the store refuses, with the reason, and delivers all others", async () => {
    const [open, other] = [sessionOpen(), sessionOpen()];
    const first = startShipper();
    await recordCalls(first.shipper, open, 1, 1);
    await delivered(first.shipper);
    await first.leave();
    // Another message takes the id that the record of the request will have again.
    const [question] = (await store.messages.page({ conversation_id: open.session })).messages;
    await store.conversations.delete({ conversation_id: open.session, force: true });
    await store.messages.storeBulk({ messages: [{ role: "user", content: "mine", message_id: question?.id }] });

    const second = startShipper();
    await recordCalls(second.shipper, open, 1, 3);
    await recordCalls(second.shipper, other, 1, 3);
    await delivered(second.shipper);
    const file = join(folder.path, "set-aside.jsonl");
    expect(second.shipper.health()).toMatchObject({ set_aside: 1, set_aside_file: file, queued_records: 0 });
    expect(await contents(open.session)).toEqual(pairs(1, 3).slice(1));
    expect(await contents(other.session)).toEqual(pairs(1, 3));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      reason: expect.stringContaining("is taken by another message"),
      tool: "dewey_store_messages_bulk",
      arguments: { conversation_id: open.session, messages: [{ content: "call 1", message_id: question?.id }] },
    });
    await second.leave();
  });

  test("delivers other conversations while the database is locked for one, and that one later", async () => {
    const connection = await emptyDatabase(engine);
    await using slow = await testListener(engine, { store: { connection, deadlineMs: 500 } });
    const { shipper, leave } = startShipper(slow.url);
    const [stuck, other] = [sessionOpen(), sessionOpen()];
    await recordCalls(shipper, stuck, 1, 1);
    await delivered(shipper);
    const found = async ({ session }: SessionOpen) =>
      (await slow.store.messages.page({ conversation_id: session })).messages.map((message) => message.content);
    await using sql = connect(connection);
    await sql.begin(async (transaction) => {
      await transaction`select from conversations where id = ${stuck.session} for update`;
      await recordCalls(shipper, stuck, 2, 3);
      await recordCalls(shipper, other, 1, 3);
      await until("the other's records", async () => (await found(other).catch(() => [])).length === 6);
      expect(await found(stuck)).toEqual(pairs(1, 1));
    });
    await delivered(shipper);
    expect(await found(stuck)).toEqual(pairs(1, 3));
    expect(shipper.health().set_aside).toBe(0);
    await leave();
  });
});

describe("the recorder with a scripted store", () => {
  let scripted: ScriptedStore;
  beforeEach(() => (scripted = new ScriptedStore()));

  const shipperOf = (options: Partial<ShipperOptions> = {}) =>
    new Shipper({
      folder: folder.path,
      limits: { bytes: 1e12, ageMs: 1e12 },
      sync: false,
      client: scripted,
      log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
      ...options,
    });

  const call = (name: string) => JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } });

  /** Leaves a journal with a session of one call, like a killed process. */
  function leave(session: string): void {
    const journal = Journal.create(folder.path);
    const segment = journal.begin({ kind: "state", sessions: [] });
    for (const entry of [sessionOpen(session), frameEntry(session, 1, call("a"))]) segment.append(encodeEntry(entry));
    journal.release();
  }

  const left = () => readdirSync(folder.path).filter((name) => name.endsWith(".spool")).length;
  const begun = () => scripted.calls.filter(({ tool }) => tool === "dewey_begin_conversation").length;

  test("takes over journals of dead proxies, four at a time, and looks for more every thirty seconds", async () => {
    using clock = stopClock();
    const gate = Promise.withResolvers<void>();
    scripted.answer = () => gate.promise;
    for (let number = 1; number <= 6; number++) leave(`s${number}`);
    const shipper = shipperOf();
    shipper.start();
    await clock.pass(5000, 10);
    expect([begun(), left()]).toEqual([4, 6]);
    // Only the calls: the states and openings before them need no delivery.
    expect(shipper.health().queued_records).toBe(4);
    expect(shipper.health().oldest_age_seconds).toBeGreaterThan(0);
    gate.resolve();
    await clock.passUntil("the delivery", () => left() === 0);
    expect([begun(), shipper.health().queued_records]).toEqual([6, 0]);
    leave("late");
    const startedMs = clock.nowMs;
    await clock.passUntil("the late one", () => begun() === 7, 10);
    expect(clock.nowMs - startedMs).toBeWithin(20_000, 30_100);
    await clock.passUntil("its delivery", () => left() === 0);
    await shipper.stop(0);
  });

  test("does not take over the journal of a living process", async () => {
    using clock = stopClock();
    const journal = Journal.create(folder.path);
    journal.begin({ kind: "state", sessions: [] });
    const shipper = shipperOf();
    shipper.start();
    await clock.pass(31_000, 10);
    expect([left(), scripted.calls.length]).toEqual([1, 0]);
    await shipper.stop(0);
    journal.finish();
  });

  test("reports undelivered entries and their age, deliveries, and the last failure", async () => {
    using clock = stopClock();
    const shipper = shipperOf();
    expect(shipper.health()).toEqual({
      recording: true,
      not_recording_because: null,
      queued_records: 0,
      queued_bytes: 0,
      oldest_age_seconds: null,
      last_delivery: null,
      last_error: null,
      delivered_messages: 0,
      redeliveries: 0,
      lost_frames: 0,
      lost_bytes: 0,
      damaged_bytes: 0,
      dropped_records: 0,
      set_aside: 0,
      set_aside_file: null,
    });
    scripted.answer = away;
    const open = sessionOpen();
    const entry = { ...frameEntry(open.session, 1, call("a")), time: Date.now() };
    await new Promise<void>((passed) => shipper.spool.append({ open, entry, pass: passed }));
    await clock.pass(7000, 10);
    const health = shipper.health();
    expect(health).toMatchObject({ queued_records: 1, last_error: "not now" });
    expect(health.queued_bytes).toBe(encodeEntry(entry).length);
    expect(health.oldest_age_seconds).toBeWithin(6.9, 7.1);
    scripted.answer = take;
    await clock.passUntil("the delivery", () => shipper.health().queued_records === 0);
    expect(shipper.health()).toMatchObject({
      queued_bytes: 0,
      oldest_age_seconds: null,
      last_error: null,
      delivered_messages: 1,
      last_delivery: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    await shipper.stop(0);
  });

  test("continues delivery for its grace period after a stop, and leaves the rest to the next recorder", async () => {
    using clock = stopClock();
    for (const isTaken of [true, false]) {
      const shipper = shipperOf();
      const open = sessionOpen();
      scripted.answer = away;
      await recordFrame(shipper, open, 1, call("a"));
      await clock.pass(100, 10);
      let isStopped = false;
      void shipper.stop(5000).then(() => (isStopped = true));
      await clock.pass(1000, 10);
      expect(isStopped).toBe(false);
      if (isTaken) scripted.answer = take;
      await clock.passUntil("the end", () => isStopped);
      expect(left()).toBe(isTaken ? 0 : 1);
      const [owner = ""] = Journal.owners(folder.path);
      if (!isTaken) Journal.adopt(folder.path, owner)?.finish();
    }
    // Not longer than the grace period.
    expect(clock.nowMs).toBeLessThan(9000);
  });

  test("stops at once when everything is delivered", async () => {
    using clock = stopClock();
    const shipper = shipperOf();
    await recordFrame(shipper, sessionOpen(), 1, call("a"));
    await clock.passUntil("the delivery", () => shipper.health().queued_bytes === 0);
    let isStopped = false;
    void shipper.stop(5000).then(() => (isStopped = true));
    await clock.pass(1);
    expect([isStopped, readdirSync(folder.path)]).toEqual([true, []]);
  });

  test("delivers after a burst of frames, or during it when the spool is half full", async () => {
    using clock = stopClock();
    const call = (sequence: number) =>
      `{"jsonrpc":"2.0","id":${sequence},"method":"tools/call","params":{"a":"${LONG}"}}`;
    for (const [limit, isFilling] of [
      [1e12, false],
      [60_000_000, true],
    ] as const) {
      scripted = new ScriptedStore();
      const shipper = shipperOf({ limits: { bytes: limit, ageMs: 1e12 } });
      const open = sessionOpen();
      // A thousand frames a second, the first two hundred with 38 MB.
      for (let sequence = 1; sequence <= 900; sequence++) {
        void recordFrame(shipper, open, sequence, sequence <= 200 ? call(sequence) : "{}");
        await clock.pass(1);
      }
      const delivered = scripted.contentsOf(open.session).length;
      if (isFilling) expect(delivered).toBeGreaterThan(30);
      else expect(delivered).toBeLessThan(30);
      expect(shipper.health().lost_frames).toBe(0);
      await shipper.stop(0);
      for (const owner of Journal.owners(folder.path)) Journal.adopt(folder.path, owner)?.finish();
    }
  });

  test("counts dropped and set-aside records, and reports the file", async () => {
    using clock = stopClock();
    const shipper = shipperOf();
    scripted.answer = refusing("invalid");
    await recordFrame(shipper, sessionOpen(), 1, call("bad"));
    await clock.passUntil("the delivery", () => shipper.health().queued_bytes === 0);
    scripted.answer = refusing("not_found", "conversation_id");
    await recordFrame(shipper, sessionOpen(), 1, call("bad"));
    await clock.passUntil("the delivery", () => shipper.health().queued_bytes === 0);
    expect(shipper.health()).toMatchObject({
      set_aside: 1,
      set_aside_file: join(folder.path, "set-aside.jsonl"),
      dropped_records: 1,
      delivered_messages: 0,
    });
    await shipper.stop(0);
  });
});
