import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { engines, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`fiedler results on ${engine.name}`, () => {
    let store: Store;
    beforeAll(async () => {
      store = await testStore(engine);
    });
    afterAll(() => store.close());

    test("are returned as stored, with NUL and lone surrogates", async () => {
      const { conversation_id } = await store.conversations.begin({});
      const given = {
        correlation_id: "all",
        model: "m",
        output: "out\0put",
        prompt: "pro\ud800mpt",
        error_message: "\0",
        metadata: { "k\0": "\udfff" },
        tokens_prompt: 12,
        tokens_completion: 34,
        duration_seconds: 1.5,
        status: "success",
        conversation_id,
      };
      const { id, created_at } = await store.results.store(given);
      const { results } = await store.results.find({ correlation_id: "all", limit: 10, offset: 0 });
      expect(results).toEqual([{ id, created_at, ...given }]);
    });

    test("repeated with their id are stored once, and with other values are a conflict", async () => {
      const given = { correlation_id: "once", model: "m", output: "o", result_id: crypto.randomUUID() };
      const answers = await Promise.all(Array.from({ length: 8 }, () => store.results.store(given)));
      answers.push(await store.results.store({ ...given, result_id: given.result_id.toUpperCase() }));
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      expect((await store.results.find({ correlation_id: "once", limit: 1, offset: 0 })).total).toBe(1);
      expect(await failure(store.results.store({ ...given, output: "other" }))).toMatchObject({
        code: "conflict",
        field: "result_id",
      });
    });

    test("are found by each filter, the newest first, with the total of the filter", async () => {
      const { conversation_id } = await store.conversations.begin({});
      for (const index of [0, 1, 2, 3]) {
        await store.results.store({
          correlation_id: "filters",
          model: index % 2 === 0 ? "even" : "odd",
          output: String(index),
          status: index === 3 ? "error" : "success",
          ...(index === 1 ? { conversation_id } : {}),
        });
      }
      const find = async (filter: object) => {
        const reply = await store.results.find({ correlation_id: "filters", ...filter, limit: 10, offset: 0 });
        expect(reply.total).toBe(reply.results.length);
        return reply.results.map((result) => result.output);
      };
      expect(await find({})).toEqual(["3", "2", "1", "0"]);
      expect(await find({ model: "even" })).toEqual(["2", "0"]);
      expect(await find({ status: "error" })).toEqual(["3"]);
      expect(await find({ conversation_id })).toEqual(["1"]);
      expect(await find({ model: "odd", status: "error", conversation_id })).toEqual([]);
      const page = await store.results.find({ correlation_id: "filters", limit: 2, offset: 1 });
      expect(page).toMatchObject({ total: 4, limit: 2, offset: 1, results: [{ output: "2" }, { output: "1" }] });
    });

    test("keep the caller's time to the millisecond, as in replies, and so are in the order of replies", async () => {
      const at = (created_at: string, result_id: string) =>
        store.results.store({ correlation_id: "time", model: "m", output: "o", created_at, result_id });
      const later = await at("2001-02-03T04:05:06.7889Z", "00000000-0000-4000-8000-000000000001");
      const earlier = await at("2001-02-03T04:05:06.7881Z", "ffffffff-0000-4000-8000-000000000001");
      expect([later.created_at, earlier.created_at]).toEqual(Array(2).fill("2001-02-03T04:05:06.788Z"));
      const { results } = await store.results.find({ correlation_id: "time", limit: 10, offset: 0 });
      expect(results.map((result) => result.id)).toEqual([earlier.id, later.id]);
    });

    test("too large for a reply are cut and carry their size, and are whole with full", async () => {
      const output = "é".repeat(400_000);
      await store.results.store({ correlation_id: "large", model: "m", output, metadata: { x: "y".repeat(90_000) } });
      await store.results.store({ correlation_id: "large", model: "m", output: "small" });
      const cut = await store.results.find({ correlation_id: "large", limit: 10, offset: 0 });
      expect(Buffer.byteLength(JSON.stringify(cut))).toBeLessThan(60_000);
      expect(cut.results[0]).toMatchObject({ output: "small" });
      expect(cut.results[1]).toMatchObject({ metadata: null, cut_bytes: { output: 800_000, metadata: 90_009 } });
      const whole = await store.results.find({ correlation_id: "large", limit: 10, offset: 1, full: true });
      expect(whole.results[0]?.output === output).toBe(true);
      expect(whole.results[0]).not.toHaveProperty("cut_bytes");
    });

    test("for a missing conversation are refused, naming the field", async () => {
      const result = { correlation_id: "c", model: "m", output: "o", conversation_id: crypto.randomUUID() };
      expect(await failure(store.results.store(result))).toMatchObject({ code: "not_found", field: "conversation_id" });
    });
  });
}
