import { describe, expect, test } from "bun:test";
import { Stats } from "../../src/store/stats.ts";
import type { Reads } from "../../src/store/database/reads.ts";
import { failure } from "../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`statistics on ${engine.name}`, () => {
    test("count messages by day in the requested time zone, and calls, failures and durations by tool", async () => {
      await using store = await testStore(engine);
      const { conversation_id } = await store.conversations.begin({});
      // One begun today; the first began with its first message.
      await store.conversations.begin({ metadata: { source: "proxy" } });
      const { conversation_id: gone } = await store.conversations.begin({});
      const now = Date.now();
      const result = (tool: string, duration_ms: number | undefined, outcome = "success") => ({
        role: "assistant",
        content: "done",
        metadata: { tool, outcome, ...(duration_ms === undefined ? {} : { duration_ms }) },
      });
      await store.messages.storeBulk({
        conversation_id,
        messages: [
          { role: "user", content: "long ago", created_at: "2001-01-01T00:00:00Z" },
          { role: "user", content: "yesterday", created_at: new Date(now - 86_400_000).toISOString() },
          { role: "user", content: "a call", metadata: { tool: "echo" } },
          ...Array.from({ length: 100 }, (_, n) => result("echo", n + 1)),
          result("echo", 7, "error"),
          result("unknown time", undefined),
        ],
      });
      await store.messages.store({ conversation_id: gone, role: "user", content: "x" });
      await store.conversations.delete({ conversation_id: gone, force: false });
      const stats = await store.stats.read({ days: 3, time_zone: "UTC" });
      expect(stats).toMatchObject({ conversations: 2, in_trash: 1, messages: 105 });
      expect(stats.sources).toMatchObject([{ source: "proxy", conversations: 1 }]);
      expect(stats.database_bytes).toBeGreaterThan(1_000_000);
      const day = (time: number) => new Date(time).toISOString().slice(0, 10);
      expect(stats.days).toEqual([
        { day: day(now - 2 * 86_400_000), messages: 0, conversations: 0 },
        { day: day(now - 86_400_000), messages: 1, conversations: 0 },
        { day: day(now), messages: 103, conversations: 1 },
      ]);
      expect(stats.tools).toEqual([
        { tool: "echo", calls: 101, errors: 1, p50_ms: 50, p95_ms: 95 },
        { tool: "unknown time", calls: 1, errors: 0, p50_ms: null, p95_ms: null },
      ]);
      // These two zones are 26 hours apart, so their dates always differ.
      const [east, west] = await Promise.all(
        ["Pacific/Kiritimati", "Etc/GMT+12"].map((time_zone) => store.stats.read({ days: 1, time_zone })),
      );
      expect(east?.days[0]?.day).not.toBe(west?.days[0]?.day);
    });

    test("accept any metadata of a call, and report what is usable of it", async () => {
      await using store = await testStore(engine);
      const outcome = "success";
      const metadata = [
        { tool: "t".repeat(100_000), outcome, duration_ms: 1e308 },
        { tool: "instant", outcome, duration_ms: 5e-324 },
        { tool: "backwards", outcome, duration_ms: -5 },
        { tool: "worded", outcome, duration_ms: "7" },
        { tool: "worded", outcome: { code: 1 }, duration_ms: null },
        { tool: ["a", "list"], outcome },
        { tool: null, outcome },
        { tool: "of no outcome" },
        { outcome },
      ];
      await store.messages.storeBulk({
        messages: metadata.map((each) => ({ role: "tool", content: "done", metadata: each })),
      });
      const { tools } = await store.stats.read({ days: 1, time_zone: "UTC" });
      const call = (tool: string, p_ms: number | null) => ({ tool, calls: 1, errors: 0, p50_ms: p_ms, p95_ms: p_ms });
      expect(new Set(tools)).toEqual(
        new Set([
          call("t".repeat(200), 1e12),
          call("instant", 0),
          call("backwards", 0),
          call('["a", "list"]', null),
          { tool: "worded", calls: 2, errors: 1, p50_ms: null, p95_ms: null },
        ]),
      );
    });

    test("list the fifty tools with the most calls, without calls in the trash", async () => {
      await using store = await testStore(engine);
      const call = (tool: string) => ({ role: "tool", content: "x", metadata: { tool, outcome: "success" } });
      const names = Array.from({ length: 51 }, (_, n) => `tool ${String(n).padStart(2, "0")}`);
      await store.messages.storeBulk({ messages: [...names.slice(1), ...names].map(call) });
      const { conversation_id } = await store.messages.storeBulk({ messages: ["gone", "gone", "gone"].map(call) });
      await store.conversations.delete({ conversation_id, force: false });
      const { tools } = await store.stats.read({ days: 1, time_zone: "UTC" });
      expect(tools.map(({ tool, calls }) => [tool, calls])).toEqual(names.slice(1).map((tool) => [tool, 2]));
    });

    test("read no message's content or metadata, which may be large", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const result = { role: "tool", content: "done", metadata: { tool: "echo", outcome: "success", duration_ms: 3 } };
      await store.messages.storeBulk({ messages: [result, result] });
      await using sql = connect(connection);
      const role = `counting_${crypto.randomUUID().replaceAll("-", "")}`;
      await sql.unsafe(`create role ${role}`);
      await sql.unsafe(`grant select on conversations to ${role}`);
      const columns = "conversation_id, created_at, bookkeeping, called_tool, call_failed, call_ms";
      await sql.unsafe(`grant select (${columns}) on messages to ${role}`);
      const reads: Pick<Reads, "search"> = {
        search: (statement) =>
          sql.begin(async (within) => {
            await within.unsafe(`set local role ${role}`);
            return statement(within, undefined);
          }),
      };
      const { messages, tools } = await new Stats(reads).read({ days: 1, time_zone: "UTC" });
      expect([messages, tools]).toEqual([2, [{ tool: "echo", calls: 2, errors: 0, p50_ms: 3, p95_ms: 3 }]]);
      await sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    });

    test("that take too long are refused with a remedy", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection, searchDeadlineMs: 100 });
      await using sql = connect(connection);
      const error = await sql.begin(async (within) => {
        await within`lock table messages in access exclusive mode`;
        return failure(store.stats.read({ days: 30, time_zone: "UTC" }));
      });
      expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("ask for fewer days") });
    });
  });
}
