import type { Server } from "bun";
import { within } from "../deadline.ts";
import { INVALID_REQUEST, errorFrame, isObject } from "./frame.ts";
import type { FrameView, ViewedFrame } from "./frame.ts";
import type { HttpSessionLink } from "./http-session.ts";
import type { AnswerForm } from "./session-stream.ts";
import { onLeave } from "./leaving.ts";
import { VERSION_HEADER } from "./headers.ts";
import { claimedVersion, headerMismatch, identityOf } from "./mirrored-headers.ts";
import { peerOf } from "./peer.ts";

type AskedRequest = FrameView & { kind: "request" };

/** The first revision whose requests stand alone. */
const FIRST_LONE_VERSION = "2026-07-28";
const DISCOVER = "server/discover";
const METHOD_NOT_FOUND = -32_601;
const INVALID_PARAMS = -32_602;
/** MCP's codes for headers that do not repeat the body, for a missing capability and for a revision that is not spoken. */
const HEADER_MISMATCH = -32_020;
const refusals = new Set([HEADER_MISMATCH, -32_021, -32_022]);
/**
 * How long a server may take to say which revisions it speaks. Some of the earlier ones never answer what precedes
 * `initialize`, and a client over HTTP initializes only after a refusal. Codex stops waiting after ten seconds.
 */
const DISCOVER_LIMIT_MS = 8000;

export interface LoneRequestsOptions {
  /** Opens the link of a client; undefined when there may be no more. */
  open(request: Request): HttpSessionLink | undefined;
  /** The headers of a response that is a stream. */
  streamHeaders: Record<string, string>;
  discoverLimitMs?: number | undefined;
}

/** A request, and where its answer comes from. */
interface Asked {
  view: AskedRequest;
  link: HttpSessionLink;
  stream: ReadableStream<Uint8Array>;
  form: Promise<AnswerForm>;
}

/**
 * Requests of 2026-07-28, each a POST that stands alone, for a server behind a connection. Those of one client share a link,
 * so that a command starts once, and what the client does is recorded as one session. A client whose server turned out to
 * speak only earlier revisions keeps its link for the session that it then initializes.
 */
export class LoneRequests {
  readonly #options: LoneRequestsOptions;
  /** The links of each client: several when requests in flight have the same id. */
  readonly #links = new Map<string, Set<HttpSessionLink>>();
  /** Links over which the server was only asked for its revisions and has not named them, with their peers. */
  readonly #undiscovered = new Map<HttpSessionLink, string>();

  constructor(options: LoneRequestsOptions) {
    this.#options = options;
  }

  /** Answers a POST that claims to stand alone. */
  async handle(request: Request, server: Server<unknown>, { text, view }: ViewedFrame): Promise<Response> {
    const id = view.kind === "request" ? view.id : null;
    if (typeof claimedVersion(view) !== "string")
      return answer(
        400,
        errorFrame(id, INVALID_PARAMS, "params._meta must name the revision of MCP, such as 2026-07-28"),
      );
    const mismatch = headerMismatch(request.headers, view);
    if (mismatch !== undefined) return answer(400, errorFrame(id, HEADER_MISMATCH, mismatch));
    const address = server.requestIP(request)?.address;
    // A server behind a connection settles on one revision there.
    const facts = [new URL(request.url).search, identityOf(view), claimedVersion(view)];
    const client = peerOf(request, address, facts);
    if (view.kind !== "request") {
      const [link] = this.#links.get(client) ?? [];
      link?.take(text);
      return new Response(null, { status: 202 });
    }
    if (!["string", "number"].includes(typeof view.message["id"]))
      return answer(400, errorFrame(null, INVALID_REQUEST, "the id of a request must be a string or a number"));
    const asked = this.#ask(request, { text, view, client });
    if (!asked)
      return answer(503, errorFrame(id, INVALID_REQUEST, "too many clients are connected; try again in a moment"));
    if (view.method !== DISCOVER) this.#undiscovered.delete(asked.link);
    else if (!asked.isKnown) this.#undiscovered.set(asked.link, peerOf(request, address));
    return this.#answer(request, asked);
  }

  /** The link for a session of this request's sender, if its server was only asked for the revisions that it speaks. */
  adopt(request: Request, server: Server<unknown>): HttpSessionLink | undefined {
    const peer = peerOf(request, server.requestIP(request)?.address);
    const [link] = [...this.#undiscovered].find((each) => each[1] === peer) ?? [];
    if (!link) return undefined;
    this.forget(link);
    link.isSession = true;
    return link;
  }

  /** Forgets a link that has closed or become a session's. */
  forget(link: HttpSessionLink): void {
    this.#undiscovered.delete(link);
    for (const [client, links] of this.#links) if (links.delete(link) && links.size === 0) this.#links.delete(client);
  }

  #ask(
    request: Request,
    { text, view, client }: ViewedFrame & { view: AskedRequest; client: string },
  ): (Asked & { isKnown: boolean }) | undefined {
    const form = Promise.withResolvers<AnswerForm>();
    const isPatient = view.method === DISCOVER;
    const take = (link: HttpSessionLink) => {
      const stream = link.askAlone(text, view, { begin: form.resolve, isPatient });
      return stream && { view, link, stream, form: form.promise };
    };
    for (const link of this.#links.get(client) ?? []) {
      const asked = take(link);
      if (asked) return { ...asked, isKnown: true };
    }
    const link = this.#options.open(request);
    if (!link) return undefined;
    link.isSession = false;
    const asked = take(link);
    this.#links.set(client, (this.#links.get(client) ?? new Set()).add(link));
    return asked && { ...asked, isKnown: false };
  }

  async #answer(request: Request, { view, link, stream, form }: Asked): Promise<Response> {
    const isDiscovery = view.method === DISCOVER;
    const left = Promise.withResolvers<"left">();
    const forget = onLeave(request.signal, () => left.resolve("left"));
    const limitMs = this.#options.discoverLimitMs ?? DISCOVER_LIMIT_MS;
    const timely = isDiscovery ? within(limitMs, form, () => "late" as const) : form;
    const known = await Promise.race([left.promise, timely]);
    forget();
    if (known === "events") return new Response(stream, { headers: this.#options.streamHeaders });
    if (known === "left" || known === "late") {
      // Cancels the request.
      await stream.cancel();
      const late = `the server has not answered ${DISCOVER} in time; initialize a session`;
      return known === "late"
        ? answer(400, errorFrame(view.id, METHOD_NOT_FOUND, late))
        : new Response(null, { status: 499 });
    }
    const code = errorCode(known.frame);
    if (code === undefined) this.#undiscovered.delete(link);
    return answer(statusOf(code, isDiscovery), stream);
  }
}

/** Whether a POST without a session says that it needs none: in its message, rightly or not, or in its headers. */
export function standsAlone(request: Request, view: FrameView): boolean {
  const claimed = claimedVersion(view);
  if (view.kind === "request" && view.method === "initialize") return isLoneVersion(claimed);
  return claimed !== undefined || namesLoneVersion(request);
}

/** Whether a request's headers name a revision without sessions. */
export function namesLoneVersion({ headers }: Request): boolean {
  return isLoneVersion(headers.get(VERSION_HEADER));
}

function isLoneVersion(version: unknown): boolean {
  return typeof version === "string" && /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= FIRST_LONE_VERSION;
}

function errorCode(view: FrameView): unknown {
  const error = view.kind === "response" ? view.message["error"] : undefined;
  return isObject(error) ? (error["code"] ?? null) : undefined;
}

/** The HTTP status that goes with an error; clients fall back to a session when their question for revisions gets a 400. */
function statusOf(code: unknown, isDiscovery: boolean): number {
  if (code === undefined) return 200;
  if (isDiscovery || refusals.has(code as number)) return 400;
  return code === METHOD_NOT_FOUND ? 404 : 200;
}

function answer(status: number, body: string | ReadableStream<Uint8Array>): Response {
  return new Response(body, { status, headers: { "content-type": "application/json" } });
}
