import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { migrations } from "../../../src/store/database/migrations.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { connect, emptyDatabase, engines, storeOptions, testStore } from "../../support/postgres.ts";

test("the list of migrations matches the folder, in order", () => {
  const files = readdirSync(`${import.meta.dir}/../../../sql`).toSorted();
  expect(migrations.map((migration) => `${migration.name}.sql`)).toEqual(files);
});

/** The prototype's tables, with arbitrary names of constraints, triggers and indexes. */
const prototype = `
  create function keep_time() returns trigger language plpgsql as 'begin new.updated_at = now(); return new; end';
  create table conversations (
    id uuid primary key default gen_random_uuid(), session_id text, created_at timestamptz default now(),
    updated_at timestamptz default now(), metadata jsonb,
    constraint odd_1 check (metadata is null or jsonb_typeof(metadata) = 'object'));
  create index odd_2 on conversations (session_id);
  create index odd_3 on conversations (created_at desc);
  create index odd_4 on conversations (updated_at desc);
  create index odd_5 on conversations using gin (metadata);
  create trigger odd_6 before update on conversations for each row execute function keep_time();
  create table messages (
    id uuid primary key default gen_random_uuid(), conversation_id uuid not null references conversations on delete cascade,
    turn_number integer not null, role text not null constraint odd_7 check (role in ('user', 'assistant', 'system', 'tool')),
    content text not null, metadata jsonb constraint odd_8 check (metadata is null or jsonb_typeof(metadata) = 'object'),
    created_at timestamptz default now(), constraint odd_9 unique (conversation_id, turn_number));
  create index odd_10 on messages (conversation_id, turn_number);
  create index odd_11 on messages (created_at desc);
  create index odd_12 on messages (conversation_id, created_at);
  create index odd_13 on messages using gin (to_tsvector('english', content));
  create table startup_contexts (
    id uuid primary key default gen_random_uuid(), name text not null unique constraint odd_14 check (name <> ''),
    content text not null, is_active boolean default false, created_at timestamptz default now(),
    updated_at timestamptz default now());
  create unique index odd_15 on startup_contexts (is_active) where is_active;
  create trigger odd_16 before update on startup_contexts for each row execute function keep_time();
  create table fiedler_results (
    id uuid primary key default gen_random_uuid(), correlation_id text not null, model text not null, prompt text,
    output text not null, tokens_prompt integer, tokens_completion integer, duration_seconds real,
    status text check (status in ('success', 'error')), error_message text, created_at timestamptz default now(),
    metadata jsonb check (metadata is null or jsonb_typeof(metadata) = 'object'));
  create index odd_17 on fiedler_results (correlation_id);
  create index odd_18 on fiedler_results (model);
  create index odd_19 on fiedler_results (created_at desc);`;

const first = "00000000-0000-4000-8000-000000000001";
const empty = "00000000-0000-4000-8000-000000000002";
const rows = `
  insert into conversations (id, session_id, updated_at, metadata)
    values ('${first}', 'old', '2025-01-02T03:04:05Z', '{"kept": true}'), ('${empty}', null, '2025-01-01T00:00:00Z', null);
  insert into messages (conversation_id, turn_number, role, content, metadata) values
    ('${first}', 1, 'user', 'the lighthouse keeper asked', null), ('${first}', 2, 'assistant', 'and was answered', '{"a": 1}'),
    ('${first}', 7, 'tool', (select string_agg('w' || n, ' ') from generate_series(1, 20000) n), null);
  insert into startup_contexts (name, content, is_active) values ('a', 'text of a', true), ('b', 'text of b', false);
  insert into fiedler_results (correlation_id, model, output, status) values ('c-1', 'm-1', 'result', 'success');`;

for (const engine of engines) {
  describe(`migrations on ${engine.name}`, () => {
    test("of 20 servers that start at once are applied once, and each server works", async () => {
      const connection = await emptyDatabase(engine);
      const stores = await Promise.all(Array.from({ length: 20 }, () => openStore(storeOptions(connection))));
      const { conversation_id } = await stores[0]!.conversations.begin({});
      const turns = await Promise.all(
        stores.map(
          async (store) => (await store.messages.store({ conversation_id, role: "user", content: "x" })).turn_number,
        ),
      );
      await Promise.all(stores.map((store) => store.close()));
      expect(turns.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
      await using sql = connect(connection);
      expect(Array.from(await sql`select name from dewey_migrations`)).toEqual(
        migrations.map(({ name }) => ({ name })),
      );
    });

    test("adopt a prototype's database with all rows, even with 10 servers at once", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await sql.unsafe(prototype + rows);
      const others = await Promise.all(Array.from({ length: 9 }, () => openStore(storeOptions(connection))));
      await Promise.all(others.map((store) => store.close()));
      await using store = await testStore(engine, { connection });

      const list = await store.conversations.list({ limit: 10, offset: 0, sort_by: "updated_at" });
      expect(list.conversations).toMatchObject([
        {
          id: first,
          session_id: "old",
          message_count: 3,
          metadata: { kept: true },
          updated_at: "2025-01-02T03:04:05.000Z",
        },
        { id: empty, session_id: null, message_count: 0, metadata: null, updated_at: "2025-01-01T00:00:00.000Z" },
      ]);
      const hits = await store.search.find({ query: "lighthouse w299", limit: 10, offset: 0 });
      expect(hits.results.map((hit) => hit.turn).toSorted((a, b) => a - b)).toEqual([1, 7]);
      expect((await store.messages.store({ conversation_id: first, role: "user", content: "new" })).turn_number).toBe(
        8,
      );
      expect(await store.contexts.get({})).toMatchObject({ name: "a", content: "text of a" });
      expect((await store.results.find({ limit: 10, offset: 0 })).results).toMatchObject([
        { model: "m-1", output: "result" },
      ]);
    });

    test("give a prototype's database the schema of a new one, except for names", async () => {
      const shape = async (prepare: string) => {
        const connection = await emptyDatabase(engine);
        await using sql = connect(connection);
        await sql.unsafe(prepare);
        await using _store = await testStore(engine, { connection });
        const indexes: { text: string }[] = await sql`
          select tablename || substring(indexdef from ' USING .*') as text from pg_indexes
          where schemaname = 'public' order by 1`;
        const constraints: { text: string }[] = await sql`
          select conrelid::regclass || ' ' || pg_get_constraintdef(oid) as text from pg_constraint
          where connamespace = 'public'::regnamespace and contype <> 'n' order by 1`;
        const triggers: { text: string }[] = await sql`
          select tgrelid::regclass || ' ' || tgtype as text from pg_trigger where not tgisinternal order by 1`;
        return [indexes, constraints, triggers].map((found) => found.map((row) => row.text));
      };
      expect(await shape(prototype)).toEqual(await shape("select"));
    });

    test("refuse a database migrated by a newer Dewey", async () => {
      const connection = await emptyDatabase(engine);
      await (await openStore(storeOptions(connection))).close();
      await using sql = connect(connection);
      await sql`insert into dewey_migrations (name) values ('9999_from_the_future')`;
      expect(await failure(openStore(storeOptions(connection)))).toMatchObject({
        code: "conflict",
        message: expect.stringContaining("9999_from_the_future"),
      });
    });

    test("that fail leave nothing half applied", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      // A table that is in the way and not the prototype's.
      await sql.unsafe("create table messages (nothing integer)");
      await failure(openStore(storeOptions(connection)));
      const tables: { tablename: string }[] =
        await sql`select tablename from pg_tables where schemaname = 'public' order by 1`;
      expect(tables.map((table) => table.tablename)).toEqual(["messages"]);
    });
  });
}
