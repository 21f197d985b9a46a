import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createLog } from "../../src/log.ts";
import { startProxy } from "../../src/proxy/proxy.ts";
import type { Proxy, ProxyOptions } from "../../src/proxy/proxy.ts";
import type { Upstream } from "../../src/proxy/relay/upstreams.ts";
import { startEchoWebSocket } from "../support/echo-server.ts";
import { freePort } from "../support/ports.ts";
import { Rpc, until } from "../support/rpc.ts";
import { spoolFolder } from "../support/spool-folder.ts";
import { startTalkingHttp } from "../support/talking-server.ts";

// The proxy's port and health, in this process; test/e2e has the compiled proxy. There is no store, so most upstreams are
// in mode none: with undelivered entries a proxy takes three seconds to stop.

const echo = startEchoWebSocket({ subprotocol: true });
let talking: ReturnType<typeof startTalkingHttp>;
const talkingPort = freePort();
beforeAll(() => {
  talking = startTalkingHttp(talkingPort);
});
afterAll(async () => {
  await echo.stop();
  await talking.stop();
});

const socket = (name: string, url = echo.url): Upstream => ({
  name,
  wire: "websocket",
  url,
  headers: {},
  record: "none",
});
const http: Upstream = {
  name: "http",
  wire: "http",
  url: `http://127.0.0.1:${talkingPort}/mcp`,
  headers: {},
  record: "none",
};
const upstreamsOf = (upstreams: Upstream[], defaultName?: string) => ({
  byName: new Map(upstreams.map((upstream) => [upstream.name, upstream])),
  defaultName,
});

let folder: ReturnType<typeof spoolFolder> | undefined;
let proxy: Proxy | undefined;
let lines: string[] = [];
afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
  folder?.[Symbol.dispose]();
});

function start(upstreams: Upstream[], options: Partial<ProxyOptions> & { defaultName?: string } = {}) {
  lines = [];
  folder = spoolFolder();
  const { defaultName = upstreams[0]?.name, ...rest } = options;
  proxy = startProxy({
    host: "127.0.0.1",
    port: 0,
    allowedOrigins: [],
    allowedHosts: [],
    version: "1.2.3",
    upstreams: upstreamsOf(upstreams, defaultName),
    spool: { folder: folder.path, limits: { bytes: 1e12, ageMs: 1e12 }, sync: false },
    dewey: { url: `ws://127.0.0.1:${freePort()}/` },
    log: createLog({ level: "info", format: "json", write: (line) => lines.push(line) }),
    ...rest,
  });
  const base = proxy.url.replace("ws:", "http:");
  return {
    proxy,
    url: proxy.url,
    get: (path: string, init?: RequestInit) => fetch(`${base}${path}`, init),
    post: (path: string, headers: Record<string, string> = {}) =>
      fetch(`${base}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 0,
          method: "initialize",
          params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
        }),
      }),
    health: async () => (await (await fetch(`${base}healthz`)).json()) as Record<string, unknown>,
    metrics: async () => (await fetch(`${base}metrics`)).text(),
  };
}

const refusal = async (response: Response | Promise<Response>) => {
  const { status } = await response;
  return [status, await (await response).text()];
};

describe("the port", () => {
  test("relays WebSocket on any path to the named upstream, or to the default", async () => {
    const { url, health } = start([socket("first"), socket("second")]);
    const [rpc, other] = [await Rpc.open(`${url}any/path`), await Rpc.open(`${url}?upstream=second`)];
    for (const each of [rpc, other]) {
      await each.initialize();
      expect(await each.tool("echo", { text: "x" })).toEqual({ text: "x" });
    }
    expect(await health()).toMatchObject({
      status: "ok",
      version: "1.2.3",
      sessions: 2,
      upstreams: [
        { name: "first", wire: "websocket", record: "none", state: "up" },
        { name: "second", state: "up" },
      ],
      recorder: { recording: true },
    });
    rpc.close();
    other.close();
    await until("the ends", async () => (await health())["sessions"] === 0);
  });

  test("relays Streamable HTTP on /mcp to every wire, and counts its sessions", async () => {
    const { post, health } = start([socket("socket"), http]);
    for (const [index, name] of ["socket", "http"].entries()) {
      const response = await post(`mcp?upstream=${name}`);
      expect([response.status, response.headers.get("mcp-session-id")]).toEqual([200, expect.any(String)]);
      await response.text();
      expect((await health())["sessions"]).toBe(index + 1);
    }
  });

  test("refuses unknown paths and upstreams, and lists what there is", async () => {
    const { get, post, url } = start([socket("first"), socket("second")], { defaultName: "gone" });
    expect(await refusal(get("elsewhere"))).toEqual([404, expect.stringContaining("Streamable HTTP on /mcp")]);
    expect(await refusal(post("mcp"))).toEqual([
      404,
      expect.stringMatching(/no upstream .*gone.*; there are: first, second/),
    ]);
    expect(await refusal(post("mcp?upstream=nope"))).toEqual([
      404,
      expect.stringContaining("there are: first, second"),
    ]);
    expect(Rpc.open(`${url}?upstream=nope`)).rejects.toThrow();
  });

  test("asks for an upstream when there are several and no default", async () => {
    const { post, proxy } = start([socket("first")]);
    proxy.configure(upstreamsOf([socket("first"), socket("second")]));
    expect(await refusal(post("mcp"))).toEqual([
      404,
      expect.stringContaining("?upstream=NAME; there are: first, second"),
    ]);
  });

  test("accepts session keys of up to 500 characters without U+0000", async () => {
    const { post } = start([socket("first")]);
    expect((await post(`mcp?session=${"x".repeat(500)}`)).status).toBe(200);
    for (const key of ["x".repeat(501), "a%00b"])
      expect(await refusal(post(`mcp?session=${key}`))).toEqual([
        400,
        expect.stringContaining("at most 500 characters"),
      ]);
    expect((await post("mcp?session=")).status).toBe(200);
  });

  test("asks for the token, except for the health", async () => {
    const { get, post } = start([socket("first")], { token: "secret" });
    expect([(await get("healthz")).status, (await get("metrics")).status, (await post("mcp")).status]).toEqual([
      200, 401, 401,
    ]);
    expect((await post("mcp", { authorization: "Bearer secret" })).status).toBe(200);
  });
});

describe("the health", () => {
  test("is bad when no upstream is configured, and when the proxy is stopping", async () => {
    const { get, proxy, url } = start([socket("first")]);
    proxy.configure(upstreamsOf([]));
    expect(await refusal(get("healthz"))).toEqual([503, expect.stringContaining("no upstream is configured")]);
    proxy.configure(upstreamsOf([socket("first")], "first"));
    expect((await get("healthz")).status).toBe(200);
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    const slow = rpc.tool("slow", { ms: 300 });
    await until("the call", async () => (await (await get("metrics")).text()).includes("dewey_proxy_open_requests 1"));
    const stopped = proxy.stop();
    expect(await refusal(get("healthz"))).toEqual([503, expect.stringContaining('"status":"stopping"')]);
    expect(Rpc.open(url)).rejects.toThrow();
    expect(await slow).toEqual({ text: "slept" });
    await stopped;
    expect((await rpc.closed).reason).toContain("stopping");
  });

  test("shows when the configuration was read, and the last error", async () => {
    const { proxy, health } = start([socket("first")]);
    const before = (await health())["configuration"];
    expect(before).toEqual({ read: expect.stringMatching(/^\d{4}-.*Z$/), error: null });
    proxy.keepConfiguration("it is wrong");
    expect((await health())["configuration"]).toEqual({ ...(before as object), error: "it is wrong" });
    proxy.configure(upstreamsOf([socket("other")]));
    expect(await health()).toMatchObject({ configuration: { error: null }, upstreams: [{ name: "other" }] });
  });

  test("shows wrong entries of the configuration, and requests to them name the mistake", async () => {
    const { proxy, health, post, get } = start([socket("first")]);
    const wrong = new Map([["broken", "mcpServers.broken.url should be a URL"]]);
    proxy.configure({ ...upstreamsOf([socket("first")], "first"), wrong, mistakes: "1 mistake" });
    expect(await health()).toMatchObject({
      status: "ok",
      configuration: { error: "1 mistake" },
      upstreams: [
        { name: "first", state: "unused" },
        { name: "broken", state: "wrong", last_error: "mcpServers.broken.url should be a URL" },
      ],
    });
    expect(await refusal(post("mcp?upstream=broken"))).toEqual([503, expect.stringContaining("should be a URL")]);
    expect((await post("mcp")).status).toBe(200);
    expect(await (await get("metrics")).text()).toContain('dewey_proxy_upstream_up{upstream="broken"} 0');
  });

  test("shows which upstreams work, and so do the metrics", async () => {
    const lost = socket("lost", `ws://127.0.0.1:${freePort()}/`);
    const lostHttp: Upstream = { ...http, name: "lostHttp", url: `http://127.0.0.1:${freePort()}/` };
    const { url, health, metrics, post } = start([socket("first"), lost, lostHttp, socket("unused")]);
    const [rpc, other] = [await Rpc.open(url), await Rpc.open(`${url}?upstream=lost`)];
    await rpc.initialize();
    await (await post("mcp?upstream=lostHttp", { "mcp-session-id": "s" })).text();
    const upstreams = async () => (await health())["upstreams"] as { name: string; state: string }[];
    const states = await until("all that are used", async () => {
      const states = await upstreams();
      return states.filter(({ state }) => state === "unused").length === 1 && states;
    });
    expect(states.map(({ name, state }) => [name, state])).toEqual([
      ["first", "up"],
      ["lost", "down"],
      ["lostHttp", "down"],
      ["unused", "unused"],
    ]);
    const lines = (await metrics()).split("\n");
    expect(lines.filter((line) => line.startsWith("dewey_proxy_upstream_up"))).toEqual([
      'dewey_proxy_upstream_up{upstream="first"} 1',
      'dewey_proxy_upstream_up{upstream="lost"} 0',
      'dewey_proxy_upstream_up{upstream="lostHttp"} 0',
    ]);
    expect(lines).toContain("dewey_proxy_sessions 2");
    expect(lines).toContain("dewey_recorder_recording 1");
    expect(lines.some((line) => line.startsWith("dewey_event_loop_long_turns_total "))).toBe(true);
    for (const each of [rpc, other]) each.close();
  });
});

describe("a new configuration", () => {
  test("reconnects sessions of changed upstreams, and keeps those of removed ones", async () => {
    const elsewhere = startEchoWebSocket({ subprotocol: true });
    const { url, proxy, post } = start([socket("changed"), socket("removed")]);
    const [changed, removed] = [await Rpc.open(url), await Rpc.open(`${url}?upstream=removed`)];
    for (const each of [changed, removed]) await each.initialize();
    const session = await post("mcp?upstream=removed");
    await session.text();
    proxy.configure(upstreamsOf([socket("changed", elsewhere.url)]));
    await until("the other upstream", () => changed.received.some((text) => text.includes("tools/list_changed")));
    expect(await removed.tool("echo", { text: "still" })).toEqual({ text: "still" });
    expect(Rpc.open(`${url}?upstream=removed`)).rejects.toThrow();
    // An HTTP session that began with it continues, and no new one begins.
    const id = session.headers.get("mcp-session-id") ?? "";
    expect((await post("mcp?upstream=removed", { "mcp-session-id": id })).status).toBe(200);
    expect((await post("mcp?upstream=removed")).status).toBe(404);
    for (const each of [changed, removed]) each.close();
    await elsewhere.stop();
  });
});

test("a session's log lines have its id, its conversation if recorded, and its upstream", async () => {
  const { url } = start([{ ...socket("recorded"), record: "calls" }, socket("silent")]);
  for (const name of ["recorded", "silent"]) {
    const rpc = await Rpc.open(`${url}?upstream=${name}`);
    await rpc.initialize();
    rpc.close();
    await until("the end", () => lines.some((line) => line.includes("has ended") && line.includes(name)));
  }
  const [recorded, silent] = ["recorded", "silent"].map((name) =>
    lines.map((line) => JSON.parse(line) as Record<string, unknown>).find(({ upstream }) => upstream === name),
  );
  expect(recorded).toMatchObject({ conversation: recorded?.["session"] as string });
  expect(silent).toMatchObject({ session: expect.any(String) });
  expect(silent).not.toHaveProperty("conversation");
});
