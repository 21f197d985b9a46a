import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { html, jsonl, markdown } from "../../src/capture/export.ts";
import { CODE_SECONDS, PageSessions, SESSION_SECONDS } from "../../src/mcp/page-sessions.ts";
import { createRedactor } from "../../src/store/redact/redact.ts";
import { Workshop } from "../../src/store/workshop/workshop.ts";
import type { Link } from "../../src/wire/link.ts";
import { testListener } from "../support/listener.ts";
import { engines } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";
import { Rpc } from "../support/rpc.ts";

// Every request goes over a real socket, with the headers that a browser sends.

const TOKEN = "token-of-the-test";
const sharing = { formats: { html, markdown, json: jsonl }, workshop: new Workshop(createRedactor(), quiet) };
const bearer = { authorization: `Bearer ${TOKEN}` };
let guarded: Awaited<ReturnType<typeof testListener>>;
let open: Awaited<ReturnType<typeof testListener>>;
beforeAll(async () => {
  const [engine] = engines;
  if (!engine) throw new Error("there is no PostgreSQL");
  guarded = await testListener(engine, { listener: { token: TOKEN, sharing } });
  open = await testListener(engine);
});
afterAll(async () => {
  await guarded[Symbol.asyncDispose]();
  await open[Symbol.asyncDispose]();
});

const originOf = ({ httpUrl }: { httpUrl: string }) => new URL(httpUrl).origin;
const own = () => ({ origin: originOf(guarded) });
const signIn = (body: object, headers: Record<string, string> = own()) =>
  fetch(`${originOf(guarded)}/session`, { method: "POST", body: JSON.stringify(body), headers });

async function cookieFor(body: object): Promise<string> {
  const response = await signIn(body);
  expect(response.status).toBe(204);
  return response.headers.get("set-cookie")?.split(";")[0] ?? "";
}

async function code(): Promise<string> {
  const response = await fetch(`${originOf(guarded)}/session/code`, { method: "POST", headers: bearer });
  expect(response.status).toBe(200);
  return ((await response.json()) as { code: string }).code;
}

/** The status of a WebSocket handshake, over a socket of our own. */
function handshake(url: string, headers: Record<string, string>): Promise<number> {
  const { hostname, port, host } = new URL(url);
  const given = {
    host,
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "mcp",
    ...headers,
  };
  const lines = Object.entries(given).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(`GET /mcp HTTP/1.1\r\n${lines.join("")}\r\n`));
    socket.once("data", (data) => {
      resolve(Number(data.toString("latin1").split(" ")[1]));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

describe("without a token on loopback", () => {
  test("the page's own origin connects, and no other page does", async () => {
    const from = (headers: Record<string, string>) => handshake(open.httpUrl, headers);
    expect(await from({ origin: originOf(open) })).toBe(101);
    for (const origin of ["https://evil.example", "null", "http://localhost:1", originOf(guarded)])
      expect([origin, await from({ origin })]).toEqual([origin, 403]);
    const port = new URL(open.httpUrl).port;
    const rebound = `evil.example:${port}`;
    expect(await from({ origin: `http://${rebound}`, host: rebound })).toBe(403);
    expect(await from({ host: rebound })).toBe(403);
  });

  test("nobody has to sign in", async () => {
    const headers = { "sec-fetch-site": "same-origin" };
    const response = await fetch(`${originOf(open)}/session`, { headers });
    expect([response.status, await response.json()]).toEqual([200, { signed_in: false }]);
  });
});

describe("with a token", () => {
  test("the page and its files come without it, and nothing of the store does", async () => {
    const get = (path: string, headers = {}) => fetch(`${originOf(guarded)}${path}`, { headers });
    const page = await get("/list", { accept: "text/html" });
    expect(page.status).toBe(200);
    const script = /src="([^"]+)"/.exec(await page.text())?.[1] ?? "";
    expect((await get(script)).status).toBe(200);
    for (const path of ["/", "/metrics", "/mcp", "/session", "/session/code"])
      expect([path, (await get(path)).status]).toEqual([path, 401]);
    expect(await handshake(guarded.httpUrl, own())).toBe(401);
  });

  test("whoever accepts HTML gets the page without the token, and nothing of the store", async () => {
    const accept = { accept: "text/html" };
    const get = (path: string) => fetch(`${originOf(guarded)}${path}`, { headers: accept });
    const page = await (await get("/")).text();
    const share = "/share?conversation_id=00000000-0000-7000-8000-000000000000&format=html";
    for (const path of [share, "/metrics", "/mcp", "/session", "/session/code", "/contexts", "/backup"])
      expect([path, await (await get(path)).text()]).toEqual([path, page]);
    expect(await handshake(guarded.httpUrl, accept)).toBe(401);
    expect(await handshake(guarded.httpUrl, { ...own(), ...accept })).toBe(401);
  });

  test("signing in sets a cookie that no script reads, that other sites do not send, and that ends", async () => {
    const cookie = (await signIn({ token: TOKEN })).headers.get("set-cookie") ?? "";
    expect(cookie).toContain(`; Path=/; Max-Age=${SESSION_SECONDS}; HttpOnly; SameSite=Strict`);
    expect(cookie).not.toContain("Secure");
    expect(cookie).not.toContain(TOKEN);
    expect(cookie).toStartWith(`dewey-${guarded.listener.port}=`);
  });

  test("the cookie is Secure when the page came over TLS, as behind a balancer", async () => {
    const { host } = new URL(guarded.httpUrl);
    const cookie = (await signIn({ token: TOKEN }, { origin: `https://${host}` })).headers.get("set-cookie") ?? "";
    expect(cookie).toStartWith("__Host-dewey-");
    expect(cookie).toEndWith("; Secure");
  });

  test("the cookie opens the page's connection, with the page's own origin only", async () => {
    const cookie = await cookieFor({ token: TOKEN });
    expect(await handshake(guarded.httpUrl, { ...own(), cookie })).toBe(101);
    const port = new URL(guarded.httpUrl).port;
    for (const origin of ["https://evil.example", "null", `http://localhost:${port}`, originOf(open)])
      expect([origin, await handshake(guarded.httpUrl, { origin, cookie })]).toEqual([origin, 403]);
    // A program without an Origin has the token.
    expect(await handshake(guarded.httpUrl, { cookie })).toBe(401);
    const [name] = cookie.split("=");
    expect(await handshake(guarded.httpUrl, { ...own(), cookie: `${name}=${"A".repeat(43)}` })).toBe(401);
    // A forged cookie beside the real one shuts nobody out.
    expect(await handshake(guarded.httpUrl, { ...own(), cookie: `${name}=forged; ${cookie}` })).toBe(101);
  });

  test("the cookie stands for nothing else than the page's connection and what it reads", async () => {
    const headers = { ...own(), cookie: await cookieFor({ token: TOKEN }) };
    const ask = async (method: string, path: string) =>
      (await fetch(`${originOf(guarded)}${path}`, { method, headers })).status;
    expect(await ask("GET", "/session")).toBe(200);
    const health = async (given: Record<string, string>) =>
      (await fetch(`${originOf(guarded)}/healthz`, { headers: given })).json();
    expect(await health(headers)).toHaveProperty("version");
    expect(await health(own())).toEqual({ status: "ok", database: { status: "ok" } });
    for (const [method, path] of [
      ["GET", "/metrics"],
      ["POST", "/mcp"],
      ["POST", "/backup"],
      ["POST", "/recover"],
      ["POST", "/reindex"],
      ["POST", "/contexts"],
      ["POST", "/session/code"],
    ] as const)
      expect([path, await ask(method, path)]).toEqual([path, 401]);
  });

  test("signing out ends the session and closes its connections", async () => {
    const cookie = await cookieFor({ token: TOKEN });
    const rpc = await Rpc.open(guarded.url.replace(/\/$/, "/mcp"), { headers: { ...own(), cookie } });
    await rpc.initialize();
    const left = await fetch(`${originOf(guarded)}/session`, { method: "DELETE", headers: { ...own(), cookie } });
    expect([left.status, left.headers.get("set-cookie")?.includes("Max-Age=0")]).toEqual([204, true]);
    await rpc.closed;
    expect(await handshake(guarded.httpUrl, { ...own(), cookie })).toBe(401);
  });

  test("signing out also closes a connection that was opening meanwhile", async () => {
    const sessions = new PageSessions({ token: TOKEN, isTls: false });
    const server = { timeout() {}, requestIP: () => null } as never;
    const text = JSON.stringify({ token: TOKEN });
    const headers = { "content-length": `${text.length}` };
    const url = "http://localhost:9020";
    const given = await sessions.handle(new Request(`${url}/session`, { method: "POST", body: text, headers }), server);
    const cookie = given?.headers.get("set-cookie")?.split(";")[0] ?? "";
    const follow = sessions.follower(new Request(`${url}/mcp`, { headers: { cookie } }));
    await sessions.handle(new Request(`${url}/session`, { method: "DELETE", headers: { cookie } }), server);
    const closed: (string | undefined)[] = [];
    const link = { close: (reason?: string) => void closed.push(reason) } as Link;
    follow(link, new Promise(() => {}));
    expect(closed).toEqual(["the session ended"]);
  });

  test("a code signs in once", async () => {
    const once = await code();
    await cookieFor({ code: once });
    const second = await signIn({ code: once });
    expect([second.status, ((await second.json()) as { error: string }).error]).toEqual([
      401,
      "this code was used before or is too old; call dewey open again",
    ]);
  });

  test("wrong tokens, wrong codes, other pages and large bodies are refused, without a cookie", async () => {
    const tries: [number, object, Record<string, string>?][] = [
      [401, { token: "wrong" }],
      [401, { token: "" }],
      [401, {}],
      [401, { code: "wrong" }],
      // A wrong code is not made right by a token beside it.
      [401, { code: "wrong", token: TOKEN }],
      [413, { token: "x".repeat(20_000) }],
      [403, { token: TOKEN }, { origin: "https://evil.example" }],
      [403, { token: TOKEN }, { "sec-fetch-site": "cross-site" }],
    ];
    for (const [status, body, headers] of tries) {
      const response = await signIn(body, headers);
      expect([body, response.status, response.headers.get("set-cookie")]).toEqual([body, status, null]);
    }
  });

  test("a session and a code end with their time", async () => {
    let nowMs = 0;
    const sessions = new PageSessions({ token: TOKEN, isTls: true, now: () => nowMs });
    const { server } = { server: { timeout() {}, requestIP: () => null } as never };
    const url = "https://localhost:9020/session";
    const post = (body: object) => {
      const text = JSON.stringify(body);
      return new Request(url, { method: "POST", body: text, headers: { "content-length": `${text.length}` } });
    };
    const given = await sessions.handle(post({ token: TOKEN }), server);
    const cookie = given?.headers.get("set-cookie")?.split(";")[0] ?? "";
    const asks = () => sessions.admits(new Request(url, { headers: { cookie } }));
    nowMs = SESSION_SECONDS * 1000 - 1;
    expect(asks()).toBe(true);
    nowMs += 1;
    expect(asks()).toBe(false);
    const made = await sessions.handle(new Request(`${url}/code`, { method: "POST" }), server);
    const { code: late } = (await (made ?? Response.error()).json()) as { code: string };
    nowMs += CODE_SECONDS * 1000;
    expect((await sessions.handle(post({ code: late }), server))?.status).toBe(401);
    sessions.stop();
  });
});

test("a session and a code end with the token that they stand for", async () => {
  const [cookie, unused] = [await cookieFor({ token: TOKEN }), await code()];
  expect(await handshake(guarded.url, { ...own(), cookie })).toBe(101);
  guarded.listener.rotate({ token: TOKEN });
  expect(await handshake(guarded.url, { ...own(), cookie })).toBe(101);
  guarded.listener.rotate({ token: "another" });
  expect((await signIn({ token: TOKEN })).status).toBe(401);
  expect((await signIn({ token: "another" })).status).toBe(204);
  guarded.listener.rotate({ token: TOKEN });
  expect(await handshake(guarded.url, { ...own(), cookie })).toBe(401);
  expect((await signIn({ code: unused })).status).toBe(401);
});
