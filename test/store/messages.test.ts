import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Connection } from "../../src/store/database/connection.ts";
import { openStore } from "../../src/store/store.ts";
import type { Store } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { emptyDatabase, engines, storeOptions, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`messages on ${engine.name}`, () => {
    let store: Store;
    let second: Store;
    let connection: Connection;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
      second = await openStore(storeOptions(connection));
    });
    afterAll(async () => {
      await store.close();
      await second.close();
    });

    const begin = async () => (await store.conversations.begin({})).conversation_id;
    const user = (content: string) => ({ role: "user", content });
    const read = async (conversation_id: string) => (await store.messages.page({ conversation_id })).messages;

    test("are numbered 1, 2, 3 in the order of calls", async () => {
      const conversation_id = await begin();
      const turns = [];
      for (const content of ["a", "b", "c"]) {
        turns.push((await store.messages.store({ conversation_id, ...user(content) })).turn_number);
      }
      expect(turns).toEqual([1, 2, 3]);
      expect((await read(conversation_id)).map((message) => [message.turn, message.content])).toEqual([
        [1, "a"],
        [2, "b"],
        [3, "c"],
      ]);
    });

    test("of 64 callers of two servers get turns without gaps or repeats", async () => {
      const conversation_id = await begin();
      const turns = await Promise.all(
        Array.from({ length: 64 }, async (_, caller) => {
          const mine = [];
          for (let index = 0; index < 8; index++) {
            const server = caller % 2 === 0 ? store : second;
            mine.push((await server.messages.store({ conversation_id, ...user(`${caller}/${index}`) })).turn_number);
          }
          return mine;
        }),
      );
      expect(turns.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 512 }, (_, index) => index + 1));
      const { conversations } = await store.conversations.list({ limit: 100, offset: 0, sort_by: "updated_at" });
      expect(conversations.find((each) => each.id === conversation_id)?.message_count).toBe(512);
    });

    test("of overlapping conversations never deadlock between two servers", async () => {
      const ids = await Promise.all(Array.from({ length: 8 }, begin));
      await Promise.all(
        Array.from({ length: 400 }, (_, index) => {
          const server = index % 2 === 0 ? store : second;
          return server.messages.store({ conversation_id: ids[(index * 7) % 8] ?? "", ...user(`${index}`) });
        }),
      );
      for (const id of ids)
        expect((await read(id)).map((message) => message.turn)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    });

    test("of one conversation are numbered in the order of calls, even when no caller waits for a reply", async () => {
      const conversation_id = await begin();
      const calls = [];
      for (let index = 0; index < 600; index++) {
        calls.push(store.messages.store({ conversation_id, ...user(`${index}`) }));
        // Lets some groups be sent while calls still arrive.
        if (index % 7 === 0) await Bun.sleep(0);
      }
      const turns = (await Promise.all(calls)).map((answer) => answer.turn_number);
      expect(turns).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
    });

    test("never have times that contradict their turns", async () => {
      const conversation_id = await begin();
      await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          (index % 2 === 0 ? store : second).messages.store({ conversation_id, ...user("x") }),
        ),
      );
      const times = (await read(conversation_id)).map((message) => message.created_at);
      expect(times).toEqual(times.toSorted());
    });

    test("with and without turns of the caller's may be stored concurrently, in one conversation and in many", async () => {
      const ids = await Promise.all(Array.from({ length: 4 }, begin));
      const calls = ids.flatMap((conversation_id) =>
        [undefined, 100, undefined, undefined, 200, undefined].map((turn_number) =>
          store.messages.store({ conversation_id, ...user("x"), turn_number }),
        ),
      );
      const turns = (await Promise.all(calls)).map((answer) => answer.turn_number);
      expect(turns).toEqual(ids.flatMap(() => [1, 100, 101, 102, 200, 201]));
    });

    test("with one id stored concurrently in several conversations are stored in one, and a conflict in the others", async () => {
      for (let round = 0; round < 10; round++) {
        const message = { ...user("x"), message_id: crypto.randomUUID() };
        const ids = await Promise.all(Array.from({ length: 6 }, begin));
        const settled = await Promise.allSettled(
          ids.map((conversation_id, index) =>
            (index % 2 === 0 ? store : second).messages.store({ conversation_id, ...message }),
          ),
        );
        const refused = settled.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
        expect(refused).toHaveLength(5);
        for (const reason of refused) expect(reason).toMatchObject({ code: "conflict", field: "message_id" });
      }
    });

    test("may contain any text", async () => {
      const odd = ["NULL", "{}", "{a,b}", '"', "\\", "\\\\", " a ", "\n\r\t", "a,b", "'; drop", '"{"', "\\N", "\u0001"];
      const messages = odd.map((content) => ({ ...user(content), metadata: { [content]: content } }));
      const { conversation_id } = await store.messages.storeBulk({ messages });
      expect(await read(conversation_id)).toMatchObject(messages);
    });

    test("may not have a turn so large that no numbers remain after it", async () => {
      const conversation_id = await begin();
      expect(
        await failure(store.messages.store({ conversation_id, ...user("x"), turn_number: 2_147_483_647 })),
      ).toMatchObject({ code: "invalid", field: "turn_number" });
    });

    test("are stored together when one call has 10,000, even after small calls", async () => {
      const conversation_id = await begin();
      for (let index = 0; index < 8; index++)
        await store.messages.storeBulk({ conversation_id, messages: [user("a")] });
      const messages = Array.from({ length: 10_000 }, (_, index) => user(`row ${index}`));
      expect(await store.messages.storeBulk({ conversation_id, messages })).toEqual({
        conversation_id,
        stored: 10_000,
        first_turn: 9,
        last_turn: 10_008,
      });
    });

    test("repeated with their id return the same and store nothing, through another server and with the id in any case", async () => {
      const conversation_id = await begin();
      const message = {
        conversation_id,
        role: "user",
        content: "once",
        metadata: { a: 1, b: { c: 2, d: 3 } },
        message_id: crypto.randomUUID(),
      };
      const first = await store.messages.store(message);
      const again = await second.messages.store({ ...message, metadata: { b: { d: 3, c: 2 }, a: 1 } });
      const upper = await second.messages.store({ ...message, message_id: message.message_id.toUpperCase() });
      expect([again, upper]).toEqual([first, first]);
      expect(await read(conversation_id)).toHaveLength(1);
    });

    test("with one id from ten concurrent callers are stored once", async () => {
      const conversation_id = await begin();
      const message = { conversation_id, ...user("race"), message_id: crypto.randomUUID() };
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? store : second).messages.store(message)),
      );
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      expect(await read(conversation_id)).toHaveLength(1);
    });

    test("with a known id but another content, role, metadata or conversation are a conflict", async () => {
      const conversation_id = await begin();
      const message = { conversation_id, ...user("mine"), metadata: { a: 1 }, message_id: crypto.randomUUID() };
      await store.messages.store(message);
      const others = [
        { content: "other" },
        { role: "tool" },
        { metadata: { a: 2 } },
        { conversation_id: await begin() },
      ];
      for (const other of others) {
        expect(await failure(store.messages.store({ ...message, ...other }))).toMatchObject({
          code: "conflict",
          field: "message_id",
        });
      }
    });

    test("may have a free turn of the caller's, and the next turn follows it", async () => {
      const conversation_id = await begin();
      await store.messages.store({ conversation_id, ...user("ten"), turn_number: 10 });
      expect((await store.messages.store({ conversation_id, ...user("next") })).turn_number).toBe(11);
      expect((await store.messages.store({ conversation_id, ...user("four"), turn_number: 4 })).turn_number).toBe(4);
      expect(await failure(store.messages.store({ conversation_id, ...user("x"), turn_number: 10 }))).toMatchObject({
        code: "conflict",
        field: "turn_number",
      });
    });

    test("in bulk are stored together, in order, with their ids in the reply", async () => {
      const conversation_id = await begin();
      await store.messages.store({ conversation_id, ...user("one") });
      const reply = await store.messages.storeBulk({ conversation_id, messages: [user("two"), user("three")] });
      expect(reply).toMatchObject({ conversation_id, stored: 2, first_turn: 2, last_turn: 3 });
      expect((await read(conversation_id)).slice(1).map((message) => message.id)).toEqual(reply.message_ids ?? []);
    });

    test("in bulk skip messages that the conversation has, if requested, even if they differ", async () => {
      const conversation_id = await begin();
      const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
      await store.messages.store({ conversation_id, ...user("as it was"), message_id: first });
      const messages = [
        { ...user("told otherwise"), message_id: first.toUpperCase() },
        { ...user("new"), message_id: second },
      ];
      const again = { conversation_id, messages, skip_known: true };
      expect(await store.messages.storeBulk(again)).toMatchObject({ stored: 1, known: 1, first_turn: 2, last_turn: 2 });
      expect(await store.messages.storeBulk(again)).toEqual({ conversation_id, stored: 0, known: 2, message_ids: [] });
      expect((await read(conversation_id)).map((message) => message.content)).toEqual(["as it was", "new"]);
    });

    test("in bulk keep the caller's turns, including gaps", async () => {
      const conversation_id = await begin();
      const messages = [3, 7].map((turn_number) => ({ ...user(`turn ${turn_number}`), turn_number }));
      expect(await store.messages.storeBulk({ conversation_id, messages })).toMatchObject({
        first_turn: 3,
        last_turn: 7,
      });
      expect((await read(conversation_id)).map((message) => message.turn)).toEqual([3, 7]);
      expect(await failure(store.messages.storeBulk({ conversation_id, messages }))).toMatchObject({
        code: "conflict",
      });
    });

    test("in bulk report their first and last turn in any order", async () => {
      const messages = [7, 3, 5].map((turn_number) => ({ ...user(`turn ${turn_number}`), turn_number }));
      expect(await store.messages.storeBulk({ messages })).toMatchObject({ first_turn: 3, last_turn: 7 });
    });

    test("in bulk report up to a hundred ids", async () => {
      const messages = Array.from({ length: 101 }, (_, index) => user(`${index}`));
      expect((await store.messages.storeBulk({ messages: messages.slice(1) })).message_ids).toHaveLength(100);
      expect(await store.messages.storeBulk({ messages })).not.toHaveProperty("message_ids");
    });

    test("in bulk do not skip messages of another conversation", async () => {
      const [mine, theirs] = [await begin(), await begin()];
      const messages = [{ ...user("x"), message_id: crypto.randomUUID() }];
      await store.messages.storeBulk({ conversation_id: theirs, messages });
      expect(
        await failure(store.messages.storeBulk({ conversation_id: mine, messages, skip_known: true })),
      ).toMatchObject({ code: "conflict", field: "messages[0].message_id" });
    });

    test("in bulk skip copies of another conversation's messages, if requested, and report them and what differs", async () => {
      const [mine, theirs] = [await begin(), await begin()];
      const [same, other, secret] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
      const messages = (text: string) => [
        { ...user("x"), message_id: same, metadata: { by: text } },
        { ...user(text), message_id: other },
        { ...user("provisional"), message_id: secret, metadata: { provisional: true } },
      ];
      await store.messages.storeBulk({ conversation_id: theirs, messages: messages("one") });
      const copied = messages("two").map((each) => ({
        ...each,
        content: each.content.replace("provisional", "final"),
      }));
      const reply = await store.messages.storeBulk({ conversation_id: mine, messages: copied, skip_copies: true });
      expect(reply).toMatchObject({ stored: 0, known: 3, changed: [other], elsewhere: [theirs] });
    });

    test("in bulk leave nothing behind when one is refused, not even a new conversation", async () => {
      const conversation_id = await begin();
      const message_id = crypto.randomUUID();
      await store.messages.store({ conversation_id, ...user("taken"), message_id });
      const messages = [user("a"), { ...user("b"), message_id }, user("c")];
      const conflict = { code: "conflict", field: "messages[1].message_id" };
      expect(await failure(store.messages.storeBulk({ conversation_id, messages }))).toMatchObject(conflict);
      expect(await failure(store.messages.storeBulk({ session_id: "new", messages }))).toMatchObject(conflict);
      expect(await read(conversation_id)).toHaveLength(1);
      expect(
        (await store.conversations.list({ session_id: "new", limit: 1, offset: 0, sort_by: "updated_at" })).total,
      ).toBe(0);
    });

    test("in bulk with one id twice are one message if equal, and otherwise a conflict", async () => {
      const message_id = crypto.randomUUID();
      const reply = await store.messages.storeBulk({
        messages: [
          { ...user("x"), message_id },
          { ...user("x"), message_id },
        ],
      });
      expect(reply.message_ids).toEqual([message_id, message_id]);
      expect(await read(reply.conversation_id)).toHaveLength(1);
      const other = crypto.randomUUID();
      const different = [
        { ...user("x"), message_id: other },
        { ...user("y"), message_id: other },
      ];
      expect(await failure(store.messages.storeBulk({ messages: different }))).toMatchObject({
        field: "messages[1].message_id",
      });
    });

    test("of 20 MB are returned whole with full, and otherwise cut with an offset to continue at", async () => {
      const conversation_id = await begin();
      const content = "é漢🙂 word ".repeat(1_400_000);
      await store.messages.store({ conversation_id, role: "tool", content });
      const [whole] = (await store.messages.page({ conversation_id, full: true })).messages;
      expect(whole?.content === content).toBe(true);
      const [cut] = (await store.messages.page({ conversation_id })).messages;
      expect(cut).toMatchObject({ content_length: Array.from(content).length });
      expect(Buffer.byteLength(cut?.content ?? "")).toBeLessThanOrEqual(60_000);
    });

    test("with NUL and lone surrogates are returned unchanged, in content and metadata", async () => {
      const conversation_id = await begin();
      for (const odd of ["a\u0000b", "x\ud800y", "\udc00", "\\u0000", "\\\u0000\u0000", "plain"]) {
        await store.messages.store({
          conversation_id,
          role: "tool",
          content: odd,
          metadata: { [odd]: { nested: [odd] } },
        });
        const last = (await read(conversation_id)).at(-1);
        expect([last?.content, last?.metadata]).toEqual([odd, { [odd]: { nested: [odd] } }]);
      }
    });

    test("with millions of distinct words are stored, and their beginning is found", async () => {
      const conversation_id = await begin();
      const words = Array.from({ length: 600_000 }, (_, index) => `w${index.toString(36)}`).join(" ");
      const hyphens = Array.from(
        { length: 100_000 },
        (_, index) => `a${index.toString(36)}-b${index.toString(36)}`,
      ).join("/");
      for (const content of [words, hyphens, "x".repeat(3_000_000), "é".repeat(150_000)]) {
        await store.messages.store({ conversation_id, role: "tool", content });
      }
      expect((await store.search.find({ query: "w7ps", conversation_id, limit: 1, offset: 0 })).total).toBe(1);
    });

    test("are not stored into a conversation in the trash", async () => {
      const conversation_id = await begin();
      await store.conversations.delete({ conversation_id, force: false });
      expect(await failure(store.messages.store({ conversation_id, ...user("x") }))).toMatchObject({
        code: "not_found",
      });
    });

    test("of a recorder follow their conversation into the trash, so that it is complete when restored", async () => {
      const { conversation_id } = await store.messages.storeBulk({ messages: [user("before")] });
      await store.conversations.delete({ conversation_id, force: false });
      const follow_to_trash = true;
      const result = { correlation_id: conversation_id, model: "m", output: "o", result_id: crypto.randomUUID() };
      for (let time = 0; time < 2; time++) {
        await store.messages.storeBulk({
          conversation_id,
          follow_to_trash,
          messages: [{ ...user("late"), message_id: conversation_id }],
        });
        await store.results.store({ ...result, conversation_id, follow_to_trash });
      }
      expect(await failure(read(conversation_id))).toMatchObject({ code: "not_found" });
      const found = () => store.results.find({ conversation_id, limit: 1, offset: 0 });
      expect((await found()).total).toBe(0);
      expect(await store.conversations.restore({ conversation_id })).toEqual({ restored: true, message_count: 2 });
      expect((await read(conversation_id)).map((message) => message.content)).toEqual(["before", "late"]);
      expect((await found()).total).toBe(1);
      await store.conversations.delete({ conversation_id, force: true });
      const late = [
        store.messages.storeBulk({ conversation_id, follow_to_trash, messages: [user("too late")] }),
        store.results.store({ ...result, result_id: crypto.randomUUID(), conversation_id, follow_to_trash }),
      ];
      for (const error of await Promise.all(late.map(failure))) {
        expect(error).toMatchObject({ code: "not_found", field: "conversation_id" });
      }
    });

    test("whose words nearly reach the limit of a tsvector are stored", async () => {
      const conversation_id = await begin();
      // Just below the size from which only a beginning is indexed; short distinct compounds cost the most per byte.
      const content = Array.from({ length: 21_000 }, (_, index) => `${index.toString(36)}-${index.toString(36)}`)
        .join(" ")
        .slice(0, 199_999);
      expect((await store.messages.store({ conversation_id, role: "tool", content })).turn_number).toBe(1);
    });
  });
}
