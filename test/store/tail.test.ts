import { describe, expect, test } from "bun:test";
import type { TailReply } from "../../src/store/tail.ts";
import type { Store } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

async function begun(store: Store, session_id?: string): Promise<string> {
  return (await store.conversations.begin({ session_id })).conversation_id;
}

/** Everything that is new, page by page. */
async function news(store: Store, cursor: string, limit = 100): Promise<{ contents: string[]; cursor: string }> {
  const contents: string[] = [];
  let reply: TailReply;
  do {
    reply = await store.tail.read({ cursor, limit });
    cursor = reply.cursor;
    contents.push(...reply.messages.map((message) => message.content));
  } while (reply.more);
  return { contents, cursor };
}

for (const engine of engines) {
  describe(`following what is stored, on ${engine.name}`, () => {
    test("a broken cursor is the caller's fault, whatever is broken in it", async () => {
      await using store = await testStore(engine);
      const { cursor } = await store.tail.read({ limit: 1 });
      const [at] = cursor.split("|");
      for (const wrong of ["5:3:", "5:9:4", "5:9:8,7", "0:0:", "5:9:,,", "1:2:\0"]) {
        for (const text of [`${at}|${wrong}||0`, `${at}|1:1:|${wrong}|0`, `${wrong}||0`, `-1|1:1:||0`]) {
          expect(await failure(store.tail.read({ cursor: text, limit: 1 }))).toMatchObject({
            code: "invalid",
            field: "cursor",
          });
        }
      }
    });

    test("returns each message once, whatever its time and turn", async () => {
      await using store = await testStore(engine);
      const conversation_id = await begun(store);
      const say = (content: string, more: object = {}) =>
        store.messages.store({ conversation_id, role: "user", content, ...more });
      await say("before");
      const first = await store.tail.read({ limit: 10 });
      expect(first).toMatchObject({ messages: [], more: false });
      expect((await news(store, first.cursor)).contents).toEqual([]);
      await say("high", { turn_number: 1000 });
      await say("old", { created_at: "1999-01-01T00:00:00Z", turn_number: 5 });
      const second = await news(store, first.cursor);
      expect(second.contents).toEqual(["old", "high"]);
      await say("after");
      expect((await news(store, second.cursor)).contents).toEqual(["after"]);
      expect((await news(store, first.cursor)).contents).toEqual(["old", "high", "after"]);
    });

    test("loses nothing of a transaction that began before a call and ended after it", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const conversation_id = await begun(store);
      const other = await begun(store);
      let { cursor } = await store.tail.read({ limit: 10 });
      await using sql = connect(connection);
      const seen: string[] = [];
      await sql.begin(async (slow) => {
        await slow`insert into messages (id, conversation_id, turn_number, role, content)
          values (${Bun.randomUUIDv7()}, ${conversation_id}, 1, 'user', 'slow')`;
        await slow`update conversations set last_turn = 1, message_count = 1 where id = ${conversation_id}`;
        await store.messages.store({ conversation_id: other, role: "user", content: "quick" });
        const during = await news(store, cursor);
        seen.push(...during.contents);
        cursor = during.cursor;
      });
      expect(seen).toEqual(["quick"]);
      const after = await news(store, cursor);
      expect(after.contents).toEqual(["slow"]);
      expect((await news(store, after.cursor)).contents).toEqual([]);
    });

    test("returns many messages in pages that do not change while more are stored", async () => {
      await using store = await testStore(engine);
      const conversation_id = await begun(store);
      const { cursor } = await store.tail.read({ limit: 10 });
      const bulk = (tag: string, count: number) =>
        store.messages.storeBulk({
          conversation_id,
          messages: Array.from({ length: count }, (_, n) => ({ role: "user", content: `${tag}${n}` })),
        });
      await bulk("a", 25);
      const page = await store.tail.read({ cursor, limit: 10 });
      expect([page.messages.length, page.more]).toEqual([10, true]);
      await bulk("b", 3);
      const rest = await news(store, page.cursor, 10);
      expect(rest.contents).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24].map((n) => `a${n}`));
      expect((await news(store, rest.cursor)).contents).toEqual(["b0", "b1", "b2"]);
    });

    test("filters by session and conversation, omits the trash, and cuts long contents", async () => {
      await using store = await testStore(engine);
      const { cursor } = await store.tail.read({ limit: 10 });
      const mine = await begun(store, "mine");
      const theirs = await begun(store, "theirs");
      const gone = await begun(store, "mine");
      for (const conversation_id of [mine, theirs, gone]) {
        await store.messages.store({ conversation_id, role: "user", content: "é words ".repeat(10_000) });
      }
      await store.conversations.delete({ conversation_id: gone, force: false });
      const ofSession = await store.tail.read({ cursor, session_id: "mine", limit: 10 });
      expect(ofSession.messages.map((message) => message.conversation_id)).toEqual([mine]);
      expect(ofSession.messages[0]).toMatchObject({ content_length: 80_000, session_id: "mine", turn: 1 });
      expect(Buffer.byteLength(JSON.stringify(ofSession))).toBeLessThan(60_000);
      const ofConversation = await store.tail.read({ cursor, conversation_id: theirs, limit: 10 });
      expect(ofConversation.messages.map((message) => message.conversation_id)).toEqual([theirs]);
    });

    test("returns the newest thousand of each conversation, if more have arrived at once", async () => {
      await using store = await testStore(engine);
      const { cursor } = await store.tail.read({ limit: 10 });
      const messages = Array.from({ length: 1010 }, (_, n) => ({ role: "user", content: `${n}` }));
      await store.messages.storeBulk({ messages });
      await store.messages.storeBulk({ messages: messages.slice(0, 3) });
      const { contents } = await news(store, cursor);
      expect(contents.toSorted()).toEqual(
        [...messages.slice(10), ...messages.slice(0, 3)].map(({ content }) => content).toSorted(),
      );
    });

    test("returns small metadata only", async () => {
      await using store = await testStore(engine);
      const { cursor } = await store.tail.read({ limit: 10 });
      const small = { a: "x\0" };
      const large = { a: "x".repeat(300) };
      const messages = [small, large].map((metadata) => ({ role: "user", content: "c", metadata }));
      await store.messages.storeBulk({ messages });
      const { messages: told } = await store.tail.read({ cursor, limit: 10 });
      expect(told.map((message) => message.metadata)).toEqual([small, null]);
    });

    test("refuses a malformed cursor", async () => {
      await using store = await testStore(engine);
      for (const cursor of ["", "x", "1|2|3|4", "1|1:2:'; drop|​|0"]) {
        expect(await failure(store.tail.read({ cursor, limit: 1 }))).toMatchObject({
          code: "invalid",
          field: "cursor",
        });
      }
    });
  });
}
