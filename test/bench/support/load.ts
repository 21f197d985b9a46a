/** What a load came to. */
export interface Load {
  /** Answered calls a second, of all clients together. */
  rate: number;
  p50Ms: number;
  p99Ms: number;
  /** Answered calls of each client. */
  byClient: number[];
}

export interface LoadOptions {
  /** Where each client connects. */
  urls: string[];
  /** What runs before anything is counted, so that code is compiled and plans are made. */
  warmUpMs: number;
  durationMs: number;
  /** A client's next call; `id` is its JSON-RPC id. */
  frame(client: number, id: number): string;
}

/**
 * Clients that each wait for an answer before they ask again, over WebSocket. They look at an answer only as far as it
 * takes to know that it is none of failure, so that the generator takes little of the machine that it shares with what
 * it measures.
 */
export async function closedLoop(options: LoadOptions): Promise<Load> {
  const clients = await Promise.all(
    options.urls.map((url, client) => Caller.open(url, (id) => options.frame(client, id))),
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

/** One client: a connection on which one call is under way at a time. */
class Caller {
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

  /** Connects, and goes through MCP's handshake. */
  static async open(url: string, frame: (id: number) => string): Promise<Caller> {
    const socket = new WebSocket(url, { protocols: ["mcp"], perMessageDeflate: false });
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`cannot connect to ${url}`));
    });
    const answered = new Promise<void>((resolve) => {
      socket.onmessage = () => resolve();
    });
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
    socket.send(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params }));
    await answered;
    socket.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    return new Caller(socket, frame);
  }

  /** Asks again and again. Throws when an answer is a failure, or the connection is lost. */
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

  /** Ends after the call that is under way. */
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
    // The beginning and the end hold whatever tells a failure; the middle may be long.
    const ends = text.length > 1000 ? text.slice(0, 500) + text.slice(-500) : text;
    if (ends.includes('"isError":true') || ends.includes('"error":')) {
      this.#done.reject(new Error(`a call failed: ${text.slice(0, 500)}`));
    } else if (this.#stopping) this.#socket.close();
    else this.#ask();
  }
}
