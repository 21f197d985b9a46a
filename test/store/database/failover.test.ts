import { describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { createLog } from "../../../src/log.ts";
import { Database } from "../../../src/store/database/database.ts";
import { one } from "../../../src/store/database/one.ts";
import { Primary } from "../../../src/store/database/primary.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import {
  freeze,
  connect,
  debian,
  emptyDatabase,
  engines,
  privateCluster,
  storeOptions,
  testStore,
} from "../../support/postgres.ts";
import type { Cluster, Engine } from "../../support/postgres.ts";
import { quiet } from "../../support/quiet.ts";
import { startStandby } from "../../support/replica.ts";
import { until } from "../../support/rpc.ts";
import { switchedAddress } from "../../support/switched.ts";

const message = { role: "user", content: "x" };
const [engine] = engines;

async function run(cluster: Cluster, ...statements: string[]): Promise<void> {
  await using sql = connect(cluster.connection);
  for (const statement of statements) await sql.unsafe(statement);
}

/** What a primary that has become a standby answers to every write. */
const takeNoWrites = (cluster: Cluster) =>
  run(cluster, "alter system set default_transaction_read_only = on", "select pg_reload_conf()");
const takeWrites = (cluster: Cluster) =>
  run(cluster, "alter system reset default_transaction_read_only", "select pg_reload_conf()");

/** A standby that has replayed everything, and takes writes from now on. */
async function promote(primary: Cluster, standby: Cluster): Promise<void> {
  await using before = connect(primary.connection);
  await using sql = connect(standby.connection);
  const { wal } = await one<{ wal: string }>(before`select pg_current_wal_flush_lsn()::text as wal`);
  const isCaughtUp = () =>
    one<{ caught_up: boolean }>(sql`select pg_last_wal_replay_lsn() >= ${wal}::pg_lsn as caught_up`);
  await until("the standby has replayed everything", async () => (await isCaughtUp()).caught_up);
  await sql`select pg_promote()`;
}

const isOn = (sql: SQL) =>
  one<{ standby: boolean; readonly: boolean }>(
    sql`select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as readonly`,
  );

describe.skipIf(!debian)("after a switchover", () => {
  test("no call fails although connections to the old primary are open, and the new history is warned of", async () => {
    await using primary = await privateCluster(debian as Engine);
    using address = switchedAddress(primary.connection);
    const lines: string[] = [];
    const log = createLog({ level: "warn", format: "text", write: (line) => void lines.push(line) });
    await using store = await testStore(debian as Engine, { connection: address.connection, minConnections: 3, log });
    await using standby = await startStandby(primary);
    const { conversation_id } = await store.conversations.begin({});
    for (let count = 0; count < 20; count += 1) await store.messages.store({ conversation_id, ...message });
    const before = await store.health();

    await promote(primary, standby);
    await takeNoWrites(primary);
    address.switchTo(standby.connection);
    // Every kind of write: grouped ones, transactions, and those with a lock.
    await Promise.all([
      ...Array.from({ length: 20 }, () => store.messages.store({ conversation_id, ...message })),
      store.messages.storeBulk({ messages: [message] }),
      store.contexts.set({ name: "a", content: "b", set_active: true }),
    ]);
    await store.conversations.delete({ conversation_id, force: false });
    await store.conversations.restore({ conversation_id });
    const after = await store.health();

    expect([before.timeline, after.timeline]).toEqual([1, 2]);
    expect(lines.join("")).toContain("the database is on another timeline");
    await using sql = connect(standby.connection);
    const { count } = await one<{ count: number }>(
      sql`select count(*)::integer as count from messages where conversation_id = ${conversation_id}`,
    );
    expect(count).toBe(40);
    expect((await store.search.find({ query: "x", limit: 1, offset: 0 })).total).toBe(41);
  });

  test("of several hosts, the one that takes writes serves, whichever order they have and whichever is away", async () => {
    await using primary = await privateCluster(debian as Engine);
    await using standby = await startStandby(primary);
    const { connection } = primary;
    const nowhere = { host: "/nowhere", port: 5432 };
    const several = {
      ...connection,
      ...nowhere,
      others: [standby.connection, connection],
      target: "read-write" as const,
    };
    await using store = await testStore(debian as Engine, { connection: several });
    const { conversation_id } = await store.conversations.begin({});
    await store.messages.store({ conversation_id, ...message });
    // The hosts that are passed over close their connections, and those that serve stay.
    expect(store.pools()["main"]).toMatchObject({ idle: 1 });

    await using readers = Object.assign(new Database(storeOptions({ ...several, target: "prefer-standby" })), {
      [Symbol.asyncDispose]: () => readers.close(),
    });
    expect(await readers.retried(isOn)).toMatchObject({ standby: true });

    await promote(primary, standby);
    process.kill(primary.pid(), "SIGQUIT");
    const stored = await store.messages.store({ conversation_id, ...message });
    expect(stored.turn_number).toBe(2);
    await standby.kill();
    const error = await failure(store.messages.store({ conversation_id, ...message }));
    expect(error).toMatchObject({ code: "unavailable" });
    for (const host of ["/nowhere", connection.host, standby.connection.host])
      expect(error.message).toContain(`${host}/.s.PGSQL.5432: `);
  });

  test("hosts that are there but take no writes are named", async () => {
    await using primary = await privateCluster(debian as Engine);
    await takeNoWrites(primary);
    const connection = { ...primary.connection, others: [primary.connection], target: "read-write" as const };
    const error = await failure(openStore(storeOptions(connection)));
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("is not read-write") });
  });
});

for (const each of engines) {
  describe(`the health on ${each.name}`, () => {
    test("says that a database takes no writes, as long as that is so", async () => {
      await using cluster = await privateCluster(each);
      await using store = await testStore(each, { connection: cluster.connection });
      expect(await store.health()).toMatchObject({ database: "ok", timeline: 1 });
      await takeNoWrites(cluster);
      await until("it is noticed", async () =>
        store.health().then(
          () => false,
          () => true,
        ),
      );
      expect(await failure(store.health())).toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("accepts no writes"),
      });
      expect(await failure(store.conversations.begin({}))).toMatchObject({ code: "unavailable" });
      await takeWrites(cluster);
      await until("it is healthy again", async () =>
        store.health().then(
          () => true,
          () => false,
        ),
      );
      await store.conversations.begin({});
    });
  });
}

test.skipIf(!debian)(
  "a write that hangs for want of a synchronous standby makes the database unhealthy until writes pass",
  async () => {
    await using cluster = await privateCluster(debian as Engine);
    await using store = await testStore(debian as Engine, { connection: cluster.connection, deadlineMs: 1500 });
    await run(cluster, "alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()");
    await until("a write hangs", async () =>
      store.conversations.begin({}).then(
        () => false,
        () => true,
      ),
    );
    expect(await failure(store.health())).toMatchObject({ code: "unavailable" });
    await run(cluster, "alter system reset synchronous_standby_names", "select pg_reload_conf()");
    await until("it is healthy again", async () =>
      store.health().then(
        () => true,
        () => false,
      ),
    );
  },
);

test("where writing into the log is not allowed, looking has to do", async () => {
  const connection = await emptyDatabase(engine!);
  await using store = await testStore(engine!, { connection, deadlineMs: 1000 });
  await using sql = connect(connection);
  await sql.unsafe("create role plain login");
  await sql.unsafe("grant select, update on all tables in schema public to plain");
  for (const { args } of await sql`select oidvectortypes(proargtypes) as args from pg_proc
    where proname = 'pg_logical_emit_message'`)
    await sql.unsafe(`revoke execute on function pg_logical_emit_message(${args}) from public`);
  const database = new Database(storeOptions({ ...connection, user: "plain" }, { deadlineMs: 1000 }));
  const primary = new Primary(database, quiet);
  expect(await failure(database.retried((within) => within`select pg_sleep(30)`))).toMatchObject({
    code: "unavailable",
  });
  expect(database.isDoubted).toBe(true);
  await primary.check();
  expect(database.isDoubted).toBe(false);
  await database.close();
  await store.primary.check();
});

test("looking at the health writes nothing while no call has failed", async () => {
  await using cluster = await privateCluster(engine!);
  await using store = await testStore(engine!, { connection: cluster.connection });
  await using sql = connect(cluster.connection);
  const end = async () => (await one<{ wal: string }>(sql`select pg_current_wal_insert_lsn()::text as wal`)).wal;
  const before = await end();
  for (let count = 0; count < 5; count += 1) await store.primary.check();
  expect(await end()).toBe(before);
});

test("a server without a free connection lets calls wait for one of Dewey's own", async () => {
  const connection = await emptyDatabase(engine!);
  await using store = await testStore(engine!, { connection, maxConnections: 8 });
  await using admin = connect(connection);
  await admin.unsafe(`create role few login connection limit 3; grant all on all tables in schema public to few;
    grant all on all sequences in schema public to few; grant all on schema public to few`);
  const few = { ...connection, user: "few" };
  await using narrow = Object.assign(new Database(storeOptions(few, { maxConnections: 12 })), {
    [Symbol.asyncDispose]: () => narrow.close(),
  });
  const calls = Array.from({ length: 60 }, (_, index) =>
    index % 3 === 0
      ? narrow.search((sql) => sql`select pg_sleep(0.01)`)
      : narrow.retried((sql) => sql`select pg_sleep(0.01)`),
  );
  expect(await Promise.all(calls)).toHaveLength(60);
  await store.conversations.begin({});
});

test("a database where nothing is free for Dewey says so at the deadline", async () => {
  const connection = await emptyDatabase(engine!);
  await using admin = connect(connection);
  await admin.unsafe("create role nobody_else login connection limit 0");
  const options = storeOptions({ ...connection, user: "nobody_else" }, { deadlineMs: 300 });
  expect(await failure(openStore(options))).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("no free connection"),
  });
});

test("what the last look has seen is known: whether the database answers, and whether it takes writes", async () => {
  await using cluster = await privateCluster(engine!);
  await using store = await testStore(engine!, { connection: cluster.connection, deadlineMs: 1000 });
  const seen = () => [store.primary.isUp, store.primary.isWritable];
  await store.primary.check();
  expect(seen()).toEqual([true, true]);
  await using sql = connect(cluster.connection);
  await sql`alter system set default_transaction_read_only = on`;
  await sql`select pg_reload_conf()`;
  const look = () => store.primary.check().catch(() => {});
  await until("the refusal", async () => {
    await look();
    return !store.primary.isWritable;
  });
  expect(seen()).toEqual([true, false]);
  using _frozen = await freeze(cluster);
  await look();
  expect(seen()).toEqual([false, false]);
});
