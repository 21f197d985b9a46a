import { actorOf } from "./caller.ts";
import { instructions } from "./instructions.ts";
import {
  HEADER_MISMATCH,
  INVALID_PARAMS,
  METHOD_NOT_FOUND,
  UNSUPPORTED_VERSION,
  jsonRpcError,
  protocolError,
} from "./protocol-error.ts";
import type { ProtocolError } from "./protocol-error.ts";
import { answerRequest, capabilities, methodOf } from "./requests.ts";
import type { McpServerOptions } from "./server.ts";
import { DISCOVER, LISTEN, serverInfo, serverName } from "./server-info.ts";
import { INVALID_REQUEST, isObject } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";

// MCP 2026-07-28: every request stands alone and says in `_meta` which revision it speaks, who asks, and what the client can
// do. This file knows that envelope; it is written by hand because the SDK's handler for it brings its own sessions, its own
// parsing of frames and a second validation of every result.

type Json = Record<string, unknown>;
type Request = Extract<FrameView, { kind: "request" }>;

const STATELESS_VERSIONS: readonly string[] = ["2026-07-28"];
const META = "io.modelcontextprotocol/";
const VERSION = `${META}protocolVersion`;
const CLIENT = `${META}clientInfo`;
const CAPABILITIES = `${META}clientCapabilities`;
const SERVER = `${META}serverInfo`;
export const SUBSCRIPTION = `${META}subscriptionId`;

/** The startup context is part of the answer, and a client that discovers again should see its latest content. */
const DISCOVER_CACHE = { ttlMs: 0, cacheScope: "private" };

/**
 * Whether a message, or one of a batch, names its revision in `_meta`, rightly or not. An `initialize` begins a session all
 * the same, unless it names a revision that has none.
 */
export function claimsStateless(view: FrameView): boolean {
  if (view.kind === "batch") return view.messages.some(claimsStateless);
  if (view.kind !== "request" && view.kind !== "notification") return false;
  const claim = metaOf(view.message)[VERSION];
  if (view.method === "initialize") return typeof claim === "string" && isStatelessVersion(claim);
  return claim !== undefined;
}

/** Whether a text names a revision without sessions, known or future. */
export function isStatelessVersion(version: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= "2026-07-28";
}

/**
 * The error of a request whose envelope is wrong, if it is. `header` is the revision named beside the message, by HTTP's
 * header.
 */
export function envelopeError(view: Request, header?: string): ProtocolError | undefined {
  if (!["string", "number"].includes(typeof view.message["id"]))
    return protocolError(INVALID_REQUEST, "the id of a request must be a string or a number");
  const meta = metaOf(view.message);
  const { [VERSION]: version, [CLIENT]: client, [CAPABILITIES]: declared } = meta;
  if (typeof version !== "string") return invalidMeta(VERSION, "must name the revision, such as 2026-07-28");
  if (header !== undefined && header !== version) {
    const message = `the header MCP-Protocol-Version is ${quoted(header)}, but _meta names ${quoted(version)}`;
    return protocolError(HEADER_MISMATCH, message);
  }
  if (!STATELESS_VERSIONS.includes(version)) {
    const message = `the revision ${quoted(version)} is not supported without a session`;
    return protocolError(UNSUPPORTED_VERSION, message, { supported: STATELESS_VERSIONS, requested: version });
  }
  if (!isObject(declared)) return invalidMeta(CAPABILITIES, "must be an object, such as {}");
  if (client !== undefined && !isImplementation(client)) return invalidMeta(CLIENT, "must have a name and a version");
  return undefined;
}

/** A text from outside, quoted in an error; a limit keeps the error short. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200).toWellFormed());
}

/** Answers requests that stand alone: any of them may reach any server of the same database. */
export class Stateless {
  readonly #options: McpServerOptions;

  constructor(options: McpServerOptions) {
    this.#options = options;
  }

  /** Whether there is such a method; `subscriptions/listen` belongs to the wire, which keeps its stream. */
  handles(method: string): boolean {
    return method === DISCOVER || method === LISTEN || methodOf(method) !== undefined;
  }

  /** The response to a request with a right envelope, from a network address. Never throws. */
  async answer(view: Request, signal: AbortSignal, address: string | null = null): Promise<string> {
    try {
      return this.result(view, await this.#resultOf(view, signal, address));
    } catch (thrown) {
      return errorResponse(view, jsonRpcError(thrown));
    }
  }

  /** A response frame. */
  result(view: Request, result: Json): string {
    const own = isObject(result["_meta"]) ? result["_meta"] : {};
    const meta = { [SERVER]: serverName(this.#options.version), ...own };
    return JSON.stringify({
      jsonrpc: "2.0",
      id: view.id,
      result: { resultType: "complete", ...result, _meta: meta },
    });
  }

  async #resultOf(view: Request, signal: AbortSignal, address: string | null): Promise<Json> {
    const { store, log, version } = this.#options;
    const { method, message } = view;
    if (method === DISCOVER) {
      return {
        supportedVersions: STATELESS_VERSIONS,
        capabilities,
        instructions: await instructions(store, log),
        ...DISCOVER_CACHE,
        _meta: { [SERVER]: serverInfo(version) },
      };
    }
    const known = methodOf(method);
    if (!known) throw noMethod(method);
    const client = metaOf(message)[CLIENT];
    const caller = {
      actor: actorOf(null, isImplementation(client) ? client : undefined, address),
      requestId: message["id"] as string | number,
      signal,
      takesLinks: true,
    };
    return { ...(await answerRequest(method, message["params"], caller, this.#options)), ...known.cache };
  }
}

export function noMethod(method: string): ProtocolError {
  return protocolError(METHOD_NOT_FOUND, `there is no method ${quoted(method)}`);
}

/** An error response; the id is the request's, unless it is none that a response may have. */
export function errorResponse(view: FrameView, error: { code: number; message: string; data?: object }): string {
  const given = view.kind === "request" ? view.message["id"] : undefined;
  const id = view.kind === "request" && ["string", "number"].includes(typeof given) ? view.id : null;
  return JSON.stringify({ jsonrpc: "2.0", id, error });
}

function metaOf(message: Json): Json {
  const params = message["params"];
  const meta = isObject(params) ? params["_meta"] : undefined;
  return isObject(meta) ? meta : {};
}

function isImplementation(value: unknown): value is { name: string; version: string } {
  return isObject(value) && typeof value["name"] === "string" && typeof value["version"] === "string";
}

function invalidMeta(key: string, rule: string): ProtocolError {
  return protocolError(INVALID_PARAMS, `params._meta["${key}"] ${rule}`);
}
