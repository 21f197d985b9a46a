import { describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { visiblePassages } from "../../../src/store/meaning/meaning.ts";
import { embedWith } from "../../../src/store/meaning/models.ts";
import type { Model } from "../../../src/store/meaning/models.ts";
import { SignIndex } from "../../../src/store/meaning/sign-index.ts";
import { signsOf } from "../../../src/store/meaning/vectors.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

const wanted = { name: "m", dimensions: 8, documentPrefix: "", queryPrefix: "" };

/** Gives every message this many passages, whose signs are nearer to those of ones the later they are. */
async function fill(sql: SQL, model: Model, times: number): Promise<void> {
  await sql`
    insert into dewey_meaning_passages (model, message_id, conversation_id, role, starts_at, ends_at, scale, signs, bytes)
    select ${model.id}::uuid, m.id, m.conversation_id, m.role, 0, 1, 1, rpad(repeat('1', m.turn_number), 8, '0')::bit varying, ''
    from messages m cross join generate_series(1, ${times}) as n order by n, m.turn_number`;
}

/** What an index finds next to ones: the messages' contents. */
async function found(sql: SQL, index: SignIndex, given: { role?: string; within?: string[] } = {}): Promise<string[]> {
  const nearest = await index.nearest(signsOf(new Float32Array(8).fill(1)), { count: 2, upTo: 1000, ...given });
  const rows: { id: string; content: string }[] = await sql`
    select p.id::text, content from dewey_meaning_passages p join messages m on m.id = p.message_id`;
  return nearest.map((id) => rows.find((row) => Number(row.id) === id)?.content ?? "");
}

for (const engine of engines) {
  describe(`the signs of passages on ${engine.name}`, () => {
    test("are those of one role, where that is asked for; of passages without a role, too", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const roles = ["user", "assistant", "tool", "user", "tool"];
      await store.messages.storeBulk({ messages: roles.map((role, turn) => ({ role, content: `${role} ${turn}` })) });
      const sql = connect(connection);
      const model = await sql.begin((within) => embedWith(within, wanted));
      await fill(sql, model, 1);
      const index = new SignIndex(model);
      await index.read((work) => work(sql));
      expect(await found(sql, index)).toEqual(["tool 4", "user 3"]);
      expect(await found(sql, index, { role: "user" })).toEqual(["user 3", "user 0"]);
      expect(await found(sql, index, { role: "assistant" })).toEqual(["assistant 1"]);
      expect(await found(sql, index, { role: "system" })).toEqual([]);
      // As an earlier version has left it.
      await sql`update dewey_meaning_passages set role = null where starts_at = 0 and role = 'tool'`;
      const read = new SignIndex(model);
      await read.read((work) => work(sql));
      expect(await found(sql, read, { role: "user" })).toEqual(["tool 4", "user 3"]);
      await sql.close();
    });

    test("of some conversations are the same, whether these are walked or all are scanned", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const sql = connect(connection);
      const ids: string[] = [];
      for (let talk = 0; talk < 10; talk += 1) {
        const messages = ["user", "tool", "user"].map((role, turn) => ({ role, content: `${talk} ${role} ${turn}` }));
        ids.push((await store.messages.storeBulk({ messages })).conversation_id);
      }
      const model = await sql.begin((within) => embedWith(within, wanted));
      await fill(sql, model, 1);
      const index = new SignIndex(model);
      await index.read((work) => work(sql));
      const [, one = "", , other = ""] = ids;
      expect(await found(sql, index, { within: [one] })).toEqual(["1 user 2", "1 tool 1"]);
      expect(await found(sql, index, { within: [one], role: "user" })).toEqual(["1 user 2", "1 user 0"]);
      const near = (await found(sql, index, { within: [one, other] })).toSorted();
      expect(near).toEqual(["1 user 2", "3 user 2"]);
      expect(await found(sql, index, { within: [crypto.randomUUID()] })).toEqual([]);
      await sql.close();
    });

    test("are read without those of another model", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const messages = Array.from({ length: 8 }, (_, turn) => ({ role: "user", content: `turn ${turn}` }));
      await store.messages.storeBulk({ messages });
      const sql = connect(connection);
      const other = await sql.begin((within) => embedWith(within, { ...wanted, name: "other" }));
      const model = await sql.begin((within) => embedWith(within, wanted));
      await fill(sql, other, 500);
      await fill(sql, model, 1);
      await fill(sql, other, 1000);
      await sql.unsafe("analyze dewey_meaning_passages");
      const index = new SignIndex(model);
      const rows = await sql.begin(async (within) => {
        await visiblePassages(within, { index, model });
        await visiblePassages(within, { index, model });
        const [row]: { read: number }[] = await within`
          select (seq_tup_read + idx_tup_fetch)::integer as read from pg_stat_xact_user_tables
          where relname = 'dewey_meaning_passages'`;
        return row?.read;
      });
      expect(index.use.passages).toBe(8);
      // Each twice at most, and the last one twice.
      expect(rows).toBeLessThanOrEqual(20);
      await sql.close();
    });
  });
}
