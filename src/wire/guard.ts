import { createHash, timingSafeEqual } from "node:crypto";

export interface GuardOptions {
  /** What clients must show; absent when they need not. */
  token?: string;
  /** Web origins that may connect. */
  allowedOrigins: readonly string[];
  /** Bound to loopback: then only requests that name this machine are meant for us. */
  loopback: boolean;
}

/** Answers a request that must not pass, and undefined for one that may. `open` routes need no token. */
export type Guard = (request: Request, options?: { open?: boolean }) => Response | undefined;

const localNames = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Guards every route alike. Any web page can open a WebSocket or send a request to localhost, and a name that an attacker
 * controls can be made to point there, so Origin and Host are looked at before anything else.
 */
export function createGuard(options: GuardOptions): Guard {
  const expected = options.token === undefined ? undefined : digest(options.token);
  return (request, { open = false } = {}) => {
    const origin = request.headers.get("origin");
    if (origin !== null && !options.allowedOrigins.includes(origin)) {
      return refusal(403, "this Origin may not connect; DEWEY_ALLOWED_ORIGINS names those that may");
    }
    if (options.loopback && !localNames.has(hostName(request))) {
      return refusal(403, "this Host is not the address that the request came to; use localhost");
    }
    if (open || expected === undefined || timingSafeEqual(digest(bearer(request)), expected)) return undefined;
    return refusal(401, "a token is wanted: send it as Authorization: Bearer TOKEN", { "www-authenticate": "Bearer" });
  };
}

/** Whether an address can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** A refusal or another error of a route, as small JSON. */
export function refusal(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: message }, { status, headers });
}

/** Hashes have one length, so that comparing them tells nothing of the token's. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function bearer(request: Request): string {
  return /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

function hostName(request: Request): string {
  return (request.headers.get("host") ?? "").replace(/:\d+$/, "").toLowerCase();
}
