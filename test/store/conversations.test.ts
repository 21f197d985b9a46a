import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import type { Connection } from "../../src/store/database/connection.ts";
import type { Store } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`conversations on ${engine.name}`, () => {
    let store: Store;
    let sql: SQL;
    let connection: Connection;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection, trashDays: 30 });
      sql = connect(connection);
    });
    afterAll(async () => {
      await sql.close();
      await store.close();
    });

    const list = (session_id?: string) =>
      store.conversations.list({ session_id, limit: 100, offset: 0, sort_by: "updated_at" });
    const message = { role: "user", content: "lamp" };

    test("begun again with the caller's id are the same conversation", async () => {
      const call = { conversation_id: crypto.randomUUID(), session_id: "again", metadata: { a: [1, { b: null }] } };
      const first = await store.conversations.begin(call);
      expect(await store.conversations.begin({ ...call, conversation_id: call.conversation_id.toUpperCase() })).toEqual(
        first,
      );
      expect((await list("again")).conversations).toMatchObject([
        { id: first.conversation_id, metadata: call.metadata },
      ]);
    });

    test("begun by ten concurrent callers with one id are the same conversation", async () => {
      const call = { conversation_id: crypto.randomUUID(), session_id: "at once" };
      const answers = await Promise.all(Array.from({ length: 10 }, () => store.conversations.begin(call)));
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    });

    test("begun with a known id are a conflict if the session or metadata differ, or if it is in the trash", async () => {
      const mine = { session_id: "mine", metadata: { a: 1 } };
      const { conversation_id } = await store.conversations.begin(mine);
      const conflict = { code: "conflict", field: "conversation_id" };
      for (const other of [
        { session_id: "yours" },
        { session_id: undefined },
        { metadata: { a: 2 } },
        { metadata: undefined },
      ])
        expect(await failure(store.conversations.begin({ conversation_id, ...mine, ...other }))).toMatchObject({
          ...conflict,
          message: expect.stringContaining("other metadata"),
        });
      await store.conversations.delete({ conversation_id, force: false });
      expect(await failure(store.conversations.begin({ conversation_id, ...mine }))).toMatchObject({
        ...conflict,
        message: expect.stringContaining("in the trash"),
      });
    });

    test("keep the caller's time, whatever time a repeated call gives", async () => {
      const created_at = "2001-02-03T04:05:06.789Z";
      const { conversation_id, ...begun } = await store.conversations.begin({ created_at });
      expect(begun).toEqual({ session_id: null, created_at });
      expect(await store.conversations.begin({ conversation_id })).toMatchObject({ created_at });
      expect(await store.conversations.begin({ conversation_id, created_at: "2002-01-01T00:00:00Z" })).toMatchObject({
        created_at,
      });
    });

    test("return metadata with NUL and lone surrogates unchanged, in lists and pages", async () => {
      const metadata = { "a\0": "\ud800", b: ["\udfff\0"] };
      const { conversation_id } = await store.conversations.begin({ session_id: "odd", metadata });
      expect((await list("odd")).conversations[0]?.metadata).toEqual(metadata);
      expect((await store.messages.page({ conversation_id })).metadata).toEqual(metadata);
    });

    test("get more metadata, which replaces equal fields and keeps the others, in the trash too", async () => {
      const session_id = "more";
      const { conversation_id } = await store.conversations.begin({
        session_id,
        metadata: { a: 1, b: "\0", c: { d: 1 } },
      });
      const added = { a: 2, c: { e: "\ud800" } };
      expect(await store.conversations.update({ conversation_id, metadata: added })).toMatchObject({ conversation_id });
      const wanted = { a: 2, b: "\0", c: { e: "\ud800" } };
      expect((await list(session_id)).conversations).toMatchObject([{ metadata: wanted }]);
      await store.conversations.delete({ conversation_id, force: false });
      await store.conversations.update({ conversation_id: conversation_id.toUpperCase(), metadata: { f: 1 } });
      await store.conversations.restore({ conversation_id });
      expect((await list(session_id)).conversations[0]?.metadata).toEqual({ ...wanted, f: 1 });
      expect(
        await failure(store.conversations.update({ conversation_id: crypto.randomUUID(), metadata: {} })),
      ).toMatchObject({
        code: "not_found",
        field: "conversation_id",
      });
    });

    test("are listed by last change or by creation, page by page, with their total", async () => {
      const session_id = "listed";
      const ids = [];
      for (let index = 0; index < 5; index++) {
        ids.push((await store.conversations.begin({ session_id })).conversation_id);
      }
      await store.messages.store({ conversation_id: ids[1] ?? "", ...message });
      const byUpdate = await list(session_id);
      expect(byUpdate.conversations.map((each) => each.id)).toEqual([
        ids[1],
        ids[4],
        ids[3],
        ids[2],
        ids[0],
      ] as string[]);
      expect(byUpdate.conversations.map((each) => each.message_count)).toEqual([1, 0, 0, 0, 0]);
      const page = await store.conversations.list({ session_id, limit: 2, offset: 1, sort_by: "created_at" });
      expect(page).toMatchObject({ total: 5, limit: 2, offset: 1, conversations: [{ id: ids[3] }, { id: ids[2] }] });
    });

    test("are listed by client, folder, star, time, trash and the beginning of their ids", async () => {
      const session_id = "narrowed";
      const begin = async (id: string, client: string, cwd: string, created_at: string) => {
        const metadata = { client_name: client, cwd };
        const conversation_id = `${id}-0000-4000-8000-000000000000`;
        await store.conversations.begin({ session_id, conversation_id, metadata, created_at });
        return conversation_id;
      };
      const early = await begin("aaaa0001", "codex", "/home/ana/dewey", "2020-01-01T00:00:00Z");
      const deep = await begin("aaaa0002", "claude-code", "/home/ana/dewey/src/", "2020-02-01T00:00:00Z");
      const beside = await begin("aabb0003", "codex", "/home/ana/dewey2", "2020-03-01T00:00:00Z");
      const windows = await begin("aabb0004", "codex", String.raw`C:\Work\Dewey`, "2020-04-01T00:00:00Z");
      await store.conversations.update({ conversation_id: beside, starred: true });
      const found = async (narrowing: object) => {
        const page = { limit: 100, offset: 0, sort_by: "updated_at" } as const;
        const reply = await store.conversations.list({ session_id, ...page, ...narrowing });
        expect(reply.total).toBe(reply.conversations.length);
        return reply.conversations.map((each) => each.id);
      };
      expect(await found({ client: "CODEX" })).toEqual([windows, beside, early]);
      expect(await found({ folder: "/home/ana/dewey" })).toEqual([deep, early]);
      expect(await found({ folder: "/home/ana/" })).toEqual([beside, deep, early]);
      expect(await found({ folder: "dewey" })).toEqual([windows, deep, early]);
      expect(await found({ folder: "ana/Dewey" })).toEqual([deep, early]);
      expect(await found({ folder: String.raw`c:\work` })).toEqual([windows]);
      expect(await found({ folder: "/dewey" })).toEqual([]);
      expect(await found({ folder: "%" })).toEqual([]);
      expect(await found({ starred: true })).toEqual([beside]);
      expect(await found({ start_date: new Date("2020-03-01T00:00:00Z") })).toEqual([windows, beside]);
      expect(await found({ id_prefix: "AABB" })).toEqual([windows, beside]);
      expect(await found({ id_prefix: "aaaa0002-0000-4" })).toEqual([deep]);
      expect(await found({ client: "codex", folder: "dewey", id_prefix: "aaaa" })).toEqual([early]);
      await store.conversations.delete({ conversation_id: deep, force: false });
      expect(await found({ in_trash: true })).toEqual([deep]);
      expect(await found({ in_trash: true, id_prefix: "aabb" })).toEqual([]);
      expect(await found({ folder: "dewey" })).toEqual([windows, early]);
    });

    test("have a total that is a lower bound above 10,000", async () => {
      await sql`insert into conversations (session_id) select 'many' from generate_series(1, 10000)`;
      const exact = await store.conversations.list({ session_id: "many", limit: 1, offset: 0, sort_by: "created_at" });
      expect([exact.total, exact.total_is_lower_bound]).toEqual([10_000, undefined]);
      await store.conversations.begin({ session_id: "many" });
      const bound = await store.conversations.list({ session_id: "many", limit: 1, offset: 0, sort_by: "created_at" });
      expect([bound.total, bound.total_is_lower_bound]).toEqual([10_000, true]);
    });

    test("are listed with the size of their metadata where it does not fit", async () => {
      const session_id = "heavy";
      const small = { note: "small" };
      for (let index = 0; index < 10; index++) {
        await store.conversations.begin({ session_id, metadata: { text: "x".repeat(100_000) } });
      }
      await store.conversations.begin({ session_id, metadata: small });
      const reply = await list(session_id);
      expect(Buffer.byteLength(JSON.stringify(reply))).toBeLessThan(60_000);
      expect(reply.conversations[0]).toMatchObject({ metadata: small });
      expect(reply.conversations[0]).not.toHaveProperty("metadata_bytes");
      expect(reply.conversations[1]).toMatchObject({ metadata: null, metadata_bytes: expect.any(Number) });
      const conversation_id = reply.conversations[1]?.id ?? "";
      expect(await store.messages.page({ conversation_id })).toMatchObject({ metadata: null, metadata_bytes: 100_012 });
      expect((await store.messages.page({ conversation_id, full: true })).metadata).toEqual({
        text: "x".repeat(100_000),
      });
    });

    test("in the trash are hidden from every call until restored", async () => {
      const session_id = "trash";
      const { conversation_id } = await store.messages.storeBulk({ session_id, messages: [message, message] });
      await store.results.store({ correlation_id: "trash", model: "m", output: "o", conversation_id });
      const beforeMs = Date.now();
      const reply = await store.conversations.delete({ conversation_id, force: false });
      expect(reply).toMatchObject({ deleted: true, messages_deleted: 2 });
      const days = (Date.parse(reply.restorable_until ?? "") - beforeMs) / 86_400_000;
      expect(Math.round(days)).toBe(30);

      const missing = { code: "not_found", field: "conversation_id" };
      const result = { correlation_id: "trash", model: "m", output: "o", conversation_id };
      const hidden = [
        store.messages.page({ conversation_id }),
        store.messages.store({ conversation_id, ...message }),
        store.messages.storeBulk({ conversation_id, messages: [message] }),
        store.conversations.delete({ conversation_id, force: false }),
        store.results.store(result),
      ];
      for (const error of await Promise.all(hidden.map(failure))) expect(error).toMatchObject(missing);
      expect((await list(session_id)).total).toBe(0);
      expect((await store.search.find({ query: "lamp", session_id, limit: 1, offset: 0 })).total).toBe(0);
      expect((await store.results.find({ correlation_id: "trash", limit: 1, offset: 0 })).total).toBe(0);

      expect(await store.conversations.restore({ conversation_id })).toEqual({ restored: true, message_count: 2 });
      expect((await store.messages.page({ conversation_id })).messages).toHaveLength(2);
      expect((await store.results.find({ correlation_id: "trash", limit: 1, offset: 0 })).total).toBe(1);
    });

    test("outside the trash are left unchanged by restore", async () => {
      const { conversation_id } = await store.messages.storeBulk({ messages: [message] });
      const { conversations } = await list();
      const before = conversations.find((each) => each.id === conversation_id);
      expect(await store.conversations.restore({ conversation_id })).toEqual({ restored: false, message_count: 1 });
      expect((await list()).conversations.find((each) => each.id === conversation_id)).toEqual(before);
    });

    test("deleted with force are gone with their messages, even from the trash, while results stay", async () => {
      for (const trashedFirst of [false, true]) {
        const { conversation_id } = await store.messages.storeBulk({ messages: [message] });
        await store.results.store({ correlation_id: conversation_id, model: "m", output: "o", conversation_id });
        if (trashedFirst) await store.conversations.delete({ conversation_id, force: false });
        expect(await store.conversations.delete({ conversation_id, force: true })).toEqual({
          deleted: true,
          messages_deleted: 1,
        });
        expect(await failure(store.conversations.restore({ conversation_id }))).toMatchObject({ code: "not_found" });
        const [left] =
          await sql`select count(*)::integer as n from messages where conversation_id = ${conversation_id}`;
        expect(left.n).toBe(0);
        const found = await store.results.find({ correlation_id: conversation_id, limit: 1, offset: 0 });
        expect(found.results).toMatchObject([{ conversation_id: null }]);
      }
    });

    test("that do not exist cannot be deleted, restored or read", async () => {
      const conversation_id = crypto.randomUUID();
      const calls = [
        store.conversations.delete({ conversation_id, force: true }),
        store.conversations.delete({ conversation_id, force: false }),
        store.conversations.restore({ conversation_id }),
        store.messages.page({ conversation_id }),
      ];
      for (const error of await Promise.all(calls.map(failure))) {
        expect(error).toMatchObject({ code: "not_found", field: "conversation_id" });
      }
    });

    test("are all purged by one call, however many statements it takes", async () => {
      const rows: { id: string }[] = await sql`insert into conversations (deleted_at)
        select now() - interval '31 days' from generate_series(1, 35) returning id`;
      expect(await store.conversations.purgeTrash()).toBe(rows.length);
      expect(await store.conversations.purgeTrash()).toBe(0);
    });

    test("are purged when their time in the trash is over, not before", async () => {
      const trashed = await Promise.all(
        Array.from({ length: 25 }, async () => {
          const { conversation_id } = await store.messages.storeBulk({ messages: [message] });
          await store.conversations.delete({ conversation_id, force: false });
          return conversation_id;
        }),
      );
      const [young, ...old] = trashed;
      await sql`update conversations set deleted_at = now() - interval '29 days' where id = ${young}`;
      await sql`update conversations set deleted_at = now() - interval '31 days'
        where id = any(${sql.array(old, "UUID")})`;
      // A second server that purges concurrently takes other conversations, or none.
      await using other = await testStore(engine, { connection });
      const purged = await Promise.all([store, other, store].map((each) => each.conversations.purgeTrash()));
      expect(purged.reduce((sum, each) => sum + each, 0)).toBe(24);
      expect(await store.conversations.restore({ conversation_id: young ?? "" })).toMatchObject({ restored: true });
      const [left] = await sql`select count(*)::integer as n from messages
        where conversation_id = any(${sql.array(old, "UUID")})`;
      expect(left.n).toBe(0);
    });
  });
}
