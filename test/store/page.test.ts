import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`pages of a conversation on ${engine.name}`, () => {
    let store: Store;
    let connection: Awaited<ReturnType<typeof emptyDatabase>>;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());

    const begin = async () => (await store.conversations.begin({})).conversation_id;
    const user = (content: string) => ({ role: "user", content });

    test("stay within the budget and omit nothing", async () => {
      const messages = Array.from({ length: 3000 }, (_, index) => user(`row ${index} ${"x".repeat(index % 100)}`));
      const { conversation_id } = await store.messages.storeBulk({ messages });
      const seen: string[] = [];
      for (let after: number | undefined = 0; after !== undefined;) {
        const page = await store.messages.page({ conversation_id, after_turn: after });
        expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(70_000);
        seen.push(...page.messages.map((message) => message.content));
        after = page.next_after_turn;
      }
      expect(seen).toEqual(messages.map((message) => message.content));
    });

    test("continue within a message larger than a reply up to its end, without splitting characters", async () => {
      const conversation_id = await begin();
      for (const content of ["🙂é".repeat(40_000), `${"漢".repeat(30_000)}\0${"x".repeat(70_000)}\ud800`]) {
        const { turn_number } = await store.messages.store({ conversation_id, role: "tool", content });
        let text = "";
        for (let offset: number | undefined = 0; offset !== undefined;) {
          const page = await store.messages.page({ conversation_id, turn: turn_number, content_offset: offset });
          text += page.messages[0]?.content ?? "";
          offset = page.messages[0]?.next_content_offset;
        }
        expect(text === content).toBe(true);
      }
    });

    test("have an outline: the stretches of turns without gaps, and the beginnings of prompts", async () => {
      const said = (turn_number: number, role: string, metadata: Record<string, unknown> = {}) => ({
        turn_number,
        role,
        content: `${turn_number} ${"long ".repeat(50)}`,
        metadata,
      });
      const messages = [
        said(1, "user", { kind: "prompt" }),
        said(2, "assistant", { kind: "answer" }),
        said(3, "system", { kind: "note", bookkeeping: true }),
        said(4, "user"),
        said(8, "user", { kind: "command" }),
        said(9, "tool"),
      ];
      const { conversation_id } = await store.messages.storeBulk({ messages });
      const outline = await store.messages.page({ conversation_id, outline: true });
      expect(outline).toMatchObject({
        messages: [],
        turns: [
          [1, 2],
          [4, 4],
          [8, 9],
        ],
      });
      expect(outline.prompts?.map(({ turn, text }) => [turn, text.length])).toEqual([
        [1, 120],
        [4, 120],
      ]);
      expect(outline).not.toHaveProperty("next_after_turn");
      const everything = await store.messages.page({ conversation_id, outline: true, everything: true });
      expect(everything.turns).toEqual([
        [1, 4],
        [8, 9],
      ]);
    });

    test("have an outline in parts when it is long, which together are the whole", async () => {
      // First one long stretch, then each turn alone.
      const turnOf = (index: number) => (index < 2000 ? index + 1 : index * 2);
      const messages = Array.from({ length: 4000 }, (_, index) => ({
        ...user(`row ${index}`),
        turn_number: turnOf(index),
      }));
      const { conversation_id } = await store.messages.storeBulk({ messages });
      const [turns, prompts]: [number[], number[]] = [[], []];
      let parts = 0;
      for (let after: number | undefined = 0; after !== undefined; parts += 1) {
        const part = await store.messages.page({ conversation_id, outline: true, after_turn: after });
        expect(Buffer.byteLength(JSON.stringify(part))).toBeLessThan(70_000);
        for (const [first, last] of part.turns ?? []) for (let turn = first; turn <= last; turn += 1) turns.push(turn);
        prompts.push(...(part.prompts ?? []).map(({ turn }) => turn));
        after = part.next_after_turn;
      }
      expect(parts).toBeGreaterThan(2);
      expect(turns).toEqual(messages.map(({ turn_number }) => turn_number));
      expect(prompts).toEqual(turns);
    });

    test("end at the limit, and say where to continue only when there is more", async () => {
      const { conversation_id } = await store.messages.storeBulk({ messages: ["a", "b", "c"].map(user) });
      const two = await store.messages.page({ conversation_id, limit: 2 });
      expect([two.messages.map((each) => each.content), two.next_after_turn]).toEqual([["a", "b"], 2]);
      const rest = await store.messages.page({ conversation_id, limit: 2, after_turn: 2 });
      expect([rest.messages.map((each) => each.content), rest.next_after_turn]).toEqual([["c"], undefined]);
      expect((await store.messages.page({ conversation_id, after_turn: 3 })).messages).toEqual([]);
      expect(await store.messages.page({ conversation_id, limit: 3 })).not.toHaveProperty("next_after_turn");
    });

    test("show small messages, then a large one cut, then continue after it", async () => {
      const { conversation_id } = await store.messages.storeBulk({
        messages: [user("small"), user("x".repeat(500_000)), user("last")],
      });
      const first = await store.messages.page({ conversation_id });
      expect(first).toMatchObject({ messages: [{ content: "small" }], next_after_turn: 1 });
      const second = await store.messages.page({ conversation_id, after_turn: 1 });
      expect(second.messages).toMatchObject([{ content_length: 500_000, content: expect.stringMatching(/^x+$/) }]);
      expect([second.messages.length, second.next_after_turn]).toEqual([1, 2]);
      expect(Buffer.byteLength(JSON.stringify(second))).toBeLessThan(60_500);
    });

    test("replace metadata too large for a reply by its size, and return it with full", async () => {
      const conversation_id = await begin();
      const metadata = { raw: "y".repeat(200_000) };
      await store.messages.store({ conversation_id, ...user("x".repeat(200_000)), metadata });
      const [cut] = (await store.messages.page({ conversation_id })).messages;
      expect(cut).toMatchObject({ metadata: null, metadata_bytes: 200_011, content_length: 200_000 });
      const [whole] = (await store.messages.page({ conversation_id, full: true })).messages;
      expect(whole).toMatchObject({ metadata, content: "x".repeat(200_000) });
      expect(whole).not.toHaveProperty("content_length");
    });

    test("show the conversation's metadata up to a quarter of the reply, and otherwise its size", async () => {
      const begin = (bytes: number) =>
        store.conversations.begin({ metadata: { t: "x".repeat(bytes - JSON.stringify({ t: "" }).length - 1) } });
      const { conversation_id } = await begin(15_000);
      expect(await store.messages.page({ conversation_id })).not.toHaveProperty("metadata_bytes");
      const { conversation_id: larger } = await begin(15_001);
      expect(await store.messages.page({ conversation_id: larger })).toMatchObject({
        metadata: null,
        metadata_bytes: 15_001,
      });
    });

    test("leave room for the conversation's metadata", async () => {
      const { conversation_id } = await store.conversations.begin({ metadata: { t: "x".repeat(14_000) } });
      await store.messages.store({ conversation_id, ...user("y".repeat(100_000)) });
      const page = await store.messages.page({ conversation_id });
      expect(Buffer.byteLength(JSON.stringify(page))).toBeWithin(59_000, 60_500);
    });

    test("with full hold as much as a frame can carry, and say where to continue", async () => {
      const conversation_id = await begin();
      const content = "z".repeat(5_000_000);
      for (let turn = 1; turn <= 8; turn++) await store.messages.store({ conversation_id, ...user(content) });
      const page = await store.messages.page({ conversation_id, full: true });
      expect([page.messages.length, page.next_after_turn]).toEqual([6, 6]);
      const rest = await store.messages.page({ conversation_id, full: true, after_turn: 6 });
      expect([rest.messages.length, rest.next_after_turn]).toEqual([2, undefined]);
    });

    test("begin with any number that the prototype's callers chose", async () => {
      const conversation_id = await begin();
      await using sql = connect(connection);
      await sql`insert into messages (conversation_id, turn_number, role, content) values (${conversation_id}, -3, 'user', 'a'),
        (${conversation_id}, 0, 'user', 'b')`;
      expect((await store.messages.page({ conversation_id })).messages.map((each) => each.turn)).toEqual([-3, 0]);
    });

    test("refuse a missing turn and an offset after the end, naming the field", async () => {
      const { conversation_id } = await store.messages.storeBulk({ messages: [user("abc")] });
      expect(await failure(store.messages.page({ conversation_id, turn: 2 }))).toMatchObject({
        code: "not_found",
        field: "turn",
      });
      expect(await failure(store.messages.page({ conversation_id, turn: 1, content_offset: 4 }))).toMatchObject({
        code: "invalid",
        field: "content_offset",
      });
      const end = await store.messages.page({ conversation_id, turn: 1, content_offset: 3 });
      expect(end.messages).toMatchObject([{ content: "", content_length: 3 }]);
    });
  });
}
