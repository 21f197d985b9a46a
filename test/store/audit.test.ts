import { describe, expect, test } from "bun:test";
import { createLog } from "../../src/log.ts";
import { Audit } from "../../src/store/audit.ts";
import type { Actor, AuditEntry } from "../../src/store/audit.ts";
import { Database } from "../../src/store/database/database.ts";
import { createRedactor } from "../../src/store/redact/redact.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, storeOptions, testStore } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";

const actor: Actor = { session: "s-1", client_name: "codex", client_version: "0.171", address: "192.0.2.7" };

for (const engine of engines) {
  describe(`the audit on ${engine.name}`, () => {
    test("has an entry for every act, with who, from where, what and the outcome, but no content", async () => {
      const lines: string[] = [];
      const log = createLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
      await using store = await testStore(engine, { log });
      const { conversation_id } = await store.conversations.begin({});
      await store.conversations.update({ conversation_id, title: "a private title" }, actor);
      await store.conversations.delete({ conversation_id, force: false }, actor);
      await store.conversations.restore({ conversation_id }, actor);
      await store.conversations.delete({ conversation_id, force: true }, actor);
      await failure(store.conversations.delete({ conversation_id, force: true }, actor));
      await store.contexts.set({ name: "team", content: "a private text", set_active: true }, actor);
      await store.contexts.tie({ folder: "/a", name: "team" }, actor);
      await store.contexts.delete({ name: "team", force: true }, actor);
      store.audit.note({ action: "request.refused", actor: { ...actor, client_name: null } }, "forbidden", 7);

      const all = async () => (await store.audit.list({ limit: 50 })).entries;
      await until("the entries outside transactions", async () => (await all()).length === 9);
      const found = await all();
      const told = (entry: AuditEntry) => [entry.action, entry.outcome, entry.target, entry.count];
      expect(found.toReversed().map(told)).toEqual([
        ["conversation.rename", "ok", conversation_id, 1],
        ["conversation.delete", "ok", conversation_id, 1],
        ["conversation.restore", "ok", conversation_id, 1],
        ["conversation.purge", "ok", conversation_id, 1],
        ["conversation.purge", "not_found", conversation_id, 1],
        ["context.set", "ok", "team", 1],
        ["context.tie", "ok", "team", 1],
        ["context.delete", "ok", "team", 1],
        ["request.refused", "forbidden", null, 7],
      ]);
      for (const entry of found.slice(1)) expect(entry).toMatchObject(actor);
      const audited = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "audit");
      expect(audited).toHaveLength(9);
      expect(audited[0]).toMatchObject({ action: "conversation.rename", target: conversation_id, ...actor });
      expect(JSON.stringify([found, lines])).not.toContain("private");
    });

    test("knows no acts of importers", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({});
      await store.conversations.update({ conversation_id, title: "x", title_source: "client" });
      await store.conversations.update({ conversation_id, folder: "/a", starred: true });
      expect((await store.audit.list({ limit: 50 })).entries).toEqual([]);
    });

    test("holds the row of an act exactly when the act has happened", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.conversations.begin({});
      await using sql = connect(connection);
      // The act fails behind its row: a foreign key that is checked at the commit.
      await sql.unsafe(`create function refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end';
        create constraint trigger late after update on conversations deferrable initially deferred
          for each row execute function refuse()`);
      await failure(store.conversations.delete({ conversation_id, force: false }, actor));
      const rows = async () => (await store.audit.list({ limit: 50 })).entries;
      await until("the row of the failure", async () => (await rows()).length > 0);
      expect((await rows()).map(({ outcome }) => outcome)).toEqual(["internal"]);
    });

    test("makes no act fail: without its table, acts happen and the log says what is missing", async () => {
      const connection = await emptyDatabase(engine);
      const errors: string[] = [];
      const log = createLog({ level: "error", format: "text", write: (line) => void errors.push(line) });
      await using store = await testStore(engine, { connection, log });
      const { conversation_id } = await store.conversations.begin({});
      await using sql = connect(connection);
      await sql`alter table dewey_audit rename to gone`;
      expect(await store.conversations.delete({ conversation_id, force: false }, actor)).toMatchObject({
        deleted: true,
      });
      expect(await store.conversations.restore({ conversation_id }, actor)).toMatchObject({ restored: true });
      expect(errors.join("")).toContain("an audit row could not be written");
      await sql`alter table gone rename to dewey_audit`;
    });

    test("writes later what it could not write, up to a limit", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await using sql = connect(connection);
      await sql`alter table dewey_audit rename to gone`;
      const lines: string[] = [];
      const log = createLog({ level: "error", format: "text", write: (line) => void lines.push(line) });
      const database = new Database(storeOptions(connection));
      const audit = new Audit(database, createRedactor(), log);
      for (let count = 0; count < 1500; count += 1) audit.note({ action: "page.sign_in", actor }, "ok");
      await until("the failure", () => lines.some((line) => line.includes("will try again")));
      await sql`alter table gone rename to dewey_audit`;
      await audit.close();
      await database.close();
      const [{ rows }] = (await sql`select count(*)::integer as rows from dewey_audit`) as [{ rows: number }];
      expect(rows).toBe(1000);
      expect(lines.join("")).toContain("audit rows were lost");
      expect((await store.audit.list({ limit: 1 })).entries).toHaveLength(1);
    });

    test("is read page by page, by action and from a time on", async () => {
      await using store = await testStore(engine);
      for (let count = 0; count < 5; count += 1)
        await store.contexts.set({ name: `c-${count}`, content: "x", set_active: false }, actor);
      await store.contexts.delete({ name: "c-0", force: false }, actor);
      const first = await store.audit.list({ limit: 2, action: "context.set" });
      const second = await store.audit.list({ limit: 3, action: "context.set", cursor: first.next_cursor });
      expect([...first.entries, ...second.entries].map(({ target }) => target)).toEqual(
        [4, 3, 2, 1, 0].map((number) => `c-${number}`),
      );
      expect(second.next_cursor).toBeUndefined();
      const now = new Date();
      expect(
        (await store.audit.list({ limit: 50, start_date: new Date(now.getTime() - 60_000) })).entries,
      ).toHaveLength(6);
      expect((await store.audit.list({ limit: 50, start_date: new Date(now.getTime() + 60_000) })).entries).toEqual([]);
    });

    test("forgets what is too old, and the oldest beyond their number: no refusal pushes out an act", async () => {
      const connection = await emptyDatabase(engine);
      await using _store = await testStore(engine, { connection });
      await using sql = connect(connection);
      const database = new Database(storeOptions(connection));
      const audit = new Audit(database, createRedactor(), quiet, { days: 400, acts: 10, refusals: 100 });
      const fill = (action: string, rows: number, days: number) => sql`
        insert into dewey_audit (id, at, action, outcome)
        select gen_random_uuid(), now() - make_interval(days => ${days}), ${action}, 'ok' from generate_series(1, ${rows})`;
      await fill("page.sign_in", 3, 401);
      await fill("page.sign_in", 4, 399);
      await fill("context.set", 8, 1);
      await fill("request.refused", 120, 1);
      expect(await audit.purge()).toBe(3 + 2 + 20);
      await database.close();
      const [left] = await sql`select count(*) filter (where action = 'request.refused')::integer as refusals,
        count(*) filter (where action <> 'request.refused')::integer as acts from dewey_audit`;
      expect(left).toEqual({ refusals: 100, acts: 10 });
    });

    test("outlives a recovery that replaces the store, and goes into backups", async () => {
      await using source = await testStore(engine);
      await source.contexts.set({ name: "there", content: "x", set_active: false }, actor);
      const archive = await new Response(await source.backup()).bytes();
      await using store = await testStore(engine);
      await store.contexts.set({ name: "here", content: "x", set_active: false }, actor);
      await store.recover(new Response(archive).body as unknown as AsyncIterable<Uint8Array>, { force: true });
      const targets = (await store.audit.list({ limit: 50 })).entries.map(({ target }) => target ?? "");
      expect(targets.toSorted((a, b) => a.localeCompare(b))).toEqual(["here", "there"]);
    });
  });
}

test("names and secrets of clients are short and cut", () => {
  const audit = new Audit({} as Database, createRedactor(), quiet);
  const shown = audit.shown({ ...actor, client_name: `ghp_${"a1B2c3D4".repeat(5)}`, session: "x".repeat(5000) });
  expect(shown.client_name).not.toContain("a1B2c3D4a1B2");
  expect(shown.session?.length).toBeLessThanOrEqual(500);
});
