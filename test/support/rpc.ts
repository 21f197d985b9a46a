import { PATIENCE_MS } from "./patience.ts";

type Json = Record<string, unknown>;

class RpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A plain JSON-RPC client over WebSocket that keeps every frame it receives. */
export class Rpc {
  readonly socket: WebSocket;
  /** Every frame received, as text. */
  readonly received: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #waiting = new Map<string, PromiseWithResolvers<Json>>();
  #next = 1;
  /** Responds to the server's requests. */
  onRequest: ((method: string) => Json) | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) =>
      socket.addEventListener("close", ({ code, reason }) => {
        for (const call of this.#waiting.values()) call.reject(new Error(`closed: ${code} ${reason}`));
        resolve({ code, reason });
      }),
    );
    socket.addEventListener("message", (event) => this.#receive(String(event.data)));
  }

  static async open(
    url: string,
    options: { headers?: Record<string, string>; protocols?: string[] } = {},
  ): Promise<Rpc> {
    const socket = new WebSocket(url, { protocols: options.protocols ?? ["mcp"], headers: options.headers ?? {} });
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`cannot connect to ${url}`)), { once: true });
    });
    return new Rpc(socket);
  }

  async initialize(name = "test"): Promise<Json> {
    const capabilities = { sampling: {} };
    const result = await this.call("initialize", {
      protocolVersion: "2025-11-25",
      capabilities,
      clientInfo: { name, version: "1" },
    });
    this.send({ method: "notifications/initialized" });
    return result;
  }

  /** `id` is the JSON text of the id. */
  call(method: string, params: Json = {}, id = `${this.#next++}`): Promise<Json> {
    // A closed socket drops what it should send, so its call would never be answered.
    if (this.socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error(`cannot call ${method}: closed`));
    const call = Promise.withResolvers<Json>();
    this.#waiting.set(id, call);
    this.socket.send(
      `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`,
    );
    return call.promise;
  }

  /** Calls a tool: resolves to its structured reply, rejects with its error text. */
  async tool(name: string, args: Json = {}): Promise<Json> {
    const result = await this.call("tools/call", { name, arguments: args });
    const [block] = result["content"] as { text: string }[];
    if (result["isError"] === true) throw new Error(block?.text);
    return (result["structuredContent"] as Json | undefined) ?? { text: block?.text };
  }

  send(message: Json): void {
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  close(): void {
    this.socket.close();
  }

  #receive(text: string): void {
    this.received.push(text);
    const message = JSON.parse(text) as {
      id?: unknown;
      method?: string;
      result?: Json;
      error?: { code: number; message: string };
    };
    if (message.method !== undefined) {
      if (message.id !== undefined && this.onRequest)
        this.send({ id: message.id, result: this.onRequest(message.method) });
      return;
    }
    const id = idText(message.id, text);
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (message.error) call?.reject(new RpcError(message.error.code, message.error.message));
    else call?.resolve(message.result ?? {});
  }
}

/** The id as JSON text. A number that JavaScript cannot hold is read from the frame, as its first or last field. */
function idText(id: unknown, frame: string): string {
  if (typeof id !== "number" || Number.isSafeInteger(id)) return JSON.stringify(id);
  return /^\{"jsonrpc":"2.0","id":(-?\d+)|"id":(-?\d+)\}$/.exec(frame)?.slice(1).find(Boolean) ?? "";
}

/** Polls until the result is neither undefined nor false, and returns it. Throws after `PATIENCE_MS`. */
export async function until<Value>(
  what: string,
  ask: () => Promise<Value | undefined | false> | Value | undefined | false,
): Promise<Value> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await ask();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await Bun.sleep(20);
  }
}
