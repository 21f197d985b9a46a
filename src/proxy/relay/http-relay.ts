import type { Server } from "bun";
import { within } from "../../deadline.ts";
import { jsonRpcCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { withoutSecrets } from "../../wire/address.ts";
import { receive } from "../../wire/body.ts";
import { boundedText } from "../../wire/bounded-text.ts";
import { errorFrame, requestIds } from "../../wire/frame.ts";
import { SESSION_HEADER } from "../../wire/headers.ts";
import { fetchUpstream, isRefusedConnection, isTemporary } from "../../wire/http-request.ts";
import { onLeave } from "../../wire/leaving.ts";
import { FAREWELL_STALL_MS, IDLE_CHECK_MS, IDLE_LIMIT_MS, MAX_SESSIONS } from "../../wire/limits.ts";
import { outlineFrame } from "../../wire/outline.ts";
import { peerOf } from "../../wire/peer.ts";
import { proxiedChallenge } from "./oauth.ts";
import { RelayedStream } from "./relayed-stream.ts";
import type { RequestTap, Tap } from "./tap.ts";
import type { RemoteUpstream } from "./upstreams.ts";

/** JSON-RPC error code of a request that the upstream did not answer. */
const UPSTREAM_UNREACHABLE = jsonRpcCode("unavailable");
/** How long the first request of a session waits for an upstream that is starting, and the pause between attempts. */
const WAIT_LIMIT_MS = 5000;
const WAIT_PAUSE_MS = 200;
/** How long a request whose client has left may go on until the upstream answers: by then it has the body. */
const LEFT_LIMIT_MS = 30_000;

const NOT_FOUND = 404;
const UNAUTHORIZED = 401;

/** Request headers that are not forwarded: they concern this connection only, or the upstream's configuration replaces them. */
const hopHeaders = new Set(
  "host connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade content-length accept-encoding authorization origin cookie".split(
    " ",
  ),
);
/** Response headers that are not forwarded. `fetch` has already decoded the body. */
const responseHopHeaders = new Set(
  "connection keep-alive transfer-encoding content-length content-encoding set-cookie".split(" "),
);

export interface HttpRelayOptions {
  /** The upstream's current configuration. */
  upstream: () => RemoteUpstream;
  log: Log;
  /** The tap of a request that belongs to no known session. `peer` identifies its sender as far as it can be known. */
  tap(sessionKey: string | undefined, peer: string): RequestTap;
  /** Called with undefined when the upstream answers, and with the reason when it does not. */
  saw(reason: string | undefined): void;
  /** Sessions recorded at once. */
  maxSessions?: number;
  /** The same for the stream that a client opens with GET, when the upstream refuses it for now. */
  sawStream?: (reason: string | undefined) => void;
  idleLimitMs?: number;
  /** How long a client may read nothing from a stream that has data waiting. */
  stallLimitMs?: number;
}

interface ForwardedSession {
  tap: RequestTap;
  usedMs: number;
  streams: number;
  /** The POSTs that the upstream has not answered, so that it may not have received them. */
  arriving: Set<Promise<unknown>>;
  /** POSTs whose answer has not been relayed in full. */
  open: number;
}

/** One request in flight. */
interface Exchange {
  session: ForwardedSession;
  body: string | undefined;
  /** Called once it is answered. */
  over: () => void;
}

/**
 * Forwards Streamable HTTP to Streamable HTTP: bodies, session ids and all headers except those of the connection pass
 * unchanged. MCP is not interpreted, so future revisions pass as well; the tap observes bodies and event streams, and groups the
 * requests to an upstream that assigns no session ids.
 */
export class HttpRelay {
  readonly #options: HttpRelayOptions;
  readonly #sessions = new Map<string, ForwardedSession>();
  /** Sessions that have ended but for their open POSTs, whose answers belong to what is recorded, with the reasons. */
  readonly #ending = new Map<ForwardedSession, string>();
  readonly #idleCheck: ReturnType<typeof setInterval>;

  constructor(options: HttpRelayOptions) {
    this.#options = options;
    const limitMs = options.idleLimitMs ?? IDLE_LIMIT_MS;
    this.#idleCheck = setInterval(() => this.#forgetIdle(limitMs), Math.min(IDLE_CHECK_MS, limitMs));
    this.#idleCheck.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Ends all sessions; POSTs under way are still answered. */
  stop(): void {
    clearInterval(this.#idleCheck);
    for (const id of this.#sessions.keys()) this.#forget(id, "the proxy is stopping");
  }

  /** No client is connected any more, so that nothing is answered. */
  close(): void {
    for (const session of this.#ending.keys()) this.#endRecord(session);
  }

  async handle(request: Request, server: Server<unknown>, sessionKey: string | undefined): Promise<Response> {
    server.timeout(request, 0);
    const id = request.headers.get(SESSION_HEADER);
    const known = id === null ? undefined : this.#sessions.get(id);
    const session = known ?? {
      tap: this.#options.tap(sessionKey, peerOf(request, server.requestIP(request)?.address)),
      usedMs: 0,
      streams: 0,
      arriving: new Set(),
      open: 0,
    };
    session.usedMs = performance.now();
    const isPost = request.method === "POST";
    if (isPost) session.open += 1;
    const answered = () => {
      if (isPost) session.open -= 1;
      if (session.open === 0) this.#endRecord(session);
    };
    const arrived = await this.#arrive(session, request, server);
    if (arrived instanceof Response) {
      if (!known) session.tap.closed("the request's body did not arrive");
      answered();
      return arrived;
    }
    const { body, response } = arrived;
    const given = response instanceof Error ? null : response.headers.get(SESSION_HEADER);
    const over = () => {
      session.usedMs = performance.now();
      if (given === null && !known) session.tap.answered();
      answered();
    };
    // A client that left says nothing about the upstream, and reads no answer.
    if (request.signal.aborted) {
      over();
      if (!(response instanceof Error)) await response.body?.cancel().catch(() => {});
      return new Response(null, { status: 499 });
    }
    if (response instanceof Error) return this.#unreachable(response, { session, body, over });
    this.#options.saw(undefined);
    if (request.method === "GET") this.#sawStream(response);
    if (given !== null) this.#remember(given, session);
    if (id !== null && request.method === "DELETE") this.#forget(id, "the client ended it");
    // A 404 to a GET says only that the server has no stream of its own.
    if (id !== null && isPost && response.status === NOT_FOUND) this.#forget(id, "the upstream no longer knows it");
    if (response.status === UNAUTHORIZED && this.#options.upstream().forwardAuthorization === true)
      this.#signInHere(response, new URL(request.url));
    return this.#answer(response, { session, body, over });
  }

  /** Points the client's sign-in to the documents at this proxy. */
  #signInHere({ headers }: Response, asked: URL): void {
    const challenge = headers.get("www-authenticate");
    if (challenge !== null) headers.set("www-authenticate", proxiedChallenge(challenge, asked));
  }

  #sawStream(response: Response): void {
    const { log, upstream, sawStream } = this.#options;
    const reason = isTemporary(response) ? `its event stream cannot be opened: HTTP ${response.status}` : undefined;
    if (reason !== undefined) log.warn("the upstream refuses its event stream", { upstream: upstream().name, reason });
    sawStream?.(reason);
  }

  /**
   * Forwards a request in the session's order: its end overtakes no frame that the client sent before it. Returns a refusal
   * when its body does not arrive.
   */
  async #arrive(
    session: ForwardedSession,
    request: Request,
    server: Server<unknown>,
  ): Promise<{ body: string | undefined; response: Response | Error } | Response> {
    if (request.method === "DELETE") await within(FAREWELL_STALL_MS, Promise.allSettled(session.arriving), () => {});
    if (request.method !== "POST") return { body: undefined, response: await this.#forward(request, undefined) };
    const arrival = Promise.withResolvers<void>();
    session.arriving.add(arrival.promise);
    try {
      const body = await receive(request, server, (arriving) => arriving.text());
      if (body instanceof Response) return body;
      await tapped(session.tap, "up", body);
      return { body, response: await this.#forward(request, body) };
    } finally {
      arrival.resolve();
      session.arriving.delete(arrival.promise);
    }
  }

  /** Forwards a request. The first one of a session waits for an upstream that is starting; the others fail at once. */
  async #forward(request: Request, body: string | undefined): Promise<Response | Error> {
    const { url, headers, forwardAuthorization } = this.#options.upstream();
    const passes = (name: string) =>
      !hopHeaders.has(name) || (name === "authorization" && forwardAuthorization === true);
    const forwarded = new Headers([...request.headers].filter(([name]) => passes(name)));
    for (const [name, value] of Object.entries(headers)) forwarded.set(name, value);
    const { method } = request;
    const signal = body === undefined ? request.signal : afterLeaving(request.signal);
    const waitMs = method === "POST" && !request.headers.has(SESSION_HEADER) ? WAIT_LIMIT_MS : 0;
    const deadlineMs = performance.now() + waitMs;
    for (;;) {
      try {
        return await fetchUpstream(url, {
          method,
          headers: forwarded,
          signal,
          ...(body === undefined ? {} : { body }),
        });
      } catch (error) {
        // Retried only if the connection was refused: otherwise the request may have run.
        const isOver = performance.now() >= deadlineMs || request.signal.aborted;
        if (isOver || !isRefusedConnection(error)) return error instanceof Error ? error : new Error(String(error));
      }
      await Bun.sleep(WAIT_PAUSE_MS);
    }
  }

  /** Answers the requests with an error that names the upstream, as on every other wire. */
  async #unreachable(error: Error, { session, body = "", over }: Exchange): Promise<Response> {
    const { name, url } = this.#options.upstream();
    this.#options.saw(error.message);
    this.#options.log.warn("the upstream is not available", { upstream: name, address: withoutSecrets(url), error });
    const reason = isRefusedConnection(error) ? "cannot be reached" : "closed the connection";
    const message = `the upstream ${name} is not available: ${withoutSecrets(url)} ${reason}`;
    const view = outlineFrame(body);
    const refusals = requestIds(view).map((id) => errorFrame(id, UPSTREAM_UNREACHABLE, message));
    const [first = errorFrame(null, UPSTREAM_UNREACHABLE, message)] = refusals;
    const text = view.kind === "batch" && refusals.length > 0 ? `[${refusals.join(",")}]` : first;
    await tapped(session.tap, "down", text);
    over();
    return new Response(text, { status: 502, headers: { "content-type": "application/json" } });
  }

  async #answer(response: Response, exchange: Exchange): Promise<Response> {
    const { session, body, over } = exchange;
    const headers = new Headers([...response.headers].filter(([name]) => !responseHopHeaders.has(name)));
    const { status } = response;
    const type = response.headers.get("content-type") ?? "";
    if (response.body !== null && type.startsWith("text/event-stream")) {
      session.streams += 1;
      const relayed = new RelayedStream(response.body, {
        unanswered: body === undefined ? [] : requestIds(outlineFrame(body)),
        refusal: (id) => errorFrame(id, UPSTREAM_UNREACHABLE, this.#brokenMessage()),
        take: (frame) => tapped(session.tap, "down", frame),
        over() {
          session.streams -= 1;
          over();
        },
        stallLimitMs: this.#options.stallLimitMs,
        log: this.#options.log,
      });
      return new Response(relayed.stream, { status, headers });
    }
    if (!type.startsWith("application/json")) {
      over();
      return new Response(response.body, { status, headers });
    }
    let text: string;
    try {
      text = await boundedText(response);
    } catch (error) {
      return this.#unreachable(error as Error, exchange);
    }
    await tapped(session.tap, "down", text);
    over();
    return new Response(text, { status, headers });
  }

  #brokenMessage(): string {
    return `the upstream ${this.#options.upstream().name} is gone: it closed the connection before answering`;
  }

  #remember(id: string, session: ForwardedSession): void {
    if (this.#sessions.has(id)) return;
    this.#sessions.set(id, session);
    // Beyond the limit the session that was unused for longest is no longer recorded.
    if (this.#sessions.size <= (this.#options.maxSessions ?? MAX_SESSIONS)) return;
    let longest = id;
    for (const [each, { streams, usedMs }] of this.#sessions) {
      if (streams === 0 && usedMs < (this.#sessions.get(longest)?.usedMs ?? Infinity)) longest = each;
    }
    this.#forget(longest, "there are too many sessions");
  }

  #forgetIdle(limitMs: number): void {
    const now = performance.now();
    for (const [id, session] of this.#sessions) {
      if (session.streams === 0 && now - session.usedMs > limitMs) this.#forget(id, "it was idle for too long");
    }
  }

  #forget(id: string, reason: string): void {
    const session = this.#sessions.get(id);
    if (!session) return;
    this.#sessions.delete(id);
    this.#ending.set(session, reason);
    if (session.open === 0) this.#endRecord(session);
  }

  /** Ends what is recorded of a session that has ended. */
  #endRecord(session: ForwardedSession): void {
    const reason = this.#ending.get(session);
    if (reason === undefined) return;
    this.#ending.delete(session);
    session.tap.closed(reason);
  }
}

/** Aborts some time after the client has left, since what it sent before belongs to the upstream. */
function afterLeaving(left: AbortSignal): AbortSignal {
  const late = new AbortController();
  onLeave(left, () => void setTimeout(() => late.abort(), LEFT_LIMIT_MS).unref());
  return late.signal;
}

function tapped(tap: Tap, direction: "up" | "down", text: string): Promise<void> {
  return new Promise((resolve) => tap.frame(direction, { text, view: outlineFrame(text) }, resolve));
}
