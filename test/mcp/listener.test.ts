import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js";
import { QUOTATION } from "../../src/tools/tool.ts";
import { tools } from "../../src/tools/tools.ts";
import { testListener } from "../support/listener.ts";
import { connect, emptyDatabase, engines, freeze, privateCluster } from "../support/postgres.ts";
import { Rpc, until } from "../support/rpc.ts";
import { statelessHeaders, statelessRequest } from "../support/stateless-calls.ts";

type Json = Record<string, unknown>;

async function connected(url: string, headers: Record<string, string> = {}): Promise<Rpc> {
  const rpc = await Rpc.open(url, { headers });
  await rpc.initialize();
  return rpc;
}

async function storeRace(client: Rpc, conversation_id: unknown): Promise<number> {
  const reply = await client.tool("dewey_store_message", { conversation_id, role: "user", content: "race" });
  return Number(reply["turn_number"]);
}

/** The error of a refused tool call, which is JSON for the model. */
async function refusal(call: Promise<unknown>): Promise<{ code: string; field?: string; message: string }> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Error)) throw new Error("the call succeeded");
  return (JSON.parse(error.message) as { error: { code: string; field?: string; message: string } }).error;
}

for (const engine of engines) {
  describe(`the tools on ${engine.name}`, () => {
    let served: Awaited<ReturnType<typeof testListener>>;
    let second: Awaited<ReturnType<typeof testListener>>;
    let rpc: Rpc;
    beforeAll(async () => {
      const connection = await emptyDatabase(engine);
      served = await testListener(engine, { store: { connection } });
      second = await testListener(engine, { store: { connection } });
      rpc = await connected(served.url);
    });
    afterAll(async () => {
      rpc.close();
      await served[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    });

    const begin = async (): Promise<unknown> => (await rpc.tool("dewey_begin_conversation"))["conversation_id"];
    const store = (args: Json) => rpc.tool("dewey_store_message", { role: "user", content: "x", ...args });

    test("reply as their output schemas say, one after the other", async () => {
      const call = async (name: string, args: Json = {}): Promise<Json> => {
        const reply = await rpc.tool(name, args);
        const { notice, ...output } = reply;
        tools.get(name)?.output.strict().parse(output);
        expect(notice).toBe(tools.get(name)?.quotes ? QUOTATION : undefined);
        return output;
      };
      const { conversation_id } = await call("dewey_begin_conversation", { session_id: "s", metadata: { a: 1 } });
      await call("dewey_store_message", { conversation_id, role: "user", content: "hello marmalade", metadata: {} });
      await call("dewey_store_messages_bulk", {
        conversation_id,
        messages: [{ role: "assistant", content: "marmalade too" }],
      });
      await call("dewey_get_conversation", { conversation_id });
      await call("dewey_list_conversations", { session_id: "s" });
      expect(await call("dewey_search", { query: "marmalade" })).toMatchObject({ total: 2, limit: 20, offset: 0 });
      await call("dewey_set_startup_context", { name: "n", content: "c" });
      await call("dewey_get_startup_context");
      await call("dewey_list_startup_contexts", { include_content: true });
      await call("dewey_delete_startup_context", { name: "n", force: true });
      await call("dewey_store_fiedler_result", { correlation_id: "c", model: "m", output: "o", conversation_id });
      expect(await call("dewey_get_fiedler_results", { correlation_id: "c" })).toMatchObject({ total: 1 });
      await call("dewey_delete_conversation", { conversation_id });
      expect(await call("dewey_restore_conversation", { conversation_id })).toEqual({
        restored: true,
        message_count: 2,
      });
      await call("dewey_delete_conversation", { conversation_id, force: true });
    });

    test("name the wrong field and the remedy, and change nothing", async () => {
      const conversation_id = await begin();
      const wrong: [string, Json][] = [
        ["role", { role: "robot" }],
        ["content", { content: "" }],
        ["content", { content: 7 }],
        ["metadata", { metadata: [1] }],
        ["colour", { colour: "red" }],
        ["turn_number", { turn_number: 0 }],
        ["turn_number", { turn_number: 1.5 }],
        ["message_id", { message_id: "nope" }],
        ["created_at", { created_at: "yesterday" }],
        ["conversation_id", { conversation_id: "nope" }],
      ];
      for (const [field, args] of wrong) {
        const error = await refusal(store({ conversation_id, ...args }));
        expect([error.code, error.field]).toEqual(["invalid", field]);
        expect(error.message).toContain(field);
      }
      expect(await rpc.tool("dewey_get_conversation", { conversation_id })).toMatchObject({ messages: [] });
    });

    test("report a missing argument or object, each with its field", async () => {
      expect(await refusal(rpc.tool("dewey_store_message"))).toMatchObject({
        code: "invalid",
        field: "conversation_id",
        message: expect.stringContaining("missing"),
      });
      const unknown = crypto.randomUUID();
      for (const [name, args] of [
        ["dewey_store_message", { conversation_id: unknown, role: "user", content: "x" }],
        ["dewey_get_conversation", { conversation_id: unknown }],
        ["dewey_delete_conversation", { conversation_id: unknown }],
        ["dewey_restore_conversation", { conversation_id: unknown }],
      ] as const) {
        expect(await refusal(rpc.tool(name, args))).toMatchObject({ code: "not_found", field: "conversation_id" });
      }
    });

    test("name the wrong message of a bulk, and store none", async () => {
      const conversation_id = await begin();
      const messages = [
        { role: "user", content: "a" },
        { role: "user", content: "b" },
        { role: "user", content: "c" },
        { role: "nobody", content: "d" },
      ];
      expect(await refusal(rpc.tool("dewey_store_messages_bulk", { conversation_id, messages }))).toMatchObject({
        field: "messages[3].role",
      });
      expect(await refusal(rpc.tool("dewey_store_messages_bulk", { messages: [] }))).toMatchObject({
        field: "messages",
      });
      expect(
        await refusal(
          rpc.tool("dewey_store_messages_bulk", { conversation_id, session_id: "x", messages: messages.slice(0, 1) }),
        ),
      ).toMatchObject({ field: "session_id" });
      expect(await rpc.tool("dewey_get_conversation", { conversation_id })).toMatchObject({ messages: [] });
    });

    test("treat a date without a time as the whole day in UTC, and refuse days that do not exist", async () => {
      const conversation_id = await begin();
      await store({ conversation_id, content: "quince", created_at: "2026-01-31T23:59:59.999Z" });
      const found = async (args: Json) => (await rpc.tool("dewey_search", { query: "quince", ...args }))["total"];
      expect(await found({ start_date: "2026-01-31", end_date: "2026-01-31" })).toBe(1);
      expect(await found({ end_date: "2026-01-30" })).toBe(0);
      expect(await found({ start_date: "2026-02-01T00:00:00+02:00" })).toBe(1);
      expect(await found({ start_date: "2026-02-01" })).toBe(0);
      for (const start_date of ["2026-02-30", "01/02/2026", "soon", "2026-13-01", ""]) {
        expect(await refusal(rpc.tool("dewey_search", { query: "x", start_date }))).toMatchObject({
          field: "start_date",
        });
      }
      expect(
        await refusal(rpc.tool("dewey_search", { query: "x", start_date: "2026-02-01", end_date: "2026-01-01" })),
      ).toMatchObject({ field: "start_date" });
    });

    test("modelcontextprotocol/servers #1819: give 64 clients over two servers the turns 1 to N of one conversation", async () => {
      const conversation_id = await begin();
      const clients = await Promise.all(
        Array.from({ length: 64 }, (_, index) => connected(index % 2 ? served.url : second.url)),
      );
      const turns = await Promise.all(
        clients.map(async (client) => {
          const mine = [];
          for (let index = 0; index < 4; index++) {
            mine.push(await storeRace(client, conversation_id));
          }
          client.close();
          return mine;
        }),
      );
      expect(turns.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (_, index) => index + 1));
    });

    test("accept metadata nested to 100 levels, and refuse deeper nesting", async () => {
      const conversation_id = await begin();
      const nested = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`) as Json;
      await store({ conversation_id, metadata: nested(100) });
      expect(await refusal(store({ conversation_id, metadata: nested(101) }))).toMatchObject({ field: "metadata" });
      expect(await refusal(store({ conversation_id, metadata: nested(20_000) }))).toMatchObject({ field: "metadata" });
    });
  });

  describe(`the database of a server on ${engine.name}`, () => {
    test("makes calls and health report unavailable within the deadline while it is stopped, and service returns with it", async () => {
      await using cluster = await privateCluster(engine);
      await using served = await testListener(engine, { store: { connection: cluster.connection, deadlineMs: 1500 } });
      const rpc = await connected(served.url);
      const health = () => fetch(new URL("/healthz", served.httpUrl));
      expect((await health()).status).toBe(200);
      {
        using _frozen = await freeze(cluster);
        expect(await refusal(rpc.tool("dewey_list_conversations"))).toMatchObject({ code: "unavailable" });
        const sick = await health();
        const unwell = { status: "unavailable", database: { reason: expect.any(String) } };
        expect([sick.status, await sick.json()]).toMatchObject([503, unwell]);
      }
      await until("service again", () =>
        rpc.tool("dewey_list_conversations").then(
          () => true,
          () => false,
        ),
      );
      expect((await health()).status).toBe(200);
    });
  });
}

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

const byName = (a: string, b: string) => a.localeCompare(b);

describe("the protocol", () => {
  let served: Awaited<ReturnType<typeof testListener>>;
  beforeAll(async () => {
    served = await testListener(engine);
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test("lists every tool with strict schemas and annotations", async () => {
    const rpc = await connected(served.url);
    const { tools: listed } = (await rpc.call("tools/list")) as { tools: Json[] };
    expect(listed.map((tool) => String(tool["name"])).toSorted(byName)).toEqual(
      [...tools.values()]
        .filter(({ ownOnly }) => ownOnly !== true)
        .map(({ name }) => name)
        .toSorted(byName),
    );
    for (const tool of listed) {
      expect(tool).toMatchObject({
        title: expect.any(String),
        description: expect.any(String),
        annotations: { openWorldHint: false },
      });
      expect(tool["inputSchema"]).toMatchObject({ type: "object", additionalProperties: false });
      expect(tool["outputSchema"]).toMatchObject({ type: "object", properties: expect.any(Object) });
    }
    rpc.close();
  });

  test("answers an unknown tool, malformed parameters and an unknown method each with its own error", async () => {
    const rpc = await connected(served.url);
    const error = (method: string, params?: object) =>
      rpc.call(method, params as Json).then(
        () => undefined,
        ({ code, message }: { code: number; message: string }) => ({ code, message }),
      );
    expect(await error("tools/call", { name: "nope", arguments: {} })).toEqual({
      code: -32_602,
      message: 'there is no tool "nope"; tools/list returns the available ones',
    });
    expect(await error("tools/call", { name: 7 })).toEqual({
      code: -32_602,
      message: "params.name should be the name of a tool",
    });
    for (const args of [[], "query", 7, null]) {
      expect(await error("tools/call", { name: "dewey_search", arguments: args })).toEqual({
        code: -32_602,
        message: 'params.arguments should be an object that names each argument, such as {"query": "words"}',
      });
    }
    expect(await error("nope")).toEqual({ code: -32_601, message: 'there is no method "nope"' });
    expect(await error("dewey_get_conversation", { conversation_id: 7 })).toMatchObject({
      code: -32_602,
      message: expect.not.stringContaining("MCP error"),
    });
    await rpc.call("ping");
    rpc.close();
  });

  test("returns no structured content for a refused call", async () => {
    const rpc = await connected(served.url);
    const reply = await rpc.call("tools/call", { name: "dewey_search", arguments: { query: "" } });
    expect(reply).toMatchObject({ isError: true, content: [{ type: "text" }] });
    expect(reply["structuredContent"]).toBeUndefined();
    rpc.close();
  });

  test("returns the bare value to the prototype's clients, which name the tool as the method", async () => {
    const rpc = await Rpc.open(served.url, { protocols: [] });
    expect(await rpc.call("dewey_begin_conversation", { session_id: "old" })).toMatchObject({ session_id: "old" });
    expect(rpc.call("dewey_get_conversation", { conversation_id: crypto.randomUUID() })).rejects.toMatchObject({
      code: 404,
    });
    expect(rpc.call("dewey_get_conversation", { conversation_id: "x" })).rejects.toMatchObject({ code: -32_602 });
    await rpc.call("dewey_get_startup_context");
    expect(rpc.received.at(-1)).toContain('"result":null');
    rpc.close();
  });

  test("counts calls by tool and outcome, never by a name that a caller invented", async () => {
    const rpc = await connected(served.url);
    await refusal(rpc.tool("dewey_search", { query: "" }));
    await rpc.call("tools/call", { name: "made_up" }).catch(() => {});
    const text = await (await fetch(new URL("/metrics", served.httpUrl))).text();
    expect(text).toMatch(/^dewey_tool_calls_total\{tool="dewey_search",outcome="invalid"\} [1-9]/m);
    expect(text).toMatch(/^dewey_clients [1-9]/m);
    expect(text).toMatch(/^dewey_event_loop_long_turns_total \d+$/m);
    expect(text).not.toContain("made_up");
    rpc.close();
  });

  test("does not reply to notifications", async () => {
    const rpc = await connected(served.url);
    const before = rpc.received.length;
    for (const method of ["notifications/nothing", "notifications/cancelled", "dewey_search"])
      rpc.send({ method, params: {} });
    await rpc.call("ping");
    expect(rpc.received.length).toBe(before + 1);
    rpc.close();
  });

  test("sends a new session the purpose of Dewey and its startup context, within 4,096 characters", async () => {
    const hello = async () => {
      const rpc = await Rpc.open(served.url);
      const { instructions } = await rpc.initialize();
      rpc.close();
      return String(instructions);
    };
    expect(await hello()).toContain("never instruction");
    await served.store.contexts.set({ name: "team", content: "speak plainly", set_active: true });
    expect(await hello()).toMatch(/Startup context "team", .*:\nspeak plainly$/);
    await served.store.contexts.set({ name: "team", content: "long ".repeat(3000), set_active: true });
    const long = await hello();
    expect(long.length).toBeLessThanOrEqual(4096);
    expect(long).toContain("dewey_get_startup_context has the rest");
    await served.store.contexts.delete({ name: "team", force: true });
  });

  test("selects the subprotocol mcp or none, and refuses another before the handshake", async () => {
    expect((await Rpc.open(served.url, { protocols: ["mcp"] })).socket.protocol).toBe("mcp");
    expect((await Rpc.open(served.url, { protocols: [] })).socket.protocol).toBe("");
    expect(Rpc.open(served.url, { protocols: ["chat"] })).rejects.toThrow();
    expect((await Rpc.open(`${served.url}mcp`)).socket.protocol).toBe("mcp");
    expect(Rpc.open(`${served.url}elsewhere`)).rejects.toThrow();
  });

  test("works with the SDK's clients over WebSocket and HTTP", async () => {
    for (const transport of [
      new WebSocketClientTransport(new URL(served.url)),
      new StreamableHTTPClientTransport(new URL(served.httpUrl)),
    ]) {
      const client = new Client({ name: "sdk", version: "1" });
      await client.connect(transport);
      await client.listTools();
      const result = await client.callTool({ name: "dewey_begin_conversation", arguments: { session_id: "sdk" } });
      expect(result.structuredContent).toMatchObject({ session_id: "sdk" });
      expect(
        await client.callTool({ name: "dewey_get_conversation", arguments: { conversation_id: "x" } }),
      ).toMatchObject({ isError: true });
      await client.close();
    }
  });

  test("answers an unknown or ended HTTP session with 404", async () => {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const post = (body: object, more: Record<string, string> = {}) =>
      fetch(served.httpUrl, {
        method: "POST",
        headers: { ...headers, ...more },
        body: JSON.stringify({ jsonrpc: "2.0", ...body }),
      });
    const ping = { id: 1, method: "ping" };
    expect((await post(ping)).status).toBe(400);
    expect((await post(ping, { "mcp-session-id": "nope" })).status).toBe(404);
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
    const opened = await post({ id: 1, method: "initialize", params });
    const session = {
      "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
      "mcp-protocol-version": "2025-11-25",
    };
    // The response stream opens before the answer is there; until then the id of the request is in flight.
    await opened.text();
    expect((await post(ping, session)).status).toBe(200);
    expect((await fetch(served.httpUrl, { method: "DELETE", headers: session })).status).toBe(200);
    expect((await post(ping, session)).status).toBe(404);
    expect((await fetch(served.httpUrl, { method: "POST", headers, body: "{" })).status).toBe(400);
    const probe = await post({ id: 7, method: "server/discover" });
    expect(await probe.json()).toMatchObject({ id: 7, error: { code: -32_601 } });
  });
});

describe("both eras of MCP on the same addresses", () => {
  test("any request without a session may reach any server, beside sessions of the same name", async () => {
    const connection = await emptyDatabase(engine);
    await using first = await testListener(engine, { store: { connection } });
    await using second = await testListener(engine, { store: { connection } });
    const call = async (served: typeof first, name: string, args: Json) => {
      const response = await fetch(served.httpUrl, {
        method: "POST",
        // An old session's id says nothing to this revision.
        headers: { ...statelessHeaders("tools/call", name), "mcp-session-id": "gone" },
        body: JSON.stringify(statelessRequest(1, "tools/call", { name, arguments: args })),
      });
      expect(response.headers.get("mcp-session-id")).toBeNull();
      return ((await response.json()) as { result: { structuredContent: Json } }).result.structuredContent;
    };
    const { conversation_id } = await call(first, "dewey_begin_conversation", { session_id: "s" });
    await call(second, "dewey_store_message", { conversation_id, role: "user", content: "hello" });
    expect(await call(first, "dewey_get_conversation", { conversation_id })).toMatchObject({
      messages: [{ content: "hello" }],
    });
    await call(first, "dewey_set_startup_context", { name: "team", content: "c" });
    const rpc = await connected(second.url);
    expect(await rpc.tool("dewey_startup_context_history", { name: "team" })).toMatchObject({
      versions: [{ client_name: "ann", client_version: "2", session: null }],
    });
    // On a WebSocket both eras take turns.
    const { _meta } = statelessRequest(1, "x").params;
    expect(await rpc.call("server/discover", { _meta })).toMatchObject({ supportedVersions: ["2026-07-28"] });
    expect(await rpc.call("tools/list", { _meta })).toMatchObject({ resultType: "complete", cacheScope: "public" });
    expect(await rpc.call("tools/list")).not.toHaveProperty("resultType");
    rpc.close();
  });

  test("a search links to resources only for revisions that know such links", async () => {
    await using served = await testListener(engine);
    const blocks = async (protocolVersion: string) => {
      const rpc = await Rpc.open(served.url);
      const clientInfo = { name: "t", version: "1" };
      await rpc.call("initialize", { protocolVersion, capabilities: {}, clientInfo });
      await rpc.tool("dewey_store_messages_bulk", { messages: [{ role: "user", content: "medlars" }] });
      const { content } = await rpc.call("tools/call", { name: "dewey_search", arguments: { query: "medlars" } });
      rpc.close();
      return new Set((content as Json[]).map(({ type }) => type));
    };
    expect(await blocks("2025-03-26")).toEqual(new Set(["text"]));
    expect(await blocks("2025-06-18")).toEqual(new Set(["text", "resource_link"]));
  });

  test("a session is told that the resources have changed once it has listed them", async () => {
    await using served = await testListener(engine, { listener: { resourcePollMs: 5 } });
    const told = await connected(served.url);
    const untold = await connected(served.url);
    expect(await told.call("resources/list")).toEqual({ resources: [] });
    const news = (rpc: Rpc) => rpc.received.filter((frame) => frame.includes("notifications/resources/list_changed"));
    await until("the news", async () => {
      await told.tool("dewey_begin_conversation");
      return news(told).length > 0;
    });
    expect(news(untold)).toEqual([]);
    told.close();
    untold.close();
  });

  test("a listener that stops ends its subscriptions with a response", async () => {
    await using served = await testListener(engine);
    const response = await fetch(served.httpUrl, {
      method: "POST",
      headers: statelessHeaders("subscriptions/listen"),
      body: JSON.stringify(statelessRequest(5, "subscriptions/listen", { notifications: {} })),
    });
    const text = response.text();
    expect(served.listener.clients()).toBe(2);
    await served.listener.stop();
    expect(await text).toContain('"id":5,"result":{"resultType":"complete"');
  });
});

describe("a listener", () => {
  test("counts sockets, HTTP sessions and recoveries as clients", async () => {
    await using served = await testListener(engine);
    const { listener, httpUrl, url } = served;
    expect(listener.clients()).toBe(0);
    const rpc = await connected(url);
    expect(listener.clients()).toBe(1);
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
    const opened = await fetch(httpUrl, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }),
    });
    await opened.text();
    expect(listener.clients()).toBe(2);
    const recover = new URL("/recover", httpUrl);
    const { id } = (await (await fetch(recover, { method: "POST" })).json()) as { id: string };
    expect(listener.clients()).toBe(3);
    await fetch(`${recover.href}/undo?id=${id}`, { method: "POST" });
    const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
    await fetch(httpUrl, { method: "DELETE", headers });
    rpc.close();
    await until("all of them gone", () => listener.clients() === 0);
  });

  test("reports its pools of connections, and refuses unknown paths with those that exist", async () => {
    await using served = await testListener(engine);
    const metrics = await (await fetch(new URL("/metrics", served.httpUrl))).text();
    for (const line of [
      'dewey_database_connections{pool="main",state="idle"} [0-9]+',
      'dewey_database_connections{pool="main",state="busy"} [0-9]+',
      'dewey_database_connections_max{pool="main"} 3',
      'dewey_database_waiting_calls{pool="main"} 0',
      "dewey_clients 0",
    ])
      expect(metrics).toMatch(new RegExp(`^${line.replace("{", "\\{")}$`, "m"));
    expect(metrics).not.toContain("dewey_reads_total");
    const unknown = await fetch(new URL("/else", served.httpUrl));
    expect([unknown.status, await unknown.json()]).toEqual([
      404,
      {
        error:
          "use WebSocket on / and /mcp, Streamable HTTP on /mcp, GET /healthz, GET /metrics, or open / in a browser",
      },
    ]);
    for (const path of ["/reindex/progress", "/backup"]) {
      const response = await fetch(new URL(path, served.httpUrl), { method: "POST" });
      expect(response.status).toBe(200);
      await response.body?.cancel();
    }
  });

  test("changes and exports only by POST, which no link or image of a web page sends", async () => {
    await using served = await testListener(engine);
    for (const path of ["/backup", "/recover", "/recover/part?id=x", "/reindex", "/reindex/progress", "/reindex/else"])
      for (const method of ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
        const response = await fetch(new URL(path, served.httpUrl), { method });
        expect([path, method, response.status, response.headers.get("allow")]).toEqual([path, method, 405, "POST"]);
      }
    expect(served.listener.clients()).toBe(0);
  });

  test("takes one backup at a time, so that stalled readers leave the database to others", async () => {
    await using served = await testListener(engine);
    const stalled = await Promise.all(
      Array.from({ length: 120 }, () => fetch(new URL("/backup", served.httpUrl), { method: "POST" })),
    );
    const statuses = stalled.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(119);
    const rpc = await connected(served.url);
    expect(await rpc.tool("dewey_list_conversations")).toMatchObject({ total: 0 });
    rpc.close();
    for (const response of stalled) await response.body?.cancel();
    await until("the end of the backup", () => served.listener.clients() === 0);
  });

  test("that stops closes its sockets and undoes a recovery", async () => {
    await using served = await testListener(engine);
    const rpc = await connected(served.url);
    await fetch(new URL("/recover", served.httpUrl), { method: "POST" });
    await served.listener.stop();
    await rpc.closed;
    expect(served.listener.clients()).toBe(0);
    expect(await fetch(served.httpUrl).catch(() => "refused")).toBe("refused");
  });
});

describe("the guard stands before every route", () => {
  test("a foreign Origin and a foreign Host are refused, and every route but /healthz requires the token", async () => {
    await using served = await testListener(engine, {
      listener: { token: "secret", allowedOrigins: ["https://ok.example"] },
    });
    const http = served.httpUrl.replace("/mcp", "");
    const bearer = { authorization: "Bearer secret" };
    for (const path of ["/", "/mcp", "/healthz", "/metrics", "/backup", "/recover", "/reindex", "/else"]) {
      for (const site of ["cross-site", "same-site"])
        expect((await fetch(http + path, { headers: { ...bearer, "sec-fetch-site": site } })).status).toBe(403);
      expect((await fetch(http + path, { headers: { ...bearer, origin: "https://evil.example" } })).status).toBe(403);
      expect((await fetch(http + path, { headers: { ...bearer, host: "evil.example" } })).status).toBe(403);
      expect((await fetch(http + path)).status).toBe(path === "/healthz" ? 200 : 401);
      expect((await fetch(http + path, { headers: { authorization: "Bearer wrong" } })).status).toBe(
        path === "/healthz" ? 200 : 401,
      );
    }
    expect(Rpc.open(served.url)).rejects.toThrow();
    expect(Rpc.open(served.url, { headers: { ...bearer, origin: "https://evil.example" } })).rejects.toThrow();
    const rpc = await connected(served.url, { ...bearer, origin: "https://ok.example" });
    await rpc.call("ping");
    rpc.close();
  });
});

describe("a server that stops", () => {
  test("falls from readiness, takes no new session, and answers the calls under way", async () => {
    const [engine] = engines;
    const connection = await emptyDatabase(engine!);
    const served = await testListener(engine!, { store: { connection } });
    const http = served.httpUrl.replace(/mcp$/, "");
    const rpc = await connected(served.url);
    const { conversation_id } = await rpc.tool("dewey_begin_conversation");
    expect((await fetch(`${http}readyz`)).status).toBe(200);

    await using sql = connect(connection);
    const [held, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = sql.begin(async (within) => {
      await within`select from conversations where id = ${String(conversation_id)} for update`;
      held.resolve();
      await go.promise;
    });
    await held.promise;
    const calling = storeRace(rpc, conversation_id);
    await until("the call is under way", async () => (served.store.pools()["main"]?.busy ?? 0) > 0);
    const stopping = served.listener.stop();
    const [ready, alive] = [await fetch(`${http}readyz`), await fetch(`${http}livez`)];
    expect([ready.status, alive.status]).toEqual([503, 200]);
    expect(await ready.json()).toMatchObject({ status: "stopping" });
    expect(Rpc.open(served.url)).rejects.toThrow();
    const initialize = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
    expect((await fetch(served.httpUrl, initialize)).status).toBe(503);
    go.resolve();
    await holding;
    expect(await calling).toBe(1);
    await stopping;
    await served.store.close();
  });

  test("that could not write is not ready either", async () => {
    const [engine] = engines;
    await using cluster = await privateCluster(engine!);
    await using served = await testListener(engine!, { store: { connection: cluster.connection } });
    const http = served.httpUrl.replace(/mcp$/, "");
    await using sql = connect(cluster.connection);
    await sql.unsafe("alter system set default_transaction_read_only = on");
    await sql`select pg_reload_conf()`;
    await until("it is noticed", async () => (await fetch(`${http}readyz`)).status === 503);
    expect(await (await fetch(`${http}readyz`)).json()).toMatchObject({
      reason: expect.stringContaining("accepts no writes"),
    });
    expect((await fetch(`${http}healthz`)).status).toBe(503);
    expect((await fetch(`${http}livez`)).status).toBe(200);
  });
});
