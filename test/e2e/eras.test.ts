import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { VersionNegotiationMode } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { binary, start, startServe } from "../support/binary.ts";
import { eraCommand, startEraWebSocket } from "../support/eras-server.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { Rpc, until } from "../support/rpc.ts";
import { statelessHeaders, statelessMeta, statelessRequest } from "../support/stateless-calls.ts";
import { startStrictServer } from "../support/strict-server.ts";

// Clients that ask for MCP 2026-07-28 first, as Claude Code does, on every wire, with servers of both eras on every wire.

const home = temporaryHome();
const stops: (() => unknown)[] = [];
let serveUrl = "";
let proxyUrl = "";
let configFile = "";
let dewey: Rpc;

beforeAll(async () => {
  const { running, url } = await startServe(home.path);
  serveUrl = url;
  const both = startEraWebSocket("both");
  const earlier = startEraWebSocket("earlier");
  const strict = startStrictServer();
  configFile = join(home.path, "mcp.json");
  const mcpServers = {
    "stdio both": eraCommand("both"),
    "stdio newest": eraCommand("newest"),
    "stdio earlier": eraCommand("earlier"),
    "stdio leaving": eraCommand("leaving"),
    "websocket both": { type: "ws", url: both.url },
    "websocket earlier": { type: "ws", url: earlier.url },
    "http newest": { type: "http", url: strict.url },
  };
  writeFileSync(configFile, JSON.stringify({ mcpServers }));
  const proxy = start(
    ["proxy", "--port", "0", "--config", configFile, "--url", serveUrl, "--data-dir", join(home.path, "proxy")],
    plainEnvironment(home.path),
  );
  [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  dewey = await Rpc.open(serveUrl);
  await dewey.initialize();
  stops.push(
    () => proxy.stop(),
    () => strict[Symbol.asyncDispose](),
    () => earlier.stop(),
    () => both.stop(),
    () => running.stop(),
  );
});

afterAll(async () => {
  dewey.close();
  for (const stop of stops) await stop();
  home[Symbol.dispose]();
});

const httpAddress = (upstream: string) =>
  new URL(`${proxyUrl.replace("ws:", "http:")}mcp?upstream=${encodeURIComponent(upstream)}`);

const transports = {
  http: (upstream: string) => new StreamableHTTPClientTransport(httpAddress(upstream)),
  stdio: (upstream: string) =>
    new StdioClientTransport({
      command: binary,
      args: ["proxy", "--stdio", "--config", configFile, "--url", serveUrl].concat([
        "--data-dir",
        join(home.path, "stdio"),
        upstream,
      ]),
      env: plainEnvironment(home.path),
      stderr: "ignore",
    }),
};

async function connect(wire: keyof typeof transports, upstream: string, mode: VersionNegotiationMode = "auto") {
  const client = new Client({ name: "ann", version: "7" }, { versionNegotiation: { mode } });
  await client.connect(transports[wire](upstream));
  return { client, era: client.getProtocolEra(), [Symbol.asyncDispose]: () => client.close() };
}

interface Found {
  role: string;
  content: string;
}

/** The conversation in which a word was said, once it has this many messages. */
const recorded = (word: string, count: number) =>
  until(`${count} messages with ${word}`, async () => {
    const { results } = (await dewey.tool("dewey_search", { query: word })) as {
      results: { conversation_id: string }[];
    };
    const ids = new Set(results.map(({ conversation_id }) => conversation_id));
    const [conversation_id] = ids;
    if (conversation_id === undefined) return undefined;
    const page = await dewey.tool("dewey_get_conversation", { conversation_id, full: true });
    const messages = page["messages"] as Found[];
    if (messages.length < count) return undefined;
    expect(ids.size).toBe(1);
    return { metadata: page["metadata"], messages };
  });

const word = () => `quince${crypto.randomUUID().replaceAll("-", "")}`;
const names = ["plain", "größe", "two words", "mirrored"];

describe("a client that asks for 2026-07-28 first", () => {
  for (const wire of ["http", "stdio"] as const) {
    for (const upstream of ["stdio both", "stdio newest", "websocket both", "http newest"]) {
      test(`over ${wire} gets it from a server that speaks it (${upstream}), and is recorded`, async () => {
        await using it = await connect(wire, upstream);
        const { client } = it;
        const said = word();
        const text = `ü ${said}`;
        expect(it.era).toBe("modern");
        expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
        for (const name of names)
          expect((await client.callTool({ name, arguments: { text } })).content).toEqual([
            { type: "text", text: `${name} heard ${text}` },
          ]);
        const pids = await Promise.all([client.callTool({ name: "process" }), client.callTool({ name: "process" })]);
        expect(pids[0]).toEqual(pids[1]);
        const { metadata, messages } = await recorded(said, 12);
        expect(metadata).toMatchObject({ client_name: "ann", client_version: "7", upstream });
        const contents = messages.map(({ content }) => content);
        for (const name of names) expect(contents).toContain(`${name} heard ${text}`);
      });
    }

    for (const upstream of ["stdio earlier", "stdio leaving", "websocket earlier"]) {
      test(`over ${wire} falls back to a session with a server that speaks only earlier revisions (${upstream})`, async () => {
        await using it = await connect(wire, upstream);
        const { client } = it;
        const text = word();
        expect(it.era).toBe("legacy");
        const { content } = await client.callTool({ name: "echo", arguments: { text } });
        expect(content).toEqual([{ type: "text", text }]);
        await client.close();
        const { metadata, messages } = await recorded(text, 3);
        expect(metadata).toMatchObject({ client_name: "ann", upstream });
        expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
      });
    }
  }

  test("and has nothing to fall back to is told so at once", async () => {
    const pinned = connect("http", "stdio earlier", { pin: "2026-07-28" });
    expect(await pinned.then(() => undefined, String)).toContain("2026-07-28");
  });

  test("over WebSocket reaches servers on every wire", async () => {
    for (const upstream of ["stdio newest", "websocket both", "http newest"]) {
      const rpc = await Rpc.open(`${proxyUrl}?upstream=${encodeURIComponent(upstream)}`);
      for (const name of names) {
        if (name === "mirrored") await rpc.call("tools/list", { _meta: statelessMeta });
        const result = await rpc.call("tools/call", { name, arguments: { text: "x" }, _meta: statelessMeta });
        expect(result["content"]).toEqual([{ type: "text", text: `${name} heard x` }]);
      }
      rpc.close();
    }
  });
});

describe("a server of 2026-07-28 behind HTTP and a connection", () => {
  test("sends what a client listens to on its stream", async () => {
    // The SDK's server acknowledges the subscription on it.
    await using it = await connect("http", "stdio both");
    const subscription = await it.client.listen({ toolsListChanged: true });
    await subscription.close();
  });

  test("is told when a client does not wait for an answer any more", async () => {
    await using it = await connect("http", "stdio both");
    const abort = new AbortController();
    const calling = it.client.callTool({ name: "slow" }, { signal: abort.signal });
    const refused = calling.then(() => undefined, String);
    await it.client.callTool({ name: "plain", arguments: { text: "x" } });
    abort.abort();
    expect(await refused).toBeDefined();
    await until("the cancellation", async () => {
      const { content } = await it.client.callTool({ name: "cancelled" });
      return (content as { text: string }[])[0]?.text === "1";
    });
  });

  const post = (name: string, meta: object, headers: Record<string, string> = {}) =>
    fetch(httpAddress("stdio both"), {
      method: "POST",
      headers: { ...statelessHeaders("tools/call", name), ...headers },
      body: JSON.stringify(
        statelessRequest(1, "tools/call", { name, arguments: { text: "x" }, _meta: { ...statelessMeta, ...meta } }),
      ),
    });

  test("sends the progress of a call before its answer, as events", async () => {
    const response = await post("steps", { progressToken: "p" });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const events = [...(await response.text()).matchAll(/"progress":(\d)|"three steps"/g)];
    expect(events.map(([whole, step]) => step ?? whole)).toEqual(["1", "2", "3", '"three steps"']);
  });

  test("refuses headers that do not repeat the body", async () => {
    expect((await post("plain", {})).status).toBe(200);
    for (const wrong of [
      { "mcp-name": "other" },
      { "mcp-method": "tools/list" },
      { "mcp-protocol-version": "2025-11-25" },
    ]) {
      const response = await post("plain", {}, wrong);
      expect([response.status, await response.json()]).toMatchObject([400, { id: 1, error: { code: -32_020 } }]);
    }
  });
});
