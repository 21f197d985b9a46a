import { describe, expect, test } from "bun:test";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds)).toISOString();
const call = (id: unknown, tool: string, seconds: number) => ({
  role: "user",
  content: `call ${tool}`,
  created_at: at(seconds),
  metadata: { source: "proxy", tool, id },
});
const answer = (id: unknown, tool: string, seconds: number, duration_ms: number, outcome = "success") => ({
  role: outcome === "success" ? "assistant" : "tool",
  content: `result of ${tool}`,
  created_at: at(seconds),
  metadata: { source: "proxy", tool, id, outcome, duration_ms },
});

for (const engine of engines) {
  describe(`calls on ${engine.name}`, () => {
    test("are listed with their arguments' turn, the latest first, by session, upstream, tool and outcome", async () => {
      await using store = await testStore(engine);
      const begin = async (upstream: string) =>
        (await store.conversations.begin({ metadata: { source: "proxy", upstream, client_name: "agent" } }))
          .conversation_id;
      const files = await begin("files");
      const web = await begin("web");
      await store.messages.storeBulk({
        conversation_id: files,
        messages: [
          call(1, "read", 1),
          call("1", "read", 2),
          // The second answers first, and a client uses its ids again.
          answer("1", "read", 4, 2000),
          answer(1, "read", 5, 4000, "error"),
          call(1, "read", 6),
          answer(1, "read", 8, 2000),
          { role: "user", content: "no call", created_at: at(9) },
        ],
      });
      await store.messages.storeBulk({
        conversation_id: web,
        messages: [call(1, "fetch", 10), answer(1, "fetch", 20, 10_000, "cancelled")],
      });
      const list = async (input: Partial<Parameters<typeof store.calls.list>[0]> = {}) =>
        store.calls.list({ limit: 20, ...input });
      const turns = async (input: Parameters<typeof list>[0]) =>
        (await list(input)).calls.map((each) => [each.tool, each.call_turn, each.turn]);

      const all = await list();
      expect(all.calls[0]).toMatchObject({
        conversation_id: web,
        upstream: "web",
        client: "agent",
        tool: "fetch",
        started_at: at(10),
        duration_ms: 10_000,
        outcome: "cancelled",
      });
      expect(await turns({ conversation_id: files })).toEqual([
        ["read", 5, 6],
        ["read", 1, 4],
        ["read", 2, 3],
      ]);
      expect(await turns({ upstream: "web" })).toEqual([["fetch", 1, 2]]);
      expect(await turns({ tool: "fetch" })).toEqual([["fetch", 1, 2]]);
      expect(await turns({ failed: true })).toEqual([
        ["fetch", 1, 2],
        ["read", 1, 4],
      ]);
      expect(await turns({ start_date: new Date(at(8)) })).toEqual([
        ["fetch", 1, 2],
        ["read", 5, 6],
      ]);
      expect(all.tools).toEqual([
        { tool: "read", calls: 3, errors: 1, p50_ms: 2000, p95_ms: 4000 },
        { tool: "fetch", calls: 1, errors: 1, p50_ms: 10_000, p95_ms: 10_000 },
      ]);
      await store.conversations.delete({ conversation_id: web, force: false });
      expect(await turns({ upstream: "web" })).toEqual([]);
    });

    test("come in pages, each once, also those of the same moment", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({});
      await store.messages.storeBulk({
        conversation_id,
        messages: Array.from({ length: 25 }, (_, n) => answer(n, "same", 1, n)),
      });
      const seen: (number | null)[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.calls.list({
          conversation_id,
          limit: 10,
          ...(cursor === undefined ? {} : { cursor }),
        });
        expect(page.tools === undefined).toBe(cursor !== undefined);
        seen.push(...page.calls.map((each) => each.duration_ms));
        cursor = page.next_cursor;
      } while (cursor !== undefined);
      expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 25 }, (_, n) => n));
      const { next_cursor } = await store.calls.list({ limit: 1 });
      const other = store.calls.list({ limit: 1, tool: "same", cursor: next_cursor });
      expect(await failure(other)).toMatchObject({ code: "invalid", field: "cursor" });
    });

    test("are counted by tool up to the latest 10,000, and found when their tool is rare", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.conversations.begin({ metadata: { upstream: "files" } });
      await using sql = connect(connection);
      await sql`insert into messages (conversation_id, turn_number, role, content, created_at, metadata)
        select ${conversation_id}, n, 'tool', '', ${at(0)}::timestamptz + n * interval '1 ms', jsonb_build_object('tool',
          case when n in (1, 9000) then 'seldom' else 'often' end, 'outcome', case when n <= 3 then 'error' else 'success' end)
        from generate_series(1, 10003) n`;
      const list = (input: object) => store.calls.list({ limit: 20, ...input });
      const none = { p50_ms: null, p95_ms: null };
      expect((await list({})).tools).toEqual([
        { tool: "often", calls: 9999, errors: 0, ...none },
        { tool: "seldom", calls: 1, errors: 0, ...none },
      ]);
      const seldom = await list({ tool: "seldom", upstream: "files" });
      expect(seldom.calls.map(({ turn }) => turn)).toEqual([9000, 1]);
      expect(seldom.tools).toEqual([{ tool: "seldom", calls: 2, errors: 1, ...none }]);
      const failed = await list({ tool: "often", failed: true });
      expect(failed.calls.map(({ turn }) => turn)).toEqual([3, 2]);
      expect(failed.tools).toEqual([{ tool: "often", calls: 2, errors: 2, ...none }]);
    });
  });
}
