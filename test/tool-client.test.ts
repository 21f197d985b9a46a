import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LATEST_PROTOCOL_VERSION } from "@modelcontextprotocol/sdk/types.js";
import { ToolClient, PROTOCOL_VERSION } from "../src/tool-client.ts";
import { startListener } from "../src/mcp/listener.ts";
import type { Listener } from "../src/mcp/listener.ts";
import type { Store } from "../src/store/store.ts";
import { startEchoWebSocket } from "./support/echo-server.ts";
import { failure } from "./support/failure.ts";
import { Forwarder } from "./support/forwarder.ts";
import { freePort } from "./support/ports.ts";
import { engines, testStore } from "./support/postgres.ts";
import { quiet } from "./support/quiet.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

describe("the tool client", () => {
  const port = freePort();
  const url = `ws://127.0.0.1:${port}/`;
  let store: Store;
  let listener: Listener;
  const listen = () =>
    startListener({
      store,
      host: "127.0.0.1",
      port,
      token: "secret",
      allowedOrigins: [],
      allowedHosts: [],
      log: quiet,
      version: "0",
    });
  beforeAll(async () => {
    store = await testStore(engine);
    listener = listen();
  });
  afterAll(async () => {
    await listener.stop();
    await store.close();
  });

  test("speaks the SDK's newest revision", () => {
    expect(PROTOCOL_VERSION).toBe(LATEST_PROTOCOL_VERSION);
  });

  test("makes overlapping calls and gives each its own reply", async () => {
    const client = new ToolClient({ url, token: "secret" });
    const sessions = Array.from({ length: 50 }, (_, index) => `s${index}`);
    const replies = await Promise.all(
      sessions.map((session_id) => client.call("dewey_begin_conversation", { session_id })),
    );
    expect(replies.map((reply) => reply["session_id"])).toEqual(sessions);
    await client.close();
  });

  test("throws the server's error with its code and field", async () => {
    const client = new ToolClient({ url, token: "secret" });
    expect(await failure(client.call("dewey_search", { query: "" }))).toMatchObject({
      code: "invalid",
      field: "query",
    });
    expect(
      await failure(client.call("dewey_get_conversation", { conversation_id: crypto.randomUUID() })),
    ).toMatchObject({ code: "not_found" });
    expect(await failure(client.call("no_such_tool", {}))).toMatchObject({ code: "invalid" });
    await client.close();
  });

  test("throws unavailable while the server is away, and reconnects when it is back", async () => {
    const client = new ToolClient({ url, token: "secret" });
    await client.call("dewey_list_conversations", {});
    await listener.stop();
    expect(await failure(client.call("dewey_list_conversations", {}))).toMatchObject({ code: "unavailable" });
    listener = listen();
    await client.call("dewey_list_conversations", {});
    await client.close();
  });

  test("is refused with a wrong token", async () => {
    expect(await failure(new ToolClient({ url, token: "wrong" }).call("dewey_list_conversations", {}))).toMatchObject({
      code: "unavailable",
    });
  });

  test("throws unavailable when the server does not answer in time", async () => {
    const silent = Bun.serve({
      port: 0,
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response()),
      websocket: { message() {} },
    });
    const client = new ToolClient({ url: `ws://127.0.0.1:${silent.port}/`, deadlineMs: 200 });
    expect((await failure(client.call("dewey_list_conversations", {}))).message).toContain("did not answer within 0.");
    await silent.stop(true);
  });

  test("reconnects after a connection has died silently", async () => {
    const way = await Forwarder.to(port);
    const client = new ToolClient({ url: `ws://127.0.0.1:${way.port}/`, token: "secret", deadlineMs: 1000 });
    await client.call("dewey_list_conversations", {});
    way.strand();
    expect(await failure(client.call("dewey_list_conversations", {}))).toMatchObject({ code: "unavailable" });
    await client.call("dewey_list_conversations", {});
    await client.close();
    way.stop();
  });

  test("refuses an MCP server that is not Dewey", async () => {
    const other = startEchoWebSocket({ subprotocol: true });
    const client = new ToolClient({ url: other.url });
    const error = await failure(client.call("dewey_list_conversations", {}));
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("is not a Dewey server") });
    await other.stop();
  });
});
