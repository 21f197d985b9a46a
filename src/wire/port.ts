import type { Server } from "bun";
import { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { MAX_FRAME_BYTES } from "./frame.ts";
import { isPreflight, preflightAnswer, sharedWith } from "./cors.ts";
import { createGuard, refusal } from "./guard.ts";
import type { Guard } from "./guard.ts";
import { BODY_IDLE_SECONDS } from "./limits.ts";
import type { Link } from "./link.ts";
import { acceptedWebSocket, selectSubprotocol } from "./websocket.ts";
import type { Accepted } from "./websocket.ts";

/** Where a port listens, and who may use it. */
export interface ListenOptions {
  host: string;
  /** 0 selects any free port. */
  port: number;
  token?: string;
  allowedOrigins: readonly string[];
  /** Names of this machine that a Host header may give, besides `host` and those of loopback. */
  allowedHosts: readonly string[];
  /** PEM texts. */
  tls?: { cert: string; key: string };
}

/** A request that the guard has let pass. */
export interface Visit {
  request: Request;
  url: URL;
  isWebSocket: boolean;
  server: Server<Accepted>;
}

export interface PortOptions extends ListenOptions {
  log: Log;
  /** Answered on `/metrics`. */
  metrics: Metrics;
  /** Answered on `/healthz`, where no token is needed. */
  health(): Response | Promise<Response>;
  /** Further requests that need no token. Default none. */
  isOpen?(request: Request, url: URL): boolean;
  /** As the guard's. */
  admits?(request: Request): boolean;
  /** Answers everything else; undefined for a request that was upgraded. */
  route(visit: Visit): Response | undefined | Promise<Response | undefined>;
}

/** Poll interval of the requests in flight while a port stops. */
const DRAIN_POLL_MS = 20;

/** One HTTP port: every request passes the guard, and `/healthz` and `/metrics` are answered alike. */
export class Port {
  readonly #options: PortOptions;
  readonly #guard: Guard;
  readonly #server: Server<Accepted>;

  /** Throws `unavailable` when the address cannot be listened on. */
  constructor(options: PortOptions) {
    this.#options = options;
    this.#guard = createGuard(options);
    this.#server = this.#listen();
  }

  get number(): number {
    return this.#server.port ?? this.#options.port;
  }

  /** The WebSocket address, for people and logs. */
  get url(): string {
    return `${this.#options.tls ? "wss" : "ws"}://${this.#server.hostname}:${this.number}/`;
  }

  /**
   * Accepts no new connections. Resolves when no request is in flight; an open socket without one is not waited for, since
   * nothing of it would be lost.
   */
  async drain(): Promise<void> {
    const stopped = this.#server.stop();
    const idle = async () => {
      while (this.#server.pendingRequests > 0) await Bun.sleep(DRAIN_POLL_MS);
    };
    await Promise.race([stopped, idle()]);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#server.stop(true);
  }

  #listen(): Server<Accepted> {
    const { host, port, tls, log } = this.#options;
    try {
      return Bun.serve({
        hostname: host,
        port,
        ...(tls ? { tls } : {}),
        maxRequestBodySize: MAX_FRAME_BYTES,
        idleTimeout: BODY_IDLE_SECONDS,
        fetch: (request, server) => {
          const origin = request.headers.get("origin");
          const answer = this.#answer(request, server);
          if (origin === null || !this.#options.allowedOrigins.includes(origin)) return answer;
          return Promise.resolve(answer).then((response) => response && sharedWith(origin, response));
        },
        websocket: acceptedWebSocket,
        error(error) {
          log.error("a request failed", { error });
          return refusal(500, "the request failed inside Dewey; its log says more");
        },
      });
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new DeweyError("unavailable", `${host}:${port} cannot be listened on: ${reason}`, { cause });
    }
  }

  #answer(request: Request, server: Server<Accepted>) {
    // Without a Host, Bun gives the path alone.
    const url = URL.parse(request.url, request.headers.get("host") ? undefined : "http://localhost");
    if (url === null) return refusal(400, "the header Host must name a host");
    const isOpen = url.pathname === "/healthz" || (this.#options.isOpen?.(request, url) ?? false);
    const refused = this.#guard(request, { open: isOpen });
    if (refused) return refused;
    if (isPreflight(request)) return preflightAnswer(request);
    if (url.pathname === "/healthz") return this.#options.health();
    if (url.pathname === "/metrics") return this.#options.metrics.response();
    const isWebSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    return this.#options.route({ request, url, isWebSocket, server });
  }
}

/** Upgrades a request to a WebSocket and calls `opened` with its link. Returns a refusal when that is impossible. */
export function upgrade({ request, server }: Visit, opened: (link: Link) => void): Response | undefined {
  const selected = selectSubprotocol(request);
  if (!selected.ok) return refusal(400, "the subprotocol must be mcp, or none");
  return server.upgrade(request, { data: { opened }, headers: selected.headers })
    ? undefined
    : refusal(400, "this is not a WebSocket handshake");
}
