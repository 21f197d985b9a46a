import { describe, expect, test } from "bun:test";
import { migrations } from "../../src/store/database/migrations.ts";
import { openStore } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, storeOptions, testStore } from "../support/postgres.ts";
import { until } from "../support/rpc.ts";

for (const engine of engines) {
  describe(`a store on ${engine.name}`, () => {
    test("reports its database's version and schema, and the state of search", async () => {
      await using store = await testStore(engine);
      expect(await store.health()).toEqual({
        database: "ok",
        timeline: 1,
        version: expect.stringMatching(/^\d+\.\d+$/),
        migrations: { applied: migrations.length, newest: migrations.at(-1)?.name ?? "" },
        search: { corrections: true, language: "english" },
      });
    });

    test("reports its pools, and no reads without a replica", async () => {
      await using store = await testStore(engine, { minConnections: 2, maxConnections: 10 });
      expect(store.pools()).toEqual({
        main: { busy: 0, idle: 2, most: 8, waiting: 0 },
        search: { busy: 0, idle: expect.any(Number), most: 2, waiting: 0 },
      });
      expect(store.reads()).toBeUndefined();
    });

    test("leaves no connection open when it is closed, or could not be opened", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      const open = async () => {
        const rows: unknown[] = await sql`select from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
        return rows.length;
      };
      const store = await openStore(storeOptions(connection, { minConnections: 3 }));
      await store.search.find({ query: "x", limit: 1, offset: 0 });
      expect(await open()).toBeGreaterThanOrEqual(3);
      await store.close();
      await until("they are closed", async () => (await open()) === 0);
      await sql`insert into dewey_migrations (name) values ('9999_later')`;
      expect(await failure(openStore(storeOptions(connection)))).toMatchObject({ code: "conflict" });
      await until("they are closed", async () => (await open()) === 0);
    });
  });
}
