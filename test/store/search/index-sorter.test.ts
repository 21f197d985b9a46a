import { describe, expect, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import type { Store } from "../../../src/store/store.ts";
import { Writer } from "../../bench/support/text.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

/** A little more than is sorted at once. */
async function storeMuch(store: Store): Promise<void> {
  const writer = new Writer(1);
  const messages = Array.from({ length: 1050 }, () => ({ role: "user", content: writer.text(2000) }));
  await store.messages.storeBulk({ messages });
}

for (const engine of engines) {
  describe(`the words of new messages on ${engine.name}`, () => {
    test("are sorted into the index of search by the server, not by a caller, when they are many", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await using sql = connect(connection);
      const pagesLeft = async () => {
        const [row] = await sql`select gin_clean_pending_list('messages_search')::integer as pages`;
        return row.pages as number;
      };
      await storeMuch(store);
      await until("the sorting", () => store.pools()["main"]?.busy === 0);
      expect(await pagesLeft()).toBe(0);
      // What is little waits.
      await store.messages.storeBulk({ messages: [{ role: "user", content: "heron" }] });
      expect(await pagesLeft()).toBe(1);
    });

    test("are stored all the same when they cannot be sorted, and the log says so", async () => {
      const connection = await emptyDatabase(engine);
      const lines: string[] = [];
      const log = createLog({ level: "warn", format: "text", write: (line) => lines.push(line) });
      await using store = await testStore(engine, { connection, log });
      await using sql = connect(connection);
      await sql`drop index messages_search`;
      await storeMuch(store);
      await until("the warning", () => lines.some((line) => line.includes("could not be sorted")));
      const [stored] = await sql`select count(*)::integer as messages from messages`;
      expect(stored.messages).toBe(1050);
    });
  });
}
