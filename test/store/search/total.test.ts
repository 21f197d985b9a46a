import { describe, expect, test } from "bun:test";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

for (const engine of engines) {
  describe(`the total of a search on ${engine.name}`, () => {
    test("is exact up to 1,000 among long texts, and further when the hits are counted", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.conversations.begin({});
      await using sql = connect(connection);
      await sql`insert into messages (conversation_id, turn_number, role, content, search)
        select ${conversation_id}, n, 'tool', text, dewey_search_vector(text) from generate_series(1, 1001) n, lateral (
          select concat_ws(' ', 'sycamore', case when n <= 1000 then 'rowan' end, string_agg(concat('w', n + i), ' ')) as text
          from generate_series(1, 120) i
        ) as made`;
      await sql`update conversations set message_count = 1001`;
      const find = (query: string, filter: object = {}) => store.search.find({ query, limit: 1, offset: 0, ...filter });
      const first = await find("sycamore");
      expect(first).toMatchObject({ total: 1000, total_is_lower_bound: true });
      expect(await find("sycamore", { cursor: first.next_cursor })).toMatchObject({
        total: 1000,
        total_is_lower_bound: true,
      });
      expect(await find("sycamore", { role: "tool" })).toMatchObject({ total: 1000, total_is_lower_bound: true });
      expect(await find("rowan")).toMatchObject({ total: 1000 });
      expect(await find("rowan")).not.toHaveProperty("total_is_lower_bound");
      const counted = await find("sycamore", { facets: true });
      expect(counted).toMatchObject({ total: 1001, facets: { role: [{ value: "tool", count: 1001 }] } });
      expect(counted).not.toHaveProperty("total_is_lower_bound");
    });
  });
}
