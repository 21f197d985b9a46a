import { within } from "../deadline.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { refusal } from "../wire/guard.ts";
import { SESSION_HEADER } from "../wire/headers.ts";
import { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { Port, upgrade } from "../wire/port.ts";
import type { Health, ListenOptions, Visit } from "../wire/port.ts";
import type { Refused } from "../wire/refusals.ts";
import { HttpRelay } from "./relay/http-relay.ts";
import type { SessionFacts } from "./spool/tap.ts";
import { signIn, signInPath } from "./relay/oauth.ts";
import type { SignInPath } from "./relay/oauth.ts";
import type { RequestTap } from "./relay/tap.ts";
import type { RemoteUpstream, Upstream, Upstreams } from "./relay/upstreams.ts";

export interface ProxyListenerOptions extends ListenOptions {
  /** The current configuration of upstreams. */
  upstreams: () => Upstreams;
  log: Log;
  /** Relays a session until it ends. */
  run: (link: Link, facts: SessionFacts) => Promise<void>;
  /** The tap of a request forwarded from HTTP to HTTP, and of the session that it may begin. */
  tap: (facts: SessionFacts, peer: string) => RequestTap;
  /** Called with undefined when an upstream behind HTTP answers, and with the reason when it does not. */
  sawUpstream: (name: string, reason: string | undefined) => void;
  /** The same for the event stream of an upstream behind HTTP. */
  sawStream: (name: string, reason: string | undefined) => void;
  /** The health; the proxy can relay while its status is "ok". */
  health: () => { status: string; recorder: { recording: boolean } } & Record<string, unknown>;
  metrics: Metrics;
  /** Told of requests that were refused. */
  refused: (refused: Refused) => void;
}

/** The store's limit on the keys that group conversations. */
const MAX_SESSION_KEY_CHARACTERS = 500;
/** How long sessions may take to say their last when the proxy stops. */
const END_DEADLINE_MS = 2000;

/** The proxy's port: WebSocket on any path and Streamable HTTP on `/mcp`, both with `?upstream=NAME`; `/healthz`, `/metrics`. */
export class ProxyListener {
  readonly #options: ProxyListenerOptions;
  readonly #port: Port;
  readonly #links = new Set<Link>();
  /** One endpoint for HTTP clients of each upstream on another wire. */
  readonly #sessions = new Map<string, HttpSessions>();
  readonly #relays = new Map<string, HttpRelay>();
  readonly #running = new Set<Promise<void>>();
  /** Upstreams with which sessions began, kept when they are no longer configured. */
  readonly #used = new Map<string, Upstream>();
  #refuses = false;

  constructor(options: ProxyListenerOptions) {
    this.#options = options;
    this.#port = new Port({
      ...options,
      health: () => this.#health(),
      ready: () => (this.#refuses ? { isWell: false, brief: { status: "stopping" } } : this.#health()),
      route: (visit) => this.#route(visit),
    });
  }

  get port(): number {
    return this.#port.number;
  }

  get url(): string {
    return this.#port.url;
  }

  /** Open sessions of clients. */
  sessions(): number {
    const http = [...this.#sessions.values(), ...this.#relays.values()];
    return this.#links.size + http.reduce((sum, each) => sum + each.size, 0);
  }

  /** Refuses new sessions from now on; open ones continue. */
  refuseSessions(): void {
    this.#refuses = true;
  }

  async stop(): Promise<void> {
    void this.#port.drain();
    for (const link of this.#links) link.close("the proxy is stopping");
    for (const each of [...this.#sessions.values(), ...this.#relays.values()]) each.stop();
    await within(END_DEADLINE_MS, Promise.all(this.#running), () => {});
    await this.#port.close();
    for (const each of this.#relays.values()) each.close();
  }

  #route(visit: Visit): Response | undefined | Promise<Response> {
    const { request, url, isWebSocket, server } = visit;
    const path = isWebSocket ? undefined : signInPath(url.pathname);
    if (path !== undefined) return this.#signIn(visit, path);
    if (!isWebSocket && url.pathname !== "/mcp") {
      return refusal(
        404,
        "this port serves WebSocket on any path, Streamable HTTP on /mcp, GET /healthz and GET /metrics",
      );
    }
    const isKnown = !isWebSocket && request.headers.has(SESSION_HEADER);
    if (this.#refuses && !isKnown) return refusal(503, "the proxy is stopping; connect again in a moment");
    const upstream = this.#upstream(url, { isKnown });
    if (upstream instanceof Response) return upstream;
    const sessionKey = url.searchParams.get("session") || undefined;
    if (sessionKey !== undefined && (sessionKey.length > MAX_SESSION_KEY_CHARACTERS || sessionKey.includes("\0"))) {
      return refusal(400, `session should have at most ${MAX_SESSION_KEY_CHARACTERS} characters and no U+0000`);
    }
    if (isWebSocket) return this.#upgrade(visit, upstream, sessionKey);
    if (upstream.wire === "http") return this.#relay(upstream).handle(request, server, sessionKey);
    return this.#endpoint(upstream).handle(request, server);
  }

  /** What clients ask for to sign in to an upstream. */
  async #signIn(visit: Visit, path: SignInPath): Promise<Response> {
    const upstream = this.#upstream(visit.url, { isKnown: false, name: path.name });
    if (upstream instanceof Response) return upstream;
    const signsIn = upstream.wire === "http" && upstream.forwardAuthorization === true;
    if (!signsIn) return refusal(404, `clients do not sign in to the upstream ${JSON.stringify(upstream.name)}`);
    try {
      return await signIn(upstream, path, visit);
    } catch (error) {
      this.#options.log.warn("what a client needs to sign in could not be fetched", { upstream: upstream.name, error });
      return refusal(
        502,
        `the upstream ${JSON.stringify(upstream.name)}, or its authorization server, does not answer`,
      );
    }
  }

  /** That it records, or not, also says that this is a proxy. */
  #health(): Health {
    const { status, ...rest } = this.#options.health();
    const { recording } = rest.recorder;
    return { isWell: status === "ok", brief: { status, recorder: { recording } }, rest };
  }

  /** The upstream that a request names. A removed one still serves the HTTP sessions that began with it. */
  #upstream(url: URL, named: { isKnown: boolean; name?: string | undefined }): Upstream | Response {
    const { byName, defaultName, wrong } = this.#options.upstreams();
    const name = named.name ?? url.searchParams.get("upstream") ?? defaultName;
    const known = [...byName.keys()].join(", ");
    if (name === undefined) return refusal(404, `name an upstream with ?upstream=NAME; there are: ${known}`);
    const upstream = byName.get(name) ?? (named.isKnown ? this.#used.get(name) : undefined);
    const mistakes = upstream ? undefined : wrong?.get(name);
    if (mistakes !== undefined)
      return refusal(503, `the entry of the upstream ${JSON.stringify(name)} is wrong: ${mistakes}`);
    if (!upstream) return refusal(404, `there is no upstream ${JSON.stringify(name)}; there are: ${known}`);
    this.#used.set(name, upstream);
    return upstream;
  }

  #run(link: Link, facts: SessionFacts): Promise<void> {
    const running = this.#options.run(link, facts).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  #upgrade(visit: Visit, upstream: Upstream, sessionKey: string | undefined): Response | undefined {
    return upgrade(visit, (link) => {
      this.#links.add(link);
      void this.#run(link, { upstream, wire: link.wire, sessionKey }).finally(() => this.#links.delete(link));
    });
  }

  #relay(upstream: RemoteUpstream): HttpRelay {
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
      sawStream: (reason) => this.#options.sawStream(name, reason),
      tap: (sessionKey, peer) => tap({ upstream: now(), wire: "http", sessionKey }, peer),
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
      takesLoneRequests: true,
      opened: (link, request) => {
        const sessionKey = new URL(request.url).searchParams.get("session") || undefined;
        void this.#run(link, { upstream: this.#now(name) ?? upstream, wire: link.wire, sessionKey });
      },
    });
    this.#sessions.set(name, endpoint);
    return endpoint;
  }

  /** The current configuration of an upstream, else the last one. */
  #now(name: string): Upstream | undefined {
    return this.#options.upstreams().byName.get(name) ?? this.#used.get(name);
  }
}
