import type { Server } from "bun";
import { EventBody } from "../wire/event-body.ts";
import { INVALID_REQUEST } from "../wire/frame.ts";
import type { FrameView, ViewedFrame } from "../wire/frame.ts";
import { METHOD_HEADER, NAME_HEADER, VERSION_HEADER, fromHeaderValue } from "../wire/headers.ts";
import { onLeave } from "../wire/leaving.ts";
import { SSE_COMMENT, sseEvent } from "../wire/sse.ts";
import { HEADER_MISMATCH, jsonRpcError, protocolError } from "./protocol-error.ts";
import type { ProtocolError } from "./protocol-error.ts";
import { methodOf } from "./requests.ts";
import { LISTEN } from "./server-info.ts";
import { claimsStateless, envelopeError, errorResponse, isStatelessVersion, noMethod, quoted } from "./stateless.ts";
import type { Stateless } from "./stateless.ts";
import type { Subscriptions } from "./subscriptions.ts";

type ValidView = Exclude<FrameView, { kind: "invalid" }>;
type AskedRequest = Extract<FrameView, { kind: "request" }>;

/** Interval of comments on a subscription's stream, which proxies in between would close. */
const KEEP_ALIVE_MS = 15_000;
/** A client that asked within this time counts as present, since it keeps no connection open. */
const PRESENCE_MS = 60_000;

const streamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** Streamable HTTP of 2026-07-28: each request is a POST that stands alone, its headers repeat parts of its body. */
export class StatelessHttp {
  readonly #stateless: Stateless;
  readonly #subscriptions: Subscriptions;
  readonly #keepAliveMs: number;
  #askedMs = -Infinity;

  constructor(stateless: Stateless, subscriptions: Subscriptions, keepAliveMs = KEEP_ALIVE_MS) {
    this.#stateless = stateless;
    this.#subscriptions = subscriptions;
    this.#keepAliveMs = keepAliveMs;
  }

  /** Whether a client has asked recently. */
  get isInUse(): boolean {
    return performance.now() - this.#askedMs < PRESENCE_MS;
  }

  /** The refusal of a request that is no POST but of this revision, which has no stream or session to open or end. */
  refuseMethod(request: Request): Response | undefined {
    if (!isStatelessVersion(request.headers.get(VERSION_HEADER) ?? "")) return undefined;
    return new Response(null, { status: 405, headers: { allow: "POST" } });
  }

  /** Answers a POST of this revision; returns undefined for one of the revisions with sessions. */
  handle(request: Request, server: Server<unknown>, { view }: ViewedFrame): Response | Promise<Response> | undefined {
    const version = request.headers.get(VERSION_HEADER) ?? undefined;
    if (!claimsStateless(view) && !isStatelessVersion(version ?? "")) return undefined;
    if (view.kind === "invalid") return undefined;
    this.#askedMs = performance.now();
    const refused = this.#refusal(request.headers, version, view);
    if (refused) return refused;
    if (view.kind !== "request") return new Response(null, { status: 202 });
    // Bun would close a connection that is idle for long.
    server.timeout(request, 0);
    return view.method === LISTEN
      ? this.#listen(request, view)
      : this.#answer(request, view, server.requestIP(request)?.address ?? null);
  }

  #refusal(headers: Headers, version: string | undefined, view: ValidView): Response | undefined {
    if (view.kind === "batch" || view.kind === "response")
      return problem(400, view, protocolError(INVALID_REQUEST, "the body must be one request or notification"));
    if (view.kind !== "request") {
      const error = headers.has(METHOD_HEADER) ? methodMismatch(headers, view) : undefined;
      return error && problem(400, view, error);
    }
    if (!/^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? ""))
      return problem(415, view, protocolError(INVALID_REQUEST, "the header Content-Type must be application/json"));
    const wrong = envelopeError(view, version) ?? headerError(headers, version, view);
    if (wrong) return problem(400, view, wrong);
    if (!this.#stateless.handles(view.method)) return problem(404, view, noMethod(view.method));
    return undefined;
  }

  async #answer(request: Request, view: AskedRequest, address: string | null): Promise<Response> {
    return json(200, await this.#stateless.answer(view, request.signal, address));
  }

  #listen(request: Request, view: AskedRequest): Response {
    let cancel = () => {};
    const keepAlive = setInterval(() => {
      if (body.queuedBytes === 0) body.write(SSE_COMMENT);
    }, this.#keepAliveMs);
    const body = new EventBody({
      taken: () => {},
      over: () => {
        clearInterval(keepAlive);
        cancel();
      },
    });
    try {
      cancel = this.#subscriptions.open({
        view,
        write: (frame) => body.write(sseEvent(undefined, frame)),
        ended: () => body.end(),
      });
    } catch (thrown) {
      clearInterval(keepAlive);
      return json(200, errorResponse(view, jsonRpcError(thrown)));
    }
    // The client may have left while its request was read.
    onLeave(request.signal, () => body.end());
    return new Response(body.stream, { headers: streamHeaders });
  }
}

/** The error of a request whose headers do not repeat its body. */
function headerError(headers: Headers, version: string | undefined, view: AskedRequest): ProtocolError | undefined {
  if (version === undefined) return missing("MCP-Protocol-Version");
  const wrongMethod = methodMismatch(headers, view);
  if (wrongMethod) return wrongMethod;
  const field = methodOf(view.method)?.named;
  const params = view.message["params"] as Record<string, unknown>;
  const name = field === undefined ? undefined : params[field];
  if (typeof name !== "string") return undefined;
  const given = headers.get(NAME_HEADER);
  if (given === null) return missing("Mcp-Name");
  const decoded = fromHeaderValue(given);
  if (decoded === undefined)
    return protocolError(
      HEADER_MISMATCH,
      `the header Mcp-Name is neither plain ASCII nor right base64: ${quoted(given)}`,
    );
  if (decoded === name) return undefined;
  return protocolError(
    HEADER_MISMATCH,
    `the header Mcp-Name is ${quoted(decoded)}, but params.${field} is ${quoted(name)}`,
  );
}

function methodMismatch(headers: Headers, { method }: { method: string }): ProtocolError | undefined {
  const given = headers.get(METHOD_HEADER);
  if (given === null) return missing("Mcp-Method");
  if (given === method) return undefined;
  return protocolError(
    HEADER_MISMATCH,
    `the header Mcp-Method is ${quoted(given)}, but the method is ${quoted(method)}`,
  );
}

function missing(header: string): ProtocolError {
  return protocolError(HEADER_MISMATCH, `the header ${header} is missing; it must repeat the body's value`);
}

function problem(status: number, view: FrameView, thrown: ProtocolError): Response {
  return json(status, errorResponse(view, jsonRpcError(thrown)));
}

function json(status: number, body: string): Response {
  return new Response(body, { status, headers: { "content-type": "application/json" } });
}
