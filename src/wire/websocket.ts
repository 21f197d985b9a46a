import type { ServerWebSocket, WebSocketHandler } from "bun";
import { within } from "../deadline.ts";
import { DeweyError } from "../errors.ts";
import { withoutSecrets } from "./address.ts";
import { MAX_FRAME_BYTES } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import type { Link, LinkHandlers } from "./link.ts";

/** The subprotocol of MCP over WebSocket. */
const SUBPROTOCOL = "mcp";
/** How long a server may take to answer the handshake. */
const DIAL_DEADLINE_MS = 10_000;
/** From here on a peer counts as slow, and whoever feeds it is paused. */
const HIGH_WATER_BYTES = 1024 * 1024;
/**
 * Largest queue of one socket: room for two of the largest frames. A peer that lets more pile up, although its source is
 * paused, is closed; otherwise Bun would drop messages and keep the socket open.
 */
const MAX_QUEUE_BYTES = 2 * MAX_FRAME_BYTES;
/** A client that takes nothing for so long, while much waits for it, is cut off. It is looked once in this time. */
const STALL_LIMIT_MS = 60_000;
/** How often a quiet peer is asked whether it is there. Bun closes a socket that has not answered for its idle limit. */
const IDLE_LIMIT_SECONDS = 120;
/** How often the queue of an outgoing connection is looked at while its source is paused: it tells no drain by itself. */
const DRAIN_POLL_MS = 5;
const PING_INTERVAL_MS = 30_000;
/** A peer that has not answered so many pings in a row is gone. */
const MISSED_PINGS = 3;

/** WebSocket's close codes that Dewey uses (RFC 6455, 7.4.1). */
const CLOSE_NORMAL = 1000;
const CLOSE_UNSUPPORTED_DATA = 1003;

/** What a socket that we accepted carries. */
export interface Accepted {
  /** Called when the socket is open; the link delivers from `Link.open` on. */
  opened(link: Link): void;
  link?: ServerLink;
  /** How long a client may take nothing of what waits for it. */
  stallLimitMs?: number;
}

/**
 * Whether the upgrade's subprotocols are acceptable, and which to select. Bun would echo any that is offered, so that a
 * client of some other protocol would believe to be understood: `mcp` or none.
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
  closeOnBackpressureLimit: true,
  idleTimeout: IDLE_LIMIT_SECONDS,
  sendPings: true,
  // It halves the throughput, and Safari has an open bug with it.
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

/** A socket that a client has opened to us. */
class ServerLink implements Link {
  readonly wire = "websocket";
  readonly #socket: ServerWebSocket<Accepted>;
  readonly #inbox = new Inbox();
  #stallCheck: ReturnType<typeof setInterval> | undefined;
  /** Whether the client has taken something since it was last looked. */
  #hasTaken = false;

  constructor(socket: ServerWebSocket<Accepted>) {
    this.#socket = socket;
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
  }

  send(frame: string): boolean {
    this.#socket.send(frame);
    if (this.#socket.getBufferedAmount() < HIGH_WATER_BYTES) return true;
    this.#stallCheck ??= this.#watch();
    return false;
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
    this.#hasTaken = true;
    if (this.#socket.getBufferedAmount() >= HIGH_WATER_BYTES) return;
    this.#endWatch();
    this.#inbox.drained();
  }

  ended(reason: string): void {
    this.#endWatch();
    this.#inbox.closed(reason);
  }

  #watch(): ReturnType<typeof setInterval> {
    this.#hasTaken = false;
    return setInterval(() => {
      // A close would wait behind what the client does not take.
      if (!this.#hasTaken) this.#socket.terminate();
      this.#hasTaken = false;
    }, this.#socket.data.stallLimitMs ?? STALL_LIMIT_MS);
  }

  #endWatch(): void {
    clearInterval(this.#stallCheck);
    this.#stallCheck = undefined;
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
  /** How often a server is asked whether it is there. */
  pingIntervalMs?: number;
}

/**
 * Connects to a WebSocket server. It offers the subprotocol `mcp` first; a server that does not select it fails such a
 * handshake by the standard's rules, and is dialled again without it. Throws `unavailable`, naming the address.
 */
export async function dialWebSocket(options: DialOptions): Promise<Link> {
  const first = await dial(options, [SUBPROTOCOL]);
  if (first instanceof WebSocket) return new ClientLink(first, options.pingIntervalMs);
  const second = await dial(options, []);
  if (second instanceof WebSocket) return new ClientLink(second, options.pingIntervalMs);
  throw new DeweyError("unavailable", `${withoutSecrets(options.url)} cannot be reached: ${second}`);
}

/** An open socket, or why there is none. */
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

/** Bun's message quotes the whole address, and with it what may be secret; the reason stands behind it. */
function errorText(event: Event): string {
  const message = event instanceof ErrorEvent ? event.message : "";
  return /failed: ([^'"]+)$/.exec(message)?.[1] ?? "the connection failed";
}

/** A socket that we have opened to a server. */
class ClientLink implements Link {
  readonly wire = "websocket";
  readonly #socket: WebSocket;
  readonly #inbox = new Inbox();
  readonly #pings: ReturnType<typeof setInterval>;
  #unanswered = 0;
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
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    this.#socket.send(frame);
    if (this.#socket.bufferedAmount < HIGH_WATER_BYTES) return true;
    this.#drainPoll ??= setInterval(() => this.#lookForDrain(), DRAIN_POLL_MS);
    return false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(reason?: string): void {
    this.#socket.close(CLOSE_NORMAL, reason?.slice(0, MAX_REASON_CHARACTERS));
  }

  #received(data: unknown): void {
    this.#unanswered = 0;
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
    this.#unanswered += 1;
    if (this.#unanswered > MISSED_PINGS) this.#socket.terminate();
    else this.#socket.ping();
  }

  #ended(reason: string): void {
    clearInterval(this.#pings);
    clearInterval(this.#drainPoll);
    this.#inbox.closed(reason);
  }
}
