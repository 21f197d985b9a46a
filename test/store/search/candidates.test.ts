import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { basisOf } from "../../../src/store/search/basis.ts";
import { MAX_SCOPE_MESSAGES, filterOf } from "../../../src/store/search/filter.ts";
import { BOUNDS } from "../../../src/store/search/parts.ts";
import { readOpening } from "../../../src/store/search/opening.ts";
import { parseQuery } from "../../../src/store/search/query.ts";
import { rank } from "../../../src/store/search/rank.ts";
import { StatisticsCache } from "../../../src/store/search/statistics.ts";
import type { Store } from "../../../src/store/store.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

for (const engine of engines) {
  describe(`the candidates of a search on ${engine.name}`, () => {
    let store: Store;
    let sql: SQL;
    const few = { candidates: 200, newest: 50, long: 100, gathered: 300 };
    beforeAll(async () => {
      const connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
      sql = connect(connection);
      // "common" in all, "old" in the first half, and "left" and "right" never together.
      const messages = Array.from({ length: 2000 }, (_, index) => ({
        role: index === 5 ? "system" : "user",
        content: `common ${index < 1000 ? "old" : "new"} ${index % 2 === 0 ? "left" : "right"} ${index}`,
        created_at: new Date(Date.UTC(2024, 0, 1) + index * 60_000).toISOString(),
        metadata: { tool: index === 3 ? "seldom" : "often" },
      }));
      for (let start = 0; start < messages.length; start += 1000) {
        await store.messages.storeBulk({
          messages: messages.slice(start, start + 1000),
          metadata: { client_name: start === 0 ? "codex" : "goose" },
        });
      }
      await sql`analyze messages`;
    });
    afterAll(async () => {
      await sql.close();
      await store.close();
    });

    const find = async (text: string, narrowing: Parameters<typeof filterOf>[1] = {}) => {
      const query = await parseQuery(sql, text, await readOpening(sql));
      const filter = await filterOf(sql, narrowing, { ...query, isSectioned: false }, undefined);
      const basis = await basisOf(sql, query.words, filter, await new StatisticsCache().get(sql), few);
      const ranked = await rank(sql, basis, filter, { offset: 0, limit: 10 }, few);
      const ids = sql.array(
        ranked.slice(0, 10).map(({ id }) => id),
        "UUID",
      );
      const rows: { content: string }[] = await sql`select content from messages where id = any(${ids})`;
      return rows.map(({ content }) => Number(content.split(" ")[3]));
    };

    test("are the newest messages for a word that is in all", async () => {
      const found = await find("common");
      expect(found).toHaveLength(10);
      for (const number of found) expect(number).toBeGreaterThan(1700);
    });

    test("are found when all matches are old", async () => {
      const found = await find("old");
      expect(found).toHaveLength(10);
      for (const number of found) expect(number).toBeLessThan(1000);
    });

    test("are found when common words never occur together", async () => {
      expect(await find("left right")).toHaveLength(10);
    });

    test("are found for a common word within a period, and within a rarely used tool", async () => {
      const from = Date.UTC(2024, 0, 1);
      const found = await find("common", { start_date: new Date(from), end_date: new Date(from + 100 * 60_000) });
      expect(found).toHaveLength(10);
      for (const number of found) expect(number).toBeLessThan(100);
      expect(await find("common", { tool: "seldom" })).toEqual([3]);
    });

    test("are the same by the conversations of a scope as by the words", async () => {
      const query = await parseQuery(sql, "common", await readOpening(sql));
      const statistics = await new StatisticsCache().get(sql);
      const filter = {
        ...(await filterOf(sql, { client: "codex" }, { ...query, isSectioned: false }, undefined)),
        scopeMessages: MAX_SCOPE_MESSAGES + 1,
      };
      const found = async (by: typeof filter) => {
        const basis = await basisOf(sql, query.words, by, statistics, few);
        // Within the scope's time, so that a time limits what is searched.
        const since = basis.since.map(() => Date.UTC(2024, 0, 1) + 900 * 60_000);
        return rank(sql, { ...basis, since }, by, { offset: 0, limit: 50 }, few);
      };
      const byConversations = await found(filter);
      expect(byConversations.length).toBeGreaterThanOrEqual(50);
      expect(byConversations).toEqual(await found({ ...filter, scope: undefined }));
    });

    test("are found by the role's index for a common word within a rare role", async () => {
      expect(await find("common", { role: "system" })).toEqual([5]);
      const filter = await filterOf(sql, { role: "system" }, { required: [], isSectioned: false }, undefined);
      const explain = `explain (format json) select from messages m where m.search @@ 'common' and ${filter.condition}`;
      expect(JSON.stringify(await sql.unsafe(explain, filter.values))).toContain("messages_of_rare_roles");
    });

    test("are, of long texts, the shortest of those with the rarest words, and all short ones", async () => {
      const connection = await emptyDatabase(engine);
      await using long = await testStore(engine, { connection });
      await using there = connect(connection);
      // More different words than a short text has, each time others.
      const filler = (at: number, count: number) =>
        Array.from({ length: count }, (_, index) => `filler${at}x${index}`).join(" ");
      // Those with both words are longer than those with one.
      const both = Array.from({ length: 900 }, (_, at) => `left right ${filler(at, 180 + (at % 20))}`);
      const one = Array.from({ length: 300 }, (_, at) => `left ${filler(1000 + at, 170)}`);
      const short = Array.from({ length: 30 }, (_, at) => `left ${at}`);
      for (const contents of [both, one, short])
        await long.messages.storeBulk({ messages: contents.map((content) => ({ role: "user", content })) });
      await there`analyze messages`;
      const query = await parseQuery(there, "left right", await readOpening(there));
      const filter = await filterOf(there, {}, { ...query, isSectioned: false }, undefined);
      const statistics = await new StatisticsCache().get(there);
      const bounds = { ...BOUNDS, long: 50 };
      const basis = await basisOf(there, query.words, filter, statistics, bounds);
      const ranked = await rank(there, basis, filter, { offset: 0, limit: 2000 }, bounds);
      const ids = there.array(
        ranked.map(({ id }) => id),
        "UUID",
      );
      const found: { content: string }[] = await there`select content from messages where id = any(${ids})`;
      const contents = found.map(({ content }) => content);
      expect(contents.filter((content) => content.length < 100)).toHaveLength(short.length);
      const read = contents.filter((content) => content.length >= 100);
      expect(read).toHaveLength(bounds.long);
      for (const content of read) expect(content.startsWith("left right")).toBe(true);
      const lengths = both.map((content) => content.length).toSorted((a, b) => a - b);
      expect(Math.max(...read.map((content) => content.length))).toBeLessThanOrEqual(lengths[bounds.long] ?? 0);
    });
  });
}
