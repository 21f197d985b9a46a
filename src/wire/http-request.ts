import { boundedText } from "./bounded-text.ts";
import { isObject, viewFrame } from "./frame.ts";

/** Servers redirect to add a slash or to change a path; more redirects than this are a loop. */
const MAX_REDIRECTS = 3;
/** Limit on the part of a response body that is quoted in an error. */
const MAX_REASON_CHARACTERS = 300;
const KEEPS_METHOD_AND_BODY = new Set([307, 308]);

/**
 * `fetch` for requests to an upstream. It has no timeout, and follows only redirects that keep method and body and stay on
 * the same origin, because no other server may see the headers.
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

/** Whether the connection was refused, so that the request certainly has not run. */
export function isRefusedConnection(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

/** Whether the same request may succeed later: the server is busy, restarting, or behind a gateway that cannot reach it. */
export function isTemporary({ status }: Response): boolean {
  return [408, 425, 429].includes(status) || (status >= 500 && ![501, 505].includes(status));
}

/** Whether a response is a stream of events. */
export function isEventStream(response: Response): boolean {
  return response.ok && (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
}

/** An HTTP response that is not successful. */
class UnsuccessfulResponse extends Error {
  readonly body: string;
  /** The id, as JSON, of the request that the body responds to, if it is a JSON-RPC response. */
  readonly answers: string | undefined;

  constructor(status: number, body: string) {
    const view = viewFrame(body);
    const error = view.kind === "response" ? view.message["error"] : undefined;
    const message = isObject(error) ? error["message"] : undefined;
    const said = typeof message === "string" ? message : body;
    super(`HTTP ${status}${said === "" ? "" : `: ${said.slice(0, MAX_REASON_CHARACTERS)}`}`);
    this.body = body;
    this.answers = view.kind === "response" ? view.key : undefined;
  }
}

/** Reads the response to a request that did not succeed. */
export async function unsuccessful(response: Response): Promise<UnsuccessfulResponse> {
  const body = await boundedText(response).catch(() => "");
  return new UnsuccessfulResponse(response.status, body);
}

/** Why a request has failed, in words for people. */
export function reasonOf(error: unknown): string {
  if (isRefusedConnection(error)) return "the connection was refused";
  return error instanceof Error ? error.message : String(error);
}
