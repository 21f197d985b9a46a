import { isObject } from "../../wire/frame.ts";
import { fetchUpstream } from "../../wire/http-request.ts";
import type { RemoteUpstream } from "./upstreams.ts";

// What a client needs to sign in to an upstream by OAuth (RFC 9728, RFC 8414): it discovers everything from the address that
// it knows, which is the proxy's.

/** The documents of discovery, each under `/.well-known/`. */
const PROTECTED_RESOURCE = "oauth-protected-resource";
const documents = new Set([PROTECTED_RESOURCE, "oauth-authorization-server", "openid-configuration"]);
/** Time limit for fetching one. */
const FETCH_DEADLINE_MS = 10_000;

/** The document that a path asks for; undefined for other paths. `/mcp` may follow its name. */
export function discoveryDocument(path: string): string | undefined {
  const [, name = ""] = /^\/\.well-known\/([a-z-]+)(?:\/mcp)?\/?$/.exec(path) ?? [];
  return documents.has(name) ? name : undefined;
}

/** The challenge of a 401 with the address of the resource's metadata at the proxy instead of the upstream's. */
export function proxiedChallenge(challenge: string, asked: URL): string {
  const metadata = new URL(`/.well-known/${PROTECTED_RESOURCE}${asked.pathname}${asked.search}`, asked);
  return challenge.replace(
    /(resource_metadata=)(?:"[^"]*"|[^\s,"]+)/i,
    (_, field: string) => `${field}"${metadata.href}"`,
  );
}

/**
 * Answers with the upstream's document. In the metadata of the resource, clients compare the resource with the address that
 * they have, so it is the proxy's.
 */
export async function discovery(upstream: RemoteUpstream, document: string, asked: URL): Promise<Response> {
  const found = await documentOf(upstream, document);
  if (!found) return new Response(null, { status: 404 });
  if (document !== PROTECTED_RESOURCE) return Response.json(found);
  return Response.json({ ...found, resource: new URL(`/mcp${asked.search}`, asked).href });
}

/** The document for the upstream's path, else that of its host, as clients look for it. */
async function documentOf(upstream: RemoteUpstream, document: string): Promise<object | undefined> {
  const { pathname } = new URL(upstream.url);
  for (const path of new Set([pathname.replace(/\/$/, ""), ""])) {
    const url = new URL(`/.well-known/${document}${path}`, upstream.url);
    const response = await fetchUpstream(url.href, {
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(FETCH_DEADLINE_MS),
    });
    const found: unknown = response.ok ? await response.json().catch(() => undefined) : await response.body?.cancel();
    if (isObject(found)) return found;
  }
  return undefined;
}
