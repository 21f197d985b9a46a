import { afterEach, expect, test } from "bun:test";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import type { OAuthClientProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
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

/** An authorization server that gives everybody a token, and an MCP server at `/tools/mcp` that asks for it. */
function startServers() {
  const authorizations: (string | null)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, origin, searchParams } = new URL(request.url);
      switch (pathname) {
        case "/.well-known/oauth-protected-resource/tools/mcp":
          return Response.json({ resource: `${origin}/tools/mcp`, authorization_servers: [origin], extra: "kept" });
        case "/.well-known/oauth-authorization-server":
          return Response.json({
            issuer: origin,
            authorization_endpoint: `${origin}/authorize`,
            token_endpoint: `${origin}/token`,
            registration_endpoint: `${origin}/register`,
            response_types_supported: ["code"],
            code_challenge_methods_supported: ["S256"],
          });
        case "/register":
          return Response.json({ ...((await request.json()) as Json), client_id: "c1" }, { status: 201 });
        case "/authorize":
          return Response.redirect(`${searchParams.get("redirect_uri")}?code=granted`);
        case "/token":
          return Response.json({ access_token: "t0ken", token_type: "Bearer" });
        case "/tools/mcp":
          authorizations.push(request.headers.get("authorization"));
          return request.headers.get("authorization") === "Bearer t0ken"
            ? tools(request)
            : new Response(null, {
                status: 401,
                headers: {
                  "www-authenticate": `Bearer realm="x", resource_metadata="${origin}/.well-known/oauth-protected-resource/tools/mcp", scope="a"`,
                },
              });
        default:
          return new Response(null, { status: 404 });
      }
    },
  });
  cleanups.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}/tools/mcp`, authorizations };
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

test("a client signs in to an upstream through the proxy", async () => {
  const { url, authorizations } = startServers();
  const base = start([
    { name: "my tools", wire: "http", url, headers: {}, record: "none", forwardAuthorization: true },
  ]);
  const address = new URL(`${base}mcp?upstream=my%20tools`);
  const { stored, it } = provider();
  const first = new StreamableHTTPClientTransport(address, { authProvider: it });
  const client = () => new Client({ name: "t", version: "1" });
  expect(
    await client()
      .connect(first as never)
      .catch((error: unknown) => error),
  ).toBeInstanceOf(UnauthorizedError);
  // The person signs in at the upstream's own authorization server.
  expect(stored.asked?.origin).toBe(new URL(url).origin);
  const granted = await fetch(stored.asked ?? "", { redirect: "manual" });
  await first.finishAuth(new URL(granted.headers.get("location") ?? "").searchParams.get("code") ?? "");
  const second = new StreamableHTTPClientTransport(address, { authProvider: it });
  const signedIn = client();
  await signedIn.connect(second);
  expect((await signedIn.listTools()).tools.map(({ name }) => name)).toEqual(["pay"]);
  expect(authorizations.at(-1)).toBe("Bearer t0ken");
  await signedIn.close();
});

test("the documents are the upstream's, except for the resource, which is the proxy's", async () => {
  const { url } = startServers();
  const base = start([{ name: "tools", wire: "http", url, headers: {}, record: "none", forwardAuthorization: true }]);
  const challenged = await fetch(`${base}mcp?upstream=tools`, { method: "POST", body: "{}" });
  const metadata = `${base}.well-known/oauth-protected-resource/mcp?upstream=tools`;
  expect([challenged.status, challenged.headers.get("www-authenticate")]).toEqual([
    401,
    `Bearer realm="x", resource_metadata="${metadata}", scope="a"`,
  ]);
  expect(await (await fetch(metadata)).json()).toEqual({
    resource: `${base}mcp?upstream=tools`,
    authorization_servers: [new URL(url).origin],
    extra: "kept",
  });
  const server = await fetch(`${base}.well-known/oauth-authorization-server/mcp?upstream=tools`);
  expect(await server.json()).toMatchObject({ issuer: new URL(url).origin });
  expect((await fetch(`${base}.well-known/openid-configuration?upstream=tools`)).status).toBe(404);
});

test("an upstream whose entry does not say so gets no Authorization, and offers no sign-in", async () => {
  const { url, authorizations } = startServers();
  const base = start([{ name: "tools", wire: "http", url, headers: {}, record: "none" }]);
  const headers = { authorization: "Bearer t0ken" };
  const refused = await fetch(`${base}mcp?upstream=tools`, { method: "POST", body: "{}", headers });
  expect([refused.status, authorizations]).toEqual([401, [null]]);
  expect((await fetch(`${base}.well-known/oauth-protected-resource/mcp?upstream=tools`)).status).toBe(404);
});
