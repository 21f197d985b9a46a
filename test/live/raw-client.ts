import { SseReader } from "../../src/wire/sse.ts";

type Json = Record<string, unknown>;

/** A request that is sent, without its id. */
export interface Asked {
  method: string;
  params?: Json;
}

/** Sends frames and keeps every answer as the text that came. */
export interface RawClient {
  ask(asked: Asked): Promise<string>;
  notify(method: string): Promise<void>;
  close(): Promise<void>;
}

/** The slowest server downloads a page before it answers. */
const ANSWER_LIMIT_MS = 60_000;

/** Starts a command and speaks to it over its stdin and stdout. */
export function rawStdio(command: string[], env: Record<string, string>, cwd: string): RawClient {
  const child = Bun.spawn(command, { env, cwd, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  const waiting = new Map<unknown, (text: string) => void>();
  let next = 1;
  const hear = (line: string) => {
    const message = parsed(line);
    if (message?.["method"] === undefined) waiting.get(message?.["id"])?.(line);
    // What a server asks is refused, as by a client without capabilities.
    else if (message["id"] !== undefined) void send({ id: message["id"], error: { code: -32_601, message: "no" } });
  };
  const send = async (message: Json) => {
    void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    await child.stdin.flush();
  };
  void (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) hear(line);
    }
  })();
  return {
    async ask({ method, params = {} }) {
      const id = next;
      next += 1;
      const { promise, resolve } = Promise.withResolvers<string>();
      waiting.set(id, resolve);
      await send({ id, method, params });
      return Promise.race([promise, ended(child.exited), late(method)]);
    },
    notify: (method) => send({ method }),
    async close() {
      await child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await child.exited;
      clearTimeout(timer);
    },
  };
}

/** Speaks to a server over Streamable HTTP, with sessions. */
export function rawHttp(url: string): RawClient {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  let next = 1;
  const post = async (message: Json) => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    headers["mcp-session-id"] ??= response.headers.get("mcp-session-id") ?? "";
    return response;
  };
  return {
    async ask({ method, params = {} }) {
      const id = next;
      next += 1;
      const response = await post({ id, method, params });
      const type = response.headers.get("content-type") ?? "";
      if (!type.startsWith("text/event-stream")) return response.text();
      const reader = new SseReader();
      for await (const chunk of response.body ?? []) {
        for (const { data } of reader.push(chunk)) if (parsed(data)?.["id"] === id) return data;
      }
      return "(no answer)";
    },
    async notify(method) {
      await (await post({ method })).text();
    },
    async close() {
      await fetch(url, { method: "DELETE", headers });
    },
  };
}

function parsed(line: string): Json | undefined {
  try {
    return JSON.parse(line) as Json;
  } catch {
    return undefined;
  }
}

const ended = (exited: Promise<number>) => exited.then((code) => `(the command ended with ${code})`);
const late = (method: string) => Bun.sleep(ANSWER_LIMIT_MS).then(() => `(no answer to ${method})`);
