import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Writer, groupTimes } from "../../../src/store/append/writer.ts";
import type { GroupTimes } from "../../../src/store/append/writer.ts";
import type { Connection } from "../../../src/store/database/connection.ts";
import { Database } from "../../../src/store/database/database.ts";
import { noRedactor } from "../../../src/store/redact/redact.ts";
import { IndexSorter } from "../../../src/store/search/index-sorter.ts";
import type { Store } from "../../../src/store/store.ts";
import { Workshop } from "../../../src/store/workshop/workshop.ts";
import { Writer as TextWriter } from "../../bench/support/text.ts";
import { failure } from "../../support/failure.ts";
import { lockConversation } from "../../support/locked-conversation.ts";
import { importTexts, partsAhead, textsOfTwoParts, wordsWaiting } from "../../support/parts-ahead.ts";
import { connect, emptyDatabase, engines, storeOptions, testStore } from "../../support/postgres.ts";
import { quiet } from "../../support/quiet.ts";
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

    /** Resolves when a group is in flight in the database: at work, or waiting for a lock. */
    const untilUnderWay = async (what: "at work" | "waiting for a lock", at = connection) => {
      await using sql = connect(at);
      await until(`a group ${what}`, async () => {
        const rows = await sql`select from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and query like '%dewey_append%'
            and state = 'active' and (wait_event_type is not distinct from 'Lock') = ${what === "waiting for a lock"}`;
        return rows.length > 0;
      });
    };

    /** Messages held up by a lock on their conversation; they are stored when the block ends. */
    const heldUp = async (
      append = (conversation_id: string): Promise<unknown> =>
        store.messages.store({ conversation_id, ...user("waits") }),
    ): Promise<AsyncDisposable> => {
      const conversation_id = await begin();
      const lock = await lockConversation(connection, conversation_id);
      const waiting = append(conversation_id);
      await untilUnderWay("waiting for a lock");
      return {
        async [Symbol.asyncDispose]() {
          await lock[Symbol.asyncDispose]();
          await waiting;
        },
      };
    };

    /** Callers that call again as soon as they are answered; all but the first do so one turn of the event loop later. */
    const closedLoop = (ids: string[], calls: number) =>
      Promise.all(
        ids.map(async (conversation_id, caller) => {
          for (let call = 0; call < calls; call++) {
            if (caller > 0) await new Promise(setImmediate);
            await store.messages.store({ conversation_id, ...user(`${call}`) });
          }
        }),
      );

    test("of callers who call at the same moment share one transaction", async () => {
      const ids = await beginMany(12);
      for (let call = 0; call < 20; call++)
        await Promise.all(ids.map((conversation_id) => store.messages.store({ conversation_id, ...user(`${call}`) })));
      expect(await stored(ids)).toEqual({ messages: 20 * 12, groups: 20 });
    });

    // If no group waited, the first caller would go alone and the others after it, each time: two groups per call.
    test("wait for callers that were just answered, so that most groups hold all callers of a loop", async () => {
      const ids = await beginMany(8);
      await closedLoop(ids, 50);
      const { messages, groups } = await stored(ids);
      expect(messages).toBe(8 * 50);
      expect(groups).toBeLessThan(75);
    });

    test("wait for such callers even while another group is held up", async () => {
      const ids = await beginMany(8);
      await using _ = await heldUp();
      await closedLoop(ids, 50);
      expect((await stored(ids)).groups).toBeLessThan(75);
    });

    test("of a locked conversation hold up no other conversation, however many messages arrive", async () => {
      const conversation_id = await begin();
      await using _ = await heldUp();
      for (const turn of [1, 2, 3])
        expect((await store.messages.store({ conversation_id, ...user("does not wait") })).turn_number).toBe(turn);
    });

    test("of a bulk call in flight are overtaken by single ones to another conversation", async () => {
      const [conversation_id, free] = [await begin(), await begin()];
      const writer = new TextWriter(1);
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

    /** A writer with its own times, which appends a number of rows at a time. */
    const writing = (times: Partial<GroupTimes>) => {
      const database = new Database(storeOptions(connection));
      const sorter = new IndexSorter(database, quiet);
      const writer = new Writer(database, new Workshop(noRedactor, quiet), sorter, { ...groupTimes, ...times });
      return {
        append(conversation: string, rows: number) {
          const messages = Array.from({ length: rows }, (_, row) => user(`${row}`));
          return writer.append(conversation, messages, { single: false, followToTrash: false });
        },
        connections: () => database.use()["main"],
        [Symbol.asyncDispose]: () => database.close(),
      };
    };
    const never: Partial<GroupTimes> = { slowMs: 3_600_000, gatherMs: () => 0 };

    test.each([
      [1, 16],
      [20, 20],
    ])("wait while %i rows are in flight until they have %i, and are then sent beside it", async (ahead, enough) => {
      await using writer = writing(never);
      const [most = "", last = ""] = await beginMany(2);
      await using _ = await heldUp((conversation) => writer.append(conversation, ahead));
      const waiting = writer.append(most, enough - 1);
      // By now it would have been sent.
      await Bun.sleep(0);
      await Promise.all([waiting, writer.append(last, 1)]);
      expect(await stored([most, last])).toEqual({ messages: enough, groups: 1 });
    });

    test("are in flight two at a time at most", async () => {
      await using writer = writing({ ...never, slowMs: 0 });
      const [third = ""] = await beginMany(1);
      const waiting: Promise<unknown>[] = [];
      await using _ = { [Symbol.asyncDispose]: async () => void (await Promise.all(waiting)) };
      await using _first = await heldUp((conversation) => writer.append(conversation, 1));
      await using _second = await heldUp((conversation) => writer.append(conversation, 1));
      waiting.push(writer.append(third, 1));
      await Bun.sleep(0);
      expect(writer.connections()).toMatchObject({ busy: 2, most: 3 });
    });

    test("of one conversation are sent one after the other", async () => {
      await using writer = writing({ ...never, slowMs: 0 });
      const calls: Promise<unknown>[] = [];
      await using _ = { [Symbol.asyncDispose]: async () => void (await Promise.all(calls)) };
      await using _held = await heldUp((conversation) => {
        calls.push(writer.append(conversation, 1));
        // By then the first has been sent.
        queueMicrotask(() => queueMicrotask(() => calls.push(writer.append(conversation, 1))));
        return Promise.all(calls);
      });
      await Bun.sleep(0);
      expect([calls.length, writer.connections()?.busy]).toEqual([2, 1]);
    });

    test("are sent as soon as all answered callers have called again, however long the wait could be", async () => {
      await using writer = writing({ ...never, gatherMs: () => 3_600_000 });
      const ids = await beginMany(8);
      await Promise.all(
        ids.map(async (id) => {
          for (let call = 0; call < 20; call++) {
            await writer.append(id, 1);
            await new Promise(setImmediate);
          }
        }),
      );
      expect(await stored(ids)).toEqual({ messages: 8 * 20, groups: 20 });
    });

    test("hold at most 1,000 rows", async () => {
      await using writer = writing(never);
      const four = await beginMany(4);
      await Promise.all(four.map((id) => writer.append(id, 250)));
      expect(await stored(four)).toEqual({ messages: 1000, groups: 1 });
      const five = await beginMany(5);
      await Promise.all(five.map((id, index) => writer.append(id, index === 4 ? 1 : 250)));
      expect(await stored(five)).toEqual({ messages: 1001, groups: 2 });
    });

    test("keep the order of calls for a conversation, also behind one that takes many turns", async () => {
      const [conversation_id = ""] = await beginMany(1);
      const long = Array.from({ length: 1000 }, (_, index) => user(`a-1_${index} `.repeat(200)));
      const [bulk, single] = await Promise.all([
        store.messages.storeBulk({ conversation_id, messages: long }),
        store.messages.store({ conversation_id, ...user("behind") }),
      ]);
      expect([bulk.first_turn, bulk.last_turn, single.turn_number]).toEqual([1, 1000, 1001]);
    });

    test("of an import's call are stored in parts, in their order", async () => {
      const [conversation_id = ""] = await beginMany(1);
      const messages = Array.from({ length: 12 }, (_, index) => user(`${index} `.padEnd(120_000, "word ")));
      const bulk = await store.messages.storeBulk({ conversation_id, messages, skip_copies: true });
      expect(bulk).toMatchObject({ stored: 12, first_turn: 1, last_turn: 12 });
      expect(await stored([conversation_id])).toEqual({ messages: 12, groups: 4 });
      await using sql = connect(connection);
      const rows: { place: number }[] = await sql`select split_part(content, ' ', 1)::integer as place from messages
        where conversation_id = ${conversation_id} order by turn_number`;
      expect(rows.map(({ place }) => place)).toEqual(messages.map((_, index) => index));
    });

    test("behind a part that is not stored are not stored either, and the error names the message at fault", async () => {
      const [conversation_id = ""] = await beginMany(1);
      await store.messages.store({ conversation_id, ...user("here"), turn_number: 8 });
      const messages = Array.from({ length: 12 }, (_, index) => ({
        ...user(`${index} `.padEnd(120_000, "word ")),
        turn_number: index + 1,
      }));
      const call = store.messages.storeBulk({ conversation_id, messages, skip_copies: true });
      expect(await failure(call)).toMatchObject({
        code: "conflict",
        message: expect.stringContaining("turn 8 is taken"),
      });
      // Two parts of three stand before that one; the last would have fitted.
      expect(await stored([conversation_id])).toEqual({ messages: 7, groups: 3 });
    });

    describe("of a later part are stored in their order, each with its own words, when", () => {
      const meanwhile: [string, () => Promise<unknown>][] = [
        ["they wait for the part before them", async () => {}],
        [
          "they wait longer than their words may wait",
          () => until("the words' end", async () => (await wordsWaiting(connection)).length === 0),
        ],
        [
          "the connection that made their words is lost",
          async () => {
            await using sql = connect(connection);
            for (const pid of await wordsWaiting(connection)) await sql`select pg_terminate_backend(${pid}, 5000)`;
          },
        ],
      ];
      test.each(meanwhile)("%s", async (_, happens) => {
        const [conversation_id = ""] = await beginMany(1);
        const texts = textsOfTwoParts((index) => `ending${conversation_id.slice(-4)}${index}`);
        const parts = await partsAhead(store, connection, conversation_id, texts);
        await happens();
        expect((await stored([conversation_id])).messages).toBe(0);
        await parts.letGo();
        expect(await parts.storing).toMatchObject({ stored: 6, first_turn: 1, last_turn: 6 });
        expect(await stored([conversation_id])).toEqual({ messages: 6, groups: 2 });
        for (const [index, text] of texts.entries()) {
          const query = text.slice(text.lastIndexOf(" ") + 1);
          const { results } = await store.search.find({ query, limit: 9, offset: 0 });
          expect(results.map(({ turn }) => turn)).toEqual([index + 1]);
        }
      });
    });

    test("of a later part leave the last connection to the callers of other conversations", async () => {
      const connection = await emptyDatabase(engine);
      // One of three is for searches.
      await using store = await testStore(engine, { connection, maxConnections: 3 });
      const [busy, other] = [await store.conversations.begin({}), await store.conversations.begin({})];
      const lock = await lockConversation(connection, busy.conversation_id);
      const storing = importTexts(
        store,
        busy.conversation_id,
        textsOfTwoParts((index) => `${index}`),
      );
      // Else a caller would share its group.
      await untilUnderWay("waiting for a lock", connection);
      let left = 20;
      const others = (async () => {
        for (; left > 0; left -= 1)
          await store.messages.store({ conversation_id: other.conversation_id, ...user(`${left}`) });
      })();
      const waiting: number[] = [];
      await until("the other conversation's calls", async () => {
        waiting.push(...(await wordsWaiting(connection)));
        return left === 0;
      });
      await others;
      expect(waiting).toEqual([]);
      await lock[Symbol.asyncDispose]();
      expect(await storing).toMatchObject({ stored: 6 });
    });

    test("hold at most 4,000,000 characters, or one larger message", async () => {
      const together = async (...lengths: number[]) => {
        const ids = await beginMany(lengths.length);
        await Promise.all(
          ids.map((conversation_id, index) =>
            store.messages.store({ conversation_id, ...user("x".padStart(lengths[index] ?? 0)) }),
          ),
        );
        return (await stored(ids)).groups;
      };
      // Short enough to be prepared at once; longer ones come from their thread one after the other.
      const many = Array<number>(100).fill(40_000);
      expect(await together(...many)).toBe(1);
      expect(await together(...many, 1)).toBe(2);
      expect(await together(4_500_000, 1, 1)).toBe(2);
    });

    test("hold no id twice: a caller that repeats another's call waits for the next group", async () => {
      const ids = await beginMany(12);
      const message = { conversation_id: ids[0] ?? "", ...user("once"), message_id: crypto.randomUUID() };
      const others = ids.slice(1).map((conversation_id) => store.messages.store({ conversation_id, ...user("x") }));
      const [first, again] = await Promise.all([1, 2].map(() => store.messages.store(message)));
      await Promise.all(others);
      expect(again).toEqual(first);
      expect(await stored(ids)).toEqual({ messages: 12, groups: 1 });
    });

    test("with one caller that makes the whole fail are stored without it", async () => {
      const ids = await beginMany(10);
      const calls = ids.map((conversation_id, index) =>
        // JavaScript accepts this time, PostgreSQL does not.
        store.messages.store({
          conversation_id,
          ...user("x"),
          created_at: index === 5 ? "300000-01-01T00:00:00Z" : undefined,
        }),
      );
      const settled = await Promise.allSettled(calls);
      expect(settled.map((each) => each.status === "rejected")).toEqual(ids.map((_, index) => index === 5));
      expect((await stored(ids)).messages).toBe(9);
    });

    test("get the time for their size on top of the deadline", async () => {
      const connection = await emptyDatabase(engine);
      await using patient = await testStore(engine, { connection });
      await using hasty = await testStore(engine, { connection, deadlineMs: 600 });
      const { conversation_id } = await patient.conversations.begin({});
      await using sql = connect(connection);
      await sql.unsafe(`create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(1); return null; end';
        create trigger slow before insert on messages for each statement execute function slow()`);
      const large = [user("x".padStart(6_000_000))];
      for (const conversation of [{ conversation_id }, {}]) {
        expect(await hasty.messages.storeBulk({ ...conversation, messages: large })).toMatchObject({ stored: 1 });
        expect(await failure(hasty.messages.storeBulk({ ...conversation, messages: [user("small")] }))).toMatchObject({
          code: "unavailable",
        });
      }
    });

    test("fail only for the call that is at fault", async () => {
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

test("a group waits half as long as the previous one took, and at most 2 ms", () => {
  expect([0, 1, 3, 4, 100].map((tookMs) => groupTimes.gatherMs(tookMs))).toEqual([0, 0.5, 1.5, 2, 2]);
});
