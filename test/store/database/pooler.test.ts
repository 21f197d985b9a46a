import { describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { Database } from "../../../src/store/database/database.ts";
import { one } from "../../../src/store/database/one.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import {
  connect,
  debian,
  emptyDatabase,
  engines,
  privateCluster,
  storeOptions,
  testStore,
} from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";
import { startStandby } from "../../support/replica.ts";
import { startChoosyProxy } from "../../support/choosy-proxy.ts";
import { hasPgBouncer, knowsPreparedStatements, startPgBouncer } from "../../support/pgbouncer.ts";

if (!hasPgBouncer) console.warn("poolers are not tested: pgbouncer is not here");

const [engine] = engines;
const IGNORED =
  "ignore_startup_parameters = statement_timeout,lock_timeout,jit,plan_cache_mode,idle_in_transaction_session_timeout";

const limits = (sql: SQL) =>
  one<{ statement: string; jit: string; kept: number }>(
    sql`select current_setting('statement_timeout') as statement, current_setting('jit') as jit,
      (select count(*)::integer from pg_prepared_statements) as kept`,
  );

describe.skipIf(!hasPgBouncer)("behind PgBouncer", () => {
  describe.each([
    ["in session mode", ["pool_mode = session", "default_pool_size = 20"]],
    ["in transaction mode", ["pool_mode = transaction", "default_pool_size = 3"]],
    ["in transaction mode, passing over settings", ["pool_mode = transaction", "default_pool_size = 3", IGNORED]],
    ...(knowsPreparedStatements
      ? [
          [
            "in transaction mode, with prepared statements",
            ["pool_mode = transaction", "default_pool_size = 3", "max_prepared_statements = 100"],
          ] as [string, string[]],
        ]
      : []),
  ] as [string, string[]][])("%s", (_, settings) => {
    test("the whole store works, and nothing is left in a session", async () => {
      const direct = await emptyDatabase(engine!);
      await using pooler = await startPgBouncer(direct, settings);
      await using store = await testStore(engine!, { connection: pooler.connection, maxConnections: 8 });
      await using second = await testStore(engine!, { connection: pooler.connection, maxConnections: 8 });
      const { conversation_id } = await store.conversations.begin({ metadata: { a: 1 } });
      await Promise.all(
        Array.from({ length: 64 }, async (_each, index) => {
          const server = index % 2 === 0 ? store : second;
          const content = `heron number${index}`;
          await server.messages.store({ conversation_id, role: "user", content });
          // The reply to a statement of another client would have another content.
          const found = await server.search.find({ query: `number${index}`, limit: 5, offset: 0 });
          expect(found.total).toBe(1);
          expect(found.results[0]).toMatchObject({ content });
          expect((await server.messages.page({ conversation_id })).messages.length).toBeGreaterThan(0);
        }),
      );
      await store.conversations.update({ conversation_id, title: "herons" });
      await store.contexts.set({ name: "a", content: "b", set_active: true });
      await second.search.vocabulary.refresh();
      expect((await store.search.find({ query: "heron", limit: 1, offset: 0 })).total).toBe(64);
      const archive = await new Response(await store.backup()).bytes();
      await store.recover(new Response(archive).body as unknown as AsyncIterable<Uint8Array>, { force: true });
      expect((await second.search.find({ query: "heron", limit: 1, offset: 0 })).total).toBe(64);
      expect(await store.health()).toMatchObject({ database: "ok" });

      await using sql = connect(direct);
      const rows = await sql`select count(*)::integer as held from pg_locks where locktype = 'advisory'`;
      expect(rows[0].held).toBe(0);
    });

    test("limits hold in each transaction, and no statement is prepared", async () => {
      const direct = await emptyDatabase(engine!);
      await using pooler = await startPgBouncer(direct, settings);
      await using database = Object.assign(
        new Database(storeOptions(pooler.connection, { deadlineMs: 10_000, searchDeadlineMs: 5000 })),
        { [Symbol.asyncDispose]: () => database.close() },
      );
      expect(await database.retried(limits)).toMatchObject({ statement: "9s", kept: 0 });
      expect(await database.retried(limits, 10_000)).toMatchObject({ statement: "18s", kept: 0 });
      expect(await database.transaction(limits)).toMatchObject({ statement: "9s", kept: 0 });
      expect(await database.search(limits)).toMatchObject({ statement: "5s", jit: "off", kept: 0 });
      expect(await database.exclusive(limits)).toMatchObject({ statement: "0", kept: 0 });
      expect(database.isPooled).toBe(true);
      // Neither the connection that found the pooler out nor the others are dialled for each call.
      expect(database.use()).toMatchObject({ main: { idle: 1 }, search: { idle: 1 } });
    });
  });

  test.skipIf(!debian)("a replica is refused, because a pooler may mix servers", async () => {
    await using primary = await privateCluster(debian as Engine);
    await using standby = await startStandby(primary);
    await using pooler = await startPgBouncer(standby.connection, ["pool_mode = session"]);
    const options = storeOptions(primary.connection, { readConnection: pooler.connection });
    expect(await failure(openStore(options))).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("DEWEY_DB_READ_URL must lead to the replica itself"),
    });
  });
});

test("a proxy that refuses settings as unsupported, as Amazon's RDS Proxy does, is found out too", async () => {
  const direct = await emptyDatabase(engine!);
  using proxy = startChoosyProxy(direct);
  await using store = await testStore(engine!, { connection: proxy.connection });
  const { conversation_id } = await store.conversations.begin({});
  await store.messages.store({ conversation_id, role: "user", content: "heron" });
  expect((await store.search.find({ query: "heron", limit: 1, offset: 0 })).total).toBe(1);
  expect(proxy.refused()).toBeGreaterThan(0);
  await using database = Object.assign(new Database(storeOptions(proxy.connection)), {
    [Symbol.asyncDispose]: () => database.close(),
  });
  expect(await database.retried(limits)).toMatchObject({ statement: "9s", kept: 0 });
  expect(database.isPooled).toBe(true);
});

test("a direct connection is not taken for one through a pooler", async () => {
  await using database = Object.assign(new Database(storeOptions(await emptyDatabase(engine!))), {
    [Symbol.asyncDispose]: () => database.close(),
  });
  await database.retried(limits);
  await database.retried(limits);
  expect((await database.retried(limits)).kept).toBeGreaterThan(0);
  expect(database.isPooled).toBe(false);
});
