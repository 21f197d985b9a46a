import type { Server } from "bun";
import { within } from "../deadline.ts";
import type { Log } from "../log.ts";
import { receive } from "./body.ts";
import { INVALID_REQUEST, PARSE_ERROR, errorFrame, isObject, viewFrame } from "./frame.ts";
import type { FrameView, ViewedFrame } from "./frame.ts";
import { SESSION_HEADER, VERSION_HEADER } from "./headers.ts";
import { HttpSessionLink } from "./http-session.ts";
import type { AnswerForm } from "./session-stream.ts";
import { onLeave } from "./leaving.ts";
import { IDLE_CHECK_MS, IDLE_LIMIT_MS, MAX_SESSIONS } from "./limits.ts";
import type { Link } from "./link.ts";
import { LoneRequests, namesLoneVersion, standsAlone } from "./lone-requests.ts";

/** Interval of comments on idle streams, which proxies in between, and Bun itself, would close. */
const KEEP_ALIVE_MS = 15_000;

/** How long the end of a session waits for the frames that the client posted before it. */
const LAST_POSTS_LIMIT_MS = 30_000;

const METHOD_NOT_FOUND = -32_601;
const SESSION_NOT_FOUND = -32_001;
/** The code of requests with wrong HTTP headers. */
const HEADERS_REFUSED = -32_000;
/** A resumable stream starts with an event without a message, which clients of older revisions do not accept. */
const FIRST_RESUMABLE_VERSION = "2025-11-25";

/** Methods whose answers are never so long that their form matters. */
const SHORT_ANSWERS = new Set(["initialize", "ping"]);

const streamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

export interface HttpSessionsOptions {
  /** Called for a new session, with the client's network address; the callee opens the link. */
  opened(link: Link, request: Request, address: string | undefined): void;
  log: Log;
  /** The revisions that a request's header may name; a relay leaves the check to its upstream. */
  versions?: readonly string[];
  /** Whether requests of 2026-07-28, which belong to no session, are taken as well; `opened` is called for their links. */
  takesLoneRequests?: boolean;
  /** How long a lone question for the server's revisions may stay unanswered. */
  discoverLimitMs?: number;
  /** Sessions open at once; beyond it the one unused for longest ends. */
  maxSessions?: number;
  idleLimitMs?: number;
  keepAliveMs?: number;
  /** How long a client may read nothing from a stream that has data queued. */
  stallLimitMs?: number;
}

/** The sessions of one Streamable HTTP endpoint, by MCP's rules of 2025-11-25. */
export class HttpSessions {
  readonly #options: HttpSessionsOptions;
  /** All links by id, also those of clients without a session. */
  readonly #sessions = new Map<string, HttpSessionLink>();
  readonly #lone: LoneRequests | undefined;
  readonly #timers: ReturnType<typeof setInterval>[];

  constructor(options: HttpSessionsOptions) {
    this.#options = options;
    if (options.takesLoneRequests === true)
      this.#lone = new LoneRequests({
        open: (request) => this.#open(request, undefined),
        streamHeaders,
        discoverLimitMs: options.discoverLimitMs,
      });
    const limitMs = options.idleLimitMs ?? IDLE_LIMIT_MS;
    this.#timers = [
      setInterval(() => this.#closeIdle(limitMs), Math.min(IDLE_CHECK_MS, limitMs)),
      setInterval(() => this.#keepAlive(), options.keepAliveMs ?? KEEP_ALIVE_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Answers a request to the endpoint, of any method. `received` is the body, if the caller has read it. */
  async handle(request: Request, server: Server<unknown>, received?: ViewedFrame): Promise<Response> {
    const id = request.headers.get(SESSION_HEADER);
    const session = id === null ? undefined : this.#sessions.get(id);
    if (id !== null && !session)
      return problem(404, null, SESSION_NOT_FOUND, "the session does not exist or has ended; initialize again");
    const refused = this.#refuse(request);
    if (refused) return refused;
    if (session) session.usedMs = performance.now();
    // Bun would close a stream that is idle for long, and a request whose session takes nothing.
    server.timeout(request, 0);
    if (request.method === "POST") {
      const answering = this.#post(request, server, session, received);
      const answered = await (session ? session.receiving(answering) : answering);
      return answered instanceof Response ? answered : answered.held;
    }
    if (!session && this.#lone && namesLoneVersion(request))
      return new Response(null, { status: 405, headers: { allow: "POST" } });
    if (!session) {
      const message = `a session is required: initialize one, then send its ${SESSION_HEADER}`;
      return problem(400, null, INVALID_REQUEST, message);
    }
    if (request.method === "GET") return listen(request, session);
    await within(LAST_POSTS_LIMIT_MS, session.received(), () => {});
    session.close("the client has ended its session");
    return new Response(null, { status: 200 });
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const session of this.#sessions.values()) session.close();
  }

  /** The error for a request whose method or headers break MCP's rules, if it does. */
  #refuse(request: Request): Response | undefined {
    const { headers, method } = request;
    if (!["GET", "POST", "DELETE"].includes(method))
      return new Response(null, { status: 405, headers: { allow: "GET, POST, DELETE" } });
    const accept = headers.get("accept") ?? "";
    const wanted = { POST: ["application/json", "text/event-stream"], GET: ["text/event-stream"] }[method] ?? [];
    if (!wanted.every((type) => accept.includes(type)))
      return problem(406, null, HEADERS_REFUSED, `the header Accept must contain ${wanted.join(" and ")}`);
    if (method === "POST" && !/^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? ""))
      return problem(415, null, HEADERS_REFUSED, "the header Content-Type must be application/json");
    const version = headers.get(VERSION_HEADER);
    const { versions } = this.#options;
    if (version === null || !versions || versions.includes(version)) return undefined;
    return problem(
      400,
      null,
      HEADERS_REFUSED,
      `the header ${VERSION_HEADER} must name a supported revision: ${versions.join(", ")}`,
    );
  }

  async #post(
    request: Request,
    server: Server<unknown>,
    session: HttpSessionLink | undefined,
    received: ViewedFrame | undefined,
  ): Promise<Answer> {
    await session?.ready();
    const frame = received?.text ?? (await receive(request, server, (arriving) => arriving.text()));
    if (frame instanceof Response) return frame;
    const view = received?.view ?? viewFrame(frame);
    if (view.kind === "invalid") {
      const isJson = view.reason === "not JSON-RPC";
      return problem(400, null, isJson ? INVALID_REQUEST : PARSE_ERROR, `the body is ${view.reason}`);
    }
    if (session) return answer(session, request, frame, view);
    if (this.#lone && standsAlone(request, view)) return this.#lone.handle(request, server, { text: frame, view });
    return this.#begin(request, server, { text: frame, view });
  }

  #begin(request: Request, server: Server<unknown>, { text, view }: ViewedFrame): Answer {
    const { id, method } = view.kind === "request" ? view : { id: null, method: undefined };
    if (method !== "initialize") {
      // A client of the revision without sessions calls `server/discover` first, and falls back on this code.
      return method === "server/discover"
        ? problem(400, id, METHOD_NOT_FOUND, "this server has no server/discover; initialize a session")
        : problem(400, id, INVALID_REQUEST, `a session is required: initialize one, then send its ${SESSION_HEADER}`);
    }
    const session = this.#lone?.adopt(request, server) ?? this.#open(request, server.requestIP(request)?.address);
    if (!session)
      return problem(503, id, SESSION_NOT_FOUND, "all sessions that there may be are in use; try again later");
    return answer(session, request, text, view);
  }

  /** Opens a link; undefined when there are too many and all are in use. */
  #open(request: Request, address: string | undefined): HttpSessionLink | undefined {
    if (this.#sessions.size >= (this.#options.maxSessions ?? MAX_SESSIONS) && !this.#evict()) return undefined;
    const session = new HttpSessionLink({
      ended: () => {
        this.#sessions.delete(session.id);
        this.#lone?.forget(session);
      },
      stallLimitMs: this.#options.stallLimitMs,
    });
    this.#sessions.set(session.id, session);
    this.#options.opened(session, request, address);
    return session;
  }

  /** Closes the session that was unused for longest, so that nobody who opens many locks others out. */
  #evict(): boolean {
    let longest: HttpSessionLink | undefined;
    for (const session of this.#sessions.values()) {
      if (!session.isConnected && session.usedMs < (longest?.usedMs ?? Infinity)) longest = session;
    }
    longest?.close("the session was unused for longest when there were too many");
    if (longest) this.#options.log.debug("an unused HTTP session was closed for a new one", { session: longest.id });
    return longest !== undefined;
  }

  #closeIdle(limitMs: number): void {
    const now = performance.now();
    for (const session of this.#sessions.values()) {
      if (session.isConnected || now - session.usedMs < limitMs) continue;
      session.close("the session was idle for too long");
      this.#options.log.debug("an idle HTTP session was closed", { session: session.id });
    }
  }

  #keepAlive(): void {
    for (const session of this.#sessions.values()) session.keepAlive();
  }
}

/** The response to a POST, or one whose form its first frame decides; by then the session has the POST's frame. */
type Answer = Response | { held: Promise<Response> };

function answer(session: HttpSessionLink, request: Request, frame: string, view: FrameView): Answer {
  if (session.isClosed) return problem(404, null, SESSION_NOT_FOUND, "the session has ended; initialize again");
  if (!hasIds(view)) return problem(400, null, INVALID_REQUEST, "the id of a request must be a string or a number");
  if (!asks(view)) {
    session.take(frame);
    return new Response(null, { status: 202 });
  }
  const version = request.headers.get(VERSION_HEADER) ?? askedVersion(view);
  const isHeld = view.kind !== "request" || !SHORT_ANSWERS.has(view.method);
  const form = Promise.withResolvers<AnswerForm>();
  const stream = session.ask(frame, view, version >= FIRST_RESUMABLE_VERSION, isHeld ? form.resolve : undefined);
  if (!stream) {
    const id = view.kind === "request" ? view.id : null;
    return problem(400, id, INVALID_REQUEST, "the id is that of another request in flight");
  }
  return isHeld ? { held: begun(session, request, stream, form.promise) } : streaming(session, stream);
}

async function begun(
  session: HttpSessionLink,
  request: Request,
  stream: ReadableStream<Uint8Array>,
  form: Promise<AnswerForm>,
): Promise<Response> {
  const left = Promise.withResolvers<"left">();
  const forget = onLeave(request.signal, () => left.resolve("left"));
  const known = await Promise.race([left.promise, form]);
  forget();
  if (known === "left") {
    // The session must not take the stream for a connected one; nobody reads this response.
    await stream.cancel();
    return new Response(null, { status: 499 });
  }
  if (known === "events") return streaming(session, stream);
  return new Response(stream, { headers: { "content-type": "application/json", [SESSION_HEADER]: session.id } });
}

function listen(request: Request, session: HttpSessionLink): Response {
  const lastEventId = request.headers.get("last-event-id");
  if (lastEventId === null) return streaming(session, session.listen());
  const stream = session.again(lastEventId);
  if (stream) return streaming(session, stream);
  return problem(400, null, INVALID_REQUEST, "the stream of this Last-Event-ID is no longer available");
}

function streaming(session: HttpSessionLink, stream: ReadableStream<Uint8Array>): Response {
  return new Response(stream, { headers: { ...streamHeaders, [SESSION_HEADER]: session.id } });
}

function asks(view: FrameView): boolean {
  return view.kind === "batch" ? view.messages.some(asks) : view.kind === "request";
}

/** Whether every request has an id that a response can be matched by. */
function hasIds(view: FrameView): boolean {
  if (view.kind === "batch") return view.messages.every(hasIds);
  return view.kind !== "request" || ["string", "number"].includes(typeof view.message["id"]);
}

/** The revision that `initialize` asks for; later requests name it in a header. */
function askedVersion(view: FrameView): string {
  const params = view.kind === "request" ? view.message["params"] : undefined;
  const version = isObject(params) ? params["protocolVersion"] : undefined;
  return typeof version === "string" ? version : "";
}

/** An HTTP error with a JSON-RPC error as its body. */
function problem(status: number, id: unknown, code: number, message: string): Response {
  return new Response(errorFrame(id, code, message), { status, headers: { "content-type": "application/json" } });
}
