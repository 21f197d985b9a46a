import { describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { testListener } from "../../support/listener.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";
import { Rpc } from "../../support/rpc.ts";

/** Number of searches that the database is running, by its own account. */
async function searching(sql: SQL): Promise<number> {
  const [row] = await sql`select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and wait_event_type = 'Lock'`;
  return row.count;
}

async function untilSearching(sql: SQL, count: number): Promise<void> {
  const giveUpMs = performance.now() + 30_000;
  while ((await searching(sql)) !== count) {
    if (performance.now() > giveUpMs) throw new Error(`not ${count} searches, but ${await searching(sql)}`);
    await Bun.sleep(10);
  }
}

for (const engine of engines) {
  describe(`a slow search on ${engine.name}`, () => {
    /** Blocks searches until the block ends, by locking a table that only they read. */
    async function slowSearches(sql: SQL): Promise<AsyncDisposable> {
      await sql`begin`;
      await sql`lock table dewey_vocabulary in access exclusive mode`;
      return { [Symbol.asyncDispose]: async () => void (await sql`rollback`) };
    }

    test("delays no write, and ends when its caller cancels or disconnects, and at its deadline", async () => {
      const connection = await emptyDatabase(engine);
      const store = { connection, maxConnections: 5, deadlineMs: 60_000, searchDeadlineMs: 60_000 };
      await using served = await testListener(engine, { store });
      await using quick = await testListener(engine, { store: { connection, searchDeadlineMs: 300 } });
      await using sql = connect(connection);
      await using watching = connect(connection);
      const open = async (url: string) => {
        const rpc = await Rpc.open(url);
        await rpc.initialize();
        return rpc;
      };
      const [caller, other, late] = [await open(served.url), await open(served.url), await open(quick.url)];
      const search = (rpc: Rpc, id: string) =>
        rpc.call("tools/call", { name: "dewey_search", arguments: { query: "zzyzxword" } }, id);
      await using _ = await slowSearches(sql);

      // More searches than there are connections for them.
      const unanswered = ["11", "12", "13"].map((id) => search(caller, id));
      for (const each of unanswered) each.catch(() => {});
      await untilSearching(watching, 1);
      const conversation = await other.tool("dewey_begin_conversation");
      for (let turn = 1; turn <= 5; turn += 1) {
        const message = { conversation_id: conversation["conversation_id"], role: "user", content: `turn ${turn}` };
        expect(await other.tool("dewey_store_message", message)).toMatchObject({ turn_number: turn });
      }
      expect(await searching(watching)).toBe(1);

      for (const requestId of [11, 12, 13]) caller.send({ method: "notifications/cancelled", params: { requestId } });
      await untilSearching(watching, 0);
      void search(other, "21").catch(() => {});
      await untilSearching(watching, 1);
      other.close();
      await untilSearching(watching, 0);

      const reply = await search(late, "31");
      expect(reply["isError"]).toBe(true);
      expect(JSON.stringify(reply)).toContain("DEWEY_SEARCH_DEADLINE_SECONDS");
      await untilSearching(watching, 0);
      caller.close();
      late.close();
    });

    test("leaves its connection usable after it was cancelled", async () => {
      const connection = await emptyDatabase(engine);
      await using served = await testListener(engine, { store: { connection, maxConnections: 5 } });
      await using sql = connect(connection);
      const rpc = await Rpc.open(served.url);
      await rpc.initialize();
      await rpc.tool("dewey_store_messages_bulk", { messages: [{ role: "user", content: "tangerine" }] });
      const abort = new AbortController();
      {
        await using _ = await slowSearches(sql);
        const cut = served.store.search.find({ query: "zzyzxword", limit: 1, offset: 0 }, abort.signal);
        await using watching = connect(connection);
        await untilSearching(watching, 1);
        abort.abort();
        expect(await cut.catch((error: Error) => error.message)).toBe("the search was cancelled by its caller");
      }
      for (let each = 0; each < 10; each += 1)
        expect(await rpc.tool("dewey_search", { query: "tangerine" })).toMatchObject({ total: 1 });
      const never = served.store.search.find({ query: "tangerine", limit: 1, offset: 0 }, AbortSignal.abort());
      expect(await never.catch((error: Error) => error.message)).toBe("the search was cancelled by its caller");
      rpc.close();
    });
  });
}
