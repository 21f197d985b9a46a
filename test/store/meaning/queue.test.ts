import { describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { embedWith, queueNew } from "../../../src/store/meaning/models.ts";
import { keepVectors, nextQueued } from "../../../src/store/meaning/queue.ts";
import type { Embedded } from "../../../src/store/meaning/queue.ts";
import { TestEndpoint } from "../../support/embeddings-endpoint.ts";
import { meaningStore } from "../../support/meaning.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

const wanted = { name: "m", dimensions: 2, documentPrefix: "", queryPrefix: "" };

/** The messages with vectors of their own. */
async function embedded(sql: SQL): Promise<Embedded[]> {
  const { messages } = await nextQueued(sql, 10, []);
  return messages.map((message) => ({ ...message, vectors: message.passages.map(() => Float32Array.of(0.6, -0.8)) }));
}

for (const engine of engines) {
  describe(`the queue of messages without vectors on ${engine.name}`, () => {
    test("keeps a message that has changed since it was read, and takes each message once", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: ["one", "two"].map((content) => ({ role: "user", content })) });
      const sql = connect(connection);
      const model = await sql.begin((within) => embedWith(within, wanted));
      const read = await embedded(sql);
      expect(read.map(({ text }) => text).toSorted()).toEqual(["one", "two"]);
      await sql`update messages set content = 'three' where content = 'two'`;
      const keep = (messages: Embedded[]) => sql.begin((within) => keepVectors(within, model, messages, []));
      expect(await keep(read)).toBe(1);
      // As another server would that had read the same.
      expect(await keep(read)).toBe(0);
      const again = await embedded(sql);
      expect(again.map(({ text }) => text)).toEqual(["three"]);
      expect(await keep(again)).toBe(1);
      const rows: { text: string; signs: string; bytes: Uint8Array; scale: number }[] = await sql`
        select substr(content, starts_at + 1, ends_at - starts_at) as text, signs::text as signs, bytes, scale
        from dewey_meaning_passages p join messages m on m.id = p.message_id order by 1`;
      expect(
        rows.map(({ text, signs, bytes, scale }) => [text, signs, [...Int8Array.from(bytes)], scale.toFixed(5)]),
      ).toEqual([
        ["one", "10", [95, -127], (0.8 / 127).toFixed(5)],
        ["three", "10", [95, -127], (0.8 / 127).toFixed(5)],
      ]);
      expect((await nextQueued(sql, 10, [])).messages).toEqual([]);
      await sql.close();
    });

    test("a message that is queued again keeps one set of vectors", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: [{ role: "user", content: "one" }] });
      const sql = connect(connection);
      const model = await sql.begin((within) => embedWith(within, wanted));
      // As if it had been stored after the look at all messages began, and before it ended.
      await sql`update dewey_meaning set seen = '3:3:'`;
      for (let round = 0; round < 2; round += 1) {
        const read = await embedded(sql);
        await sql.begin((within) => keepVectors(within, model, read, []));
        expect(await sql.begin((within) => queueNew(within, model))).toBe(0);
        await sql`insert into dewey_meaning_queue select id, created_at from messages`;
      }
      const rows: unknown[] = await sql`select from dewey_meaning_passages`;
      expect(rows.length).toBe(1);
      await sql.close();
    });

    test("is counted to a limit", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const queue = (count: number) =>
        it.sql`insert into dewey_meaning_queue select gen_random_uuid(), now() from generate_series(1, ${count})`;
      await queue(100_010);
      await it.meaning.look();
      expect(it.meaning.state()).toMatchObject({ queued: 100_000, queued_is_lower_bound: true });
    });

    test("is filled anew for a model whose vectors messages lack, and not for one that has them", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: [{ role: "user", content: "one" }] });
      const sql = connect(connection);
      const first = await sql.begin((within) => embedWith(within, wanted));
      const read = await embedded(sql);
      await sql.begin((within) => keepVectors(within, first, read, []));
      await sql.begin((within) => embedWith(within, wanted));
      expect((await nextQueued(sql, 10, [])).messages).toEqual([]);
      const second = await sql.begin((within) => embedWith(within, { ...wanted, name: "other" }));
      expect((await nextQueued(sql, 10, [])).messages.map(({ text }) => text)).toEqual(["one"]);
      // A server that still embeds with the first model keeps nothing.
      const late = await embedded(sql);
      expect(await sql.begin((within) => keepVectors(within, first, late, []))).toBe(0);
      expect(await sql.begin((within) => keepVectors(within, second, late, []))).toBe(1);
      await sql.close();
    });
  });
}
