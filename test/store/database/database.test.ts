import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { SQL } from "bun";
import { Database, translated } from "../../../src/store/database/database.ts";
import type { DatabaseOptions } from "../../../src/store/database/database.ts";
import { one } from "../../../src/store/database/one.ts";
import { Late } from "../../../src/store/database/pool.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { PATIENCE_MS } from "../../support/patience.ts";
import {
  connect,
  emptyDatabase,
  engines,
  privateCluster,
  storeOptions,
  temporaryFolder,
  testStore,
  freeze,
} from "../../support/postgres.ts";

const away = { code: "unavailable" };
const message = { role: "user", content: "x" };

/** Repeats a call until it succeeds, while the database comes back. */
async function untilServed<Result>(call: () => Promise<Result>): Promise<Result> {
  for (;;) {
    const answer = await call().catch((error: unknown) => expect(error).toMatchObject(away));
    if (answer !== undefined) return answer;
    await Bun.sleep(20);
  }
}

for (const engine of engines) {
  describe(`the database on ${engine.name}`, () => {
    test("that is frozen is reported unavailable to every call within the deadline, and serves again when it continues", async () => {
      await using cluster = await privateCluster(engine);
      // Long enough for a busy machine to open the store and store a message.
      const deadlineMs = 2000;
      const options = { connection: cluster.connection, deadlineMs, minConnections: 2 };
      await using store = await testStore(engine, options);
      const { conversation_id } = await store.conversations.begin({});
      await store.messages.store({ conversation_id, ...message });
      {
        using _frozen = await freeze(cluster);
        const startMs = performance.now();
        const calls = [
          ...Array.from({ length: 30 }, () => store.messages.store({ conversation_id, ...message })),
          ...Array.from({ length: 10 }, () => store.messages.page({ conversation_id })),
          store.messages.storeBulk({ messages: [message] }),
          store.search.find({ query: "x", limit: 1, offset: 0 }),
          store.conversations.delete({ conversation_id, force: false }),
          store.contexts.set({ name: "a", content: "b", set_active: true }),
          store.health(),
        ];
        for (const error of await Promise.all(calls.map(failure))) expect(error).toMatchObject(away);
        // Groups are sent one after the other, but no message waits for an earlier group's deadline before its own.
        expect(performance.now() - startMs).toBeLessThan(1.9 * deadlineMs);
        expect(await failure(openStore(storeOptions(cluster.connection, { deadlineMs: 300 })))).toMatchObject(away);
      }
      await untilServed(() => store.health());
      await untilServed(() => store.contexts.set({ name: "a", content: "b", set_active: true }));
      expect(await untilServed(() => store.search.find({ query: "x", limit: 1, offset: 0 }))).toHaveProperty("total");
    });

    test("keeps one connection for searches, without prepared statements", async () => {
      await using database = Object.assign(new Database(storeOptions(await emptyDatabase(engine))), {
        [Symbol.asyncDispose]: () => database.close(),
      });
      const backends = new Set<number>();
      for (let search = 0; search < 5; search += 1) {
        await database.search(async (sql) => {
          await sql.unsafe(`select ${search} + $1::integer as answer`, [search]);
          const [row] =
            await sql`select pg_backend_pid() as backend, (select count(*) from pg_prepared_statements)::integer as kept`;
          expect(row.kept).toBe(0);
          backends.add(row.backend);
        });
      }
      expect(backends.size).toBe(1);
    });

    test("that closes every connection at once causes no error for idempotent calls", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection, minConnections: 4, maxConnections: 8 });
      await using sql = connect(connection);
      const { conversation_id } = await store.conversations.begin({});
      for (let round = 0; round < 5; round++) {
        const calls = Array.from({ length: 20 }, () => store.messages.store({ conversation_id, ...message }));
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`;
        await Promise.all(calls);
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`;
        await store.messages.page({ conversation_id });
      }
      const turns = (await store.messages.page({ conversation_id })).messages.map((each) => each.turn);
      expect(turns).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    });

    test.each([
      [1, 1],
      [3, 5],
    ])("keeps %i connections open as asked, and never has more than %i", async (minConnections, maxConnections) => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection, minConnections, maxConnections });
      await using sql = connect(connection);
      const open = async (): Promise<number> => {
        const [row] = await sql`select count(*)::integer as open from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
        return row.open;
      };
      // PostgreSQL still shows the migration's connection for a moment after it is closed.
      while ((await open()) > minConnections) await Bun.sleep(5);
      expect(await open()).toBe(minConnections);
      const { conversation_id } = await store.conversations.begin({});
      const calls = Array.from({ length: 200 }, (_, index) =>
        index % 2 === 0
          ? store.messages.page({ conversation_id })
          : store.search.find({ query: "x", limit: 1, offset: 0 }),
      );
      let most = 0;
      const watch = (async () => {
        for (let round = 0; round < 20; round++) most = Math.max(most, await open());
      })();
      await Promise.all([...calls, watch]);
      expect(most).toBeLessThanOrEqual(maxConnections);
    });

    test("lets a slow statement delay no other caller", async () => {
      const connection = await emptyDatabase(engine);
      const database = new Database(storeOptions(connection, { maxConnections: 3, deadlineMs: PATIENCE_MS }));
      await using locking = connect(connection);
      await locking`select pg_advisory_lock(1)`;
      // It ends when the others have, however long they take.
      const slow = database.retried((sql) => sql`select pg_advisory_lock(1)`);
      await Promise.all(Array.from({ length: 40 }, () => database.retried((sql) => sql`select 1`)));
      await locking`select pg_advisory_unlock(1)`;
      await slow;
      await database.close();
    });

    test("ends a statement that takes too long, without affecting other callers", async () => {
      const connection = await emptyDatabase(engine);
      const database = new Database(storeOptions(connection, { maxConnections: 4, deadlineMs: 4000 }));
      const slow = failure(database.retried((sql) => sql`select pg_sleep(30)`));
      const others = Promise.all(
        Array.from({ length: 200 }, () => database.retried((sql) => sql`select pg_sleep(0.002)`)),
      );
      expect(await slow).toMatchObject(away);
      expect(await others).toHaveLength(200);
      await database.close();
    });

    test("extends the deadline for work of a known size", async () => {
      const connection = await emptyDatabase(engine);
      const database = new Database(storeOptions(connection, { deadlineMs: 200 }));
      const [row] = await database.retried((sql) => sql`select pg_sleep(0.4), 1 as done`, PATIENCE_MS);
      expect(row).toMatchObject({ done: 1 });
      await database.close();
    });

    test("that does not exist is reported as the reason", async () => {
      const connection = { ...(await emptyDatabase(engine)), database: "nowhere" };
      expect(await failure(openStore(storeOptions(connection)))).toMatchObject({
        ...away,
        message: expect.stringContaining("does not exist"),
      });
    });

    test("never quotes callers' data in errors", async () => {
      const database = new Database(storeOptions(await emptyDatabase(engine)));
      const error = await failure(database.retried((sql) => sql`select ${"a secret"}::text::integer`));
      expect(error).toMatchObject({ code: "invalid", message: expect.not.stringContaining("secret") });
      await database.close();
    });
  });
}

const [engine] = engines;
if (!engine) throw new Error("no engine");

async function testDatabase(options: Partial<DatabaseOptions> = {}): Promise<Database & AsyncDisposable> {
  const database = new Database(storeOptions(await emptyDatabase(engine!), options));
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
}

test.each([
  [1, { main: 1 }],
  [2, { main: 1, search: 1 }],
  [9, { main: 8, search: 1 }],
  [10, { main: 8, search: 2 }],
])("of %i connections, one in five is for searches if there are several", async (maxConnections, most) => {
  await using database = await testDatabase({ maxConnections });
  const pools = Object.entries(database.use()).map(([pool, use]) => [pool, use.most]);
  expect(Object.fromEntries(pools)).toEqual(most);
});

test("PostgreSQL ends a statement before its deadline, and a search earlier if so configured", async () => {
  const limits = (sql: SQL) =>
    one<{ limits: string[] }>(
      sql`select array[current_setting('statement_timeout'), current_setting('lock_timeout')] as limits`,
    ).then((row) => row.limits);
  await using database = await testDatabase({ deadlineMs: 10_000, searchDeadlineMs: 5000 });
  expect(await database.retried(limits)).toEqual(["9s", "9s"]);
  expect(await database.search(limits)).toEqual(["5s", "9s"]);
  expect(await database.retried(limits, 10_000)).toEqual(["18s", "9s"]);
  expect(await database.transaction(limits, 10_000)).toEqual(["18s", "9s"]);
  expect(await database.retried(limits)).toEqual(["9s", "9s"]);
  expect(await database.exclusive(limits)).toEqual(["0", "0"]);
  await using patient = await testDatabase({ deadlineMs: 10_000, searchDeadlineMs: 60_000 });
  expect(await patient.search(limits)).toEqual(["9s", "9s"]);
});

test("a search is planned for its own words and not compiled", async () => {
  await using database = await testDatabase();
  const settings = await database.search((sql) =>
    one(sql`select current_setting('jit') as jit, current_setting('plan_cache_mode') as plan_cache_mode`),
  );
  expect({ ...(settings as object) }).toEqual({ jit: "off", plan_cache_mode: "force_custom_plan" });
});

describe("work refused with SQLSTATE", () => {
  /** Work that fails `times` times with this SQLSTATE, and counts its attempts. */
  const failing = (state: string, times: number) => {
    const work = Object.assign(
      async (sql: SQL) => {
        work.attempts += 1;
        if (work.attempts <= times) await sql.unsafe(`do $$ begin raise exception using errcode = '${state}'; end $$`);
        return "done";
      },
      { attempts: 0 },
    );
    return work;
  };

  test.each(["40001", "40P01", "23505"])("%s is retried once if idempotent", async (state) => {
    await using database = await testDatabase();
    for (const run of [
      (work: (sql: SQL) => Promise<string>) => database.retried(work),
      (work: (sql: SQL) => Promise<string>) => database.search(work),
    ]) {
      const once = failing(state, 1);
      expect([await run(once), once.attempts]).toEqual(["done", 2]);
      const always = failing(state, 9);
      await failure(run(always));
      expect(always.attempts).toBe(2);
    }
    const within = failing(state, 9);
    await failure(database.transaction(within));
    expect(within.attempts).toBe(1);
    await using elsewhere = await testDatabase({ repeats: false });
    const single = failing(state, 9);
    await failure(elsewhere.retried(single));
    expect(single.attempts).toBe(1);
  });

  test.each(["22012", "57014", "53300"])("%s is not retried", async (state) => {
    await using database = await testDatabase();
    const work = failing(state, 9);
    await failure(database.retried(work));
    expect(work.attempts).toBe(1);
  });
});

describe("an error from PostgreSQL with SQLSTATE", () => {
  const told = (errno: string) =>
    translated(new SQL.PostgresError("a secret", { errno, code: "ERR_POSTGRES_SERVER_ERROR" }));

  test.each([
    ["28P01", "refuses Dewey's user or password"],
    ["28000", "does not let Dewey's user in this way"],
    ["42501", "does not give Dewey's user the rights"],
    ["3D000", "does not exist"],
    ["53300", "has no free connection"],
    ["53100", "has run out of space"],
    ["53200", "has run out of space"],
    ["57014", "took too long"],
    ["55P03", "took too long"],
    ["25006", "accepts no writes"],
    ["40001", "too many callers write the same rows"],
    ["40P01", "too many callers write the same rows"],
    ["57P01", "cannot be reached"],
    ["08006", "cannot be reached"],
  ])("%s is unavailable: %s", (state, words) => {
    expect(told(state)).toMatchObject({ code: "unavailable", message: expect.stringContaining(words) });
  });

  test.each(["22003", "23505", "42601", "XX000"])("%s is internal, and only its number is reported", (state) => {
    const message = `the database refused a statement (SQLSTATE ${state})`;
    expect(told(state)).toMatchObject({ code: "internal", message });
  });

  test.each(["22021", "22P02", "22P05", "22007", "22008", "54001"])("%s is the caller's fault", (state) => {
    expect(told(state)).toMatchObject({ code: "invalid", message: expect.stringContaining(state) });
  });

  test("another error is internal, and a missed deadline is unavailable", () => {
    expect(translated(new TypeError("a secret"))).toMatchObject({
      code: "internal",
      message: "the database's reply could not be understood",
    });
    expect(translated(new Late(1500))).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("within 1.5 s"),
    });
  });
});

test("a missing database is reported unavailable", async () => {
  for (const host of ["127.0.0.1", "/nowhere", "name.invalid"]) {
    const connection = { host, port: 1, database: "x", user: "x", password: "x" };
    expect(await failure(openStore(storeOptions(connection)))).toMatchObject(away);
  }
});

test("a restarted PostgreSQL serves the same store again", async () => {
  const folder = temporaryFolder();
  const before = await engine.start(folder);
  await using store = await testStore(engine, { connection: before.connection, deadlineMs: 2000 });
  const { conversation_id } = await store.conversations.begin({});
  await store.messages.store({ conversation_id, ...message });
  await before.stop();
  expect(await failure(store.messages.store({ conversation_id, ...message }))).toMatchObject(away);
  expect(await failure(store.health())).toMatchObject(away);
  const after = await engine.start(folder);
  const { turn_number } = await untilServed(() => store.messages.store({ conversation_id, ...message }));
  expect(turn_number).toBe(2);
  await store.close();
  await after.stop();
  rmSync(folder, { recursive: true, force: true });
});
