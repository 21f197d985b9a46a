import { describe, expect, test } from "bun:test";
import type { Store } from "../../../src/store/store.ts";
import { MAX_LEFT_POLLS, VOCABULARY_LOCK } from "../../../src/store/search/vocabulary.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

for (const engine of engines) {
  describe(`the vocabulary on ${engine.name}`, () => {
    test("is built by one server at a time, which the others do not wait for", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      const stores: Store[] = [];
      await using stack = new AsyncDisposableStack();
      for (let server = 0; server < 3; server += 1) stores.push(stack.use(await testStore(engine, { connection })));
      const refresh = () => Promise.all(stores.map((store) => store.search.vocabulary.refresh()));
      const words = async () => {
        const rows: { word: string }[] = await sql`select word from dewey_vocabulary order by word`;
        return rows.map(({ word }) => word);
      };
      const [first] = stores;
      await first?.messages.storeBulk({ messages: [{ role: "user", content: "heron kingfisher" }] });

      await sql`select pg_advisory_lock(${VOCABULARY_LOCK})`;
      await refresh();
      expect(await words()).toEqual([]);
      await sql`select pg_advisory_unlock(${VOCABULARY_LOCK})`;
      await refresh();
      expect(await words()).toEqual(["heron", "kingfish"]);
      const [progress] = await sql`select count(*)::integer as rows, max(pass) as pass from dewey_vocabulary_progress`;
      expect(progress).toEqual({ rows: 1, pass: 1 });
    });

    test("leaves the rows of known words as they are", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: [{ role: "user", content: "heron" }] });
      await store.search.vocabulary.refresh();
      await store.messages.storeBulk({ messages: [{ role: "user", content: "heron grebe" }] });
      await store.search.vocabulary.refresh();
      const rows = await sql`select word, xmax::text from dewey_vocabulary order by word`;
      expect([...rows]).toEqual([
        { word: "grebe", xmax: "0" },
        { word: "heron", xmax: "0" },
      ]);
    });

    test("waits while much is being stored, but not for ever", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      const { signal } = new AbortController();
      const { vocabulary } = store.search;
      const storeMuch = () => sql`update messages set content =
        (select string_agg(md5(number::text || random()), '') from generate_series(1, 150000) number)`;
      const known = async () => (await sql`select word from dewey_vocabulary`).length;
      await vocabulary.poll(signal);
      await store.messages.storeBulk({ messages: [{ role: "user", content: "heron" }] });
      await storeMuch();
      await vocabulary.poll(signal);
      expect(await known()).toBe(0);
      await vocabulary.poll(signal);
      expect(await known()).toBe(1);

      await store.messages.storeBulk({ messages: [{ role: "user", content: "grebe" }] });
      for (let poll = 0; poll < MAX_LEFT_POLLS; poll += 1) {
        await storeMuch();
        await vocabulary.poll(signal);
        expect(await known()).toBe(1);
      }
      await storeMuch();
      await vocabulary.poll(signal);
      expect(await known()).toBe(2);
    }, 60_000);
  });
}
