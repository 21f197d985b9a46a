import { LineLink } from "../../src/wire/line-link.ts";
import type { Link } from "../../src/wire/link.ts";
import { acceptedWebSocket } from "../../src/wire/websocket.ts";
import type { Accepted } from "../../src/wire/websocket.ts";

type Id = string | number | null;
type Message = { id?: Id; method?: string; params?: Record<string, unknown>; result?: unknown };

/**
 * A real MCP server without an SDK, so that it returns any id verbatim and exposes what it received. Its tools:
 * `echo {text, ms}` (after a delay), `slow {ms}`, `fail {}`, `progress {steps}` (to the caller's token), `ask {}`
 * (requests sampling), `image {}`, `fiedler_send {text}` (same as echo), `die {}` (exits), `big {characters}`, `env {name}`.
 */
export function serveEcho(link: Link): void {
  const asked = new Map<Id, (result: unknown) => void>();
  const send = (message: object) => link.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  link.open({
    frame(text) {
      const message = parse(text);
      if (!message) send({ id: null, error: { code: -32_700, message: "the frame is not JSON" } });
      else if (message.method === undefined) asked.get(message.id ?? null)?.(message.result);
      else if (message.id !== undefined)
        answer(message, message.id, { text, link, send, asked }).catch((error: unknown) =>
          // An id may be nested more deeply than can be written again.
          send({ id: null, error: { code: -32_603, message: String(error) } }),
        );
    },
    drained: () => {},
    closed: () => {},
  });
}

function parse(text: string): Message | undefined {
  try {
    return JSON.parse(text) as Message;
  } catch {
    return undefined;
  }
}

interface Wires {
  text: string;
  link: Link;
  send(message: object): void;
  asked: Map<Id, (result: unknown) => void>;
}

const tools = ["echo", "slow", "fail", "progress", "ask", "image", "die", "big", "env", "fiedler_send"].map((name) => ({
  name,
  inputSchema: { type: "object" },
}));

async function answer(message: Message, id: Id, wires: Wires): Promise<void> {
  // JavaScript numbers cannot hold every id, so the reply repeats its text.
  const rawId = /"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9.eE+]+)/.exec(wires.text)?.[1] ?? JSON.stringify(id);
  const reply = (body: object) => wires.link.send(`{"jsonrpc":"2.0","id":${rawId},${JSON.stringify(body).slice(1)}`);
  if (message.method === "initialize") {
    const capabilities = { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } };
    reply({
      result: {
        protocolVersion: message.params?.["protocolVersion"],
        capabilities,
        serverInfo: { name: "echo", version: "1" },
      },
    });
  } else if (message.method === "tools/list") reply({ result: { tools } });
  else if (message.method === "tools/call") reply(await call(message.params ?? {}, wires));
  else if (["ping", "logging/setLevel", "resources/subscribe"].includes(message.method ?? "")) reply({ result: {} });
  else reply({ error: { code: -32_601, message: `no method ${message.method}` } });
}

async function call(params: Record<string, unknown>, wires: Wires): Promise<object> {
  const args = (params["arguments"] ?? {}) as Record<string, unknown>;
  const text = (value: unknown) => ({ result: { content: [{ type: "text", text: String(value) }] } });
  switch (params["name"]) {
    case "echo":
    case "fiedler_send":
      if (args["ms"]) await Bun.sleep(Number(args["ms"]));
      return text(args["text"]);
    case "slow":
      await Bun.sleep(Number(args["ms"]));
      return text("slept");
    case "fail":
      return { result: { isError: true, content: [{ type: "text", text: "it failed" }] } };
    case "progress":
      await reportProgress(params, Number(args["steps"]), wires);
      return text("done");
    case "ask":
      return text(JSON.stringify(await sample(wires)));
    case "image":
      return {
        result: { content: [{ type: "image", mimeType: "image/png", data: Buffer.from("pixels").toString("base64") }] },
      };
    case "die":
      process.exit(1);
    // eslint-disable-next-line no-fallthrough
    case "big":
      return text("z".repeat(Number(args["characters"])));
    case "env":
      return text(process.env[String(args["name"])]);
    default:
      return { error: { code: -32_602, message: "no such tool" } };
  }
}

async function reportProgress(params: Record<string, unknown>, steps: number, wires: Wires): Promise<void> {
  const { progressToken } = params["_meta"] as { progressToken: unknown };
  for (let progress = 1; progress <= steps; progress++) {
    wires.send({ method: "notifications/progress", params: { progressToken, progress, total: steps } });
    await Bun.sleep(1);
  }
}

function sample(wires: Wires): Promise<unknown> {
  const id = `ask-${wires.asked.size + 1}`;
  const { promise, resolve } = Promise.withResolvers<unknown>();
  wires.asked.set(id, resolve);
  wires.send({ id, method: "sampling/createMessage", params: { messages: [], maxTokens: 1 } });
  return promise;
}

/** An echo server over WebSocket, by default on a free port, with or without the `mcp` subprotocol. */
export function startEchoWebSocket(options: { subprotocol: boolean; port?: number }): {
  url: string;
  stop(): Promise<void>;
} {
  const server = Bun.serve<Accepted>({
    port: options.port ?? 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const headers: Record<string, string> = options.subprotocol ? { "sec-websocket-protocol": "mcp" } : {};
      if (!options.subprotocol && request.headers.has("sec-websocket-protocol"))
        return new Response("no subprotocol", { status: 400 });
      return server.upgrade(request, { data: { opened: serveEcho }, headers })
        ? undefined
        : new Response(null, { status: 400 });
    },
    websocket: acceptedWebSocket,
  });
  return { url: `ws://127.0.0.1:${server.port}/`, stop: () => server.stop(true) };
}

/** The command line of an echo server on stdio. */
export const echoCommand = { command: process.execPath, args: [import.meta.path] };

if (import.meta.main) {
  const output = Bun.stdout.writer();
  serveEcho(
    new LineLink({
      input: Bun.stdin.stream(),
      output,
      end: () => void output.end(),
      reason: () => Promise.resolve(""),
      onNoise: () => {},
      onFailure: () => {},
    }),
  );
}
