import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import type { Listed } from "../../src/store/listing.ts";
import type { Store } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

/** Reads all pages, with a step between each and the next. */
async function read<Page extends Listed>(
  page: (cursor?: string) => Promise<Page>,
  between: (pages: number, last: Page) => Promise<unknown> = async () => {},
): Promise<Page[]> {
  const pages = [await page()];
  for (let last = pages[0]; last?.next_cursor !== undefined; pages.push(last)) {
    await between(pages.length, last);
    last = await page(last.next_cursor);
  }
  return pages;
}

for (const engine of engines) {
  describe(`pages of lists on ${engine.name}`, () => {
    let store: Store;
    let sql: SQL;
    beforeAll(async () => {
      const connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
      sql = connect(connection);
    });
    afterAll(async () => {
      await sql.close();
      await store.close();
    });

    type Sort = "updated_at" | "created_at";
    const list = (session_id: string, sort_by: Sort, limit: number, cursor?: string) =>
      store.conversations.list({ session_id, sort_by, limit, offset: 0, cursor });
    const ids = (pages: Awaited<ReturnType<typeof list>>[]) =>
      pages.flatMap((page) => page.conversations.map(({ id }) => id));

    /** Begins conversations of which many share a time and others are microseconds apart, as after an import. */
    async function begin(session: string, count: number): Promise<string[]> {
      const rows: { id: string }[] = await sql`
        insert into conversations (session_id, created_at, updated_at)
        select ${session}, time, time from generate_series(1, ${count}::integer) n,
          lateral (select timestamptz '2020-01-01' + (n / 4) * interval '1 microsecond' as time) t
        returning id, created_at`;
      return rows.map(({ id }) => id);
    }

    test("count clients and folders, each without its own condition, on the first page", async () => {
      const session_id = "facets";
      for (const [source, cwd] of [
        ["codex", "/a"],
        ["codex", "/b"],
        ["gemini", "/a"],
        ["codex", "/a"],
        [undefined, undefined],
      ])
        await store.conversations.begin({ session_id, metadata: { source, cwd } });
      const listed = (given: { client?: string; cursor?: string }) =>
        store.conversations.list({ session_id, facets: true, limit: 2, offset: 0, sort_by: "updated_at", ...given });
      const all = await listed({});
      expect(all.facets).toEqual({
        client: [
          { value: "codex", count: 3 },
          { value: "gemini", count: 1 },
        ],
        folder: [
          { value: "/a", count: 3 },
          { value: "/b", count: 1 },
        ],
      });
      expect((await listed({ client: "codex" })).facets).toEqual({
        client: [
          { value: "codex", count: 3 },
          { value: "gemini", count: 1 },
        ],
        folder: [
          { value: "/a", count: 2 },
          { value: "/b", count: 1 },
        ],
      });
      expect(await listed({ cursor: all.next_cursor ?? "" })).not.toHaveProperty("facets");
    });

    test("hold each conversation once, in the order of a single page, even though many share a time", async () => {
      await begin("ties", 30);
      for (const sort of ["updated_at", "created_at"] as const) {
        const whole = await list("ties", sort, 100);
        const pages = await read((cursor) => list("ties", sort, 7, cursor));
        expect(ids(pages)).toEqual(ids([whole]));
        expect(pages.map((page) => page.offset)).toEqual([0, 7, 14, 21, 28]);
        expect(pages.map((page) => page.total)).toEqual(pages.map(() => 30));
        expect(pages.map((page) => page.conversations.length)).toEqual([7, 7, 7, 7, 2]);
        expect(whole).not.toHaveProperty("next_cursor");
        expect(await read((cursor) => list("ties", sort, 10, cursor))).toHaveLength(3);
      }
    });

    test("hold each earlier conversation once, whatever is begun, trashed, deleted and restored between them", async () => {
      for (const sort of ["updated_at", "created_at"] as const) {
        const session = `stable ${sort}`;
        await begin(session, 40);
        const all = ids([await list(session, sort, 100)]);
        const trashed = all[38] ?? "";
        await store.conversations.delete({ conversation_id: trashed, force: false });
        const gone: string[] = [];
        const pages = await read(
          (cursor) => list(session, sort, 10, cursor),
          async (page, { conversations }) => {
            const remove = (conversation_id = "", force = false) =>
              store.conversations.delete({ conversation_id, force });
            const at = all.indexOf(conversations[9]?.id ?? "");
            // Before the shown ones, among them, exactly at the cursor, and after it.
            await store.conversations.begin({ session_id: session });
            await remove(all[at - 3]);
            await remove(all[at], true);
            await remove(all[at + 4], page === 2);
            gone.push(all[at + 4] ?? "");
            if (page === 2) await store.conversations.restore({ conversation_id: trashed });
          },
        );
        expect(pages).toHaveLength(4);
        // Conversations removed before they were read are missing. One that is restored stands where its messages place it.
        expect(ids(pages)).toEqual(all.filter((id) => !gone.includes(id)));
        expect(pages.map((page) => page.total)).toEqual(pages.map(() => 39));
      }
    });

    test("show what changed meanwhile at the front when the list is started over", async () => {
      await begin("changing", 10);
      const first = await list("changing", "updated_at", 5);
      const [, , , , , , , late = ""] = ids([await list("changing", "updated_at", 10)]);
      await store.messages.store({ conversation_id: late, role: "user", content: "again" });
      expect(ids([await list("changing", "updated_at", 5, first.next_cursor)])).not.toContain(late);
      expect(ids([await list("changing", "updated_at", 1)])).toEqual([late]);
    });

    test("count up to 10,000 with any filter, and keep the first page's count", async () => {
      await begin("countless", 10_001);
      await begin("counted", 3);
      const countless = await read(
        (
          (last) => (cursor?: string) =>
            list("countless", "created_at", 100, cursor).then(last)
        )(stopped(2)),
      );
      expect(countless.map((page) => [page.total, page.total_is_lower_bound])).toEqual([
        [10_000, true],
        [10_000, true],
      ]);
      expect(await list("counted", "created_at", 1)).toMatchObject({ total: 3 });
      expect(await list("counted", "created_at", 1)).not.toHaveProperty("total_is_lower_bound");
      const all = await store.conversations.list({ sort_by: "updated_at", limit: 1, offset: 0 });
      expect([all.total, all.total_is_lower_bound]).toEqual([10_000, true]);
      expect(await list("nobody's", "created_at", 1)).toEqual({
        conversations: [],
        total: 0,
        limit: 1,
        offset: 0,
        unmatched: [{ filter: "session_id", value: "nobody's" }],
      });
    });

    test("refuse a damaged cursor, another request's cursor, and an offset beside a cursor", async () => {
      await begin("cursors", 3);
      const { next_cursor: cursor = "" } = await list("cursors", "created_at", 1);
      const call = { session_id: "cursors", sort_by: "created_at", limit: 1, offset: 0, cursor } as const;
      const { next_cursor: older } = await store.results.find({ limit: 1, offset: 0 });
      expect(older).toBeUndefined();
      const wrong = [
        { ...call, cursor: "nonsense" },
        { ...call, cursor: `${cursor.slice(0, -2)}xx` },
        { ...call, cursor: cursor.slice(0, 30) },
        { ...call, session_id: "ties" },
        { ...call, session_id: undefined },
        { ...call, sort_by: "updated_at" } as const,
      ];
      for (const input of wrong)
        expect(await failure(store.conversations.list(input))).toMatchObject({
          code: "invalid",
          field: "cursor",
          message: expect.stringContaining("start over"),
        });
      expect(await failure(store.results.find({ limit: 1, offset: 0, cursor }))).toMatchObject({ field: "cursor" });
      expect(await failure(store.conversations.list({ ...call, offset: 1 }))).toMatchObject({
        code: "invalid",
        field: "offset",
      });
      // The limit may differ from the first page's.
      expect((await store.conversations.list({ ...call, limit: 2 })).conversations).toHaveLength(2);
    });

    test("hold the results of orchestrations under each filter, while more are stored", async () => {
      const { conversation_id } = await store.conversations.begin({});
      await sql`insert into fiedler_results (correlation_id, model, output, status, conversation_id, created_at)
        select 'paged', 'm' || n % 2, n, case when n % 3 = 0 then 'error' else 'success' end,
          case when n % 2 = 0 then ${conversation_id}::uuid end, timestamptz '2020-01-01' + (n / 5) * interval '1 second'
        from generate_series(1, 24) n`;
      const filters = [
        { correlation_id: "paged" },
        { model: "m1" },
        { status: "error" },
        { conversation_id },
        { correlation_id: "paged", model: "m0", status: "success", conversation_id },
        {},
      ];
      for (const filter of filters) {
        const whole = await store.results.find({ ...filter, limit: 100, offset: 0 });
        const pages = await read(
          (cursor) => store.results.find({ ...filter, limit: 5, offset: 0, cursor }),
          () =>
            store.results.store({
              correlation_id: "paged",
              model: filter.model ?? "m1",
              output: "new",
              status: filter.status ?? "error",
              conversation_id,
            }),
        );
        expect(pages.flatMap((page) => page.results)).toEqual(whole.results);
        expect(pages.map((page) => page.total)).toEqual(pages.map(() => whole.total));
      }
      const call = { model: "m1", limit: 5, offset: 0 };
      const { next_cursor: cursor } = await store.results.find(call);
      expect(await failure(store.results.find({ ...call, model: "m0", cursor }))).toMatchObject({ field: "cursor" });
      await store.conversations.delete({ conversation_id, force: false });
      const rest = await store.results.find({ ...call, limit: 100, cursor });
      expect(rest.results.every((result) => result.conversation_id === null)).toBe(true);
    });

    test("hold a context's history while it continues", async () => {
      const set = (content: string) => store.contexts.set({ name: "paged", content, set_active: false });
      for (let version = 1; version <= 7; version++) await set(`${version}`);
      const pages = await read(
        (cursor) => store.contexts.history({ name: "paged", limit: 3, offset: 0, cursor }),
        (page) => set(`later ${page}`),
      );
      expect(pages.flatMap((page) => page.versions.map(({ version }) => version))).toEqual([7, 6, 5, 4, 3, 2, 1]);
      await set("8");
      const { next_cursor: cursor } = await store.contexts.history({ name: "paged", limit: 3, offset: 0 });
      expect(await failure(store.contexts.history({ name: "other", limit: 3, offset: 0, cursor }))).toMatchObject({
        code: "invalid",
        field: "cursor",
      });
    });

    test("are read in order from an index, however many conversations there are and however deep the page is", async () => {
      await sql`analyze conversations`;
      for (const column of ["updated_at", "created_at"])
        for (const filter of ["", "session_id = 'countless' and "]) {
          const rows: Record<string, string>[] = await sql.unsafe(`explain select id from conversations
            where ${filter}deleted_at is null
              and (${column}, id) < ('2020-01-01 00:00:00.000500Z'::text::timestamptz, '${crypto.randomUUID()}'::uuid)
            order by ${column} desc, id desc limit 21`);
          const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
          expect(plan).toMatch(/Index Cond: .*ROW\(/);
          expect(plan).not.toMatch(/Sort|Seq Scan/);
        }
    });
  });
}

/** Stops after the first pages. */
function stopped<Page extends Listed>(most: number) {
  let read = 0;
  return (page: Page): Page => {
    read += 1;
    if (read < most) return page;
    const { next_cursor: _, ...last } = page;
    return last as Page;
  };
}
