import { DeweyError } from "../errors.ts";
import { withoutSecrets } from "../wire/address.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isLoopback } from "../loopback.ts";

/** Where a server is, and the token for it, if any. */
export interface Address {
  url: string;
  token: string | undefined;
}

/** A server that takes longer than this to report its health is not healthy. */
const HEALTH_DEADLINE_MS = 5000;

/** What a server or proxy can be asked about itself. */
export type Probe = "/healthz" | "/livez" | "/readyz";

interface Asked {
  token?: string | undefined;
  probe?: Probe;
  tls?: { rejectUnauthorized?: boolean };
}

/**
 * Requests `/healthz` of the server or proxy at a WebSocket address; undefined when nothing answers. One that has a token
 * tells more than its status only to those who send it.
 */
export async function askHealth(
  webSocketUrl: string,
  { token, probe = "/healthz", tls = {} }: Asked = {},
): Promise<Response | undefined> {
  try {
    const signal = AbortSignal.timeout(HEALTH_DEADLINE_MS);
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return await fetch(httpAddress(webSocketUrl, probe), { signal, tls, headers });
  } catch {
    return undefined;
  }
}

/**
 * Asks like `askHealth`. A server of this machine is found with TLS too, whatever name its certificate is for, because a health
 * check in its container knows only its port; only one whose certificate is right gets the token.
 */
export async function askProbe({ url, token }: Address, probe: Probe): Promise<Response | undefined> {
  const answer = await askHealth(url, { token, probe });
  if (answer !== undefined || !isLoopback(new URL(url).hostname)) return answer;
  return askHealth(url.replace(/^ws:/, "wss:"), { probe, tls: { rejectUnauthorized: false } });
}

/**
 * The address and the health of the proxy at a port of this machine, with TLS or without: its settings may stand in its own
 * environment only. Undefined when none answers there.
 */
export async function proxyAt(
  port: number,
  token: string | undefined,
): Promise<{ url: string; health: Json } | undefined> {
  for (const scheme of ["ws", "wss"]) {
    const url = `${scheme}://localhost:${port}`;
    // Its certificate may be for the name that other machines know it by; then it does not get the token.
    const answer = (await askHealth(url, { token })) ?? (await askHealth(url, { tls: { rejectUnauthorized: false } }));
    const said: unknown = await answer?.json().catch(() => undefined);
    if (isObject(said) && "recorder" in said) return { url, health: said };
  }
  return undefined;
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

/** What to do when no server answers at an address of another machine. */
export const REMOTE_REMEDY = "start one there, or correct DEWEY_URL";

/** Whether a server or a proxy of Dewey's says so of its health, and not another program. */
export function isHealth(text: string): boolean {
  try {
    const said: unknown = JSON.parse(text);
    return isObject(said) && "status" in said;
  } catch {
    return false;
  }
}

/** The complaint about another program at a server's address, with the remedy. */
export function notDewey(url: string): string {
  return `a program that is not Dewey answers at ${withoutSecrets(url)}; stop it, or correct DEWEY_URL`;
}

/**
 * Explains why the server cannot be reached: nothing answers, or the token is missing or wrong. Undefined when neither is
 * the case.
 */
export async function whyUnreachable({ url, token }: Address): Promise<DeweyError | undefined> {
  const answer = await askHealth(url);
  if (answer === undefined) {
    const remedy = isLoopback(new URL(url).hostname) ? "start one with: dewey up" : REMOTE_REMEDY;
    return new DeweyError("unavailable", `no Dewey server answers at ${withoutSecrets(url)}; ${remedy}`);
  }
  if (answer.status !== 401 && !isHealth(await answer.text())) return new DeweyError("unavailable", notDewey(url));
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { status } = await fetch(httpAddress(url, "/metrics"), { headers });
  if (status !== 401) return undefined;
  const complaint =
    token === undefined ? "requires a token; set DEWEY_TOKEN" : "rejects the token; correct DEWEY_TOKEN";
  return new DeweyError("unauthorized", `the Dewey server at ${withoutSecrets(url)} ${complaint}`);
}
