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

  const ask = async (method: string, query = "", log = quiet) => {
    const request = new Request(`http://localhost/reindex${query}`, { method });
    const response = await handleReindex(request, store, log);
    return { status: response.status, reply: (await response.json()) as Record<string, unknown> };
  };

  test("reports the progress, and starts a rebuild in the language that is given", async () => {
    expect(await ask("GET")).toMatchObject({ status: 200, reply: { language: "english" } });
    expect(await ask("POST", "?language=german")).toMatchObject({ status: 200, reply: { language: "german" } });
    expect(await ask("GET", "?language=english")).toMatchObject({ reply: { language: "german" } });
    expect(await ask("POST")).toMatchObject({ status: 200, reply: { language: "german" } });
  });

  test("refuses an unknown language and another method, with the field and the remedy", async () => {
    const { status, reply } = await ask("POST", "?language=klingon");
    expect([status, reply["code"], reply["error"]]).toEqual([400, "invalid", expect.stringContaining("klingon")]);
    expect(await ask("DELETE")).toEqual({
      status: 400,
      reply: { code: "invalid", error: "use GET or POST /reindex" },
    });
  });

  test("answers 503 when the database is away", async () => {
    const logged: string[] = [];
    const closed = await testStore(engine);
    await closed.close();
    const log = createLog({ level: "debug", format: "json", write: (line) => void logged.push(line) });
    const response = await handleReindex(new Request("http://localhost/reindex"), closed, log);
    expect(response.status).toBe(503);
    // An error with a remedy for the caller needs no line in the log.
    expect(logged).toEqual([]);
  });
});
