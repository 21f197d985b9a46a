import { isPreflight } from "./cors.ts";
import { isLoopback } from "../loopback.ts";
import { asHostName, hostName } from "./host.ts";
import { digest, isSecret } from "./secret.ts";

export interface GuardOptions {
  /** The token that clients must send; none when undefined. */
  token?: string;
  /** Web origins that may connect. */
  allowedOrigins: readonly string[];
  /** The address that the port listens on. */
  host: string;
  /** Further names of this machine that a Host header may give. */
  allowedHosts: readonly string[];
  /** Whether a request without the token may pass, because a page of this port's own sends a cookie that stands for it. */
  admits?: (request: Request) => boolean;
}

/** Returns the refusal of a request, or undefined for one that may pass. `open` routes need no token. */
export type Guard = (request: Request, options?: { open?: boolean }) => Response | undefined;

const localNames = ["localhost", "127.0.0.1", "[::1]"];
/** A browser says by which page a request was made: `none` is the person, and everything else another site. */
const ownSites = new Set(["none", "same-origin"]);

/**
 * Guards every route. Any web page can open a WebSocket or send a request to localhost, and an attacker can make a domain
 * resolve to it, so Origin, Sec-Fetch-Site and Host are checked before anything else. The Host need not be checked where a
 * token is required, which no page knows; beyond loopback the machine's names are not known either. A page of this port's
 * own may ask: its Origin is the Host, under a known name.
 */
export function createGuard(options: GuardOptions): Guard {
  const expected = options.token === undefined ? undefined : digest(options.token);
  const names = new Set([...localNames, ...[options.host, ...options.allowedHosts].map(asHostName)]);
  const checksHost = expected === undefined || isLoopback(options.host);
  return (request, { open = false } = {}) => {
    const host = request.headers.get("host") ?? "";
    const name = hostName(host);
    // Health checks of balancers may speak HTTP/1.0, where no Host is required.
    if (name === undefined && !(open && host === "")) return refusal(400, "the header Host must name a host");
    const own = name !== undefined && names.has(name) ? ownOrigins(host) : [];
    const refused = foreignPage(request, [...options.allowedOrigins, ...own]);
    if (refused) return refused;
    if (checksHost && name !== undefined && !names.has(name)) {
      return refusal(403, "this Host is not known; use localhost, or add the name to DEWEY_ALLOWED_HOSTS");
    }
    // No preflight carries a token, and without an Origin it is none.
    if (open || expected === undefined || isPreflight(request)) return undefined;
    if (isSecret(bearer(request), expected)) return undefined;
    if (isOwnPage(request, own) && options.admits?.(request)) return undefined;
    return refusal(401, "a token is required: send it as Authorization: Bearer TOKEN", {
      "www-authenticate": "Bearer",
    });
  };
}

/** The refusal of a request that a web page made which may not. */
function foreignPage({ headers }: Request, allowedOrigins: readonly string[]): Response | undefined {
  const origin = headers.get("origin");
  if (origin !== null) {
    if (allowedOrigins.includes(origin)) return undefined;
    return refusal(403, "this Origin is not allowed; DEWEY_ALLOWED_ORIGINS lists the allowed ones");
  }
  const site = headers.get("sec-fetch-site");
  if (site === null || ownSites.has(site.toLowerCase())) return undefined;
  return refusal(403, "another site's page made this request; DEWEY_ALLOWED_ORIGINS lists the allowed ones");
}

/** An HTTP error as a small JSON object. */
export function refusal(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: message }, { status, headers });
}

function ownOrigins(host: string): string[] {
  return [`http://${host}`, `https://${host}`].map((origin) => origin.toLowerCase());
}

/** Whether a browser says that a page of this port made the request; one that reads names no Origin, only the site. */
function isOwnPage({ headers }: Request, own: readonly string[]): boolean {
  const origin = headers.get("origin");
  return origin === null ? headers.get("sec-fetch-site") === "same-origin" : own.includes(origin);
}

function bearer(request: Request): string {
  return /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}
