import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { echoCommand, startEchoWebSocket } from "../support/echo-server.ts";
import { freePort } from "../support/ports.ts";
import { Rpc, until } from "../support/rpc.ts";

// Complaints about other gateways and recorders, reproduced against the compiled proxy. Test names cite the complaints;
// some tests elsewhere do so too.

const home = temporaryHome();
const echo = startEchoWebSocket({ subprotocol: false });
const socketPort = freePort();
const secrets = { header: "hdr-5up3rs3cr3t", query: "qry-5up3rs3cr3t", url: "pw-5up3rs3cr3t", env: "env-5up3rs3cr3t" };
const token = "tok-5up3rs3cr3t";
let proxy: Running;
let url = "";

beforeAll(async () => {
  const headers = { "x-api-key": "${API_KEY}", authorization: "Bearer ${API_KEY}" };
  const unreachable = `127.0.0.1:${freePort()}/mcp?key=${secrets.query}`;
  const mcpServers = {
    child: { ...echoCommand, env: { CHILD_SECRET: secrets.env } },
    socket: { type: "ws", url: echo.url, headers },
    coming: { type: "ws", url: `ws://127.0.0.1:${socketPort}/` },
    lostSocket: { type: "ws", url: `ws://user:${secrets.url}@${unreachable}`, headers },
    lostHttp: { type: "http", url: `http://user:${secrets.url}@${unreachable}`, headers },
  };
  const config = join(home.path, "mcp.json");
  writeFileSync(config, JSON.stringify({ mcpServers }));
  // No Dewey server runs: recorded entries stay on disk.
  const args = ["--config", config, "--url", "ws://dewey.invalid:9020", "--data-dir", join(home.path, "data")];
  proxy = start(["proxy", "--port", "0", "--log-level", "debug", ...args], {
    ...plainEnvironment(home.path),
    API_KEY: secrets.header,
    DEWEY_TOKEN: token,
  });
  [, url = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
});
afterAll(async () => {
  await proxy.stop("SIGKILL");
  await echo.stop();
  home[Symbol.dispose]();
});

const authorization = { authorization: `Bearer ${token}` };
const open = (upstream: string) => Rpc.open(`${url}?upstream=${upstream}`, { headers: authorization });
const failed = (call: Promise<unknown>) =>
  call.then(
    () => "it was answered",
    (error: Error) => error.message,
  );

/** A plain Streamable HTTP client that returns the status and text of each response. */
function httpClient(upstream: string) {
  const address = `${url.replace("ws:", "http:")}mcp?upstream=${upstream}`;
  const headers: Record<string, string> = {
    ...authorization,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const post = async (message: object) => {
    const response = await fetch(address, {
      method: "POST",
      headers,
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
    headers["mcp-session-id"] = response.headers.get("mcp-session-id") ?? headers["mcp-session-id"] ?? "";
    if (headers["mcp-session-id"] === "") delete headers["mcp-session-id"];
    return { status: response.status, text: await response.text() };
  };
  return {
    post,
    initialize: () =>
      post({
        id: 0,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
      }),
    echo: (text: string) => post({ id: text, method: "tools/call", params: { name: "echo", arguments: { text } } }),
  };
}

async function stateOf(name: string): Promise<{ state: string; last_error: string | null } | undefined> {
  const response = await fetch(`${url.replace("ws:", "http:")}healthz`, { headers: authorization });
  const { upstreams } = (await response.json()) as {
    upstreams: { name: string; state: string; last_error: string | null }[];
  };
  return upstreams.find((upstream) => upstream.name === name);
}

describe("supergateway", () => {
  test("#126, #153: clients that drop connections in the middle of calls and reconnect do not disturb the proxy", async () => {
    const bystander = await open("child");
    await bystander.initialize();
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(["child", "socket", "socket"].map(open));
      for (const rpc of clients) {
        rpc.initialize().catch(() => {});
        rpc.call("tools/call", { name: "slow", arguments: { ms: 50 } }).catch(() => {});
        rpc.socket.terminate();
      }
      const leaving = new AbortController();
      const address = `${url.replace("ws:", "http:")}mcp?upstream=socket`;
      const leave = fetch(address, { headers: authorization, signal: leaving.signal }).catch(() => {});
      leaving.abort();
      await leave;
      expect(await bystander.tool("echo", { text: `${round}` })).toEqual({ text: `${round}` });
    }
    const again = await open("socket");
    await again.initialize();
    expect(await again.tool("echo", { text: "back" })).toEqual({ text: "back" });
    for (const rpc of [bystander, again]) rpc.close();
  });

  test("#139, #177: a call whose upstream is lost gets an error instead of hanging", async () => {
    const rpc = await open("child");
    await rpc.initialize();
    const hanging = failed(rpc.tool("slow", { ms: 600_000 }));
    expect(await failed(rpc.tool("die"))).toMatch(/child is gone: .*exit code 1/);
    expect(await hanging).toMatch(/child is gone/);
    rpc.close();
    const lost = await open("lostSocket");
    expect(await failed(lost.initialize())).toContain("lostSocket");
    lost.close();
  });

  test("(seen) and punkpeye/mcp-proxy (seen): a child that dies is restarted, clients stay connected, and health reports it", async () => {
    const rpc = await open("child");
    await rpc.initialize();
    await failed(rpc.tool("die"));
    expect(await stateOf("child")).toMatchObject({ last_error: expect.stringContaining("exit code 1") });
    expect(await rpc.tool("echo", { text: "alive" })).toEqual({ text: "alive" });
    expect(await stateOf("child")).toMatchObject({ state: "up" });
    rpc.close();
  });

  test("(seen): a string id stays a string, progress reaches its caller, sampling does not hang", async () => {
    const [one, two] = await Promise.all([open("child"), open("child")]);
    for (const rpc of [one, two]) {
      rpc.onRequest = (method) => ({ asked: method });
      await rpc.initialize();
    }
    await one.call("ping", {}, '"str-1"');
    expect(one.received.at(-1)).toContain('"id":"str-1"');
    const _meta = { progressToken: 1 };
    await one.call("tools/call", { name: "progress", arguments: { steps: 3 }, _meta });
    expect(one.received.filter((text) => text.includes("notifications/progress"))).toHaveLength(3);
    expect(two.received.filter((text) => text.includes("notifications/progress"))).toHaveLength(0);
    expect(await two.tool("ask")).toEqual({ text: '{"asked":"sampling/createMessage"}' });
    for (const rpc of [one, two]) rpc.close();
  });
});

test("claude-code #94273, #60949: an HTTP client sees no 404 during a short upstream outage, and continues its session", async () => {
  let upstream = startEchoWebSocket({ subprotocol: true, port: socketPort });
  const client = httpClient("coming");
  await client.initialize();
  await client.post({ method: "notifications/initialized" });
  const statuses: number[] = [];
  const ask = async () => {
    const { status, text } = await client.echo(`call ${statuses.length}`);
    statuses.push(status);
    return text.includes('"result"');
  };
  expect(await ask()).toBe(true);
  await upstream.stop();
  // It gets an error, or a result when the upstream is back in time.
  await ask();
  upstream = startEchoWebSocket({ subprotocol: true, port: socketPort });
  await until("an answer", ask);
  expect(new Set(statuses)).toEqual(new Set([200]));
  await upstream.stop();
});

test("punkpeye/mcp-proxy (seen): a result of 10 MiB closes no upstream, neither its own nor another client's", async () => {
  const [one, two] = await Promise.all([open("socket"), open("socket")]);
  for (const rpc of [one, two]) await rpc.initialize();
  const meanwhile = two.tool("slow", { ms: 500 });
  const { text } = await one.tool("big", { characters: 11 * 1024 * 1024 });
  expect(String(text).length).toBe(11 * 1024 * 1024);
  expect(await meanwhile).toEqual({ text: "slept" });
  for (const rpc of [one, two]) expect(await rpc.tool("echo", { text: "open" })).toEqual({ text: "open" });
  for (const rpc of [one, two]) rpc.close();
});

test("supergateway and punkpeye/mcp-proxy (seen): web pages are refused on every route and wire", async () => {
  const http = url.replace("ws:", "http:");
  const origin = { ...authorization, origin: "https://evil.example" };
  for (const path of ["healthz", "metrics", "mcp?upstream=child", ""])
    expect((await fetch(http + path, { headers: origin })).status).toBe(403);
  expect(Rpc.open(`${url}?upstream=child`, { headers: origin })).rejects.toThrow();
});

test("mcp-remote #268, mcpproxy-go #712: no secret from the configuration or a frame reaches the log, at any level, whatever fails", async () => {
  await Promise.all(["child", "socket", "lostSocket", "lostHttp"].map(sayEverything));
  await fetch(`${url.replace("ws:", "http:")}mcp?upstream=child&token=qry-5up3rs3cr3t`, { headers: authorization });
  await Rpc.open(url, { headers: { authorization: "Bearer wrong-5up3rs3cr3t" } }).catch(() => {});
  await proxy.until("stderr", /lostHttp/);
  expect(proxy.stderr()).not.toContain("5up3rs3cr3t");
});

async function sayEverything(upstream: string): Promise<void> {
  const rpc = await open(upstream);
  await failed(rpc.initialize());
  await failed(rpc.tool("echo", { text: "password=frm-5up3rs3cr3t" }));
  rpc.socket.send('{"not JSON": "frm-5up3rs3cr3t"');
  await failed(rpc.call("made/up", { secret: "frm-5up3rs3cr3t" }));
  rpc.close();
  const client = httpClient(upstream);
  await client.initialize();
  await client.echo("frm-5up3rs3cr3t");
}
