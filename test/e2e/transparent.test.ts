import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResultSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { binary, start } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { until } from "../support/rpc.ts";
import { startTalkingHttp, startTalkingWebSocket, talkingCommand } from "../support/talking-server.ts";

// A session through the compiled proxy behaves like a direct one on every pair of wires: each message that either side
// may send on its own reaches the other side, and no other session.

const home = temporaryHome();
const http = startTalkingHttp();
const websocket = startTalkingWebSocket();
const configFile = join(home.path, "mcp.json");
let proxy: Running;
let proxyUrl = "";

beforeAll(async () => {
  const mcpServers = {
    stdio: talkingCommand,
    http: { type: "http", url: http.url },
    websocket: { type: "ws", url: websocket.url },
  };
  writeFileSync(configFile, JSON.stringify({ mcpServers }));
  proxy = start(["proxy", "--port", "0", ...common("proxy")], plainEnvironment(home.path));
  [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
});
afterAll(async () => {
  await proxy.stop();
  await http.stop();
  await websocket.stop();
  home[Symbol.dispose]();
});

/** No Dewey server runs, and none is started for an address of another machine: records wait. */
const common = (data: string) => [
  "--config",
  configFile,
  "--url",
  "ws://dewey.invalid:9020",
  "--data-dir",
  join(home.path, data),
];

const clients: Record<string, (upstream: string) => Transport> = {
  websocket: (upstream) => new WebSocketClientTransport(new URL(`${proxyUrl}?upstream=${upstream}`)),
  http: (upstream) =>
    new StreamableHTTPClientTransport(new URL(`${proxyUrl.replace("ws:", "http:")}mcp?upstream=${upstream}`)),
  stdio: (upstream) =>
    new StdioClientTransport({
      command: binary,
      args: ["proxy", "--stdio", ...common("stdio"), upstream],
      env: plainEnvironment(home.path),
      stderr: "ignore",
    }),
};

/** A client that answers every request with its own name and keeps all notifications. */
async function connect(transport: Transport, name: string) {
  const capabilities = { sampling: {}, elicitation: {}, roots: { listChanged: true } };
  const client = new Client({ name, version: "1" }, { capabilities });
  const told: string[] = [];
  let takenBack = 0;
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    role: "assistant",
    model: name,
    content: { type: "text", text: `sampled by ${name}` },
  }));
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { by: name } }));
  client.setRequestHandler(ListRootsRequestSchema, async (_, { signal }) => {
    signal.addEventListener("abort", () => (takenBack += 1));
    await Bun.sleep(300);
    return { roots: [{ uri: `file:///${name}` }] };
  });
  client.fallbackNotificationHandler = (notification) => Promise.resolve(void told.push(notification.method));
  await client.connect(transport);
  const call = async (tool: string, args: Record<string, unknown> = {}) => {
    const { content } = await client.callTool({ name: tool, arguments: args });
    return (content as { text: string }[])[0]?.text ?? "";
  };
  return { client, told, call, takenBack: () => takenBack };
}

async function reportsProgress(client: Client): Promise<void> {
  const steps: number[] = [];
  await client.callTool({ name: "progress", arguments: { steps: 5 } }, undefined, {
    onprogress: ({ progress }) => steps.push(progress),
  });
  expect(steps).toEqual([1, 2, 3, 4, 5]);
}

async function cancels({ client, call }: Awaited<ReturnType<typeof connect>>): Promise<void> {
  const leaving = new AbortController();
  const waiting = client.callTool({ name: "wait" }, undefined, { signal: leaving.signal }).catch(() => "cancelled");
  await call("echo", { text: "the call has arrived" });
  leaving.abort();
  expect(await waiting).toBe("cancelled");
  await until("the server to hear of it", async () => (await call("heard")).includes("the call was cancelled"));
}

describe("litellm #23761, higress #3685: with a client over", () => {
  for (const [wire, transport] of Object.entries(clients)) {
    for (const upstream of ["stdio", "http", "websocket"]) {
      test(`${wire} and a server over ${upstream}, requests, progress, cancellations and notifications pass both ways`, async () => {
        const [one, two] = await Promise.all(["one", "two"].map((name) => connect(transport(upstream), name)));
        if (!one || !two) throw new Error("there are two");
        const sessions = [
          ["one", one],
          ["two", two],
        ] as const;
        // Both sessions count ids and tokens from zero.
        await Promise.all(
          sessions.map(async ([name, { client, call }]) => {
            expect(await call("ask", { method: "sampling/createMessage" })).toContain(`sampled by ${name}`);
            expect(await call("ask", { method: "elicitation/create" })).toContain(`"by":"${name}"`);
            expect(await call("ask", { method: "roots/list" })).toContain(`file:///${name}`);
            await reportsProgress(client);
          }),
        );
        await cancels(one);
        expect(await one.call("take_back")).toBe("taken back");
        await until("the client to hear of it", () => one.takenBack() === 1);

        await one.client.subscribeResource({ uri: "test://watched" });
        await one.client.setLoggingLevel("debug");
        await one.client.sendRootsListChanged();
        await one.client.notification({ method: "notifications/made/up" });
        await one.call("tell");
        const kinds = [
          "tools/list_changed",
          "prompts/list_changed",
          "resources/list_changed",
          "resources/updated",
          "message",
        ];
        await until("what the server told", () => one.told.length >= kinds.length);
        expect(one.told).toEqual(kinds.map((kind) => `notifications/${kind}`));
        expect(two.told).toEqual([]);
        const heard = JSON.parse(await one.call("heard")) as string[];
        expect(heard).toEqual(expect.arrayContaining(["notifications/roots/list_changed", "notifications/made/up"]));
        const unknown = one.client.request({ method: "made/up" }, ResultSchema);
        expect(unknown).rejects.toMatchObject({ code: -32_601 });
        await unknown.catch(() => {});
        await Promise.all([one, two].map(({ client }) => client.close()));
      });
    }
  }
});
