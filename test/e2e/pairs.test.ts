import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { binary, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { startEchoWebSocket } from "../support/echo-server.ts";
import { everythingProgram, startEverythingHttp } from "../support/everything.ts";
import { Rpc, until } from "../support/rpc.ts";

// Every client wire with every server wire, through the compiled binary to real servers; search then finds what each
// session did.

const home = temporaryHome();
const stops: (() => Promise<unknown>)[] = [];
let server: Running;
let serveUrl = "";
let proxyUrl = "";
let configFile = "";
let dewey: Rpc;

beforeAll(async () => {
  const started = await startServe(home.path);
  server = started.running;
  serveUrl = started.url;
  const echo = startEchoWebSocket({ subprotocol: true });
  const http = await startEverythingHttp();
  configFile = join(home.path, "mcp.json");
  writeFileSync(
    configFile,
    JSON.stringify({
      mcpServers: {
        stdio: { command: process.execPath, args: [everythingProgram, "stdio"] },
        http: { type: "http", url: http.url },
        websocket: { type: "ws", url: echo.url },
      },
    }),
  );
  const proxy = start(
    ["proxy", "--port", "0", "--config", configFile, "--url", serveUrl, "--data-dir", join(home.path, "proxy")],
    plainEnvironment(home.path),
  );
  const [, url = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  proxyUrl = url;
  dewey = await Rpc.open(serveUrl);
  await dewey.initialize();
  stops.push(
    () => proxy.stop(),
    () => http.stop(),
    () => echo.stop(),
    () => server.stop(),
  );
});

afterAll(async () => {
  dewey.close();
  for (const stop of stops) await stop();
  home[Symbol.dispose]();
});

const upstreams = ["stdio", "http", "websocket"] as const;

const clients: Record<string, (upstream: string) => Transport> = {
  websocket: (upstream) => new WebSocketClientTransport(new URL(`${proxyUrl}?upstream=${upstream}`)),
  http: (upstream) =>
    new StreamableHTTPClientTransport(new URL(`${proxyUrl.replace("ws:", "http:")}mcp?upstream=${upstream}`)),
  stdio: (upstream) =>
    new StdioClientTransport({
      command: binary,
      args: [
        "proxy",
        "--stdio",
        "--config",
        configFile,
        "--url",
        serveUrl,
        "--data-dir",
        join(home.path, "stdio"),
        upstream,
      ],
      env: plainEnvironment(home.path),
      stderr: "ignore",
    }),
};

interface Found {
  role: string;
  content: string;
  turn: number;
  metadata: Record<string, unknown>;
  conversation_id: string;
}

describe("a session", () => {
  for (const [wire, connect] of Object.entries(clients)) {
    for (const upstream of upstreams) {
      test(`of a client over ${wire} with a server over ${upstream} works and is searchable`, async () => {
        const tag = `pair${wire}${upstream}${Date.now()}`;
        const client = new Client({ name: "pairs", version: "7" });
        await client.connect(connect(upstream));
        const key = upstream === "websocket" ? "text" : "message";
        for (const step of ["first", "second"]) {
          const result = await client.callTool({ name: "echo", arguments: { [key]: `${tag} ${step}` } });
          expect(JSON.stringify(result)).toContain(`${tag} ${step}`);
        }
        await client.close();

        const hits = await until("four records", async () => {
          const reply = await dewey.tool("dewey_search", { query: tag, limit: 100 });
          return reply["total"] === 4 && (reply["results"] as Found[]);
        });
        const found = hits.toSorted((a, b) => a.turn - b.turn);
        expect(found.map((hit) => hit.role)).toEqual(["user", "assistant", "user", "assistant"]);
        expect(found.map((hit) => /first|second/.exec(hit.content)?.[0])).toEqual([
          "first",
          "first",
          "second",
          "second",
        ]);
        expect(new Set(found.map((hit) => hit.conversation_id)).size).toBe(1);
        for (const hit of found)
          expect(hit.metadata).toMatchObject({ source: "proxy", method: "tools/call", tool: "echo", upstream });
        for (const answer of [found[1], found[3]]) {
          expect(answer?.metadata).toMatchObject({ outcome: "success" });
          expect(answer?.metadata["duration_ms"]).toBeNumber();
        }
        const page = await dewey.tool("dewey_get_conversation", { conversation_id: found[0]?.conversation_id });
        expect(page["metadata"]).toMatchObject({
          client_name: "pairs",
          client_version: "7",
          transport: wire,
          upstream,
        });
        const messages = page["messages"] as Found[];
        expect(messages[0]).toMatchObject({ role: "system", metadata: { kind: "introduction" } });
      });
    }
  }

  test("is recorded to its end", async () => {
    const client = await Rpc.open(`${proxyUrl}?upstream=websocket&session=my-key`);
    await client.initialize();
    await client.tool("echo", { text: "goodbye" });
    client.close();
    const conversation = await until("the conversation", async () => {
      const list = await dewey.tool("dewey_list_conversations", { session_id: "my-key" });
      const [first] = list["conversations"] as {
        id: string;
        message_count: number;
        metadata: Record<string, unknown>;
      }[];
      const isEnded = typeof first?.metadata?.["end_reason"] === "string";
      return first?.message_count === 3 && isEnded && first;
    });
    expect(conversation.metadata).toMatchObject({
      started_at: expect.any(String),
      ended_at: expect.any(String),
      end_reason: expect.stringContaining("the client has left"),
    });
    const page = await dewey.tool("dewey_get_conversation", { conversation_id: conversation.id });
    expect((page["messages"] as Found[]).map((each) => each.role)).toEqual(["system", "user", "assistant"]);
  });
});
