import { describe, expect, test } from "bun:test";
import { ResourceChanges } from "../../src/mcp/resource-changes.ts";
import { StatelessHttp } from "../../src/mcp/stateless-http.ts";
import { Stateless } from "../../src/mcp/stateless.ts";
import { Subscriptions } from "../../src/mcp/subscriptions.ts";
import type { Store } from "../../src/store/store.ts";
import { tools } from "../../src/tools/tools.ts";
import { viewFrame } from "../../src/wire/frame.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";
import { statelessHeaders, statelessMeta, statelessRequest } from "../support/stateless-calls.ts";

type Json = Record<string, unknown>;

/** The endpoint over a store that only has what a test needs; 418 marks what it leaves to the sessions. */
function startEndpoint(stored: object = {}) {
  const store = {
    contexts: { get: () => null, list: () => [] },
    conversations: { list: () => ({ conversations: [] }) },
    audit: { shown: (actor: object) => actor },
    ...stored,
  } as unknown as Store;
  const changes = new ResourceChanges(store, quiet, 10);
  const stateless = new Stateless({
    store,
    log: quiet,
    version: "1.2.3",
    contextWrites: "on",
    offered: tools,
    onBegin: () => {},
    onCall: () => {},
    changes,
  });
  const subscriptions = new Subscriptions(stateless, changes);
  const http = new StatelessHttp(stateless, subscriptions, 20);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request, server) {
      const text = await request.text();
      const given =
        request.method === "POST"
          ? http.handle(request, server, { text, view: viewFrame(text) })
          : http.refuseMethod(request);
      return (await given) ?? new Response(null, { status: 418 });
    },
  });
  const post = (body: unknown, headers: Record<string, string>) =>
    fetch(server.url, { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
  return {
    subscriptions,
    http,
    url: server.url,
    post,
    /** The status of a request, with its error's code and id. */
    async refusal(body: unknown, headers: Record<string, string>) {
      const response = await post(body, headers);
      const { error, id } = (await response.json()) as {
        error?: { code: number; message: string; data?: Json };
        id: unknown;
      };
      return { status: response.status, id, ...error };
    },
    async [Symbol.asyncDispose]() {
      changes.stop();
      await server.stop(true);
    },
  };
}

const LIST = statelessRequest(7, "tools/list");
const listHeaders = statelessHeaders("tools/list");

function without(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}

describe("a request without a session", () => {
  test("learns what the server is, and which revision it speaks without sessions", async () => {
    await using endpoint = startEndpoint();
    const response = await endpoint.post(statelessRequest(1, "server/discover"), statelessHeaders("server/discover"));
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await response.json()).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: {
        resultType: "complete",
        supportedVersions: ["2026-07-28"],
        capabilities: { tools: {}, prompts: {}, resources: { listChanged: true }, completions: {} },
        instructions: expect.stringContaining("dewey_search"),
        ttlMs: 0,
        cacheScope: "private",
        _meta: { "io.modelcontextprotocol/serverInfo": expect.objectContaining({ name: "dewey", version: "1.2.3" }) },
      },
    });
  });

  test("is told how long it may keep a list, and who may share it", async () => {
    await using endpoint = startEndpoint();
    const cacheOf = async (method: string, params: Json = {}, name?: string) => {
      const response = await endpoint.post(statelessRequest(1, method, params), statelessHeaders(method, name));
      const { result } = (await response.json()) as { result: { ttlMs?: number; cacheScope?: string } };
      return [result.ttlMs, result.cacheScope];
    };
    for (const method of ["tools/list", "prompts/list", "resources/templates/list"])
      expect(await cacheOf(method)).toEqual([3_600_000, "public"]);
    expect(await cacheOf("resources/list")).toEqual([0, "private"]);
    const call = { name: "dewey_list_startup_contexts" };
    expect(await cacheOf("tools/call", call, call.name)).toEqual([undefined, undefined]);
  });

  test("is left to the sessions when nothing in it names such a revision", async () => {
    await using endpoint = startEndpoint();
    const plain = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    const status = async (body: unknown, headers: Record<string, string>) =>
      (await endpoint.post(body, headers)).status;
    expect(await status(plain, without(listHeaders, "mcp-protocol-version"))).toBe(418);
    expect(await status(plain, { ...listHeaders, "mcp-protocol-version": "2025-11-25" })).toBe(418);
    expect(await status([plain], { ...listHeaders, "mcp-protocol-version": "2025-11-25" })).toBe(418);
    // An `initialize` that only mentions an older revision begins a session.
    const params = { _meta: { ...statelessMeta, "io.modelcontextprotocol/protocolVersion": "2025-11-25" } };
    expect(await status({ ...plain, method: "initialize", params }, without(listHeaders, "mcp-protocol-version"))).toBe(
      418,
    );
    expect(endpoint.http.isInUse).toBe(false);
  });

  test("has neither a stream to open nor a session to end", async () => {
    await using endpoint = startEndpoint();
    for (const method of ["GET", "DELETE"]) {
      const response = await fetch(endpoint.url, { method, headers: { "mcp-protocol-version": "2026-07-28" } });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
      expect((await fetch(endpoint.url, { method })).status).toBe(418);
    }
  });
});

describe("an envelope", () => {
  test("without the required keys is refused with -32602", async () => {
    await using endpoint = startEndpoint();
    const { "io.modelcontextprotocol/protocolVersion": version, ...unversioned } = statelessMeta;
    const { "io.modelcontextprotocol/clientCapabilities": declared, ...undeclared } = statelessMeta;
    for (const _meta of [
      undefined,
      {},
      unversioned,
      undeclared,
      { ...statelessMeta, "io.modelcontextprotocol/clientInfo": "me" },
    ]) {
      const refusal = await endpoint.refusal({ ...LIST, params: { _meta } }, listHeaders);
      expect(refusal).toMatchObject({ status: 400, id: 7, code: -32_602, message: expect.stringContaining("_meta") });
    }
    expect([version, declared]).toEqual(["2026-07-28", {}]);
    const { "io.modelcontextprotocol/clientInfo": _, ...anonymous } = statelessMeta;
    expect((await endpoint.post({ ...LIST, params: { _meta: anonymous } }, listHeaders)).status).toBe(200);
  });

  test("of an unknown revision is refused with -32022 and the known ones", async () => {
    await using endpoint = startEndpoint();
    for (const requested of ["2027-01-01", "v999.0.0", "2025-11-25"]) {
      const _meta = { ...statelessMeta, "io.modelcontextprotocol/protocolVersion": requested };
      const headers = { ...listHeaders, "mcp-protocol-version": requested };
      expect(await endpoint.refusal({ ...LIST, params: { _meta } }, headers)).toMatchObject({
        status: 400,
        id: 7,
        code: -32_022,
        data: { supported: ["2026-07-28"], requested },
      });
    }
  });

  test("of a method that does not exist, or exists only in sessions, is answered with 404 and -32601", async () => {
    await using endpoint = startEndpoint();
    for (const method of [
      "initialize",
      "ping",
      "logging/setLevel",
      "resources/subscribe",
      "dewey_stats",
      "constructor",
      "größe",
    ]) {
      const headers = /^[ -~]+$/.test(method) ? statelessHeaders(method) : statelessHeaders("x");
      const { status, code } = await endpoint.refusal(statelessRequest(1, method), headers);
      expect([status, code]).toEqual(method === "größe" ? [400, -32_020] : [404, -32_601]);
    }
  });

  test("must be one request or notification", async () => {
    await using endpoint = startEndpoint();
    for (const body of [[LIST], [], { jsonrpc: "2.0", id: 1, result: {} }])
      expect((await endpoint.post(body, listHeaders)).status).toBe(
        Array.isArray(body) && body.length === 0 ? 418 : 400,
      );
    const note = { jsonrpc: "2.0", method: "notifications/x" };
    expect((await endpoint.post(note, statelessHeaders("notifications/x"))).status).toBe(202);
    expect((await endpoint.post(note, statelessHeaders("notifications/y"))).status).toBe(400);
    for (const id of [null, true, {}])
      expect(await endpoint.refusal({ ...LIST, id }, listHeaders)).toMatchObject({
        status: 400,
        code: -32_600,
        id: null,
      });
    expect(await endpoint.refusal(LIST, { ...listHeaders, "content-type": "text/plain" })).toMatchObject({
      status: 415,
    });
  });
});

describe("a header", () => {
  test("that is missing or differs from the body is refused with -32020", async () => {
    await using endpoint = startEndpoint();
    const refusal = { status: 400, id: 7, code: -32_020 };
    expect(await endpoint.refusal(LIST, without(listHeaders, "mcp-protocol-version"))).toMatchObject(refusal);
    expect(await endpoint.refusal(LIST, without(listHeaders, "mcp-method"))).toMatchObject(refusal);
    expect(await endpoint.refusal(LIST, { ...listHeaders, "mcp-method": "Tools/List" })).toMatchObject(refusal);
    expect(await endpoint.refusal(LIST, { ...listHeaders, "mcp-protocol-version": "2027-01-01" })).toMatchObject(
      refusal,
    );
    const call = statelessRequest(7, "tools/call", { name: "a" });
    expect(await endpoint.refusal(call, statelessHeaders("tools/call"))).toMatchObject(refusal);
    for (const name of ["b", "A", "=?base64?Yg==?=", "=?base64?a?="])
      expect(await endpoint.refusal(call, statelessHeaders("tools/call", name))).toMatchObject(refusal);
    const read = statelessRequest(7, "resources/read", { uri: "a:b" });
    expect(await endpoint.refusal(read, statelessHeaders("resources/read", "a:c"))).toMatchObject(refusal);
    const prompt = statelessRequest(7, "prompts/get", { name: "recall" });
    expect(await endpoint.refusal(prompt, statelessHeaders("prompts/get", "continue"))).toMatchObject(refusal);
  });

  test("may write a name in base64, and must where it is not plain ASCII", async () => {
    await using endpoint = startEndpoint();
    const unknown = { status: 200, code: -32_602 };
    const call = (name: string, header: string) =>
      endpoint.refusal(statelessRequest(1, "tools/call", { name }), statelessHeaders("tools/call", header));
    expect(await call("größe", "=?base64?Z3LDtsOfZQ==?=")).toMatchObject(unknown);
    expect(await call("plain", "=?base64?cGxhaW4=?=")).toMatchObject(unknown);
    expect(await call("two words", "two words")).toMatchObject(unknown);
    expect(await call("größe", Buffer.from("größe").toString("latin1"))).toMatchObject({ status: 400, code: -32_020 });
  });

  test("for another server's arguments is ignored", async () => {
    await using endpoint = startEndpoint();
    expect((await endpoint.post(LIST, { ...listHeaders, "mcp-param-region": "=?base64?a?=" })).status).toBe(200);
  });
});

describe("a subscription", () => {
  const listen = statelessRequest(3, "subscriptions/listen", {
    notifications: { resourcesListChanged: true, toolsListChanged: true, resourceSubscriptions: ["a:b"] },
  });
  const headers = statelessHeaders("subscriptions/listen");
  const subscriptionId = { "io.modelcontextprotocol/subscriptionId": 3 };

  /** The messages of an open stream. */
  async function open(endpoint: ReturnType<typeof startEndpoint>) {
    const stop = new AbortController();
    const response = await fetch(endpoint.url, {
      method: "POST",
      headers,
      body: JSON.stringify(listen),
      signal: stop.signal,
    });
    let text = "";
    const ended = (async () => {
      for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk);
      return true;
    })().catch(() => true);
    return { response, ended, text: () => text, leave: () => stop.abort() };
  }

  test("is acknowledged with what the server will send, then told of changes, and ended with a response", async () => {
    let conversations: Json[] = [];
    await using endpoint = startEndpoint({ conversations: { list: () => ({ conversations }) } });
    const { response, ended, text } = await open(endpoint);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    await until("a comment", () => text().includes("\n:\n"));
    conversations = [{ id: "c", updated_at: "2026-01-01T00:00:00.000Z", metadata: null }];
    await until("a notification", () => text().includes("list_changed"));
    endpoint.subscriptions.stop();
    await ended;
    const messages = text()
      .split("\n")
      .filter((line) => line.startsWith("data: "))
      .map((line) => JSON.parse(line.slice(6)) as Json);
    expect(messages).toMatchObject([
      {
        method: "notifications/subscriptions/acknowledged",
        params: { _meta: subscriptionId, notifications: { resourcesListChanged: true } },
      },
      { method: "notifications/resources/list_changed", params: { _meta: subscriptionId } },
      { id: 3, result: { resultType: "complete", _meta: subscriptionId } },
    ]);
    expect(messages[0]?.["params"]).toEqual({ _meta: subscriptionId, notifications: { resourcesListChanged: true } });
    expect(endpoint.subscriptions.size).toBe(0);
  });

  test("ends when its client closes the stream", async () => {
    await using endpoint = startEndpoint();
    const { ended, text, leave } = await open(endpoint);
    await until("the acknowledgement", () => text().includes("acknowledged"));
    expect(endpoint.subscriptions.size).toBe(1);
    leave();
    await ended;
    await until("its end", () => endpoint.subscriptions.size === 0);
  });

  test("without a filter is refused", async () => {
    await using endpoint = startEndpoint();
    for (const notifications of [undefined, [], "all"]) {
      const refusal = await endpoint.refusal(statelessRequest(3, "subscriptions/listen", { notifications }), headers);
      expect(refusal).toMatchObject({ code: -32_602, message: expect.stringContaining("params.notifications") });
    }
  });
});

test("a call is cancelled when its client leaves", async () => {
  let aborted = false;
  const find = (_: unknown, signal: AbortSignal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error(`gone: ${(aborted = true)}`))));
  await using endpoint = startEndpoint({ search: { find } });
  const stop = new AbortController();
  const call = statelessRequest(1, "tools/call", { name: "dewey_search", arguments: { query: "x" } });
  const asked = fetch(endpoint.url, {
    method: "POST",
    headers: statelessHeaders("tools/call", "dewey_search"),
    body: JSON.stringify(call),
    signal: stop.signal,
  }).catch(() => "left");
  await until("the call", () => endpoint.http.isInUse);
  stop.abort();
  expect(await asked).toBe("left");
  await until("the cancellation", () => aborted);
});
