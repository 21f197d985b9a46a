import type { Server } from "bun";
import { receive } from "../../wire/body.ts";
import { boundedText } from "../../wire/bounded-text.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import { fetchUpstream } from "../../wire/http-request.ts";
import type { RemoteUpstream } from "./upstreams.ts";

// What a client needs to sign in to an upstream by OAuth (RFC 9728, RFC 8414, RFC 8707): it discovers everything from the
// address that it knows, which is the proxy's, and asks for a token for that address. The authorization server knows only
// the upstream's, so the proxy stands in front of its two endpoints and puts one address in place of the other.

/** The documents of discovery, each under `/.well-known/`. */
const PROTECTED_RESOURCE = "oauth-protected-resource";
const AUTHORIZATION_SERVER = "oauth-authorization-server";
const OPENID = "openid-configuration";
/** The path of the authorization server that stands in for an upstream's, followed by the upstream's name. */
const STAND_IN = "/oauth/";
/** Time limit for fetching a document, and for a token. */
const FETCH_DEADLINE_MS = 10_000;
/** Limit on a document; real ones have a few kilobytes. */
const MAX_DOCUMENT_BYTES = 1_000_000;
/** Headers of a request for a token that concern the authorization server, and those of its answer. */
const tokenHeaders = ["accept", "authorization", "content-type"];
const answerHeaders = new Set(["content-type", "cache-control", "www-authenticate"]);

/** What a path asks for to sign in. `name` is the upstream's; without one, the query names it. */
export interface SignInPath {
  kind: "resource" | "server" | "authorize" | "token";
  name?: string;
  document: string;
}

/** What a path asks for to sign in; undefined for other paths. */
export function signInPath(path: string): SignInPath | undefined {
  const [, document = "", rest = ""] = /^\/\.well-known\/([a-z-]+)(\/.*)?$/.exec(path) ?? [];
  const [, name, step = ""] = /^\/oauth\/([^/]+)(?:\/(authorize|token))?$/.exec(document === "" ? path : rest) ?? [];
  const isOfResource = ["", "/", "/mcp", "/mcp/"].includes(rest);
  if (document === PROTECTED_RESOURCE && isOfResource) return { kind: "resource", document };
  if (document === AUTHORIZATION_SERVER || document === OPENID) {
    if (isOfResource) return { kind: "server", document };
    return name === undefined || step !== "" ? undefined : { kind: "server", document, name: decoded(name) };
  }
  if (name === undefined || (step !== "authorize" && step !== "token")) return undefined;
  return { kind: step, document: AUTHORIZATION_SERVER, name: decoded(name) };
}

/** The challenge of a 401 with the address of the resource's metadata at the proxy instead of the upstream's. */
export function proxiedChallenge(challenge: string, asked: URL): string {
  const metadata = new URL(`/.well-known/${PROTECTED_RESOURCE}${asked.pathname}${asked.search}`, asked);
  return challenge.replace(
    /(resource_metadata=)(?:"[^"]*"|[^\s,"]+)/i,
    (_, field: string) => `${field}"${metadata.href}"`,
  );
}

/** Answers a request of a client that signs in to an upstream. */
export async function signIn(
  upstream: RemoteUpstream,
  path: SignInPath,
  { request, url, server }: { request: Request; url: URL; server: Server<unknown> },
): Promise<Response> {
  if (path.kind === "resource") return resourceMetadata(upstream, url);
  if (path.name === undefined) return jsonOr404(await documentOf(upstream.url, path.document));
  const real = await authorizationServer(upstream);
  if (!real) return new Response(null, { status: 404 });
  if (path.kind === "server") return Response.json(standInFor(real.metadata, issuerAt(url, upstream.name)));
  if (path.kind === "authorize" && request.method === "GET") {
    const to = new URL(String(real.metadata["authorization_endpoint"]));
    for (const [key, value] of withResource(url.searchParams, real.resource)) to.searchParams.append(key, value);
    return Response.redirect(to.href);
  }
  if (path.kind === "token" && request.method === "POST") return token(real, request, server);
  return new Response(null, { status: 405, headers: { allow: path.kind === "token" ? "POST" : "GET" } });
}

interface RealServer {
  metadata: Json;
  /** The upstream's own name for itself, which tokens are for. */
  resource: string;
}

/**
 * The metadata of the resource. Clients compare the resource with the address that they have, so it is the proxy's; and
 * then the authorization server is one that takes that address.
 */
async function resourceMetadata(upstream: RemoteUpstream, asked: URL): Promise<Response> {
  const found = await documentOf(upstream.url, PROTECTED_RESOURCE);
  if (!found) return new Response(null, { status: 404 });
  const servers = (await authorizationServer(upstream, found)) ? [issuerAt(asked, upstream.name)] : undefined;
  return Response.json({
    ...found,
    resource: new URL(`/mcp${asked.search}`, asked).href,
    ...(servers ? { authorization_servers: servers } : {}),
  });
}

/**
 * The upstream's authorization server, if the proxy can stand in for it. One that names itself in its answers (RFC 9207)
 * cannot be stood in for: clients compare the name.
 */
async function authorizationServer(upstream: RemoteUpstream, known?: Json): Promise<RealServer | undefined> {
  const found = known ?? (await documentOf(upstream.url, PROTECTED_RESOURCE));
  const servers = found?.["authorization_servers"];
  const [issuer] = Array.isArray(servers) ? (servers as unknown[]) : [];
  if (typeof issuer !== "string" || !/^https?:/.test(URL.parse(issuer)?.protocol ?? "")) return undefined;
  const metadata = (await documentOf(issuer, AUTHORIZATION_SERVER)) ?? (await documentOf(issuer, OPENID));
  const { authorization_endpoint, token_endpoint, authorization_response_iss_parameter_supported } = metadata ?? {};
  if (!metadata || authorization_response_iss_parameter_supported === true) return undefined;
  if (
    ![authorization_endpoint, token_endpoint].every((each) => /^https?:/.test(URL.parse(String(each))?.protocol ?? ""))
  )
    return undefined;
  const resource = found?.["resource"];
  return { metadata, resource: typeof resource === "string" ? resource : upstream.url };
}

function standInFor(metadata: Json, issuer: string): Json {
  return {
    ...metadata,
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
  };
}

function issuerAt(asked: URL, name: string): string {
  return `${asked.origin}${STAND_IN}${encodeURIComponent(name)}`;
}

/** Asks for a token, for the upstream instead of the proxy. */
async function token({ metadata, resource }: RealServer, request: Request, server: Server<unknown>): Promise<Response> {
  const body = await receive(request, server, (arriving) => arriving.text());
  if (body instanceof Response) return body;
  const headers = tokenHeaders.flatMap((name) => {
    const value = request.headers.get(name);
    return value === null ? [] : [[name, value] as [string, string]];
  });
  const response = await fetchUpstream(String(metadata["token_endpoint"]), {
    method: "POST",
    headers,
    body: withResource(new URLSearchParams(body), resource).toString(),
    signal: AbortSignal.timeout(FETCH_DEADLINE_MS),
  });
  const kept = [...response.headers].filter(([name]) => answerHeaders.has(name));
  return new Response(response.body, { status: response.status, headers: kept });
}

/** The parameters, with the upstream as the resource that is asked for, if one is. */
function withResource(parameters: URLSearchParams, resource: string): URLSearchParams {
  const changed = new URLSearchParams(parameters);
  if (changed.has("resource")) changed.set("resource", resource);
  return changed;
}

/** The document for an address's path, else that of its host, as clients look for it. */
async function documentOf(address: string, document: string): Promise<Json | undefined> {
  const { pathname } = new URL(address);
  for (const path of new Set([pathname.replace(/\/$/, ""), ""])) {
    const url = new URL(`/.well-known/${document}${path}`, address);
    const response = await fetchUpstream(url.href, {
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(FETCH_DEADLINE_MS),
    });
    const found: unknown = response.ok ? await documentIn(response) : await response.body?.cancel();
    if (isObject(found)) return found;
  }
  return undefined;
}

async function documentIn(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await boundedText(response, MAX_DOCUMENT_BYTES));
  } catch {
    return undefined;
  }
}

function jsonOr404(found: Json | undefined): Response {
  return found ? Response.json(found) : new Response(null, { status: 404 });
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
