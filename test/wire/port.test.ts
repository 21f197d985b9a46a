import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../src/log.ts";
import { Metrics } from "../../src/metrics.ts";
import { Port, upgrade } from "../../src/wire/port.ts";
import type { Health, PortOptions } from "../../src/wire/port.ts";

const logged: string[] = [];
const ports: Port[] = [];
afterAll(async () => {
  for (const port of ports) await port.close();
});

function open(options: Partial<PortOptions> = {}): Port {
  const port = new Port({
    host: "127.0.0.1",
    port: 0,
    allowedOrigins: [],
    allowedHosts: [],
    token: "right",
    log: createLog({ level: "debug", format: "json", write: (line) => void logged.push(line) }),
    metrics: new Metrics(),
    health: () => ({ isWell: true, brief: { status: "ok" }, rest: { host: "db.example" } }),
    ready: () => ({ isWell: true, brief: { status: "ready" } }),
    route: ({ url }) => new Response(`routed ${url.pathname}`),
    ...options,
  });
  ports.push(port);
  return port;
}

/** A self-signed certificate for localhost. */
function certificate(): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), "dewey-port-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  Bun.spawnSync(["openssl", "req", "-x509", ...curve, ...subject, "-keyout", key, "-out", cert]);
  const pem = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  rmSync(folder, { recursive: true });
  return pem;
}

/** What a port answers to this text, until it closes the connection or has sent a whole head. */
async function raw(port: Port, text: string): Promise<string> {
  const answer = Promise.withResolvers<string>();
  let heard = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: port.number,
    socket: {
      open: (opened) => void opened.write(text),
      data(_, bytes) {
        heard += bytes.toString("latin1");
        if (heard.includes("\r\n\r\n")) answer.resolve(heard);
      },
      close: () => answer.resolve(heard),
      error: (_, error) => answer.reject(error),
    },
  });
  try {
    return await answer.promise;
  } finally {
    socket.terminate();
  }
}

const authorized = { headers: { authorization: "Bearer right" } };
const ask = (port: Port, path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${port.number}${path}`, init);

describe("a port", () => {
  test("answers /healthz, /livez and /readyz without a token, and nothing else", async () => {
    const port = open({ ready: () => ({ isWell: false, brief: { status: "stopping" }, retryAfterSeconds: 1 }) });
    expect(await (await ask(port, "/healthz")).json()).toEqual({ status: "ok" });
    expect(await (await ask(port, "/livez")).json()).toEqual({ status: "alive" });
    const ready = await ask(port, "/readyz");
    expect([ready.status, ready.headers.get("retry-after")]).toEqual([503, "1"]);
    for (const path of ["/", "/metrics", "/healthz/more", "/livez/more"])
      expect((await ask(port, path)).status).toBe(401);
  });

  test("tells the whole health only to those who have the token, or need none", async () => {
    const whole = { status: "ok", host: "db.example" };
    const guarded = open({ admits: ({ headers }) => headers.get("cookie") === "mine" });
    const health = async (port: Port, headers: Record<string, string>) =>
      (await ask(port, "/healthz", { headers })).json();
    expect(await health(guarded, {})).toEqual({ status: "ok" });
    expect(await health(guarded, { authorization: "Bearer wrong" })).toEqual({ status: "ok" });
    expect(await health(guarded, authorized.headers)).toEqual(whole);
    const page = { cookie: "mine", "sec-fetch-site": "same-origin" };
    expect(await health(guarded, page)).toEqual(whole);
    expect(await health(guarded, { ...page, "sec-fetch-site": "none" })).toEqual({ status: "ok" });
    expect(await health(open({ token: undefined as never }), {})).toEqual(whole);
  });

  test("takes another token from one request to the next", async () => {
    const port = open();
    port.rotate({ token: "other" });
    expect((await ask(port, "/", authorized)).status).toBe(401);
    expect((await ask(port, "/", { headers: { authorization: "Bearer other" } })).status).toBe(200);
  });

  test.skipIf(Bun.which("openssl") === null)(
    "shows another certificate to new connections, while open ones continue",
    async () => {
      const [first, second] = [certificate(), certificate()];
      const answers = Promise.withResolvers<Health>();
      const port = open({ tls: first, health: () => answers.promise });
      const trusting = (ca: string, path: string) =>
        fetch(`https://localhost:${port.number}${path}`, { ...authorized, tls: { ca }, keepalive: false });
      const number = port.number;
      const underWay = trusting(first.cert, "/healthz");
      expect(await (await trusting(first.cert, "/")).text()).toBe("routed /");
      port.rotate({ token: "right", tls: second });
      expect(port.number).toBe(number);
      expect(await (await trusting(second.cert, "/")).text()).toBe("routed /");
      expect(trusting(first.cert, "/livez")).rejects.toThrow();
      expect(() => port.rotate({ token: "right", tls: { cert: "wrong", key: second.key } })).toThrow();
      expect(await (await trusting(second.cert, "/")).text()).toBe("routed /");
      answers.resolve({ isWell: true, brief: { status: "late" } });
      expect(await (await underWay).json()).toEqual({ status: "late" });
    },
  );

  test("refuses a foreign Origin on every path", async () => {
    const port = open();
    const init = { headers: { ...authorized.headers, origin: "https://evil.example" } };
    for (const path of ["/", "/metrics", "/healthz"]) expect((await ask(port, path, init)).status).toBe(403);
  });

  test.each([
    ["GET /healthz HTTP/1.0", "200"],
    ["GET /healthz?deep=1 HTTP/1.1\r\nHost:", "200"],
    ["GET / HTTP/1.0", "400"],
    ["GET / HTTP/1.1", "400"],
    ["GET / HTTP/1.1\r\nHost:", "400"],
    ["GET /healthz HTTP/1.1\r\nHost: evil@localhost", "400"],
    ["GET /healthz HTTP/1.1\r\nHost: [::1", "400"],
    ["GET /healthz HTTP/1.1\r\nHost: localhost:99999", "400"],
    ["GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b", "400"],
    ["GET /healthz HTTP/1.1\r\nHost: a/b", "400"],
    ["GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost", "200"],
    ["POST //evil.example/ HTTP/1.0\r\nContent-Length: 0", "400"],
  ])("answers plainly and logs nothing, whatever the Host is: %j", async (head, status) => {
    const port = open();
    logged.splice(0);
    expect(await raw(port, `${head}\r\n\r\n`)).toStartWith(`HTTP/1.1 ${status} `);
    expect(logged).toEqual([]);
  });

  test("answers an allowed Origin's preflight and lets it read every response, refusals too", async () => {
    const origin = "https://ok.example";
    const port = open({ allowedOrigins: [origin] });
    const asked = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, content-type, mcp-session-id",
    };
    const preflight = await ask(port, "/mcp", { method: "OPTIONS", headers: asked });
    expect([preflight.status, Object.fromEntries(preflight.headers)]).toEqual([
      204,
      expect.objectContaining({
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers": asked["access-control-request-headers"],
        vary: "Access-Control-Request-Headers, Origin",
      }),
    ]);
    const cases = [
      ["/", { origin }, 401],
      ["/", { origin, ...authorized.headers, "sec-fetch-site": "cross-site" }, 200],
      ["/healthz", { origin }, 200],
    ] as const;
    for (const [path, headers, status] of cases) {
      const response = await ask(port, path, { headers });
      expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([status, origin]);
      expect(response.headers.get("access-control-expose-headers")).toContain("mcp-session-id");
    }
    const foreign = { ...asked, origin: "https://evil.example" };
    for (const [method, headers] of [
      ["OPTIONS", foreign],
      ["GET", { origin: "https://evil.example" }],
    ] as const) {
      const refused = await ask(port, "/", { method, headers });
      expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    }
  });

  test("answers /metrics itself and routes everything else", async () => {
    const metrics = new Metrics();
    metrics.gauge("answer", "The answer.", () => 42);
    const port = open({ metrics });
    expect(await (await ask(port, "/metrics", authorized)).text()).toContain("answer 42\n");
    expect(await (await ask(port, "/some/path", authorized)).text()).toBe("routed /some/path");
  });

  test("answers 500 when a route throws, and logs the error without revealing it", async () => {
    const port = open({
      route() {
        throw new Error("the secret reason");
      },
    });
    const response = await ask(port, "/", authorized);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('{"error":"the request failed inside Dewey; its log says more"}');
    expect(logged.join("")).toContain("the secret reason");
  });

  test("upgrades a WebSocket that offers mcp or no subprotocol, and refuses others", async () => {
    const port = open({
      token: undefined as never,
      route: (visit) => (visit.isWebSocket ? upgrade(visit, (link) => link.close("hello")) : new Response("no socket")),
    });
    const closed = (protocols: string[]) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(port.url, protocols);
        socket.addEventListener("close", ({ reason }) => resolve(`${socket.protocol} ${reason}`));
        socket.addEventListener("error", () => resolve("refused"));
      });
    expect(await closed(["mcp", "other"])).toBe("mcp hello");
    expect(await closed(["other"])).toBe("refused");
    const other = { headers: { upgrade: "websocket", "sec-websocket-protocol": "other" } };
    expect(await (await ask(port, "/", other)).json()).toEqual({ error: "the subprotocol must be mcp, or none" });
    const incomplete = await ask(port, "/", { headers: { upgrade: "WebSocket" } });
    expect(await incomplete.json()).toEqual({ error: "this is not a WebSocket handshake" });
    expect(await (await ask(port, "/")).text()).toBe("no socket");
  });

  test.skipIf(Bun.which("openssl") === null)("serves TLS with the given certificate", async () => {
    const tls = certificate();
    const port = open({ host: "localhost", tls, route: (visit) => upgrade(visit, (link) => link.close("hello")) });
    expect(port.url).toBe(`wss://localhost:${port.number}/`);
    const health = await fetch(`https://localhost:${port.number}/healthz`, { tls: { ca: tls.cert } });
    expect(await health.json()).toEqual({ status: "ok" });
    const reason = await new Promise<string>((resolve) => {
      const socket = new WebSocket(port.url, { ...authorized, tls: { ca: tls.cert } });
      socket.addEventListener("close", (event) => resolve(event.reason));
    });
    expect(reason).toBe("hello");
  });

  test("that is already in use is an error that names the address", () => {
    const { number } = open();
    expect(() => open({ port: number })).toThrow(
      `127.0.0.1:${number} cannot be listened on: another program listens there; stop it, or choose another port`,
    );
  });

  test("that drains accepts no connection and waits for the requests in flight", async () => {
    const begun = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    const port = open({
      route() {
        begun.resolve();
        return answer.promise;
      },
    });
    const asked = ask(port, "/", authorized);
    await begun.promise;
    let isDrained = false;
    const drained = port.drain().then(() => (isDrained = true));
    expect(await ask(port, "/healthz").catch(() => "refused")).toBe("refused");
    expect(isDrained).toBe(false);
    answer.resolve(new Response("at last"));
    expect(await (await asked).text()).toBe("at last");
    await drained;
  });

  test("that drains does not wait for open sockets, and closes them in the end", async () => {
    const opened = Promise.withResolvers<void>();
    const port = open({ route: (visit) => upgrade(visit, () => opened.resolve()) });
    const socket = new WebSocket(port.url, authorized);
    const closed = new Promise<number>((resolve) => {
      socket.addEventListener("close", (event) => resolve(event.code));
    });
    await opened.promise;
    await port.drain();
    expect(socket.readyState).toBe(WebSocket.OPEN);
    await port.close();
    expect(await closed).toBeGreaterThan(0);
  });
});
