import type { ServerWebSocket, WebSocketHandler } from "bun";
import { within } from "../deadline.ts";
import { DeweyError } from "../errors.ts";
import { withoutSecrets } from "./address.ts";
import { MAX_FRAME_BYTES } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { DIAL_DEADLINE_MS, FAREWELL_STALL_MS, HIGH_WATER_BYTES, MAX_QUEUE_BYTES } from "./limits.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { StallWatch, whileTaken } from "./stall-watch.ts";

/** The subprotocol of MCP over WebSocket. */
const SUBPROTOCOL = "mcp";
/** Bun pings idle sockets, and closes one that has sent nothing for this long. */
const IDLE_LIMIT_SECONDS = 120;
/** Poll interval of an outgoing connection's queue while its source is paused: WebSocket has no drain event. */
const DRAIN_POLL_MS = 5;
const PING_INTERVAL_MS = 30_000;
/** A peer that leaves this many pings in a row unanswered is gone. */
const MISSED_PINGS = 3;

/** The close codes that Dewey uses (RFC 6455, 7.4.1). */
const CLOSE_NORMAL = 1000;
const CLOSE_UNSUPPORTED_DATA = 1003;

/** The data of an accepted socket. */
export interface Accepted {
  /** Called when the socket is open. The link delivers nothing before `Link.open`. */
  opened(link: Link): void;
  link?: ServerLink;
  /** How long a client may read nothing with data queued. */
  stallLimitMs?: number;
}

/**
 * Selects `mcp` when the client offers subprotocols, and fails when `mcp` is not among them. Bun would echo any offer, so
 * that a client of another protocol would believe it is supported.
 */
export function selectSubprotocol(request: Request): { ok: true; headers: Record<string, string> } | { ok: false } {
  const offered = request.headers.get("sec-websocket-protocol");
  if (offered === null) return { ok: true, headers: {} };
  const names = offered.split(",").map((name) => name.trim());
  return names.includes(SUBPROTOCOL) ? { ok: true, headers: { "sec-websocket-protocol": SUBPROTOCOL } } : { ok: false };
}

/** Bun.serve's handlers for sockets whose `data` is `Accepted`. */
export const acceptedWebSocket: WebSocketHandler<Accepted> = {
  maxPayloadLength: MAX_FRAME_BYTES,
  backpressureLimit: MAX_QUEUE_BYTES,
  // Otherwise Bun would drop messages and keep the socket open.
  closeOnBackpressureLimit: true,
  idleTimeout: IDLE_LIMIT_SECONDS,
  sendPings: true,
  // Compression halves the throughput, and Safari has an open bug with it.
  perMessageDeflate: false,
  open(socket) {
    const link = new ServerLink(socket);
    socket.data.link = link;
    socket.data.opened(link);
  },
  message(socket, data) {
    socket.data.link?.received(data);
  },
  drain(socket) {
    socket.data.link?.drained();
  },
  close(socket, code, reason) {
    socket.data.link?.ended(closeReason(code, reason));
  },
};

/** A socket opened by a client. */
class ServerLink implements Link {
  readonly wire = "websocket";
  readonly #socket: ServerWebSocket<Accepted>;
  readonly #inbox = new Inbox();
  readonly #stall: StallWatch;
  /** Bytes in the socket's queue at the last look, and bytes that have left it by then. */
  #queuedBytes = 0;
  #takenBytes = 0;

  constructor(socket: ServerWebSocket<Accepted>) {
    this.#socket = socket;
    this.#stall = new StallWatch({
      takenBytes: () => this.#look(),
      // A close frame would wait behind the data that the client does not read.
      stalled: () => socket.terminate(),
      limitMs: socket.data.stallLimitMs,
    });
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
  }

  send(frame: string): boolean {
    this.#look();
    this.#socket.send(frame);
    this.#queuedBytes = this.#socket.getBufferedAmount();
    if (this.#queuedBytes >= HIGH_WATER_BYTES) {
      this.#stall.start();
      return false;
    }
    // Sending may have emptied the queue into the socket, and then no drain event follows.
    if (this.#stall.isRunning) this.drained();
    return true;
  }

  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    this.#inbox.resume();
    if (!this.#inbox.isFull) this.#socket.resume();
  }

  close(reason?: string): void {
    this.#socket.close(CLOSE_NORMAL, reason?.slice(0, MAX_REASON_CHARACTERS));
  }

  received(data: string | Buffer): void {
    if (typeof data === "string") this.#inbox.frame(data);
    else this.#socket.close(CLOSE_UNSUPPORTED_DATA, "MCP sends text frames");
    if (this.#inbox.isFull) this.#socket.pause();
  }

  drained(): void {
    this.#look();
    if (this.#queuedBytes >= HIGH_WATER_BYTES) return;
    this.#stall.stop();
    this.#inbox.drained();
  }

  ended(reason: string): void {
    this.#stall.stop();
    this.#inbox.closed(reason);
  }

  /** Notes what has left the queue since the last look, and returns the bytes that have left it so far. */
  #look(): number {
    const queuedBytes = this.#socket.getBufferedAmount();
    this.#takenBytes += Math.max(0, this.#queuedBytes - queuedBytes);
    this.#queuedBytes = queuedBytes;
    return this.#takenBytes;
  }
}

/** RFC 6455 gives a close reason 123 bytes. */
const MAX_REASON_CHARACTERS = 40;

function closeReason(code: number, reason: string): string {
  return reason === "" ? `the connection was closed (${code})` : `the connection was closed (${code}: ${reason})`;
}

export interface DialOptions {
  url: string;
  headers?: Record<string, string>;
  deadlineMs?: number;
  /** Interval of pings. */
  pingIntervalMs?: number;
}

/**
 * Connects to a WebSocket server. Offers the subprotocol `mcp` first; with a server that does not select it the handshake
 * fails, as the standard demands, and a second attempt offers none. Throws `unavailable`, naming the address.
 */
export async function dialWebSocket(options: DialOptions): Promise<Link> {
  const first = await dial(options, [SUBPROTOCOL]);
  if (first instanceof WebSocket) return new ClientLink(first, options.pingIntervalMs);
  const second = await dial(options, []);
  if (second instanceof WebSocket) return new ClientLink(second, options.pingIntervalMs);
  throw new DeweyError("unavailable", `${withoutSecrets(options.url)} cannot be reached: ${second}`);
}

/** Returns an open socket, or the reason of the failure. */
function dial(options: DialOptions, protocols: string[]): Promise<WebSocket | string> {
  const { promise, resolve } = Promise.withResolvers<WebSocket | string>();
  const socket = new WebSocket(options.url, { protocols, headers: options.headers ?? {}, perMessageDeflate: false });
  const deadlineMs = options.deadlineMs ?? DIAL_DEADLINE_MS;
  socket.addEventListener("open", () => resolve(socket), { once: true });
  socket.addEventListener("error", (event) => resolve(errorText(event)), { once: true });
  socket.addEventListener("close", (event) => resolve(closeReason(event.code, event.reason)), { once: true });
  return within(deadlineMs, promise, () => {
    socket.terminate();
    return `no answer within ${deadlineMs / 1000} s`;
  });
}

/** The reason at the end of Bun's message; before it Bun quotes the address, which may contain secrets. */
function errorText(event: Event): string {
  const message = event instanceof ErrorEvent ? event.message : "";
  const reason = /failed: ([^'"]+)$/.exec(message)?.[1] ?? "the connection failed";
  return reason.replace(/^Expected 101 status code: (\d+)/, "it answers with HTTP $1 instead of a WebSocket");
}

/** A socket opened to a server. */
class ClientLink implements Link {
  readonly wire = "websocket";
  readonly #socket: WebSocket;
  readonly #inbox = new Inbox();
  readonly #pings: ReturnType<typeof setInterval>;
  readonly #finished = Promise.withResolvers<void>();
  #isClosed = false;
  #unanswered = 0;
  /** Bytes in the socket's queue at the last ping. */
  #queuedBytes = 0;
  #drainPoll: ReturnType<typeof setInterval> | undefined;

  constructor(socket: WebSocket, pingIntervalMs = PING_INTERVAL_MS) {
    this.#socket = socket;
    socket.addEventListener("message", (event: MessageEvent<unknown>) => this.#received(event.data));
    socket.addEventListener("close", (event) => this.#ended(closeReason(event.code, event.reason)));
    socket.addEventListener("pong", () => (this.#unanswered = 0));
    this.#pings = setInterval(() => this.#ping(), pingIntervalMs);
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
  }

  send(frame: string): boolean {
    if (this.#isClosed || this.#socket.readyState !== WebSocket.OPEN) return true;
    this.#socket.send(frame);
    if (this.#socket.bufferedAmount < HIGH_WATER_BYTES) return true;
    this.#drainPoll ??= setInterval(() => this.#lookForDrain(), DRAIN_POLL_MS);
    return false;
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(reason?: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A server that cannot write would not read its last frames either.
    this.#socket.resume();
    this.#inbox.closed("closed by Dewey");
    void this.#finish(reason);
  }

  async #finish(reason: string | undefined): Promise<void> {
    const sentBytes = this.#socket.bufferedAmount;
    if (sentBytes > 0) await whileTaken(this.#emptied(), () => sentBytes - this.#socket.bufferedAmount);
    this.#socket.close(CLOSE_NORMAL, reason?.slice(0, MAX_REASON_CHARACTERS));
    await within(FAREWELL_STALL_MS, this.#finished.promise, () => this.#socket.terminate());
  }

  /** Resolves when the socket's queue is empty. */
  async #emptied(): Promise<void> {
    while (this.#socket.bufferedAmount > 0 && this.#socket.readyState === WebSocket.OPEN)
      await Bun.sleep(DRAIN_POLL_MS);
  }

  #received(data: unknown): void {
    this.#unanswered = 0;
    if (this.#isClosed) return;
    if (typeof data === "string") this.#inbox.frame(data);
    else this.#socket.close(CLOSE_UNSUPPORTED_DATA, "MCP sends text frames");
  }

  #lookForDrain(): void {
    if (this.#socket.bufferedAmount >= HIGH_WATER_BYTES) return;
    clearInterval(this.#drainPoll);
    this.#drainPoll = undefined;
    this.#inbox.drained();
  }

  #ping(): void {
    if (this.#socket.isPaused) return;
    // A server that reads slowly answers a ping once it has read what is queued before it.
    if (this.#socket.bufferedAmount < this.#queuedBytes) this.#unanswered = 0;
    this.#unanswered += 1;
    if (this.#unanswered > MISSED_PINGS) this.#socket.terminate();
    else this.#socket.ping();
    this.#queuedBytes = this.#socket.bufferedAmount;
  }

  #ended(reason: string): void {
    clearInterval(this.#pings);
    clearInterval(this.#drainPoll);
    this.#isClosed = true;
    this.#inbox.closed(reason);
    this.#finished.resolve();
  }
}
