import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Connection } from "../../../src/store/database/connection.ts";
import type { Store } from "../../../src/store/store.ts";
import { Writer } from "../../bench/support/text.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

for (const engine of engines) {
  describe(`messages stored in groups on ${engine.name}`, () => {
    let store: Store;
    let connection: Connection;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());

    const begin = async () => (await store.conversations.begin({})).conversation_id;
    const beginMany = (count: number) => Promise.all(Array.from({ length: count }, begin));
    const user = (content: string) => ({ role: "user", content });

    /** How many messages these conversations have, and in how many transactions they were stored. */
    const stored = async (ids: string[]) => {
      await using sql = connect(connection);
      const [row] = await sql`select count(*)::integer as messages, count(distinct stored_in)::integer as groups
        from messages where conversation_id = any (${sql.array(ids, "UUID")}::uuid[])`;
      return row as { messages: number; groups: number };
    };

    /** Resolves when a group is under way in the database: at work, or waiting for a lock. */
    const untilUnderWay = async (what: "at work" | "waiting for a lock") => {
      await using sql = connect(connection);
      await until(`a group ${what}`, async () => {
        const rows = await sql`select from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and query like '%dewey_append%'
            and state = 'active' and (wait_event_type is not distinct from 'Lock') = ${what === "waiting for a lock"}`;
        return rows.length > 0;
      });
    };

    /** A message that is held up by a lock on its conversation; it is stored when the block ends. */
    const heldUp = async (): Promise<AsyncDisposable> => {
      const conversation_id = await begin();
      const sql = connect(connection);
      const locked = Promise.withResolvers<void>();
      const lock = Promise.withResolvers<void>();
      const holding = sql.begin(async (within) => {
        await within`select from conversations where id = ${conversation_id} for update`;
        locked.resolve();
        await lock.promise;
      });
      await locked.promise;
      const waiting = store.messages.store({ conversation_id, ...user("waits") });
      await untilUnderWay("waiting for a lock");
      return {
        async [Symbol.asyncDispose]() {
          lock.resolve();
          await holding;
          await sql.close();
          expect((await waiting).turn_number).toBe(1);
        },
      };
    };

    /** Callers that call again in a later turn of the event loop than they were answered, all but the first. */
    const closedLoop = (ids: string[], calls: number) =>
      Promise.all(
        ids.map(async (conversation_id, caller) => {
          for (let call = 0; call < calls; call++) {
            if (caller > 0) await new Promise(setImmediate);
            await store.messages.store({ conversation_id, ...user(`${call}`) });
          }
        }),
      );

    test("of callers that call at the same moment go together in one transaction", async () => {
      const ids = await beginMany(12);
      for (let call = 0; call < 20; call++)
        await Promise.all(ids.map((conversation_id) => store.messages.store({ conversation_id, ...user(`${call}`) })));
      expect(await stored(ids)).toEqual({ messages: 20 * 12, groups: 20 });
    });

    // If no group waited, the first caller would go alone and the others after it, again and again: two groups for each call.
    test("wait for callers that have just been answered, so that most hold all who call again at once", async () => {
      const ids = await beginMany(8);
      await closedLoop(ids, 50);
      const { messages, groups } = await stored(ids);
      expect(messages).toBe(8 * 50);
      expect(groups).toBeLessThan(75);
    });

    test("wait for such callers also while another group is held up", async () => {
      const ids = await beginMany(8);
      await using _ = await heldUp();
      await closedLoop(ids, 50);
      expect((await stored(ids)).groups).toBeLessThan(75);
    });

    test("of a conversation that somebody has locked hold up those of no other, however many come", async () => {
      const conversation_id = await begin();
      await using _ = await heldUp();
      for (const turn of [1, 2, 3])
        expect((await store.messages.store({ conversation_id, ...user("does not wait") })).turn_number).toBe(turn);
    });

    test("of a bulk call that is under way are passed by single ones to another conversation", async () => {
      const [conversation_id, free] = [await begin(), await begin()];
      const writer = new Writer(1);
      const messages = Array.from({ length: 1000 }, () => user(writer.text(4000)));
      const answered: string[] = [];
      const bulk = store.messages.storeBulk({ conversation_id, messages }).then(() => answered.push("bulk"));
      await untilUnderWay("at work");
      for (const single of ["first", "second", "third"]) {
        await store.messages.store({ conversation_id: free, ...user(single) });
        answered.push(single);
      }
      await bulk;
      expect(answered).toEqual(["first", "second", "third", "bulk"]);
    });

    test("fail alone when one call is bad", async () => {
      const conversation_id = await begin();
      const calls = Array.from({ length: 50 }, (_, index) =>
        store.messages.store({ conversation_id: index === 25 ? crypto.randomUUID() : conversation_id, ...user("x") }),
      );
      const settled = await Promise.allSettled(calls);
      expect(settled.filter((each) => each.status === "rejected")).toHaveLength(1);
      expect(settled[25]).toMatchObject({ reason: { code: "not_found", field: "conversation_id" } });
      expect((await stored([conversation_id])).messages).toBe(49);
    });
  });
}
