import { createSecureContext } from "node:tls";
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
import { Refusals } from "./refusals.ts";
import type { Refused } from "./refusals.ts";
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

/** How something is. It answers a probe with 200 when it is well, else with 503. */
export interface Health {
  isWell: boolean;
  /** What everybody may know. */
  brief: { status: string } & Record<string, unknown>;
  /** The rest, which may name hosts and files, for those who may use the port. */
  rest?: Record<string, unknown>;
  /** When to ask again. */
  retryAfterSeconds?: number;
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
  /** Answered on `/healthz`. */
  health(): Health | Promise<Health>;
  /** Answered on `/readyz`: whether new clients should be sent here. */
  ready(): Health | Promise<Health>;
  /** Further requests that need no token. Default none. */
  isOpen?(request: Request, url: URL): boolean;
  /** As the guard's. */
  admits?(request: Request): boolean;
  /** Answers a request that lacks only the token, in place of the refusal, which stands where this is undefined. */
  withoutToken?(request: Request, url: URL): Promise<Response | undefined> | undefined;
  /** Told of requests that were refused: they lack the token, or come from a page or for a host that may not. */
  refused?(refused: Refused): void;
  /** Answers everything else; undefined for a request that was upgraded. */
  route(visit: Visit): Response | undefined | Promise<Response | undefined>;
}

/** Poll interval of the requests in flight while a port stops. */
const DRAIN_POLL_MS = 20;

/** Routes of those who watch over the process. */
const PROBES = new Set(["/healthz", "/livez", "/readyz"]);

/** One HTTP port: every request passes the guard, and `/healthz`, `/livez`, `/readyz` and `/metrics` are answered alike. */
export class Port {
  readonly #options: PortOptions;
  #guard: Guard;
  #tls: ListenOptions["tls"];
  #server: Server<Accepted>;
  /** Servers with an earlier certificate, whose connections are still open. */
  readonly #earlier: Server<Accepted>[] = [];
  readonly #refusals: Refusals;
  readonly #refusalCounts: Record<Refused["status"], (by: number) => void>;

  /** Throws `unavailable` when the address cannot be listened on. */
  constructor(options: PortOptions) {
    this.#options = options;
    this.#guard = createGuard(options);
    this.#refusals = new Refusals((refused) => options.refused?.(refused));
    const counter = options.metrics.counter(
      "dewey_auth_refusals_total",
      "Requests refused: 401 without the token, 403 from a page or for a host that is not allowed.",
    );
    this.#refusalCounts = { 401: counter({ status: "401" }), 403: counter({ status: "403" }) };
    this.#server = this.#listen(options.port, options.tls);
  }

  /**
   * Takes another token from now on, and shows another certificate to new connections; open ones continue. Throws when the
   * certificate is wrong, and nothing has changed then.
   */
  rotate({ token, tls }: Pick<ListenOptions, "token" | "tls">): void {
    if (tls && JSON.stringify(tls) !== JSON.stringify(this.#tls)) this.#showCertificate(tls);
    const { token: _, ...others } = this.#options;
    this.#guard = createGuard(token === undefined ? others : { ...others, token });
  }

  /** Bun cannot change the certificate of a server, so another takes its place on the port. */
  #showCertificate(tls: { cert: string; key: string }): void {
    createSecureContext(tls);
    const port = this.number;
    this.#earlier.push(this.#server);
    void this.#server.stop();
    this.#server = this.#listen(port, tls);
  }

  get number(): number {
    return this.#server.port ?? this.#options.port;
  }

  /** The WebSocket address, for people and logs. */
  get url(): string {
    return `${this.#options.tls ? "wss" : "ws"}://${this.#server.hostname}:${this.number}/`;
  }

  /** Resolves when no request is in flight, nor anything else busy. */
  async idle(isBusy: () => boolean = () => false): Promise<void> {
    const servers = [...this.#earlier, this.#server];
    while (servers.some((server) => server.pendingRequests > 0) || isBusy()) await Bun.sleep(DRAIN_POLL_MS);
  }

  /**
   * Accepts no new connections. Resolves when no request is in flight; an open socket without one is not waited for, since
   * nothing of it would be lost.
   */
  async drain(): Promise<void> {
    const stopped = this.#server.stop();
    await Promise.race([stopped, this.idle()]);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    this.#refusals.stop();
    await Promise.all([...this.#earlier, this.#server].map((server) => server.stop(true)));
  }

  /** Counts a refusal by the guard, or by a route that knows whom it lets in. */
  countRefusal({ status }: Response, request: Request, server: Server<unknown>): void {
    if (status !== 401 && status !== 403) return;
    this.#refusalCounts[status](1);
    this.#refusals.count(status, server.requestIP(request)?.address);
  }

  #listen(port: number, tls: ListenOptions["tls"]): Server<Accepted> {
    const { host, log } = this.#options;
    this.#tls = tls;
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
      throw new DeweyError("unavailable", `${host}:${port} cannot be listened on: ${whyNot(cause)}`, { cause });
    }
  }

  #answer(request: Request, server: Server<Accepted>) {
    // Without a Host, Bun gives the path alone.
    const url = URL.parse(request.url, request.headers.get("host") ? undefined : "http://localhost");
    if (url === null) return refusal(400, "the header Host must name a host");
    const isOpen = PROBES.has(url.pathname) || (this.#options.isOpen?.(request, url) ?? false);
    const refused = this.#guard(request, { open: isOpen });
    // Not as an open request: that would be open to every route that answers this address.
    if (refused) {
      const shown = refused.status === 401 ? this.#options.withoutToken?.(request, url) : undefined;
      if (shown === undefined) this.countRefusal(refused, request, server);
      return shown ?? refused;
    }
    if (isPreflight(request)) return preflightAnswer(request);
    // The process runs, and its event loop turns.
    if (url.pathname === "/livez") return Response.json({ status: "alive" });
    if (url.pathname === "/readyz") return this.#report(request, this.#options.ready());
    if (url.pathname === "/healthz") return this.#report(request, this.#options.health());
    if (url.pathname === "/metrics") return this.#options.metrics.response();
    const isWebSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    return this.#options.route({ request, url, isWebSocket, server });
  }

  /** Probes need no token, and so without it they are told nothing that an attacker could use. */
  async #report(request: Request, asked: Health | Promise<Health>): Promise<Response> {
    const isUser = this.#guard(request) === undefined;
    const { isWell, brief, rest, retryAfterSeconds } = await asked;
    return Response.json(isUser ? { ...brief, ...rest } : brief, {
      status: isWell ? 200 : 503,
      headers: retryAfterSeconds === undefined ? {} : { "retry-after": `${retryAfterSeconds}` },
    });
  }
}

/** Why the system does not let a program listen at an address, with the remedy. */
function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return "another program listens there; stop it, or choose another port";
  if (code === "EADDRNOTAVAIL" || code === "EINVAL") return "this machine has no such address; choose another host";
  if (code === "EACCES") return "permission is denied; choose a port above 1023";
  return message;
}

/** Upgrades a request to a WebSocket and calls `opened` with its link. Returns a refusal when that is impossible. */
export function upgrade({ request, server }: Visit, opened: (link: Link) => void): Response | undefined {
  const selected = selectSubprotocol(request);
  if (!selected.ok) return refusal(400, "the subprotocol must be mcp, or none");
  return server.upgrade(request, { data: { opened }, headers: selected.headers })
    ? undefined
    : refusal(400, "this is not a WebSocket handshake");
}
