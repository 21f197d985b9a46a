import { describe, expect, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import type { Database } from "../../../src/store/database/database.ts";
import { IndexSorter } from "../../../src/store/search/index-sorter.ts";
import { Writer } from "../../bench/support/text.ts";
import { one } from "../../../src/store/database/one.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

describe("the index sorter", () => {
  /** A sorter whose flushes end when the test settles them. */
  const sorter = () => {
    const flushes: PromiseWithResolvers<unknown>[] = [];
    const lines: string[] = [];
    const flush = () => {
      const flushing = Promise.withResolvers<unknown>();
      flushes.push(flushing);
      return flushing.promise;
    };
    const log = createLog({ level: "warn", format: "text", write: (line) => lines.push(line) });
    return { sorter: new IndexSorter({ retried: flush } as unknown as Database, log), flushes, lines };
  };

  test("flushes the pending list after two million characters, one flush at a time", async () => {
    const { sorter: sorting, flushes } = sorter();
    sorting.stored(1_000_000);
    sorting.stored(999_999);
    expect(flushes).toHaveLength(0);
    sorting.stored(1);
    expect(flushes).toHaveLength(1);
    sorting.stored(5_000_000);
    expect(flushes).toHaveLength(1);
    flushes[0]?.resolve(undefined);
    await until("the next flush", () => {
      sorting.stored(0);
      return flushes.length === 2;
    });
  });

  test("logs a failed flush and tries again after as many characters", async () => {
    const { sorter: sorting, flushes, lines } = sorter();
    sorting.stored(2_000_000);
    flushes[0]?.reject(new Error("no index"));
    await until("the warning", () => lines.length > 0);
    expect(lines.join("")).toContain("no index");
    await until("the second flush", () => {
      sorting.stored(2_000_000);
      return flushes.length === 2;
    });
  });
});

for (const engine of engines) {
  test(`the server flushes the pending list of search's index on ${engine.name}, and no caller does`, async () => {
    const connection = await emptyDatabase(engine);
    await using store = await testStore(engine, { connection });
    await using sql = connect(connection);
    const pagesLeft = async () =>
      (await one<{ pages: number }>(sql`select gin_clean_pending_list('messages_search')::integer as pages`)).pages;
    const writer = new Writer(1);
    const messages = Array.from({ length: 1050 }, () => ({ role: "user", content: writer.text(2000) }));
    await store.messages.storeBulk({ messages });
    await until("the flush", () => store.pools()["main"]?.busy === 0);
    expect(await pagesLeft()).toBe(0);
    // A short message stays in the list.
    await store.messages.storeBulk({ messages: [{ role: "user", content: "heron" }] });
    expect(await pagesLeft()).toBe(1);
  });

  test(`what ${engine.name} is sent beside a content for its words does not count for a flush`, async () => {
    const connection = await emptyDatabase(engine);
    await using store = await testStore(engine, { connection });
    await using sql = connect(connection);
    const content = "getUserName/setUserName.ts ".repeat(400);
    await store.messages.storeBulk({ messages: Array.from({ length: 130 }, () => ({ role: "user", content })) });
    await until("a flush, if there is one", () => store.pools()["main"]?.busy === 0);
    const { pages } = await one<{ pages: number }>(
      sql`select gin_clean_pending_list('messages_search')::integer as pages`,
    );
    expect(pages).toBeGreaterThan(0);
  });

  test(`the statistics of words are renewed on ${engine.name} when nearly all messages are newer, before autovacuum comes`, async () => {
    const connection = await emptyDatabase(engine);
    await using store = await testStore(engine, { connection });
    await using sql = connect(connection);
    await sql`alter table messages set (autovacuum_enabled = off)`;
    const analyses = async () =>
      (
        await one<{ count: number }>(sql`select analyze_count::integer as count from pg_stat_all_tables
        where relid = 'messages'::regclass`)
      ).count;
    const writer = new Writer(2);
    const storeMany = (count: number) =>
      store.messages.storeBulk({
        messages: Array.from({ length: count }, () => ({ role: "user", content: writer.text(2500) })),
      });
    const before = await analyses();
    await until("the statistics", async () => {
      await storeMany(850);
      return (await analyses()) > before;
    });
    const [row] = await sql`select most_common_elems is not null as known from pg_stats
      where tablename = 'messages' and attname = 'search'`;
    expect(row?.known).toBe(true);
  });

  const large = [
    { of: "many messages", count: 10_001, content: "'x'" },
    {
      of: "long ones",
      count: 500,
      content: "(select string_agg(md5(n::text || number), '') from generate_series(1, 1500) number)",
    },
  ];
  test.each(large)(
    `the statistics of words on ${engine.name} are left to autovacuum in a store of $of`,
    async (given) => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await using sql = connect(connection);
      await sql`alter table messages set (autovacuum_enabled = off)`;
      const { conversation_id } = await store.conversations.begin({});
      await sql.unsafe(
        `insert into messages (id, conversation_id, turn_number, role, content, search)
        select gen_random_uuid(), $1, n, 'user', ${given.content}, $2::tsvector from generate_series(1, ${given.count}) as n`,
        [conversation_id, "'x':1"],
      );
      const figures = () =>
        one<{
          rows: number;
          analyses: number;
        }>(sql`select n_live_tup::integer as rows, analyze_count::integer as analyses
        from pg_stat_all_tables where relid = 'messages'::regclass`);
      await until("figures of all messages", async () => (await figures()).rows >= given.count);
      await sql`analyze messages (created_at)`;
      await until("figures of the analysis", async () => (await figures()).analyses === 1);
      // All of them are newer than the statistics.
      await sql`update messages set created_at = created_at`;
      const writer = new Writer(3);
      const messages = Array.from({ length: 1050 }, () => ({ role: "user", content: writer.text(2500) }));
      await store.messages.storeBulk({ messages });
      await until("the flush", () => store.pools()["main"]?.busy === 0);
      expect((await figures()).analyses).toBe(1);
    },
  );
}
