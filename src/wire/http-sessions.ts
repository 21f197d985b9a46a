import type { Server } from "bun";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import type { Log } from "../log.ts";
import { INVALID_REQUEST, MAX_FRAME_BYTES, PARSE_ERROR, isObject } from "./frame.ts";
import type { Json } from "./frame.ts";
import { ReplayStore } from "./replay-store.ts";

/** A client that never says DELETE would hold its session for ever. One with an open stream is still there. */
const IDLE_LIMIT_MS = 30 * 60_000;
const IDLE_CHECK_MS = 60_000;
/** Sessions at once; a client that opens one for each request reaches it, and nobody else. */
const MAX_SESSIONS = 10_000;
/** Proxies on the way and Bun itself cut streams on which nothing passes. */
const KEEP_ALIVE_MS = 15_000;

const SESSION_HEADER = "mcp-session-id";
const METHOD_NOT_FOUND = -32_601;
const SESSION_NOT_FOUND = -32_001;

export interface HttpSessionsOptions {
  /** A new session: whoever serves it connects itself to the transport before this resolves. */
  opened(transport: Transport, request: Request): Promise<void> | void;
  log: Log;
  idleLimitMs?: number;
}

interface Session {
  transport: WebStandardStreamableHTTPServerTransport;
  usedMs: number;
  /** Streams that the client holds open to hear from the server. */
  streams: number;
}

/** The sessions of one Streamable HTTP endpoint, by MCP's rules of 2025-11-25: a transport of the SDK's for each. */
export class HttpSessions {
  readonly #options: HttpSessionsOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #idleCheck: ReturnType<typeof setInterval>;

  constructor(options: HttpSessionsOptions) {
    this.#options = options;
    const limitMs = options.idleLimitMs ?? IDLE_LIMIT_MS;
    this.#idleCheck = setInterval(() => this.#closeIdle(limitMs), Math.min(IDLE_CHECK_MS, limitMs));
    this.#idleCheck.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Answers a request of any method to the endpoint. */
  async handle(request: Request, server: Server<unknown>): Promise<Response> {
    const id = request.headers.get(SESSION_HEADER);
    const session = id === null ? undefined : this.#sessions.get(id);
    if (id !== null && !session)
      return problem(404, null, SESSION_NOT_FOUND, "there is no such session; initialize again");
    // A stream may be quiet for long; Bun would end it.
    server.timeout(request, 0);
    if (request.method !== "POST") return session ? this.#stream(session, request) : noSession(request.method);
    const body = await readBody(request);
    if (body instanceof Response) return body;
    if (session) return this.#use(session, request, body.value);
    return this.#begin(request, body.value);
  }

  async stop(): Promise<void> {
    clearInterval(this.#idleCheck);
    await Promise.all([...this.#sessions.values()].map((session) => session.transport.close()));
    this.#sessions.clear();
  }

  async #begin(request: Request, body: unknown): Promise<Response> {
    const { id, method }: Json = isObject(body) ? body : {};
    if (!isInitializeRequest(body)) {
      // A client of the revision without sessions asks for `server/discover` first, and falls back at this code.
      return method === "server/discover"
        ? problem(400, id, METHOD_NOT_FOUND, "this server has no server/discover; initialize a session")
        : problem(400, id, INVALID_REQUEST, `a session is wanted: initialize one, then send its ${SESSION_HEADER}`);
    }
    if (this.#sessions.size >= MAX_SESSIONS) {
      return problem(503, id, SESSION_NOT_FOUND, "there are too many open sessions; try again later");
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void this.#sessions.set(id, { transport, usedMs: performance.now(), streams: 0 }),
      onsessionclosed: (id) => void this.#sessions.delete(id),
      eventStore: new ReplayStore(),
      maxRequestBodySize: MAX_FRAME_BYTES,
      keepAliveMs: KEEP_ALIVE_MS,
    });
    await this.#options.opened(transport, request);
    return transport.handleRequest(request, { parsedBody: body });
  }

  #use(session: Session, request: Request, body: unknown): Promise<Response> {
    session.usedMs = performance.now();
    return session.transport.handleRequest(request, { parsedBody: body });
  }

  async #stream(session: Session, request: Request): Promise<Response> {
    session.usedMs = performance.now();
    const response = await session.transport.handleRequest(request);
    if (request.method !== "GET" || response.body === null || !response.ok) return response;
    session.streams += 1;
    request.signal.addEventListener("abort", () => {
      session.streams -= 1;
      session.usedMs = performance.now();
    });
    // Bun sends the headers with the first bytes. Until then a client would not know that its stream is open.
    const opening = new TransformStream<Uint8Array, Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(": open\n\n")),
    });
    return new Response(response.body.pipeThrough(opening), { status: response.status, headers: response.headers });
  }

  #closeIdle(limitMs: number): void {
    const now = performance.now();
    for (const [id, session] of this.#sessions) {
      if (session.streams > 0 || now - session.usedMs < limitMs) continue;
      this.#sessions.delete(id);
      void session.transport.close();
      this.#options.log.debug("an idle HTTP session was closed", { session: id });
    }
  }
}

function noSession(method: string): Response {
  if (method === "GET" || method === "DELETE") {
    return problem(400, null, INVALID_REQUEST, `a session is wanted: initialize one, then send its ${SESSION_HEADER}`);
  }
  return new Response(null, { status: 405, headers: { allow: "GET, POST, DELETE" } });
}

/** The request's JSON, or the answer to what is none. */
async function readBody(request: Request): Promise<{ value: unknown } | Response> {
  try {
    return { value: await request.json() };
  } catch {
    return problem(400, null, PARSE_ERROR, "the body is not JSON");
  }
}

function problem(status: number, id: unknown, code: number, message: string): Response {
  const echoed = typeof id === "string" || typeof id === "number" ? id : null;
  return Response.json({ jsonrpc: "2.0", id: echoed, error: { code, message } }, { status });
}
