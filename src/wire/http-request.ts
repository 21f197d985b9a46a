import { isObject, viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import { VERSION_HEADER } from "./headers.ts";

/** Servers move an endpoint by a slash, or from one path to another; more than a few steps are a circle. */
const MAX_REDIRECTS = 3;
/** Of an error's text, what is told. */
const MAX_REASON_CHARACTERS = 300;
const KEEPS_METHOD_AND_BODY = new Set([307, 308]);

/**
 * `fetch` for requests to an upstream: it waits for as long as the answer takes, and follows only redirects that keep the
 * request as it is and stay on the same server, since nobody else may see its headers.
 */
export async function fetchUpstream(address: string, init: RequestInit): Promise<Response> {
  let url = new URL(address);
  for (let step = 0; ; step++) {
    const response = await fetch(url.href, { ...init, redirect: "manual", timeout: false });
    const location = response.headers.get("location");
    if (!KEEPS_METHOD_AND_BODY.has(response.status) || location === null || step === MAX_REDIRECTS) return response;
    const next = URL.parse(location, url.href);
    if (next?.origin !== url.origin) return response;
    await response.body?.cancel();
    url = next;
  }
}

/** Whether nobody took the connection, so that it is certain that the request has not run. */
export function isRefusedConnection(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

/** An answer of HTTP that is no success. */
class Refusal extends Error {
  readonly body: string;
  /** The id, as JSON, of the request that the body is the answer to. */
  readonly answers: string | undefined;

  constructor(status: number, body: string) {
    const view = viewFrame(body);
    const error = view.kind === "response" ? view.message["error"] : undefined;
    const said = isObject(error) ? String(error["message"]) : body;
    super(`HTTP ${status}${said === "" ? "" : `: ${said.slice(0, MAX_REASON_CHARACTERS)}`}`);
    this.body = body;
    this.answers = view.kind === "response" ? view.key : undefined;
  }
}

/** Reads why a request was refused. */
export async function refusal(response: Response): Promise<Refusal> {
  const body = await response.text().catch(() => "");
  return new Refusal(response.status, body);
}

/** Why a request has failed, for a person. */
export function reasonOf(error: unknown): string {
  if (isRefusedConnection(error)) return "nobody listens there";
  return error instanceof Error ? error.message : String(error);
}

/** The revision without sessions (2026-07-28) wants in headers what its requests say in their bodies. */
export function statelessHeaders(view: FrameView): Record<string, string> {
  if (view.kind !== "request" && view.kind !== "notification") return {};
  const params = isObject(view.message["params"]) ? view.message["params"] : {};
  const meta = isObject(params["_meta"]) ? params["_meta"] : {};
  const version = meta["io.modelcontextprotocol/protocolVersion"];
  if (typeof version !== "string") return {};
  const name = params["name"] ?? params["uri"];
  return {
    [VERSION_HEADER]: version,
    "mcp-method": view.method,
    ...(typeof name === "string" && /^[ -~]+$/.test(name) ? { "mcp-name": name } : {}),
  };
}
