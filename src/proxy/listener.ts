import type { Server as BunServer } from "bun";
import { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { MAX_FRAME_BYTES } from "../wire/frame.ts";
import { createGuard, isLoopback, refusal } from "../wire/guard.ts";
import { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { acceptedWebSocket, selectSubprotocol } from "../wire/websocket.ts";
import type { Accepted } from "../wire/websocket.ts";
import { HttpRelay } from "./relay/http-relay.ts";
import type { SessionFacts } from "./spool/tap.ts";
import type { Tap } from "./relay/tap.ts";
import type { Upstream, Upstreams } from "./relay/upstreams.ts";

export interface ProxyListenerOptions {
  host: string;
  /** 0 takes any free one. */
  port: number;
  token?: string;
  allowedOrigins: readonly string[];
  tls?: { cert: string; key: string };
  /** The upstreams as they are configured now. */
  upstreams: () => Upstreams;
  log: Log;
  /** Relays a session until it is over. */
  run: (link: Link, facts: SessionFacts) => Promise<void>;
  /** The tap of a session that is forwarded from HTTP to HTTP. */
  tap: (facts: SessionFacts) => Tap;
  /** Told of an upstream behind HTTP when it answers, and when it does not, with the reason. */
  sawUpstream: (name: string, reason: string | undefined) => void;
  /** How the proxy is; it can relay when the status is "ok". */
  health: () => { status: string } & Record<string, unknown>;
  metrics: Metrics;
}

type Socket = BunServer<Accepted>;
type HttpUpstream = Upstream & { wire: "websocket" | "http" };

/** The store groups conversations by keys of at most so many characters. */
const MAX_SESSION_KEY_CHARACTERS = 500;
/** How long sessions may take to say their last when the proxy stops. */
const END_DEADLINE_MS = 2000;
const SESSION_HEADER = "mcp-session-id";

/** The proxy's port: WebSocket on any path, Streamable HTTP on `/mcp`, both with `?upstream=NAME`, and `/healthz`. */
export class ProxyListener {
  readonly #options: ProxyListenerOptions;
  readonly #server: Socket;
  readonly #guard: ReturnType<typeof createGuard>;
  readonly #links = new Set<Link>();
  /** HTTP clients of upstreams that speak something else: one endpoint each. */
  readonly #sessions = new Map<string, HttpSessions>();
  readonly #relays = new Map<string, HttpRelay>();
  readonly #running = new Set<Promise<void>>();
  /** Upstreams that sessions were begun with, also when they are configured no more. */
  readonly #used = new Map<string, Upstream>();
  #refuses = false;

  constructor(options: ProxyListenerOptions) {
    this.#options = options;
    this.#guard = createGuard({
      ...(options.token === undefined ? {} : { token: options.token }),
      allowedOrigins: options.allowedOrigins,
      loopback: isLoopback(options.host),
    });
    this.#server = this.#listen();
  }

  get port(): number {
    return this.#server.port ?? this.#options.port;
  }

  get url(): string {
    return `${this.#options.tls ? "wss" : "ws"}://${this.#server.hostname}:${this.port}/`;
  }

  /** Open sessions of clients. */
  sessions(): number {
    const http = [...this.#sessions.values(), ...this.#relays.values()];
    return this.#links.size + http.reduce((sum, each) => sum + each.size, 0);
  }

  /** From now on no session begins; those that are open go on. */
  refuseSessions(): void {
    this.#refuses = true;
  }

  async stop(): Promise<void> {
    void this.#server.stop();
    for (const link of this.#links) link.close("the proxy is stopping");
    for (const each of [...this.#sessions.values(), ...this.#relays.values()]) each.stop();
    await Promise.race([Promise.all(this.#running), Bun.sleep(END_DEADLINE_MS)]);
    await this.#server.stop(true);
  }

  async #route(request: Request, server: Socket): Promise<Response | undefined> {
    const url = new URL(request.url);
    const refused = this.#guard(request, { open: url.pathname === "/healthz" });
    if (refused) return refused;
    if (url.pathname === "/healthz") return this.#health();
    if (url.pathname === "/metrics") return this.#options.metrics.response();
    const isSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    if (!isSocket && url.pathname !== "/mcp") {
      return refusal(404, "there is WebSocket on any path, Streamable HTTP on /mcp, GET /healthz and GET /metrics");
    }
    const isKnown = !isSocket && request.headers.has(SESSION_HEADER);
    if (this.#refuses && !isKnown) return refusal(503, "the proxy is stopping; connect again in a moment");
    const upstream = this.#upstream(url, isKnown);
    if (upstream instanceof Response) return upstream;
    const sessionKey = url.searchParams.get("session") || undefined;
    if (sessionKey !== undefined && (sessionKey.length > MAX_SESSION_KEY_CHARACTERS || sessionKey.includes("\0"))) {
      return refusal(400, `session should have at most ${MAX_SESSION_KEY_CHARACTERS} characters, and no U+0000`);
    }
    if (isSocket) return this.#upgrade(request, server, upstream, sessionKey);
    if (upstream.wire === "http") return this.#relay(upstream).handle(request, server, sessionKey);
    return this.#endpoint(upstream).handle(request, server);
  }

  #health(): Response {
    const health = this.#options.health();
    return Response.json(health, { status: health.status === "ok" ? 200 : 503 });
  }

  /** The upstream that is meant. One that is configured no more still serves the HTTP sessions that were begun with it. */
  #upstream(url: URL, isKnown: boolean): Upstream | Response {
    const { byName, defaultName } = this.#options.upstreams();
    const name = url.searchParams.get("upstream") ?? defaultName;
    const known = [...byName.keys()].join(", ");
    if (name === undefined) return refusal(404, `say which upstream is meant, ?upstream=NAME; there are: ${known}`);
    const upstream = byName.get(name) ?? (isKnown ? this.#used.get(name) : undefined);
    if (!upstream) return refusal(404, `there is no upstream ${JSON.stringify(name)}; there are: ${known}`);
    this.#used.set(name, upstream);
    return upstream;
  }

  #run(link: Link, facts: SessionFacts): Promise<void> {
    const running = this.#options.run(link, facts).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  #upgrade(request: Request, server: Socket, upstream: Upstream, sessionKey: string | undefined): Response | undefined {
    const selected = selectSubprotocol(request);
    if (!selected.ok) return refusal(400, "the subprotocol is mcp, or none");
    const data: Accepted = {
      opened: (link) => {
        this.#links.add(link);
        void this.#run(link, { upstream, wire: link.wire, sessionKey }).finally(() => this.#links.delete(link));
      },
    };
    return server.upgrade(request, { data, headers: selected.headers })
      ? undefined
      : refusal(400, "this is no WebSocket handshake");
  }

  #relay(upstream: HttpUpstream): HttpRelay {
    const { name } = upstream;
    const known = this.#relays.get(name);
    if (known) return known;
    const { tap, log } = this.#options;
    const now = () => {
      const configured = this.#now(name);
      return configured?.wire === "http" ? configured : upstream;
    };
    const relay = new HttpRelay({
      upstream: now,
      log,
      saw: (reason) => this.#options.sawUpstream(name, reason),
      tap: (sessionKey) => tap({ upstream: now(), wire: "http", sessionKey }),
    });
    this.#relays.set(name, relay);
    return relay;
  }

  #endpoint(upstream: Upstream): HttpSessions {
    const { name } = upstream;
    const known = this.#sessions.get(name);
    if (known) return known;
    const endpoint = new HttpSessions({
      log: this.#options.log,
      opened: (link, request) => {
        const sessionKey = new URL(request.url).searchParams.get("session") || undefined;
        void this.#run(link, { upstream: this.#now(name) ?? upstream, wire: link.wire, sessionKey });
      },
    });
    this.#sessions.set(name, endpoint);
    return endpoint;
  }

  /** An upstream as it is configured now, or was last. */
  #now(name: string): Upstream | undefined {
    return this.#options.upstreams().byName.get(name) ?? this.#used.get(name);
  }

  #listen(): Socket {
    const { host, port, tls, log } = this.#options;
    try {
      return Bun.serve({
        hostname: host,
        port,
        ...(tls ? { tls } : {}),
        maxRequestBodySize: MAX_FRAME_BYTES,
        fetch: (request, server) => this.#route(request, server),
        websocket: acceptedWebSocket,
        error(error) {
          log.error("a request failed", { error });
          return refusal(500, "the request failed inside Dewey; its log says more");
        },
      });
    } catch (cause) {
      throw new DeweyError("unavailable", `${host}:${port} cannot be listened on: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}
