import { DeweyError } from "../errors.ts";
import { withoutSecrets } from "../wire/address.ts";
import { isLoopback } from "../wire/host.ts";

/** Where a server is, and the token for it, if any. */
export interface Address {
  url: string;
  token: string | undefined;
}

/** A server that takes longer than this to report its health is not healthy. */
const HEALTH_DEADLINE_MS = 5000;

/** Requests `/healthz` of the server or proxy at a WebSocket address; undefined when nothing answers. */
export async function askHealth(webSocketUrl: string): Promise<Response | undefined> {
  try {
    return await fetch(httpAddress(webSocketUrl, "/healthz"), { signal: AbortSignal.timeout(HEALTH_DEADLINE_MS) });
  } catch {
    return undefined;
  }
}

/** The port of a WebSocket address. */
export function portOf(webSocketUrl: string): number {
  const { port, protocol } = new URL(webSocketUrl);
  return Number(port) || (protocol === "wss:" ? 443 : 80);
}

/** The HTTP address of a route of the server or proxy at a WebSocket address. */
export function httpAddress(webSocketUrl: string, path: string): URL {
  const url = new URL(webSocketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = path;
  return url;
}

/**
 * Explains why the server cannot be reached: nothing answers, or the token is missing or wrong. Undefined when neither is
 * the case.
 */
export async function whyUnreachable({ url, token }: Address): Promise<DeweyError | undefined> {
  if ((await askHealth(url)) === undefined) {
    const remedy = isLoopback(new URL(url).hostname)
      ? "start one with: dewey serve"
      : "start one there, or correct DEWEY_URL";
    return new DeweyError("unavailable", `no Dewey server answers at ${withoutSecrets(url)}; ${remedy}`);
  }
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { status } = await fetch(httpAddress(url, "/metrics"), { headers });
  if (status !== 401) return undefined;
  const complaint =
    token === undefined ? "requires a token; set DEWEY_TOKEN" : "rejects the token; correct DEWEY_TOKEN";
  return new DeweyError("unauthorized", `the Dewey server at ${withoutSecrets(url)} ${complaint}`);
}
