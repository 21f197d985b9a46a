import { afterEach, expect, test } from "bun:test";
import {
  Client as SecondClient,
  StreamableHTTPClientTransport as SecondTransport,
  UnauthorizedError as SecondUnauthorized,
} from "@modelcontextprotocol/client";
import { UnauthorizedError as FirstUnauthorized } from "@modelcontextprotocol/sdk/client/auth.js";
import type { OAuthClientProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as FirstTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startProxy } from "../../src/proxy/proxy.ts";
import type { Upstream } from "../../src/proxy/relay/upstreams.ts";
import { freePort } from "../support/ports.ts";
import { quiet } from "../support/quiet.ts";
import { spoolFolder } from "../support/spool-folder.ts";

type Json = Record<string, unknown>;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/**
 * An authorization server that gives everybody a token, only for the MCP server at `/tools/mcp` (RFC 8707), which takes no
 * others. `names` says whether it names itself in its answers (RFC 9207).
 */
function startServers({ names = false } = {}) {
  const authorizations: (string | null)[] = [];
  const granted = new Set<string>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, origin, searchParams } = new URL(request.url);
      const resource = `${origin}/tools/mcp`;
      switch (pathname) {
        case "/.well-known/oauth-protected-resource/tools/mcp":
          return Response.json({ resource, authorization_servers: [origin], extra: "kept" });
        case "/.well-known/oauth-authorization-server":
          return Response.json({
            issuer: origin,
            authorization_endpoint: `${origin}/authorize?tenant=1`,
            token_endpoint: `${origin}/token`,
            registration_endpoint: `${origin}/register`,
            response_types_supported: ["code"],
            code_challenge_methods_supported: ["S256"],
            ...(names ? { authorization_response_iss_parameter_supported: true } : {}),
          });
        case "/register":
          return Response.json({ ...((await request.json()) as Json), client_id: "c1" }, { status: 201 });
        case "/authorize": {
          if (searchParams.get("resource") !== resource || searchParams.get("tenant") !== "1")
            return Response.json({ error: "invalid_target" }, { status: 400 });
          const iss = names ? `&iss=${encodeURIComponent(origin)}` : "";
          return Response.redirect(`${searchParams.get("redirect_uri")}?code=granted${iss}`);
        }
        case "/token": {
          const form = new URLSearchParams(await request.text());
          const isRight = form.get("code") === "granted" || form.get("refresh_token") === "again";
          if (!isRight || form.get("resource") !== resource)
            return Response.json({ error: isRight ? "invalid_target" : "invalid_grant" }, { status: 400 });
          const token = `t0ken-${granted.size}`;
          granted.add(`Bearer ${token}`);
          return Response.json({ access_token: token, token_type: "Bearer", refresh_token: "again" });
        }
        case "/tools/mcp": {
          const authorization = request.headers.get("authorization");
          authorizations.push(authorization);
          const metadata = `${origin}/.well-known/oauth-protected-resource/tools/mcp`;
          return granted.has(authorization ?? "")
            ? tools(request)
            : new Response(null, {
                status: 401,
                headers: { "www-authenticate": `Bearer realm="x", resource_metadata="${metadata}", scope="a"` },
              });
        }
        default:
          return new Response(null, { status: 404 });
      }
    },
  });
  cleanups.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}/tools/mcp`, authorizations, revoke: () => granted.clear() };
}

async function tools(request: Request): Promise<Response> {
  if (request.method !== "POST") return new Response(null, { status: 405 });
  const { id, method } = (await request.json()) as Json;
  if (id === undefined) return new Response(null, { status: 202 });
  const hello = { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } };
  const listed = { tools: [{ name: "pay", inputSchema: { type: "object" } }] };
  return Response.json({ jsonrpc: "2.0", id, result: method === "initialize" ? hello : listed });
}

function start(upstreams: Upstream[]) {
  const folder = spoolFolder();
  const proxy = startProxy({
    host: "127.0.0.1",
    port: 0,
    allowedOrigins: [],
    allowedHosts: [],
    version: "1",
    upstreams: { byName: new Map(upstreams.map((each) => [each.name, each])), defaultName: undefined },
    spool: { folder: folder.path, limits: { bytes: 1e12, ageMs: 1e12 }, sync: false },
    dewey: { url: `ws://127.0.0.1:${freePort()}/` },
    log: quiet,
  });
  cleanups.push(async () => {
    await proxy.stop();
    folder[Symbol.dispose]();
  });
  return proxy.url.replace("ws:", "http:");
}

/** A client's storage for signing in; the person grants everything. */
function provider() {
  const stored: { client?: unknown; tokens?: unknown; verifier?: string; asked?: URL } = {};
  const callback = "http://127.0.0.1:9/callback";
  const it = {
    redirectUrl: callback,
    clientMetadata: { redirect_uris: [callback], client_name: "test" },
    clientInformation: () => stored.client,
    saveClientInformation: (client: unknown) => void (stored.client = client),
    tokens: () => stored.tokens,
    saveTokens: (tokens: unknown) => void (stored.tokens = tokens),
    redirectToAuthorization: (url: URL) => void (stored.asked = url),
    saveCodeVerifier: (verifier: string) => void (stored.verifier = verifier),
    codeVerifier: () => stored.verifier ?? "",
  };
  return { stored, it: it as unknown as OAuthClientProvider };
}

const kinds = {
  "the SDK of sessions": { Client: FirstClient, Transport: FirstTransport, Unauthorized: FirstUnauthorized },
  "the SDK of both eras": { Client: SecondClient, Transport: SecondTransport, Unauthorized: SecondUnauthorized },
} as unknown as Record<
  string,
  { Client: typeof FirstClient; Transport: typeof FirstTransport; Unauthorized: typeof Error }
>;

for (const [kind, { Client, Transport, Unauthorized }] of Object.entries(kinds)) {
  test(`a client by ${kind} signs in to an upstream through the proxy, with a token that is for the upstream only`, async () => {
    const { url, authorizations, revoke } = startServers();
    const base = start([
      { name: "my tools", wire: "http", url, headers: {}, record: "none", forwardAuthorization: true },
    ]);
    const address = new URL(`${base}mcp?upstream=my%20tools`);
    const { stored, it } = provider();
    const first = new Transport(address, { authProvider: it });
    const client = () => new Client({ name: "t", version: "1" });
    const refused: unknown = await client()
      .connect(first as never)
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Unauthorized);
    // The person signs in at the upstream's own authorization server, to which the proxy sends the browser.
    const sent = await fetch(stored.asked ?? "", { redirect: "manual" });
    const real = new URL(sent.headers.get("location") ?? "");
    expect([sent.status, real.origin, real.searchParams.get("resource")]).toEqual([302, new URL(url).origin, url]);
    const granted = await fetch(real, { redirect: "manual" });
    await first.finishAuth(new URL(granted.headers.get("location") ?? "").searchParams.get("code") ?? "");
    const second = new Transport(address, { authProvider: it });
    const signedIn = client();
    await signedIn.connect(second);
    expect((await signedIn.listTools()).tools.map(({ name }) => name)).toEqual(["pay"]);
    expect(authorizations.at(-1)).toBe("Bearer t0ken-0");
    // An expired token is refreshed the same way.
    revoke();
    expect((await signedIn.listTools()).tools).toHaveLength(1);
    await signedIn.close();
  });
}

test("the documents are the upstream's, except for the resource and the authorization server, which the proxy stands in for", async () => {
  const { url } = startServers();
  const base = start([
    { name: "my tools", wire: "http", url, headers: {}, record: "none", forwardAuthorization: true },
  ]);
  const challenged = await fetch(`${base}mcp?upstream=my%20tools`, { method: "POST", body: "{}" });
  const metadata = `${base}.well-known/oauth-protected-resource/mcp?upstream=my%20tools`;
  expect([challenged.status, challenged.headers.get("www-authenticate")]).toEqual([
    401,
    `Bearer realm="x", resource_metadata="${metadata}", scope="a"`,
  ]);
  const issuer = `${base}oauth/my%20tools`;
  expect(await (await fetch(metadata)).json()).toEqual({
    resource: `${base}mcp?upstream=my%20tools`,
    authorization_servers: [issuer],
    extra: "kept",
  });
  for (const document of ["oauth-authorization-server", "openid-configuration"])
    expect(await (await fetch(`${base}.well-known/${document}/oauth/my%20tools`)).json()).toMatchObject({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      registration_endpoint: `${new URL(url).origin}/register`,
    });
  // Clients of the first revisions ask the address itself.
  const server = await fetch(`${base}.well-known/oauth-authorization-server/mcp?upstream=my%20tools`);
  expect(await server.json()).toMatchObject({ issuer: new URL(url).origin });
  expect((await fetch(`${base}.well-known/openid-configuration?upstream=my%20tools`)).status).toBe(404);
  for (const [path, method] of [
    ["token", "GET"],
    ["authorize", "POST"],
  ])
    expect((await fetch(`${issuer}/${path}`, { method: method ?? "" })).status).toBe(405);
  expect((await fetch(`${base}oauth/other/authorize`, { redirect: "manual" })).status).toBe(404);
  const wrong = await fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams({ code: "no" }) });
  expect([wrong.status, await wrong.json()]).toEqual([400, { error: "invalid_grant" }]);
});

test("an authorization server that names itself in its answers is left to the client, which compares the name", async () => {
  const { url } = startServers({ names: true });
  const base = start([{ name: "tools", wire: "http", url, headers: {}, record: "none", forwardAuthorization: true }]);
  const metadata = await fetch(`${base}.well-known/oauth-protected-resource/mcp?upstream=tools`);
  expect(await metadata.json()).toMatchObject({ authorization_servers: [new URL(url).origin] });
});

test("an upstream whose entry does not say so gets no Authorization, and offers no sign-in", async () => {
  const { url, authorizations } = startServers();
  const base = start([{ name: "tools", wire: "http", url, headers: {}, record: "none" }]);
  const headers = { authorization: "Bearer t0ken" };
  const refused = await fetch(`${base}mcp?upstream=tools`, { method: "POST", body: "{}", headers });
  expect([refused.status, authorizations]).toEqual([401, [null]]);
  expect((await fetch(`${base}.well-known/oauth-protected-resource/mcp?upstream=tools`)).status).toBe(404);
});
