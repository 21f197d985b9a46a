import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SearchReply } from "../../../src/store/search/search.ts";
import type { Store } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

for (const engine of engines) {
  describe(`pages of a search on ${engine.name}`, () => {
    let store: Store;
    let connection: Awaited<ReturnType<typeof emptyDatabase>>;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());

    const user = (content: string) => ({ role: "user", content });
    const find = (query: string, options: object = {}) =>
      store.search.find({ query, limit: 20, offset: 0, ...options });
    const contents = (reply: SearchReply) => reply.results.map((hit) => hit.content);

    /** Reads all pages and runs `between` after each but the last. */
    async function read(query: string, options: object, between: (page: number) => Promise<unknown>) {
      const pages = [await find(query, options)];
      for (let last = pages[0]; last?.next_cursor !== undefined;) {
        await between(pages.length);
        last = await find(query, { ...options, cursor: last.next_cursor });
        pages.push(last);
      }
      return pages;
    }

    test("hold every message of the first page's snapshot exactly once, whatever is stored in between", async () => {
      const conversations = Array.from({ length: 6 }, (_, each) =>
        Array.from({ length: 45 }, (_, turn) => user(`kumquat ${"jam ".repeat(turn % 7)}${each}-${turn}`)),
      );
      const ids: string[] = [];
      for (const messages of conversations)
        ids.push((await store.messages.storeBulk({ session_id: "fruit", messages })).conversation_id);
      const wanted = conversations.flat().map((message) => message.content);
      for (const options of [{ limit: 40 }, { limit: 40, session_id: "fruit" }]) {
        const total = (await find("kumquat jam", options)).total;
        const pages = await read("kumquat jam", options, async (page) => {
          // Better matches, older ones, and neighbours of hits that are still to come.
          for (const conversation_id of ids)
            await store.messages.store({
              conversation_id,
              ...user(`kumquat jam kumquat jam new ${page} ${crypto.randomUUID()}`),
            });
          await store.messages.storeBulk({
            session_id: "fruit",
            messages: Array.from({ length: 30 }, (_, each) => ({
              ...user(`kumquat jam new ${page}-${each} ${crypto.randomUUID()}`),
              created_at: "2001-01-01T00:00:00Z",
            })),
          });
        });
        const old = pages.flatMap(contents).filter((content) => !content.includes("new"));
        expect(old.toSorted()).toEqual(wanted.toSorted());
        expect(pages.flatMap(contents).length).toBe(total);
        expect(pages.map((page) => page.total)).toEqual(pages.map(() => total));
        expect(pages.map((page) => page.offset)).toEqual(pages.map((_, index) => index * 40));
      }
    });

    test("leave out messages in flight at the first page, and keep those from another cluster", async () => {
      const { conversation_id } = await store.messages.storeBulk({
        messages: [user("yuzu a"), user("yuzu b"), user("yuzu far")],
      });
      await using sql = connect(connection);
      await sql`update messages set stored_in = 9000000000000000 where content = 'yuzu far'`;
      let first: SearchReply | undefined;
      await sql.begin(async (slow) => {
        await slow`insert into messages (conversation_id, turn_number, role, content, search)
          values (${conversation_id}, 70, 'user', 'yuzu late', dewey_search_vector('yuzu late'))`;
        // A later transaction that commits first: the one in flight is not the snapshot's newest.
        await store.messages.storeBulk({ messages: [user("yuzu c")] });
        first = await find("yuzu", { limit: 1 });
      });
      const rest = await find("yuzu", { cursor: first?.next_cursor });
      const found = [first, rest].flatMap((page) => (page ? contents(page) : []));
      expect(found.toSorted()).toEqual(["yuzu a", "yuzu b", "yuzu c", "yuzu far"]);
      expect((await find("yuzu")).total).toBe(5);
    });

    test("are the same by offset while nothing is stored", async () => {
      const all = (await find("kumquat", { limit: 100 })).results.map((hit) => hit.message_id);
      const second = await find("kumquat", { limit: 100, offset: 100 });
      const byThirties = [];
      for (const offset of [0, 30, 60, 90, 120, 150])
        byThirties.push(...(await find("kumquat", { limit: 30, offset })).results);
      expect(byThirties.map((hit) => hit.message_id)).toEqual(
        [...all, ...second.results.map((hit) => hit.message_id)].slice(0, 180),
      );
      expect((await find("kumquat", { offset: 100_000 })).results).toEqual([]);
    });

    test("end without a cursor, and skip messages moved to the trash", async () => {
      const { conversation_id } = await store.messages.storeBulk({ messages: [user("rhubarb a"), user("rhubarb b")] });
      await store.messages.storeBulk({ messages: [user("rhubarb c")] });
      const first = await find("rhubarb", { limit: 1 });
      const rest = await find("rhubarb", { cursor: first.next_cursor });
      expect([...contents(first), ...contents(rest)].toSorted()).toEqual(["rhubarb a", "rhubarb b", "rhubarb c"]);
      expect(rest).not.toHaveProperty("next_cursor");
      await store.conversations.delete({ conversation_id, force: false });
      expect(contents(await find("rhubarb"))).toEqual(["rhubarb c"]);
    });

    test("refuse a cursor of another search, and name the field to correct", async () => {
      await store.messages.storeBulk({ messages: Array.from({ length: 3 }, (_, each) => user(`tamarind ${each}`)) });
      const { next_cursor: cursor = "" } = await find("tamarind", { limit: 1 });
      const changed = `${cursor.slice(0, 40)}${cursor[40] === "A" ? "B" : "A"}${cursor.slice(41)}`;
      const asked: [string, object][] = [
        ["kumquat", { cursor }],
        ["tamarind", { cursor, role: "user" }],
        ...["", "x", "null", "AAAA", "\0", "é", cursor.slice(0, -3), changed, `${cursor}AAAA`, "A".repeat(10_000)].map(
          (broken): [string, object] => ["tamarind", { cursor: broken }],
        ),
      ];
      for (const [query, options] of asked) {
        expect(await failure(find(query, options))).toMatchObject({ code: "invalid", field: "cursor" });
      }
      expect(await failure(find("tamarind", { cursor, offset: 1 }))).toMatchObject({
        code: "invalid",
        field: "offset",
      });
      expect((await find("tamarind", { cursor, limit: 2, context: 1 })).results).toHaveLength(2);
    });

    test("show the requested number of turns around a hit, as far as they exist", async () => {
      const { conversation_id } = await store.messages.storeBulk({
        messages: ["one", "two", "three sassafras", "four", "five"].map(user),
      });
      await store.messages.store({ conversation_id, ...user("seventy"), turn_number: 70 });
      const [hit] = (await find("sassafras", { context: 2 })).results;
      const { next_after_turn: _, messages } = await store.messages.page({ conversation_id });
      const near = (turn: number) => {
        const message = messages.find((each) => each.turn === turn)!;
        const { id: message_id, role, content, created_at } = message;
        return { message_id, turn, role, content, created_at };
      };
      expect(hit).toMatchObject({ turn: 3, before: [near(1), near(2)], after: [near(4), near(5)] });
      const [nearest] = (await find("sassafras", { context: 1 })).results;
      expect(nearest).toMatchObject({ before: [near(2)], after: [near(4)] });
      expect((await find("sassafras", { context: 5 })).results[0]?.after).toEqual([near(4), near(5), near(70)]);
      expect((await find("sassafras")).results[0]).not.toHaveProperty("before");
      expect((await find("sassafras", { context: 0 })).results[0]).not.toHaveProperty("after");
    });

    test("stay within the reply's budget, with snippets and surrounding turns, and continue where they ended", async () => {
      const filler = "and so the story of the river went on for a long while. ".repeat(30);
      const ids = [];
      for (let each = 0; each < 8; each += 1) {
        const messages = Array.from({ length: 12 }, (_, turn) => ({
          ...user(`${filler} persimmon ${each}-${turn} ${filler}`),
          metadata: { note: "m".repeat(each * 200) },
        }));
        ids.push((await store.messages.storeBulk({ metadata: { about: "x".repeat(300) }, messages })).conversation_id);
      }
      for (const options of [{ limit: 100 }, { limit: 20 }, { limit: 100, context: 5 }, { limit: 3, context: 1 }]) {
        const pages = await read("persimmon", options, () => Promise.resolve());
        for (const page of pages) expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(61_000);
        const found = pages.flatMap((page) => page.results.map((hit) => hit.message_id));
        expect([found.length, new Set(found).size]).toEqual([96, 96]);
      }
    });

    test("cut a long content around its match, report the offset, and return it whole on request", async () => {
      const long = `${"é🙂 nothing here. ".repeat(10_000)}then the loganberry fell. ${"And more, much more. ".repeat(20_000)}`;
      const messages = [user(long), user(`\0${long.replace("And more", "And less")}`)];
      const { conversation_id } = await store.messages.storeBulk({ messages });
      const cut = await find("loganberry");
      expect(cut.total).toBe(2);
      for (const hit of cut.results) {
        expect(hit.content).toContain("then the loganberry fell.");
        expect(hit.snippet).toContain("then the **loganberry** fell.");
        const { content_offset: offset = 0, content_length: length } = hit;
        const whole = messages[hit.turn - 1]?.content ?? "";
        expect(length).toBe(Array.from(whole).length);
        expect(Array.from(whole).slice(offset).join("").startsWith(hit.content)).toBe(true);
        const page = await store.messages.page({ conversation_id, turn: hit.turn, content_offset: offset });
        expect(page.messages[0]?.content.slice(0, 1000)).toBe(hit.content.slice(0, 1000));
      }
      const { results } = await find("loganberry", { full: true });
      expect(results.map((hit) => hit.content).toSorted()).toEqual(messages.map(({ content }) => content).toSorted());
      for (const hit of results) expect(hit).not.toHaveProperty("content_length");
    });
  });
}
