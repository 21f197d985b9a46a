/** The result of a load. */
export interface Load {
  /** Answered calls per second, over all clients. */
  rate: number;
  p50Ms: number;
  p99Ms: number;
  /** Answered calls of each client. */
  byClient: number[];
}

export interface LoadOptions {
  /** The address of each client: WebSocket, or Streamable HTTP when it starts with http. */
  urls: string[];
  /** Warm-up, so that code is compiled and statements are planned. */
  warmUpMs: number;
  durationMs: number;
  /** The next call of a client; `id` is its JSON-RPC id. */
  frame(client: number, id: number): string;
}

/**
 * Clients that each wait for a response before the next call. They only check that a response is no failure, so that the
 * generator takes little CPU from what it measures.
 */
export async function closedLoop(options: LoadOptions): Promise<Load> {
  const clients: Caller[] = await Promise.all(
    options.urls.map((url, client) => {
      const frame = (id: number) => options.frame(client, id);
      return url.startsWith("http") ? HttpCaller.open(url, frame) : SocketCaller.open(url, frame);
    }),
  );
  const running = clients.map((client) => client.run());
  await Bun.sleep(options.warmUpMs);
  for (const client of clients) client.reset();
  const startedMs = performance.now();
  await Bun.sleep(options.durationMs);
  const byClient = clients.map((client) => client.latenciesMs.length);
  const elapsedMs = performance.now() - startedMs;
  const latenciesMs = Float64Array.from(clients.flatMap((client) => client.latenciesMs)).sort();
  for (const client of clients) client.stop();
  await Promise.all(running);
  const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN;
  return { rate: (latenciesMs.length * 1000) / elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99), byClient };
}

/** A client with one call in flight at a time. */
interface Caller {
  latenciesMs: number[];
  /** Calls repeatedly. Throws when a response is a failure or the connection is lost. */
  run(): Promise<void>;
  reset(): void;
  /** Stops after the call in flight. */
  stop(): void;
}

const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
});
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

class SocketCaller implements Caller {
  readonly #socket: WebSocket;
  readonly #frame: (id: number) => string;
  readonly #done = Promise.withResolvers<void>();
  #id = 1;
  #askedMs = 0;
  #stopping = false;
  latenciesMs: number[] = [];

  private constructor(socket: WebSocket, frame: (id: number) => string) {
    this.#socket = socket;
    this.#frame = frame;
  }

  /** Connects and performs MCP's handshake. */
  static async open(url: string, frame: (id: number) => string): Promise<SocketCaller> {
    const socket = new WebSocket(url, { protocols: ["mcp"], perMessageDeflate: false });
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`cannot connect to ${url}`));
    });
    const answered = new Promise<void>((resolve) => {
      socket.onmessage = () => resolve();
    });
    socket.send(INITIALIZE);
    await answered;
    socket.send(INITIALIZED);
    return new SocketCaller(socket, frame);
  }

  run(): Promise<void> {
    this.#socket.onmessage = ({ data }: MessageEvent<string>) => this.#answered(data);
    this.#socket.onclose = ({ code, reason }) =>
      this.#stopping ? this.#done.resolve() : this.#done.reject(new Error(`a connection was lost: ${code} ${reason}`));
    this.#ask();
    return this.#done.promise;
  }

  reset(): void {
    this.latenciesMs = [];
  }

  stop(): void {
    this.#stopping = true;
  }

  #ask(): void {
    const frame = this.#frame(this.#id);
    this.#id += 1;
    this.#askedMs = performance.now();
    this.#socket.send(frame);
  }

  #answered(text: string): void {
    this.latenciesMs.push(performance.now() - this.#askedMs);
    if (isFailure(text)) this.#done.reject(new Error(`a call failed: ${text.slice(0, 500)}`));
    else if (this.#stopping) this.#socket.close();
    else this.#ask();
  }
}

/** A failure shows at the start or the end of a response; the middle may be long. */
function isFailure(text: string): boolean {
  const ends = text.length > 1000 ? text.slice(0, 500) + text.slice(-500) : text;
  return ends.includes('"isError":true') || ends.includes('"error":');
}

/** Responses are read to their end, as JSON or as an event stream, whichever the server sends. */
class HttpCaller implements Caller {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #frame: (id: number) => string;
  #stopping = false;
  latenciesMs: number[] = [];

  private constructor(url: string, headers: Record<string, string>, frame: (id: number) => string) {
    this.#url = url;
    this.#headers = headers;
    this.#frame = frame;
  }

  static async open(url: string, frame: (id: number) => string): Promise<HttpCaller> {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const response = await fetch(url, { method: "POST", headers, body: INITIALIZE });
    await response.text();
    const session = { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
    const caller = new HttpCaller(url, { ...headers, ...session, "mcp-protocol-version": "2025-11-25" }, frame);
    await caller.#post(INITIALIZED);
    return caller;
  }

  async run(): Promise<void> {
    for (let id = 1; !this.#stopping; id++) {
      const startedMs = performance.now();
      const text = await this.#post(this.#frame(id));
      this.latenciesMs.push(performance.now() - startedMs);
      if (isFailure(text)) throw new Error(`a call failed: ${text.slice(0, 500)}`);
    }
    await fetch(this.#url, { method: "DELETE", headers: this.#headers });
  }

  reset(): void {
    this.latenciesMs = [];
  }

  stop(): void {
    this.#stopping = true;
  }

  async #post(body: string): Promise<string> {
    const response = await fetch(this.#url, { method: "POST", headers: this.#headers, body });
    const text = await response.text();
    if (!response.ok) throw new Error(`a call failed: ${response.status} ${text.slice(0, 500)}`);
    return text;
  }
}
