import { createHash, timingSafeEqual } from "node:crypto";

export interface GuardOptions {
  /** The token that clients must send; none when undefined. */
  token?: string;
  /** Web origins that may connect. */
  allowedOrigins: readonly string[];
  /** Whether the port is bound to loopback: then the Host header must name this machine. */
  loopback: boolean;
}

/** Returns the refusal of a request, or undefined for one that may pass. `open` routes need no token. */
export type Guard = (request: Request, options?: { open?: boolean }) => Response | undefined;

const localNames = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Guards every route. Any web page can open a WebSocket or send a request to localhost, and an attacker can make a domain
 * resolve to it, so Origin and Host are checked before anything else.
 */
export function createGuard(options: GuardOptions): Guard {
  const expected = options.token === undefined ? undefined : digest(options.token);
  return (request, { open = false } = {}) => {
    const origin = request.headers.get("origin");
    if (origin !== null && !options.allowedOrigins.includes(origin)) {
      return refusal(403, "this Origin is not allowed; DEWEY_ALLOWED_ORIGINS lists the allowed ones");
    }
    if (options.loopback && !localNames.has(hostName(request))) {
      return refusal(403, "this Host does not name the address that Dewey listens on; use localhost");
    }
    if (open || expected === undefined || timingSafeEqual(digest(bearer(request)), expected)) return undefined;
    return refusal(401, "a token is required: send it as Authorization: Bearer TOKEN", {
      "www-authenticate": "Bearer",
    });
  };
}

/** Whether an address can be reached only from this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** An HTTP error as a small JSON object. */
export function refusal(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: message }, { status, headers });
}

/** Hashes have the same length, so comparing them does not reveal the token's. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function bearer(request: Request): string {
  return /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

function hostName(request: Request): string {
  return (request.headers.get("host") ?? "").replace(/:\d+$/, "").toLowerCase();
}
