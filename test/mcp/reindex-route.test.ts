import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLog } from "../../src/log.ts";
import { handleReindex } from "../../src/mcp/reindex-route.ts";
import type { Store } from "../../src/store/store.ts";
import { engines, testStore } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

describe("/reindex", () => {
  let store: Store;
  beforeAll(async () => {
    store = await testStore(engine);
  });
  afterAll(() => store.close());

  const ask = async (path: string, log = quiet) => {
    const request = new Request(`http://localhost/reindex${path}`, { method: "POST" });
    const response = await handleReindex(request, store, log);
    return { status: response.status, reply: (await response.json()) as Record<string, unknown> };
  };

  test("reports the progress, and starts a rebuild in the language that is given", async () => {
    expect(await ask("/progress")).toMatchObject({ status: 200, reply: { language: "english" } });
    expect(await ask("?language=german")).toMatchObject({ status: 200, reply: { language: "german" } });
    expect(await ask("/progress?language=english")).toMatchObject({ reply: { language: "german" } });
    expect(await ask("")).toMatchObject({ status: 200, reply: { language: "german" } });
  });

  test("refuses an unknown language with the remedy, and another path", async () => {
    const { status, reply } = await ask("?language=klingon");
    expect([status, reply["code"], reply["error"]]).toEqual([400, "invalid", expect.stringContaining("klingon")]);
    expect(await ask("/else")).toEqual({
      status: 404,
      reply: { code: "not_found", error: "use /reindex or /reindex/progress" },
    });
  });

  test("answers 503 when the database is away", async () => {
    const logged: string[] = [];
    const closed = await testStore(engine);
    await closed.close();
    const log = createLog({ level: "debug", format: "json", write: (line) => void logged.push(line) });
    const response = await handleReindex(
      new Request("http://localhost/reindex/progress", { method: "POST" }),
      closed,
      log,
    );
    expect(response.status).toBe(503);
    // An error with a remedy for the caller needs no line in the log.
    expect(logged).toEqual([]);
  });
});
