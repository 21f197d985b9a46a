import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Store } from "../../../src/store/store.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

for (const engine of engines) {
  describe(`the facets of a search on ${engine.name}`, () => {
    let store: Store;
    beforeAll(async () => {
      store = await testStore(engine);
      for (const [source, cwd, ...contents] of [
        ["codex", "/a", "a quince", "another quince"],
        ["codex", "/b", "the third quince"],
        ["gemini", "/a", "the fourth quince, and a medlar"],
        ["gemini", undefined, "a quince in no folder"],
        ["codex", "/a", "nothing of that kind"],
      ] as const) {
        const { conversation_id } = await store.conversations.begin({ metadata: { source, cwd } });
        const messages = contents.map((content, index) => ({ role: index === 0 ? "user" : "assistant", content }));
        await store.messages.storeBulk({ conversation_id, messages });
      }
    });
    afterAll(() => store.close());

    const facets = async (query: string, filter: object = {}) =>
      (await store.search.find({ query, limit: 1, offset: 0, facets: true, ...filter })).facets;

    const byClient = [
      { value: "codex", count: 3 },
      { value: "gemini", count: 2 },
    ];

    test("count the hits of each value, the commonest first", async () => {
      expect(await facets("quince")).toEqual({
        client: byClient,
        folder: [
          { value: "/a", count: 3 },
          { value: "/b", count: 1 },
        ],
        role: [
          { value: "user", count: 4 },
          { value: "assistant", count: 1 },
        ],
      });
    });

    test("tell what choosing another value of the same facet would give", async () => {
      expect(await facets("quince", { client: "gemini" })).toEqual({
        client: byClient,
        folder: [{ value: "/a", count: 1 }],
        role: [{ value: "user", count: 2 }],
      });
      expect(await facets("medlar third", { client: "codex" })).toMatchObject({
        client: [
          { value: "codex", count: 1 },
          { value: "gemini", count: 1 },
        ],
      });
      expect(await facets("quince", { client: "codex", role: "assistant" })).toEqual({
        client: [{ value: "codex", count: 1 }],
        folder: [{ value: "/a", count: 1 }],
        role: [
          { value: "user", count: 2 },
          { value: "assistant", count: 1 },
        ],
      });
    });

    test("follow a query's conditions and corrections", async () => {
      expect(await facets('quince "fourth quince"')).toMatchObject({ client: [{ value: "gemini", count: 1 }] });
      expect(await facets("quince -third")).toMatchObject({ folder: [{ value: "/a", count: 3 }] });
      await store.search.vocabulary.refresh();
      expect(await facets("quinse")).toMatchObject({ client: byClient });
    });

    test("come on the first page only, and only when they are asked for and there are words", async () => {
      const { next_cursor, ...first } = await store.search.find({ query: "quince", limit: 1, offset: 0 });
      expect(first).not.toHaveProperty("facets");
      expect(await facets("quince", { cursor: next_cursor })).toBeUndefined();
      expect(await facets("", { client: "codex" })).toBeUndefined();
      expect(await facets("nowhere")).toBeUndefined();
    });

    test("are absent for a word of more messages than are counted", async () => {
      const messages = Array.from({ length: 10_001 }, (_, index) => ({ role: "tool", content: `damson ${index}` }));
      await store.messages.storeBulk({ messages });
      expect(await facets("damson")).toEqual({});
      expect(await facets("damson", { role: "user" })).toEqual({ client: [], folder: [] });
    });

    test("are absent when there are more hits than are counted", async () => {
      const connection = await emptyDatabase(engine);
      await using many = await testStore(engine, { connection });
      const { conversation_id } = await many.conversations.begin({ metadata: { source: "codex" } });
      await using sql = connect(connection);
      await sql`insert into messages (conversation_id, turn_number, role, content, search)
        select ${conversation_id}, n, 'user', 'countless', dewey_search_vector('countless') from generate_series(1, 10001) n`;
      await sql`update conversations set message_count = 10001`;
      const found = (client?: string) =>
        many.search.find({ query: "countless", limit: 1, offset: 0, facets: true, client });
      for (const client of [undefined, "codex"])
        expect(await found(client)).toMatchObject({ total: 10_000, total_is_lower_bound: true, facets: {} });
    });
  });
}
