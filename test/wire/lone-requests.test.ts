import { describe, expect, test } from "bun:test";
import { HttpSessions } from "../../src/wire/http-sessions.ts";
import type { HttpSessionsOptions } from "../../src/wire/http-sessions.ts";
import type { Link } from "../../src/wire/link.ts";
import { listen } from "../support/links.ts";
import type { Listening } from "../support/links.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";
import { statelessHeaders, statelessMeta, statelessRequest } from "../support/stateless-calls.ts";

type Json = Record<string, unknown>;
type Id = number | string;

const INFO = "io.modelcontextprotocol/clientInfo";
const VERSION = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";

/** An endpoint whose upstream connections are served by the test itself. */
function startEndpoint(options: Partial<HttpSessionsOptions> = {}) {
  const opened: { link: Link; heard: Listening; tell: (message: Json) => void }[] = [];
  const sessions = new HttpSessions({
    log: quiet,
    takesLoneRequests: true,
    ...options,
    opened: (link) => {
      const tell = (message: Json) => void link.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
      opened.push({ link, heard: listen(link), tell });
    },
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request, server) => sessions.handle(request, server),
  });
  const fetched = (init: RequestInit) => {
    const response = fetch(server.url, { method: "POST", ...init });
    // Some are unanswered when the endpoint ends.
    response.catch(() => {});
    return response;
  };
  const post = (message: Json, headers: Record<string, string>, signal?: AbortSignal) =>
    fetched({
      headers: { ...statelessHeaders(String(message["method"])), ...headers },
      body: JSON.stringify(message),
      ...(signal ? { signal } : {}),
    });
  return {
    sessions,
    opened,
    fetched,
    post,
    /** Sends a request that stands alone. */
    ask(id: number, method: string, params: Json = {}, signal?: AbortSignal) {
      const { name } = params;
      return post(statelessRequest(id, method, params), typeof name === "string" ? { "mcp-name": name } : {}, signal);
    },
    /** The connection with this number, once it has heard as many frames. */
    async heard(number: number, count: number) {
      const one = await until("a connection", () => opened[number]);
      await one.heard.count(count);
      return { ...one, last: JSON.parse(one.heard.frames[count - 1] ?? "") as Json };
    },
    initialize: () =>
      fetched({
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: "i",
          method: "initialize",
          params: { protocolVersion: "2025-11-25" },
        }),
      }),
    async [Symbol.asyncDispose]() {
      sessions.stop();
      await server.stop(true);
    },
  };
}

const call = (name: string, meta: Json = {}) => ({ name, _meta: { ...statelessMeta, ...meta } });

describe("requests that stand alone", () => {
  test("of one client share a connection, on which each gets its answer as it is", async () => {
    await using endpoint = startEndpoint();
    const first = endpoint.ask(1, "tools/list");
    const second = endpoint.ask(2, "tools/call", call("pay"));
    const { heard, link } = await endpoint.heard(0, 2);
    expect(new Set(heard.frames.map((frame) => (JSON.parse(frame) as Json)["id"]))).toEqual(new Set([1, 2]));
    const answers = [1, 2].map((id) => `{"jsonrpc":"2.0", "id":${id},"result":{"n":9007199254740993}}`);
    for (const answer of answers.toReversed()) link.send(answer);
    const responses = await Promise.all([first, second]);
    expect(responses.map(({ headers }) => headers.get("content-type"))).toEqual(Array(2).fill("application/json"));
    expect(await Promise.all(responses.map((response) => response.text()))).toEqual(answers);
    expect(responses[0]?.headers.get("mcp-session-id")).toBeNull();
    expect(endpoint.opened).toHaveLength(1);
  });

  test("of others have their own, and so have those of another revision and one whose id is in flight", async () => {
    await using endpoint = startEndpoint();
    void endpoint.ask(1, "tools/call", call("pay"));
    await endpoint.heard(0, 1);
    void endpoint.ask(2, "tools/call", call("pay", { [INFO]: { name: "bob", version: "1" } }));
    await endpoint.heard(1, 1);
    void endpoint.ask(1, "tools/call", call("pay"));
    await endpoint.heard(2, 1);
    const later = statelessRequest(3, "tools/list", { _meta: { ...statelessMeta, [VERSION]: "2027-01-01" } });
    void endpoint.post(later, { "mcp-protocol-version": "2027-01-01" });
    await endpoint.heard(3, 1);
    expect(endpoint.opened).toHaveLength(4);
  });

  test("have the status that goes with their error", async () => {
    await using endpoint = startEndpoint();
    for (const [id, code, status] of [
      [1, -32_601, 404],
      [2, -32_020, 400],
      [3, -32_021, 400],
      [4, -32_022, 400],
      [5, -32_602, 200],
    ] as const) {
      const asking = endpoint.ask(id, "x/y");
      const { tell } = await endpoint.heard(0, id);
      tell({ id, error: { code, message: "no" } });
      const response = await asking;
      expect([response.status, await response.json()]).toMatchObject([status, { id, error: { code } }]);
    }
  });

  test("are refused when their headers do not repeat them, or their id is none", async () => {
    await using endpoint = startEndpoint();
    const right = statelessRequest(1, "tools/call", call("größe"));
    const named = { "mcp-name": "=?base64?Z3LDtsOfZQ==?=" };
    for (const wrong of [
      { "mcp-name": "gr??e" },
      { "mcp-name": "=?base64?Z3LDtsO?=" },
      { ...named, "mcp-method": "tools/list" },
      { ...named, "mcp-protocol-version": "2027-01-01" },
      {},
    ]) {
      const response = await endpoint.post(right, wrong);
      expect([response.status, await response.json()]).toMatchObject([400, { id: 1, error: { code: -32_020 } }]);
    }
    expect((await endpoint.post({ ...right, id: null }, named)).status).toBe(400);
    let deep: unknown = 0;
    for (let level = 0; level < 1000; level += 1) deep = [deep];
    for (const version of [undefined, 7, deep]) {
      const unsaid = await endpoint.post({ ...right, params: call("größe", { [VERSION]: version }) }, named);
      expect([unsaid.status, await unsaid.json()]).toMatchObject([400, { id: 1, error: { code: -32_602 } }]);
    }
    expect(endpoint.opened).toHaveLength(0);
    void endpoint.post(right, named);
    await endpoint.heard(0, 1);
  });

  test("have no stream to open, and no session to end", async () => {
    await using endpoint = startEndpoint();
    for (const method of ["GET", "DELETE"]) {
      const response = await endpoint.fetched({ method, headers: statelessHeaders("x") });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
    }
  });

  test("get events when something comes before their answer, without ids to resume from", async () => {
    await using endpoint = startEndpoint();
    const asking = endpoint.ask(1, "tools/call", call("pay", { progressToken: "p" }));
    void endpoint.ask(2, "tools/call", call("pay"));
    const { tell } = await endpoint.heard(0, 2);
    tell({ method: "notifications/progress", params: { progressToken: "p", progress: 1 } });
    tell({ id: 1, result: {} });
    const response = await asking;
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(await response.text()).toMatch(
      /^event: message\ndata: .*"progress":1.*\n\nevent: message\ndata: .*"id":1.*\n\n$/,
    );
  });

  test("are cancelled when their client leaves, and a late answer to them goes nowhere", async () => {
    await using endpoint = startEndpoint();
    const leaving = new AbortController();
    const asking = endpoint.ask(1, "tools/call", call("pay"), leaving.signal).catch(() => {});
    await endpoint.heard(0, 1);
    const other = endpoint.ask(2, "tools/call", call("wait"));
    await endpoint.heard(0, 2);
    leaving.abort();
    await asking;
    const { tell, last } = await endpoint.heard(0, 3);
    expect(last).toMatchObject({ method: "notifications/cancelled", params: { requestId: 1 } });
    tell({ id: 1, result: { late: true } });
    tell({ id: 2, result: {} });
    expect(await (await other).text()).not.toContain("late");
    // The id can be used again.
    const again = endpoint.ask(1, "tools/call", call("pay"));
    await endpoint.heard(0, 4);
    tell({ id: 1, result: { second: true } });
    expect(await (await again).text()).toContain("second");
  });

  test("for notifications get those with their id", async () => {
    await using endpoint = startEndpoint();
    const streams = [endpoint.ask(1, "subscriptions/listen"), endpoint.ask(2, "subscriptions/listen")];
    const { tell } = await endpoint.heard(0, 2);
    const changed = (id: Id) => ({
      method: "notifications/tools/list_changed",
      params: { _meta: { [SUBSCRIPTION]: id } },
    });
    tell(changed(1));
    tell(changed(2));
    for (const id of [1, 2]) tell({ id, result: {} });
    const texts = await Promise.all(streams.map(async (each) => (await each).text()));
    expect(texts.map((text) => [...text.matchAll(/subscriptionId":(\d)/g)].map(([, id]) => id))).toEqual([
      ["1"],
      ["2"],
    ]);
  });

  test("bring notifications to the connection that their client has", async () => {
    await using endpoint = startEndpoint();
    const note = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1, _meta: statelessMeta } };
    expect((await endpoint.post(note, {})).status).toBe(202);
    expect(endpoint.opened).toHaveLength(0);
    void endpoint.ask(1, "tools/call", call("pay"));
    await endpoint.heard(0, 1);
    expect((await endpoint.post(note, {})).status).toBe(202);
    expect((await endpoint.heard(0, 2)).last).toEqual(note);
  });

  test("cannot be asked back", async () => {
    await using endpoint = startEndpoint();
    void endpoint.ask(1, "tools/call", call("pay"));
    const { tell } = await endpoint.heard(0, 1);
    tell({ id: "q", method: "roots/list" });
    expect((await endpoint.heard(0, 2)).last).toMatchObject({ id: "q", error: { code: -32_601 } });
  });

  test("end their connection when their client sends none for long", async () => {
    await using endpoint = startEndpoint({ idleLimitMs: 100 });
    const asking = endpoint.ask(1, "tools/list");
    const { tell, heard } = await endpoint.heard(0, 1);
    tell({ id: 1, result: {} });
    await (await asking).text();
    expect(await heard.end()).toContain("idle for too long");
    void endpoint.ask(2, "tools/list");
    await endpoint.heard(1, 1);
  });
});

describe("a client that asks for a server's revisions", () => {
  test("and is refused keeps its connection for the session that it begins", async () => {
    await using endpoint = startEndpoint();
    const asking = endpoint.ask(1, "server/discover");
    const { tell } = await endpoint.heard(0, 1);
    tell({ id: 1, error: { code: -32_602, message: "not initialized" } });
    expect((await asking).status).toBe(400);
    const initializing = endpoint.initialize();
    await endpoint.heard(0, 2);
    tell({ id: "i", result: {} });
    const response = await initializing;
    expect([response.status, response.headers.get("mcp-session-id")]).toEqual([200, expect.any(String)]);
    expect(await response.text()).toContain('"id":"i"');
    // From now on it can be asked, and the next client has a connection of its own.
    void endpoint.initialize();
    await endpoint.heard(1, 1);
  });

  test("and hears nothing is refused in time, and never hears the late answer", async () => {
    await using endpoint = startEndpoint({ discoverLimitMs: 50 });
    const response = await endpoint.ask(1, "server/discover");
    expect([response.status, await response.json()]).toMatchObject([400, { id: 1, error: { code: -32_601 } }]);
    const initializing = endpoint.initialize();
    const { tell } = await endpoint.heard(0, 3);
    tell({ id: 1, result: { late: true } });
    tell({ id: "i", result: {} });
    expect(await (await initializing).text()).not.toContain("late");
    expect(endpoint.opened).toHaveLength(1);
  });

  test("and is told them does not share its connection with a session", async () => {
    await using endpoint = startEndpoint();
    const asking = endpoint.ask(1, "server/discover");
    const { tell } = await endpoint.heard(0, 1);
    tell({ id: 1, result: { supportedVersions: ["2026-07-28"] } });
    expect((await asking).status).toBe(200);
    void endpoint.initialize();
    await endpoint.heard(1, 1);
    void endpoint.ask(2, "tools/list");
    await endpoint.heard(0, 2);
  });
});
