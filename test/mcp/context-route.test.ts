import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { handleContextWrite } from "../../src/mcp/context-route.ts";
import type { Store } from "../../src/store/store.ts";
import { engines, testStore } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

const client = { name: "dewey", version: "1" };
const set = { tool: "dewey_set_startup_context", arguments: { name: "team", content: "x", set_active: false }, client };

describe("/contexts", () => {
  let store: Store;
  beforeAll(async () => {
    store = await testStore(engine);
  });
  afterAll(() => store.close());

  const ask = async (body: unknown, init: RequestInit = {}) => {
    const headers = { "content-type": "application/json" };
    const request = new Request("http://localhost/contexts", {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      ...init,
    });
    const response = await handleContextWrite(request, { store, log: quiet });
    return { status: response.status, reply: (await response.json()) as Record<string, unknown> };
  };

  test("changes a context, and keeps who did", async () => {
    expect(await ask(set)).toMatchObject({ status: 200, reply: { name: "team", is_active: false } });
    expect(await store.contexts.get({ name: "team" })).toMatchObject({
      content: "x",
      written_by: { client_name: "dewey", client_version: "1" },
    });
  });

  test("answers a tool's own error, with the field", async () => {
    const { status, reply } = await ask({ ...set, arguments: { name: "team" } });
    expect([status, reply["field"]]).toEqual([400, "content"]);
    const unknown = { ...set, tool: "dewey_delete_startup_context", arguments: { name: "none" } };
    expect(await ask(unknown)).toMatchObject({ status: 404, reply: { code: "not_found" } });
  });

  test("calls no other tool, and takes nothing that a web page could send unasked", async () => {
    for (const body of [{ ...set, tool: "dewey_delete_conversation" }, { ...set, client: undefined }, [], "x"])
      expect(await ask(body)).toMatchObject({ status: 400, reply: { code: "invalid" } });
    expect(await ask(set, { headers: { "content-type": "text/plain" } })).toMatchObject({ status: 400 });
    const get = new Request("http://localhost/contexts");
    expect((await handleContextWrite(get, { store, log: quiet })).status).toBe(400);
  });
});
