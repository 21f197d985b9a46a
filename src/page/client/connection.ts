import { signal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";

// MCP over WebSocket to the server that the page came from, by the revision without sessions: what is asked for first goes out
// as soon as the connection is open. It connects again by itself, and a call that only reads is sent again on the new
// connection, so that a server's restart is a pause and not an error.

type Json = Record<string, unknown>;

/** `connecting` is only the first time; afterwards a lost connection is `away`. `signed-out` waits for the person. */
export type ConnectionState = "connecting" | "open" | "away" | "signed-out";

/** An error that the server or the connection reported. `code` is one of Dewey's. */
export class CallError extends Error {
  readonly code: string;
  readonly field: string | undefined;

  constructor(code: string, message: string, field?: string) {
    super(message);
    this.name = "CallError";
    this.code = code;
    this.field = field;
  }
}

/** Whatever was thrown, as a `CallError`. */
export function callError(thrown: unknown): CallError {
  return thrown instanceof CallError ? thrown : new CallError("internal", String(thrown));
}

export interface CallOptions {
  /** Aborting it cancels the call at the server. */
  signal?: AbortSignal | undefined;
  /** Whether the call changes something: it fails when the connection is lost, since nobody knows whether it was done. */
  changes?: boolean | undefined;
}

interface Waiting {
  id: number;
  method: string;
  params: Json;
  changes: boolean;
  isSent: boolean;
  resolve(value: Json): void;
  reject(error: unknown): void;
}

const META = "io.modelcontextprotocol/";
/** What each request says of itself. */
const ENVELOPE = {
  [`${META}protocolVersion`]: "2026-07-28",
  [`${META}clientInfo`]: { name: "dewey-page", version: "1" },
  [`${META}clientCapabilities`]: {},
};
/** A server that restarts is back within seconds; waiting grows to this, so that an absent one costs nothing. */
const LONGEST_WAIT_MS = 2000;
const FIRST_WAIT_MS = 200;
/** A connection that died silently is noticed by a question without an answer. */
const PING_INTERVAL_MS = 25_000;
const PING_DEADLINE_MS = 10_000;

/** The page's connection: calls overlap, and wait while the server is away. */
export class Connection {
  readonly #url: string;
  readonly #isSignedOut: () => Promise<boolean>;
  readonly #state = signal<ConnectionState>("connecting");
  readonly #waiting = new Map<number, Waiting>();
  #socket: WebSocket | undefined;
  #isReady = false;
  #next = 1;
  #waitMs = FIRST_WAIT_MS;
  #retry: ReturnType<typeof setTimeout> | undefined;

  /** `isSignedOut` tells a server that refuses the connection from one that is away; it rejects for the latter. */
  constructor(url: string, isSignedOut: () => Promise<boolean>) {
    this.#url = url;
    this.#isSignedOut = isSignedOut;
    this.#connect();
    // A laptop that wakes, or a network that is back, should not wait for the next try.
    addEventListener("online", () => this.#tryNow());
    document.addEventListener("visibilitychange", () => this.#tryNow());
    setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  get state(): ReadonlySignal<ConnectionState> {
    return this.#state;
  }

  /** Calls a tool; returns its structured reply. Throws `CallError`, or the signal's reason when it was aborted. */
  async call(tool: string, args: object, { signal, changes = false }: CallOptions = {}): Promise<Json> {
    signal?.throwIfAborted();
    const id = this.#next;
    const call = this.#request("tools/call", { name: tool, arguments: args }, changes);
    const cancel = () => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      waiting?.reject(signal?.reason);
      if (waiting?.isSent) this.#cancel(id);
    };
    signal?.addEventListener("abort", cancel);
    try {
      return structured(await call);
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  #request(method: string, params: Json, changes: boolean): Promise<Json> {
    const { promise, resolve, reject } = Promise.withResolvers<Json>();
    const waiting: Waiting = { id: this.#next, method, params, changes, isSent: false, resolve, reject };
    this.#next += 1;
    if (changes && !this.#isReady) {
      reject(new CallError("unavailable", "the server is away; try again once it is back"));
      return promise;
    }
    this.#waiting.set(waiting.id, waiting);
    if (this.#isReady) this.#send(waiting);
    return promise;
  }

  #send(waiting: Waiting): void {
    waiting.isSent = true;
    const { id, method, params } = waiting;
    this.#socket?.send(JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: ENVELOPE } }));
  }

  #cancel(requestId: number): void {
    const params = { requestId, reason: "no longer wanted", _meta: ENVELOPE };
    this.#socket?.send(JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params }));
  }

  #connect(): void {
    clearTimeout(this.#retry);
    const socket = new WebSocket(this.#url, "mcp");
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#received(String(data));
    socket.onclose = () => this.#lost(socket);
  }

  #opened(): void {
    this.#isReady = true;
    this.#waitMs = FIRST_WAIT_MS;
    this.#state.value = "open";
    for (const each of this.#waiting.values()) if (!each.isSent) this.#send(each);
  }

  #lost(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    const wasReady = this.#isReady;
    this.#socket = undefined;
    this.#isReady = false;
    for (const each of this.#waiting.values()) {
      if (each.changes) {
        this.#waiting.delete(each.id);
        each.reject(new CallError("unavailable", "the server went away before it answered; look whether it was done"));
      } else each.isSent = false;
    }
    void this.#tryLater(wasReady);
  }

  /** A browser does not tell why a connection failed, so one that never opened is asked about. */
  async #tryLater(wasReady: boolean): Promise<void> {
    if (wasReady) this.#state.value = "away";
    const isSignedOut = !wasReady && (await this.#isSignedOut().catch(() => false));
    if (this.#socket !== undefined) return;
    this.#state.value = isSignedOut ? "signed-out" : "away";
    if (isSignedOut) return;
    this.#retry = setTimeout(() => this.#connect(), this.#waitMs);
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
  }

  /** Connects at once, after signing in. */
  connect(): void {
    this.#waitMs = FIRST_WAIT_MS;
    if (this.#socket === undefined) this.#connect();
  }

  #tryNow(): void {
    if (document.visibilityState !== "visible" || this.#state.value === "signed-out") return;
    if (this.#socket === undefined) this.#connect();
    else this.#ping();
  }

  #ping(): void {
    const socket = this.#socket;
    if (!this.#isReady || socket === undefined) return;
    const late = setTimeout(() => {
      socket.close();
      // The close handshake would wait for the dead peer.
      this.#lost(socket);
    }, PING_DEADLINE_MS);
    this.#request("server/discover", {}, true).then(
      () => clearTimeout(late),
      () => clearTimeout(late),
    );
  }

  #received(text: string): void {
    const message = JSON.parse(text) as { id?: unknown; result?: Json; error?: { message: string; data?: Json } };
    if (typeof message.id !== "number") return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.result !== undefined) waiting?.resolve(message.result);
    else waiting?.reject(new CallError("internal", message.error?.message ?? "the server refused the call"));
  }
}

/** The structured part of a tool's result. Throws the tool's error. */
function structured(result: Json): Json {
  const { isError, structuredContent, content } = result as {
    isError?: boolean;
    structuredContent?: Json;
    content?: { text?: string }[];
  };
  if (isError !== true && structuredContent !== undefined) return structuredContent;
  const { error } = JSON.parse(content?.[0]?.text ?? "{}") as {
    error?: { code: string; message: string; field?: string };
  };
  throw new CallError(error?.code ?? "internal", error?.message ?? "the server's reply holds nothing", error?.field);
}
