import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ToolClient } from "../../../src/tool-client.ts";
import { createLog } from "../../../src/log.ts";
import { Shipper } from "../../../src/proxy/delivery/shipper.ts";
import type { ShipperOptions } from "../../../src/proxy/delivery/shipper.ts";
import { Claims } from "../../../src/proxy/spool/claims.ts";
import type { SessionOpen } from "../../../src/proxy/spool/entry.ts";
import { Journal } from "../../../src/proxy/spool/journal.ts";
import { stopClock } from "../../support/clock.ts";
import { testListener } from "../../support/listener.ts";
import { connect, debian, privateCluster } from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";
import { startStandby } from "../../support/replica.ts";
import { until } from "../../support/rpc.ts";
import { ScriptedStore, away, take } from "../../support/scripted-store.ts";
import { frameEntry, sessionOpen, spoolFolder } from "../../support/spool-folder.ts";
import { switchedAddress } from "../../support/switched.ts";

let folder: ReturnType<typeof spoolFolder>;
let log: string[];
beforeEach(() => {
  folder = spoolFolder();
  log = [];
});
afterEach(() => folder[Symbol.dispose]());

const recorder = (options: Pick<ShipperOptions, "client"> & Partial<ShipperOptions>) =>
  new Shipper({
    folder: folder.path,
    limits: { bytes: 1e12, ageMs: 1e12 },
    sync: false,
    log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
    ...options,
  });

const call = (name: string) => JSON.stringify({ jsonrpc: "2.0", id: name, method: "tools/call", params: { name } });
const record = (shipper: Shipper, open: SessionOpen, sequence: number, name: string) =>
  new Promise<void>((passed) =>
    shipper.spool.append({ open, entry: frameEntry(open.session, sequence, call(name)), pass: passed }),
  );
const segments = () => readdirSync(folder.path).filter((name) => name.endsWith(".spool")).length;

describe("with a scripted store", () => {
  let store: ScriptedStore;
  let open: SessionOpen;
  beforeEach(() => {
    store = new ScriptedStore();
    store.history = "a-1";
    open = sessionOpen();
  });
  const isDelivered = (shipper: Shipper) => shipper.health().queued_bytes === 0;
  const said = () => store.contentsOf(open.session);

  test("nothing is delivered again without a failover, and nothing is kept or asked for after some minutes", async () => {
    using clock = stopClock();
    const shipper = recorder({ client: store });
    shipper.start();
    for (const [index, name] of ["a", "b"].entries()) await record(shipper, open, index + 1, name);
    await clock.passUntil("the delivery", () => isDelivered(shipper));
    await clock.pass(320_000, 100);
    const { looks } = store;
    expect(looks).toBeWithin(30, 34);
    expect(shipper.spool.journal?.isKeeping).toBe(false);
    await clock.pass(60_000, 100);
    expect([said(), store.looks, shipper.health().redeliveries]).toEqual([["a", "b"], looks, 0]);
    await shipper.stop(0);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("what was delivered last is delivered once more after a failover, soon, in order, and with what is behind it", async () => {
    using clock = stopClock();
    const shipper = recorder({ client: store });
    shipper.start();
    for (const [index, name] of ["a", "b"].entries()) await record(shipper, open, index + 1, name);
    await clock.passUntil("the delivery", () => isDelivered(shipper));
    store.history = "a-2";
    await clock.pass(11_000, 10);
    expect([said(), shipper.health().redeliveries]).toEqual([["a", "b", "a", "b"], 1]);
    expect(log.join("")).toContain("the database has another history");
    await record(shipper, open, 3, "c");
    await clock.pass(60_000, 100);
    expect([said(), shipper.health().redeliveries]).toEqual([["a", "b", "a", "b", "c"], 1]);
    expect(shipper.health()).toMatchObject({ queued_records: 0, queued_bytes: 0, oldest_age_seconds: null });
    await shipper.stop(0);
  });

  test("a conversation keeps its order when the failover comes with an outage", async () => {
    using clock = stopClock();
    const shipper = recorder({ client: store });
    shipper.start();
    await record(shipper, open, 1, "a");
    await clock.passUntil("the delivery", () => isDelivered(shipper));
    store.answer = away;
    for (const [index, name] of ["b", "c"].entries()) await record(shipper, open, index + 2, name);
    await clock.pass(20_000, 10);
    store.history = "a-2";
    store.answer = take;
    await clock.passUntil("the delivery", () => isDelivered(shipper));
    expect(said()).toEqual(["a", "a", "b", "c"]);
    expect(shipper.health()).toMatchObject({ redeliveries: 1, set_aside: 0, queued_records: 0 });
    await shipper.stop(0);
  });

  test("calls in flight when the failover is seen are neither lost nor sent twice", async () => {
    using clock = stopClock();
    const shipper = recorder({ client: store });
    shipper.start();
    await record(shipper, open, 1, "a");
    await clock.passUntil("the delivery", () => isDelivered(shipper));
    const gate = Promise.withResolvers<void>();
    store.answer = () => gate.promise;
    for (const [index, name] of ["b", "c"].entries()) await record(shipper, open, index + 2, name);
    await clock.passUntil("the call", () => store.calls.at(-1)?.contents.includes("b"));
    store.history = "a-2";
    await clock.passUntil("the look", () => shipper.health().redeliveries === 1, 100);
    gate.reject(new Error("lost"));
    store.answer = take;
    await clock.passUntil("the delivery", () => isDelivered(shipper));
    expect(said()).toEqual(["a", "a", "b", "c"]);
    await shipper.stop(0);
  });

  test("a proxy that dies while it delivers again leaves the rest to the next one", async () => {
    using clock = stopClock();
    const first = recorder({ client: store });
    first.start();
    for (let sequence = 1; sequence <= 3; sequence++) await record(first, open, sequence, `call ${sequence}`);
    await clock.passUntil("the delivery", () => isDelivered(first));
    const before = said();
    // The new primary takes nothing of what is delivered again.
    store.history = "a-2";
    const gate = Promise.withResolvers<void>();
    store.answer = () => gate.promise;
    await clock.passUntil("the redelivery", () => first.health().redeliveries === 1, 100);
    await first.stop(0);
    store.answer = take;

    const second = recorder({ client: store });
    second.start();
    await clock.passUntil("an empty folder", () => readdirSync(folder.path).length === 0, 10);
    expect(said().slice(0, 6)).toEqual([...before, ...before]);
    expect(said().slice(6)).toEqual(Array(3).fill("(no answer: the proxy ended before the session did)"));
    await second.stop(0);
  });

  test("a failover while no proxy ran is noticed by the next one, and only once", async () => {
    using clock = stopClock();
    for (const history of ["a-1", "a-2"]) {
      store = new ScriptedStore();
      store.history = "a-1";
      const first = recorder({ client: store });
      await record(first, open, 1, "a");
      await clock.passUntil("the delivery", () => isDelivered(first));
      // Like a killed process, which removes nothing.
      first.spool.journal?.release();
      store.history = history;
      const second = recorder({ client: store });
      second.start();
      await clock.passUntil("an empty folder", () => readdirSync(folder.path).length === 0, 10);
      expect(said().filter((text) => text === "a")).toHaveLength(history === "a-1" ? 1 : 2);
      expect(second.health().redeliveries).toBe(history === "a-1" ? 0 : 1);
      await second.stop(0);
    }
  });

  test("what a living proxy keeps is its own, and its claims stay", async () => {
    using clock = stopClock();
    const mine = recorder({ client: store });
    mine.start();
    await record(mine, open, 1, "a");
    await clock.passUntil("the delivery", () => isDelivered(mine));
    const other = Journal.create(folder.path);
    other.begin({ kind: "state", sessions: [] });
    other.keepFor("a-1");
    other.deliveredTo({ segment: 1, offset: 5 });
    new Claims(folder.path).claim("use");
    const kept = () => readFileSync(join(folder.path, `${other.owner}.kept`), "latin1");
    const before = kept();
    store.history = "a-2";
    await clock.pass(45_000, 100);
    expect([said(), kept(), segments()]).toEqual([["a", "a"], before, 2]);
    expect(mine.health().redeliveries).toBe(1);
    expect(readdirSync(join(folder.path, "claims"))).toEqual(["use"]);
    await mine.stop(0);
    other.finish();
  });
});

describe.skipIf(!debian)("with asynchronous replication", () => {
  test("nothing that was acknowledged is missing after a standby that lags behind becomes the primary", async () => {
    await using primary = await privateCluster(debian as Engine);
    using address = switchedAddress(primary.connection);
    await using server = await testListener(debian as Engine, { store: { connection: address.connection } });
    await using standby = await startStandby(primary);
    const client = new ToolClient({ url: server.url, deadlineMs: 5000 });
    const shipper = recorder({ client, lookIntervalMs: 200 });
    shipper.start();
    const open = sessionOpen();
    const names = Array.from({ length: 20 }, (_, index) => `call ${index + 1}`);
    const stored = async () =>
      (await server.store.messages.page({ conversation_id: open.session, full: true })).messages.map(
        ({ content }) => content,
      );
    for (const [index, name] of names.slice(0, 10).entries()) await record(shipper, open, index + 1, name);
    await until("the first half", async () => (await stored().catch(() => [])).length === 10);
    await using before = connect(primary.connection);
    await using sql = connect(standby.connection);
    await until("the standby", async () => {
      const [row] = await sql`select count(*)::integer as count from messages`;
      return row.count === 10;
    });
    await sql.close();
    await standby.kill();
    for (const [index, name] of names.slice(10, 15).entries()) await record(shipper, open, index + 11, name);
    await until("the acknowledged", async () => (await stored()).length === 15 && shipper.health().queued_bytes === 0);

    await before.close();
    await primary.stop();
    await standby.restart();
    await using promoted = connect(standby.connection);
    await promoted`select pg_promote()`;
    address.switchTo(standby.connection);
    for (const [index, name] of names.slice(15).entries()) await record(shipper, open, index + 16, name);
    await until("all of them", async () => (await stored().catch(() => [])).length === 20);
    await until("an empty queue", () => shipper.health().queued_bytes === 0);
    // None twice. What was lost may stand behind what the server itself has brought to the new primary before the look.
    expect((await stored()).toSorted()).toEqual(names.toSorted());
    expect(shipper.health()).toMatchObject({ redeliveries: 1, set_aside: 0, dropped_records: 0 });
    await shipper.stop(0);
    await client.close();
  });
});
