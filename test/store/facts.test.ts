import type { SQL } from "bun";
import { describe, expect, test } from "bun:test";
import type { Connection } from "../../src/store/database/connection.ts";
import { migrations } from "../../src/store/database/migrations.ts";
import type { Store } from "../../src/store/store.ts";
import { createRedactor } from "../../src/store/redact/redact.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";
import type { Engine } from "../support/postgres.ts";

const listed = async (store: Store, session_id: string) =>
  (await store.conversations.list({ session_id, limit: 10, offset: 0, sort_by: "created_at" })).conversations;
const page = (store: Store, conversation_id: string, more: object = {}) =>
  store.messages.page({ conversation_id, ...more });

for (const engine of engines) {
  describe(`facts of conversations on ${engine.name}`, () => {
    test("come from metadata, and times from the first and the last message that have their own", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({
        session_id: "s",
        created_at: "2026-05-05T00:00:00Z",
        metadata: {
          title: "Given",
          source: "codex",
          cwd: "/x",
          branch: "main",
          parent_conversation_id: crypto.randomUUID(),
        },
      });
      const said = (content: string, created_at: string, metadata = {}) => ({
        role: "user",
        content,
        created_at,
        metadata,
      });
      await store.messages.storeBulk({
        conversation_id,
        messages: [
          said("b", "2025-01-02T00:00:00Z"),
          said("a", "2025-01-01T00:00:00Z"),
          said("note", "2027-01-01T00:00:00Z", { bookkeeping: true }),
        ],
      });
      expect(await listed(store, "s")).toMatchObject([
        {
          title: "Given",
          title_source: "client",
          client: "codex",
          folder: "/x",
          branch: "main",
          created_at: "2025-01-01T00:00:00.000Z",
          updated_at: "2025-01-02T00:00:00.000Z",
          message_count: 2,
        },
      ]);
    });

    test("have the first prompt of a person as their title, in one line, and for recorded calls the tools", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({ session_id: "s" });
      const user = (content: string, metadata?: Record<string, unknown>) => ({
        role: "user",
        content,
        ...(metadata ? { metadata } : {}),
      });
      await store.messages.storeBulk({
        conversation_id,
        messages: [
          user("echo", { tool: "echo" }),
          user("<x>", { kind: "command" }),
          user(` first\n prompt ${"word ".repeat(50)}`),
          user("second"),
        ],
      });
      const title = (await listed(store, "s"))[0]?.title;
      expect(title).toStartWith("first prompt word word");
      expect(title).toMatch(/^.{80,101}$/);
      expect(title).toEndWith(" word…");
      const recorded = await store.conversations.begin({ session_id: "r", metadata: { upstream: "everything" } });
      const result = (tool: string) => ({ role: "assistant", content: "x", metadata: { tool, outcome: "success" } });
      await store.messages.storeBulk({
        conversation_id: recorded.conversation_id,
        messages: [user("echo", { tool: "echo" }), result("echo"), result("add"), result("echo")],
      });
      expect(await listed(store, "r")).toMatchObject([
        { title: "everything: echo (2), add (1)", title_source: "calls" },
      ]);
      expect(await page(store, recorded.conversation_id)).toMatchObject({ title: "everything: echo (2), add (1)" });
    });

    test("are set by a tool, where a higher source keeps its title, and secrets are cut", async () => {
      await using store = await testStore(engine, { redactor: createRedactor() });
      const { conversation_id } = await store.conversations.begin({});
      const update = (more: object) => store.conversations.update({ conversation_id, ...more });
      expect(await update({ title: "by client", title_source: "client" })).toMatchObject({ title: "by client" });
      expect(await update({ title: "by prompt", title_source: "prompt" })).toMatchObject({ title: "by client" });
      expect(await update({ title: "mine", starred: true })).toMatchObject({ title: "mine", starred: true });
      expect(await update({ title: "again", title_source: "client" })).toMatchObject({
        title: "mine",
        title_source: "person",
      });
      const secret = await update({ title: ["key AKIA", "ABCDEFGHIJKLMNOP"].join("") });
      expect(secret.title).toContain("[redacted");
      expect(
        await failure(store.conversations.update({ conversation_id: crypto.randomUUID(), title: "x" })),
      ).toMatchObject({
        code: "not_found",
      });
    });

    test("are set all at once, or not at all", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const message_id = crypto.randomUUID();
      const { conversation_id } = await store.conversations.begin({ session_id: "s", metadata: { kept: 1 } });
      await store.messages.store({ conversation_id, role: "user", content: "x", message_id });
      await using sql = connect(connection);
      const before = await listed(store, "s");
      const all = { conversation_id, title: "new", starred: true, metadata: { added: 2 }, abandoned: [message_id] };
      for (const table of ["conversations", "messages"]) {
        // Refuses the last change to this table.
        await sql.unsafe(`create function refuse() returns trigger language plpgsql as
          $$ begin if to_jsonb(new) @> '{"starred": true}' or to_jsonb(new) @> '{"abandoned": true}'
            then raise exception 'refused'; end if; return new; end $$;
          create trigger refusing before update on ${table} for each row execute function refuse()`);
        expect(await failure(store.conversations.update(all))).toMatchObject({ code: "internal" });
        await sql.unsafe("drop function refuse cascade");
        expect(await listed(store, "s")).toEqual(before);
      }
      expect(await store.conversations.update(all)).toMatchObject({ title: "new", starred: true });
      expect(await listed(store, "s")).toMatchObject([{ title: "new", metadata: { kept: 1, added: 2 } }]);
    });

    test("mark branches also in metadata that PostgreSQL cannot hold as it is", async () => {
      await using store = await testStore(engine);
      const message_id = crypto.randomUUID();
      const { conversation_id } = await store.conversations.begin({});
      const metadata = { output: ["nul \0", { "key \0": "\ud800" }] };
      await store.messages.store({ conversation_id, role: "user", content: "x", message_id, metadata });
      const stored = async () => (await page(store, conversation_id, { everything: true })).messages[0];
      await store.conversations.update({ conversation_id, abandoned: [message_id] });
      expect(await stored()).toMatchObject({ abandoned: true, metadata: { ...metadata, abandoned: true } });
      await store.conversations.update({ conversation_id, current: [message_id] });
      expect((await stored())?.metadata).toEqual(metadata);
    });

    test("hide bookkeeping and abandoned branches from reading, and bookkeeping from searching, counting and following", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({});
      const { cursor } = await store.tail.read({ limit: 10 });
      const ids = Array.from({ length: 4 }, () => crypto.randomUUID());
      const said = (index: number, metadata: Record<string, unknown> = {}) => ({
        role: "user",
        content: `platypus ${index}`,
        message_id: ids[index] ?? "",
        metadata,
      });
      await store.messages.storeBulk({
        conversation_id,
        messages: [said(0), said(1, { bookkeeping: true }), said(2), said(3, { bookkeeping: true, kind: "title" })],
      });
      const contents = async (more: object = {}) =>
        (await page(store, conversation_id, more)).messages.map((each) => each.content.slice(-1)).join("");
      const search = async (more: object = {}) =>
        (await store.search.find({ query: "platypus", limit: 10, offset: 0, ...more })).total;
      expect([await contents(), await contents({ everything: true }), await contents({ turn: 2 })]).toEqual([
        "02",
        "0123",
        "1",
      ]);
      // Titles are found, for people look for them.
      expect([await search(), await search({ bookkeeping: true })]).toEqual([3, 4]);
      expect((await store.tail.read({ cursor, limit: 10 })).messages).toHaveLength(2);
      const stats = await store.stats.read({ days: 1, time_zone: "UTC" });
      expect([stats.messages, stats.days[0]?.messages]).toEqual([2, 2]);
      await store.conversations.update({ conversation_id, abandoned: [ids[2] ?? ""] });
      expect([await contents(), await contents({ everything: true })]).toEqual(["0", "0123"]);
      expect((await page(store, conversation_id, { everything: true })).messages[2]).toMatchObject({
        abandoned: true,
        metadata: { abandoned: true },
      });
      await store.conversations.update({ conversation_id, current: [ids[2] ?? ""] });
      expect(await contents()).toBe("02");
    });

    test("name sub-agents and forks from both sides, and two conversations are not forks of each other", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({});
      const agent = await store.conversations.begin({ metadata: { parent_conversation_id: conversation_id } });
      const fork = await store.conversations.begin({});
      await store.conversations.update({ conversation_id: fork.conversation_id, forked_from: conversation_id });
      expect((await page(store, conversation_id)).related).toMatchObject([
        { id: agent.conversation_id, relation: "sub-agent" },
        { id: fork.conversation_id, relation: "fork" },
      ]);
      const back = await store.conversations.update({ conversation_id, forked_from: fork.conversation_id });
      expect(back.forked_from).toBeNull();
    });

    test("of conversations from before are filled in in the background", async () => {
      const connection = await databaseFromBefore(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      await filledIn(store, sql);
      const conversations = await listed(store, "old");
      expect(conversations[0]).toMatchObject({
        title: "prompt 1",
        client: "codex",
        created_at: "2025-01-02T00:00:00.000Z",
        updated_at: "2025-01-04T00:00:00.000Z",
      });
      const [{ left }] = await sql`select count(*)::integer as left from conversations where title is null`;
      expect(left).toBe(0);
    });

    test("of conversations from before are filled in by another server when the one at work dies", async () => {
      const connection = await databaseFromBefore(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      const atWork = connect(connection);
      const died = Promise.withResolvers<void>();
      const seen = Promise.withResolvers<void>();
      const step = atWork
        .begin(async (within) => {
          await within`select from dewey_backfill for update`;
          seen.resolve();
          await died.promise;
          throw new Error("killed");
        })
        .catch(() => {});
      await seen.promise;
      const stopping = new AbortController();
      const keeping = store.backfill.keep(stopping.signal);
      // Until it has found the other at work.
      while (!store.backfill.isIdle) await Bun.sleep(5);
      died.resolve();
      await step;
      await atWork.close();
      await untilDone(sql);
      stopping.abort();
      await keeping;
    });
  });
}

/** A database of the time before conversations had facts. */
async function databaseFromBefore(engine: Engine): Promise<Connection> {
  const connection = await emptyDatabase(engine);
  await using sql = connect(connection);
  await sql.unsafe(
    "create table dewey_migrations (name text primary key, applied_at timestamptz not null default now())",
  );
  for (const migration of migrations.slice(0, 14)) {
    await sql.unsafe(migration.sql);
    await sql`insert into dewey_migrations (name) values (${migration.name})`;
  }
  await sql.unsafe(`insert into conversations (session_id, metadata)
    select 'old', jsonb_build_object('source', 'codex', 'cwd', '/' || n) from generate_series(1, 50) n`);
  await sql.unsafe(`insert into messages (conversation_id, turn_number, role, content, created_at)
    select id, turn, 'user', 'prompt ' || turn, timestamptz '2025-01-01Z' + turn * interval '1 day'
    from conversations, generate_series(1, 3) turn`);
  return connection;
}

async function filledIn(store: Store, sql: SQL): Promise<void> {
  const stopping = new AbortController();
  const keeping = store.backfill.keep(stopping.signal);
  await untilDone(sql);
  stopping.abort();
  await keeping;
}

async function untilDone(sql: SQL): Promise<void> {
  while ((await sql`select from dewey_backfill where is_done`).length === 0) await Bun.sleep(20);
}
