import type { Server } from "bun";
import type { Log } from "../log.ts";
import { errorFrame, viewFrame } from "../wire/frame.ts";
import { withoutSecrets } from "../wire/websocket.ts";
import type { Tap } from "./session.ts";
import { SseReader } from "./sse.ts";
import type { Upstream } from "./upstreams.ts";

const SESSION_HEADER = "mcp-session-id";
const UPSTREAM_UNREACHABLE = -32_023;
/** A session whose client never says DELETE is forgotten after so long without a request or an open stream. */
const IDLE_LIMIT_MS = 30 * 60_000;
const IDLE_CHECK_MS = 60_000;

/** What of a request belongs to the connection with us, or is replaced by what the upstream's entry says. */
const hopHeaders = new Set(
  "host connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade content-length accept-encoding authorization origin cookie".split(
    " ",
  ),
);
/** Of a response likewise; fetch has taken the body's encoding off. */
const responseHopHeaders = new Set(
  "connection keep-alive transfer-encoding content-length content-encoding set-cookie".split(" "),
);

export interface HttpRelayOptions {
  upstream: Upstream & { wire: "websocket" | "http" };
  log: Log;
  tap(sessionKey: string | undefined): Tap;
  /** Told when the upstream answers, and when it does not, with the reason. */
  saw(reason: string | undefined): void;
}

interface Session {
  tap: Tap;
  usedMs: number;
  streams: number;
}

/**
 * Forwards Streamable HTTP to Streamable HTTP: bodies as they are, headers but for those of the connection, session ids
 * as the upstream gives them. Nothing of MCP is interpreted on the way, so revisions that Dewey does not know pass; the
 * tap reads bodies and event streams beside. An upstream without session ids makes one session of each client's request.
 */
export class HttpRelay {
  readonly #options: HttpRelayOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #idleCheck: ReturnType<typeof setInterval>;

  constructor(options: HttpRelayOptions) {
    this.#options = options;
    this.#idleCheck = setInterval(() => this.#forgetIdle(), IDLE_CHECK_MS);
    this.#idleCheck.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  async stop(): Promise<void> {
    clearInterval(this.#idleCheck);
    for (const id of this.#sessions.keys()) this.#forget(id, "the proxy is stopping");
  }

  async handle(request: Request, server: Server<unknown>, sessionKey: string | undefined): Promise<Response> {
    server.timeout(request, 0);
    const id = request.headers.get(SESSION_HEADER);
    const known = id === null ? undefined : this.#sessions.get(id);
    const session = known ?? { tap: this.#options.tap(sessionKey), usedMs: 0, streams: 0 };
    session.usedMs = performance.now();
    const body = request.method === "POST" ? await request.text() : undefined;
    if (body !== undefined) await tapped(session.tap, "up", body);
    const response = await this.#forward(request, body);
    this.#options.saw(response instanceof Error ? response.message : undefined);
    if (response instanceof Error) return this.#unreachable(session.tap, body, response);
    const given = response.headers.get(SESSION_HEADER);
    if (given !== null && !this.#sessions.has(given)) this.#sessions.set(given, session);
    if (id !== null && (request.method === "DELETE" || response.status === 404))
      this.#forget(id, "the client ended it");
    return this.#answer(response, session, given === null && !known);
  }

  async #forward(request: Request, body: string | undefined): Promise<Response | Error> {
    const { url, headers } = this.#options.upstream;
    const forwarded = new Headers([...request.headers].filter(([name]) => !hopHeaders.has(name)));
    for (const [name, value] of Object.entries(headers)) forwarded.set(name, value);
    try {
      return await fetch(url, {
        method: request.method,
        headers: forwarded,
        ...(body === undefined ? {} : { body }),
        signal: request.signal,
        redirect: "manual",
        // A stream may be quiet for as long as it likes.
        timeout: false,
      });
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** What was asked is answered by an error that names the upstream, as on every other wire. */
  async #unreachable(tap: Tap, body: string | undefined, error: Error): Promise<Response> {
    const { name, url } = this.#options.upstream;
    this.#options.log.warn("the upstream is not available", { upstream: name, address: withoutSecrets(url), error });
    const view = viewFrame(body ?? "");
    const text = errorFrame(
      view.kind === "request" ? view.id : null,
      UPSTREAM_UNREACHABLE,
      `the upstream ${name} is not available: ${withoutSecrets(url)} cannot be reached`,
    );
    await tapped(tap, "down", text);
    return new Response(text, { status: 502, headers: { "content-type": "application/json" } });
  }

  async #answer(response: Response, session: Session, isAlone: boolean): Promise<Response> {
    const headers = new Headers([...response.headers].filter(([name]) => !responseHopHeaders.has(name)));
    const { status } = response;
    const over = () => {
      if (isAlone) session.tap.closed("the request was answered");
    };
    if (response.body !== null && response.headers.get("content-type")?.startsWith("text/event-stream")) {
      return new Response(this.#tapStream(response.body, session, over), { status, headers });
    }
    const text = await response.text();
    if (response.headers.get("content-type")?.startsWith("application/json")) await tapped(session.tap, "down", text);
    over();
    return new Response(status === 204 || status === 304 ? null : text, { status, headers });
  }

  /** Events go on byte for byte, each when the tap has taken it. */
  #tapStream(body: ReadableStream<Uint8Array>, session: Session, over: () => void): ReadableStream<Uint8Array> {
    const reader = new SseReader();
    session.streams += 1;
    const done = () => {
      session.streams -= 1;
      session.usedMs = performance.now();
      over();
    };
    const input = body.getReader();
    return new ReadableStream({
      async pull(controller) {
        try {
          const { done: ended, value } = await input.read();
          if (ended) {
            done();
            controller.close();
            return;
          }
          for (const data of reader.push(value)) await tapped(session.tap, "down", data);
          controller.enqueue(value);
        } catch (error) {
          done();
          controller.error(error);
        }
      },
      async cancel(reason) {
        done();
        await input.cancel(reason).catch(() => {});
      },
    });
  }

  #forgetIdle(): void {
    const now = performance.now();
    for (const [id, session] of this.#sessions) {
      if (session.streams === 0 && now - session.usedMs > IDLE_LIMIT_MS) this.#forget(id, "nobody used it any more");
    }
  }

  #forget(id: string, reason: string): void {
    this.#sessions.get(id)?.tap.closed(reason);
    this.#sessions.delete(id);
  }
}

function tapped(tap: Tap, direction: "up" | "down", text: string): Promise<void> {
  return new Promise((resolve) => tap.frame(direction, text, resolve));
}
