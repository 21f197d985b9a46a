import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CallToolRequestSchema,
  ResultSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { ServerNotification, ServerRequest } from "@modelcontextprotocol/sdk/types.js";
import { MAX_FRAME_BYTES } from "../../src/wire/frame.ts";
import { linkTransport } from "../../src/wire/transport.ts";
import { acceptedWebSocket } from "../../src/wire/websocket.ts";
import type { Accepted } from "../../src/wire/websocket.ts";
import { ReplayStore } from "./replay-store.ts";

/** The SDK's client drops progress that arrives in one chunk with the response. */
const PAUSE_MS = 50;

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Parameters for each request that a server may send. */
const questions: Record<string, ServerRequest["params"]> = {
  "sampling/createMessage": { messages: [], maxTokens: 1 },
  "elicitation/create": { message: "?", requestedSchema: { type: "object", properties: {} } },
  "roots/list": {},
};

/**
 * An SDK server that sends every kind of message MCP allows a server to send. Its tools: `echo {text}`, `ask {method}`
 * (sends that request to the client), `progress {steps}`, `wait {}` (until cancelled), `take_back {}` (sends a request and
 * cancels it), `tell {}` (sends every kind of notification), `heard {}` (returns what the client has sent).
 */
function createTalkingServer(): Server {
  const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    logging: {},
  };
  const server = new Server({ name: "talking", version: "1" }, { capabilities });
  const heard: string[] = [];
  const watched: string[] = [];
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => (watched.push(params.uri), {}));
  server.fallbackNotificationHandler = (notification) => Promise.resolve(void heard.push(notification.method));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name, arguments: args = {} } = params;
    const result = await run(name, args, { extra, server, heard, watched });
    return { content: [{ type: "text", text: typeof result === "string" ? result : JSON.stringify(result) }] };
  });
  return server;
}

interface Session {
  extra: Extra;
  server: Server;
  heard: string[];
  watched: string[];
}

async function run(name: string, args: Record<string, unknown>, session: Session): Promise<unknown> {
  const { extra, heard } = session;
  const method = String(args["method"]) as ServerRequest["method"];
  switch (name) {
    case "echo":
      return String(args["text"]);
    case "ask":
      return extra.sendRequest({ method, params: questions[method] } as ServerRequest, ResultSchema);
    case "progress":
      return reportProgress(extra, Number(args["steps"]));
    case "wait":
      await new Promise((resolve) => extra.signal.addEventListener("abort", resolve));
      heard.push("the call was cancelled");
      return "nobody reads this";
    case "take_back":
      return takeBack(extra);
    case "tell":
      return tell(session);
    default:
      return heard;
  }
}

async function reportProgress(extra: Extra, steps: number): Promise<string> {
  const progressToken = extra._meta?.progressToken ?? "";
  for (let progress = 1; progress <= steps; progress++)
    await extra.sendNotification({
      method: "notifications/progress",
      params: { progressToken, progress, total: steps },
    });
  await Bun.sleep(PAUSE_MS);
  return "done";
}

async function takeBack(extra: Extra): Promise<string> {
  const asking = new AbortController();
  const asked = extra.sendRequest({ method: "roots/list" }, ResultSchema, { signal: asking.signal });
  setTimeout(() => asking.abort("never mind"), PAUSE_MS);
  return asked.then(
    () => "answered",
    () => "taken back",
  );
}

async function tell({ server, watched }: Session): Promise<string> {
  await server.sendToolListChanged();
  await server.sendPromptListChanged();
  await server.sendResourceListChanged();
  for (const uri of watched) await server.sendResourceUpdated({ uri });
  await server.sendLoggingMessage({ level: "error", data: "said" });
  return "told";
}

/** The talking server over WebSocket, on a free port. */
export function startTalkingWebSocket(): { url: string; stop(): Promise<void> } {
  const server = Bun.serve<Accepted>({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const opened: Accepted["opened"] = (link) => void createTalkingServer().connect(linkTransport(link));
      return server.upgrade(request, { data: { opened }, headers: { "sec-websocket-protocol": "mcp" } })
        ? undefined
        : new Response(null, { status: 400 });
    },
    websocket: acceptedWebSocket,
  });
  return { url: `ws://127.0.0.1:${server.port}/`, stop: () => server.stop(true) };
}

/** The talking server over the SDK's Streamable HTTP, by default on a free port. */
export function startTalkingHttp(port = 0): { url: string; stop(): Promise<void> } {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const begin = async () => {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
      eventStore: new ReplayStore(),
      maxRequestBodySize: MAX_FRAME_BYTES,
    });
    await createTalkingServer().connect(transport);
    return transport;
  };
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const id = request.headers.get("mcp-session-id");
      const transport = id === null ? await begin() : sessions.get(id);
      return transport?.handleRequest(request) ?? new Response(null, { status: 404 });
    },
  });
  return { url: `http://127.0.0.1:${server.port}/mcp`, stop: () => server.stop(true) };
}

/** The command line of the talking server on stdio. */
export const talkingCommand = { command: process.execPath, args: [import.meta.path] };

if (import.meta.main) await createTalkingServer().connect(new StdioServerTransport());
