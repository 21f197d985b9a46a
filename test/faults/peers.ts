import { TOKEN } from "./report.ts";

type Json = Record<string, unknown>;

export interface Answer {
  result?: Json;
  error?: Json;
}

/** A client's connection to its server, without any code of Dewey's. */
export interface Peer {
  /** Limit on calls in flight. */
  parallel: number;
  /** Whether the connection is unusable. */
  isBroken: boolean;
  /** Rejects when no response will arrive. */
  call(id: number, method: string, params: Json): Promise<Answer>;
  notify(method: string): Promise<void>;
  close(): Promise<void>;
}

/** Called with every frame that contains another session's data. */
export type OnForeign = (frame: string) => void;

/** Shared by WebSocket and stdio: two independent streams of frames. */
abstract class StreamPeer implements Peer {
  readonly parallel = 3;
  isBroken = false;
  readonly #waiting = new Map<unknown, PromiseWithResolvers<Answer>>();
  readonly #session: string;
  readonly #onForeign: OnForeign;

  constructor(session: string, onForeign: OnForeign) {
    this.#session = session;
    this.#onForeign = onForeign;
  }

  call(id: number, method: string, params: Json): Promise<Answer> {
    const call = Promise.withResolvers<Answer>();
    if (this.isBroken) return Promise.reject(new Error("the connection is gone"));
    this.#waiting.set(id, call);
    this.send({ jsonrpc: "2.0", id, method, params });
    return call.promise;
  }

  async notify(method: string): Promise<void> {
    this.send({ jsonrpc: "2.0", method });
  }

  abstract close(): Promise<void>;
  protected abstract send(message: Json): void;

  protected received(text: string): void {
    if (isForeign(text, this.#session)) this.#onForeign(text);
    const message = JSON.parse(text) as Answer & { id?: unknown; method?: string };
    if (message.method !== undefined) return;
    const call = this.#waiting.get(message.id);
    if (!call) this.#onForeign(`an answer to nothing that was asked: ${text}`);
    this.#waiting.delete(message.id);
    call?.resolve(message);
  }

  protected ended(reason: string): void {
    this.isBroken = true;
    for (const call of this.#waiting.values()) call.reject(new Error(reason));
    this.#waiting.clear();
  }
}

export class SocketPeer extends StreamPeer {
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket, session: string, onForeign: OnForeign) {
    super(session, onForeign);
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.received(String(event.data)));
    socket.addEventListener("close", ({ code, reason }) => this.ended(`closed: ${code} ${reason}`));
  }

  static async open(url: string, session: string, onForeign: OnForeign): Promise<Peer> {
    const socket = new WebSocket(url, ["mcp"]);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`cannot connect to ${url}`)), { once: true });
    });
    return new SocketPeer(socket, session, onForeign);
  }

  async close(): Promise<void> {
    this.#socket.close();
  }

  protected send(message: Json): void {
    this.#socket.send(JSON.stringify(message));
  }
}

export class StdioPeer extends StreamPeer {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;

  constructor(command: string[], session: string, onForeign: OnForeign) {
    super(session, onForeign);
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    void this.#read();
  }

  async close(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
  }

  protected send(message: Json): void {
    try {
      void this.#child.stdin.write(`${JSON.stringify(message)}\n`);
      void this.#child.stdin.flush();
    } catch {
      // It has exited. Its earlier output may still arrive, followed by the end of the stream.
    }
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of this.#child.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.received(line);
      }
    } finally {
      this.ended("its stdout has ended");
    }
  }
}

/** Streamable HTTP: each call is a request whose response is JSON or an event stream. */
export class HttpPeer implements Peer {
  // Concurrent requests may overtake each other, so their recorded order could not be checked.
  readonly parallel = 1;
  isBroken = false;
  #sessionId: string | undefined;
  readonly #url: string;
  readonly #session: string;
  readonly #onForeign: OnForeign;

  constructor(url: string, session: string, onForeign: OnForeign) {
    this.#url = url;
    this.#session = session;
    this.#onForeign = onForeign;
  }

  async call(id: number, method: string, params: Json): Promise<Answer> {
    const response = await this.#post({ jsonrpc: "2.0", id, method, params });
    if (response.status === 404) {
      this.isBroken = true;
      throw new Error("the session is gone");
    }
    this.#sessionId ??= response.headers.get("mcp-session-id") ?? undefined;
    for await (const text of messagesOf(response)) {
      if (isForeign(text, this.#session)) this.#onForeign(text);
      const message = JSON.parse(text) as Answer & { id?: unknown };
      if (message.id === id && (message.result ?? message.error)) return message;
    }
    throw new Error(`HTTP ${response.status} without an answer`);
  }

  async notify(method: string): Promise<void> {
    await (await this.#post({ jsonrpc: "2.0", method })).body?.cancel();
  }

  async close(): Promise<void> {
    await fetch(this.#url, { method: "DELETE", headers: this.#headers() });
  }

  #post(message: Json): Promise<Response> {
    return fetch(this.#url, { method: "POST", headers: this.#headers(), body: JSON.stringify(message) });
  }

  #headers(): Record<string, string> {
    return {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      ...(this.#sessionId === undefined
        ? {}
        : { "mcp-session-id": this.#sessionId, "mcp-protocol-version": "2025-11-25" }),
    };
  }
}

async function* messagesOf(response: Response): AsyncGenerator<string> {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const text = await response.text();
    if (text.includes('"jsonrpc"')) yield text;
    return;
  }
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      // An event that only names a place to resume from has no data.
      const data = /^data: (\S.*)$/m.exec(event)?.[1];
      if (data !== undefined) yield data;
    }
  }
}

function isForeign(text: string, session: string): boolean {
  const token = TOKEN.exec(text);
  return token !== null && token[1] !== session;
}
