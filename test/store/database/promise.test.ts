import { describe, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { SQL } from "bun";
import { createLog } from "../../../src/log.ts";
import { applyWithin, migrations } from "../../../src/store/database/migrations.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { connect, emptyDatabase, engines, storeOptions, testStore } from "../../support/postgres.ts";

// A version serves on the schema of the next one. Each file has the statements that the build which ended with that migration
// sends, as `bun run statements` recorded them.

const folder = join(import.meta.dir, "statements");
const recorded = readdirSync(folder).map((file) => file.replace(/\.json$/, ""));
const names = migrations.map(({ name }) => name);
const newest = migrations.at(-1);
/** Migrations from before servers compared themselves with the schema. */
const OLDEST_PROMISED = "0020";
/** Of a build's own statements on its own schema; some need what a test has made. */
const LEAST_SHARE_PREPARED = 0.9;

test("every migration names the oldest server that it serves, whose statements are recorded", () => {
  for (const { name, serves = "" } of migrations.filter((each) => each.name >= OLDEST_PROMISED)) {
    expect(names).toContain(serves);
    expect(serves <= name).toBe(true);
    if (name === newest?.name) expect(recorded).toContain(serves);
  }
});

test("no migration removes what the version before uses, or locks messages or conversations for long", () => {
  const contracting =
    /\b(drop\s+(table|column|function|trigger|type)|rename\s+(to|column)|alter\s+column\s+\w+\s+(type|set\s+not\s+null))\b/i;
  const locking = /\bcreate\s+(unique\s+)?index\s+(if\s+not\s+exists\s+)?\w+\s+on\s+(messages|conversations)\b/i;
  expect(contracting.test("alter table a drop column b")).toBe(true);
  expect(locking.test("create index a on messages (b)")).toBe(true);
  for (const [index, { name, sql, serves }] of migrations.entries()) {
    if (name < OLDEST_PROMISED) continue;
    const text = sql.replaceAll(/--.*$/gm, "");
    expect({ name, locks: locking.test(text) }).toEqual({ name, locks: false });
    // One that contracts serves only servers that know the migration before it, or later ones.
    if (contracting.test(text)) expect({ name, serves }).toEqual({ name, serves: names[index - 1] });
  }
});

for (const engine of engines) {
  describe(`the schema's promise on ${engine.name}`, () => {
    for (const name of recorded.filter((each) => each >= (newest?.serves ?? ""))) {
      test(`keeps the statements of the build that ended with ${name}`, async () => {
        const statements = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as string[];
        const [before, now] = [await emptyDatabase(engine), await emptyDatabase(engine)];
        await using earlier = connect(before);
        await earlier.begin((sql) => applyWithin(sql, migrations.slice(0, names.indexOf(name) + 1)));
        await (await openStore(storeOptions(now))).close();
        await using later = connect(now);
        const own: string[] = [];
        for (const statement of statements) if (await isPrepared(earlier, statement)) own.push(statement);
        expect(own.length).toBeGreaterThan(LEAST_SHARE_PREPARED * statements.length);
        const broken: string[] = [];
        for (const statement of own) if (!(await isPrepared(later, statement))) broken.push(statement);
        expect(broken).toEqual([]);
        // A contraction is noticed.
        await later`alter table messages drop column kind cascade`;
        let noticed = 0;
        for (const statement of own) if (!(await isPrepared(later, statement))) noticed += 1;
        expect(noticed).toBeGreaterThan(0);
      });
    }

    test("stores by the statement of a server that makes no words ahead", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.conversations.begin({});
      await using sql = connect(connection);
      const rows = await sql`select outcome, turn_number from dewey_append(array[0], array[${conversation_id}::uuid],
        array[gen_random_uuid()], array[null::integer], array['user'], array['otters'], array[null::text],
        array[null::text], array[null::text], array[null::timestamptz], array[null::text], array[null::text], array[false])`;
      expect([...rows]).toEqual([{ outcome: "stored", turn_number: 1 }]);
      expect((await store.search.find({ query: "otter", limit: 1, offset: 0 })).total).toBe(1);
    });

    test("lets an earlier server start that a newer migration serves, with a warning", async () => {
      const connection = await emptyDatabase(engine);
      await (await openStore(storeOptions(connection))).close();
      await using sql = connect(connection);
      await sql`insert into dewey_migrations (name, serves) values ('9999_from_the_future', ${newest?.name ?? ""})`;
      const lines: string[] = [];
      const log = createLog({ level: "warn", format: "text", write: (line) => void lines.push(line) });
      await using store = await testStore(engine, { connection, log });
      const { conversation_id } = await store.conversations.begin({});
      await store.messages.store({ conversation_id, role: "user", content: "x" });
      expect(lines.join("")).toContain("9999_from_the_future");
      // What takes or replaces the whole store must know all of it.
      const complaint = { code: "conflict", message: expect.stringContaining("use the newer Dewey") };
      expect(await failure(store.backup())).toMatchObject(complaint);
    });

    test("refuses an earlier server that it does not serve, and says which it needs", async () => {
      const connection = await emptyDatabase(engine);
      await (await openStore(storeOptions(connection))).close();
      await using sql = connect(connection);
      await sql`insert into dewey_migrations (name, serves) values ('9998_later', ${newest?.name ?? ""}),
        ('9999_from_the_future', '9998_later')`;
      expect(await failure(openStore(storeOptions(connection)))).toMatchObject({
        code: "conflict",
        message: expect.stringMatching(/9999_from_the_future.*needs a Dewey that knows 9998_later.*use a newer Dewey/),
      });
    });

    test("migrates a database whose list of migrations is an earlier build's", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await sql.begin((within) => applyWithin(within, migrations.slice(0, 19)));
      await sql`alter table dewey_migrations drop column serves`;
      await using store = await testStore(engine, { connection });
      expect((await store.health()).migrations.newest).toBe(newest?.name ?? "");
    });
  });
}

async function isPrepared(sql: SQL, statement: string): Promise<boolean> {
  try {
    await sql.unsafe(`prepare recorded as ${statement}`);
    await sql.unsafe("deallocate recorded");
    return true;
  } catch {
    return false;
  }
}
