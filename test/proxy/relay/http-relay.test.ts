import { describe, expect, spyOn, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import { HttpRelay } from "../../../src/proxy/relay/http-relay.ts";
import type { HttpRelayOptions } from "../../../src/proxy/relay/http-relay.ts";
import { stopClock } from "../../support/clock.ts";
import { freePort } from "../../support/ports.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";

type Answer = (request: Request, body: string) => Response | Promise<Response>;

function startServer(answer: Answer, port = 0) {
  return Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => answer(request, await request.text()),
  });
}

/** A relay in front of a URL, with a log of what its tap and states received. */
function startRelay(url: string, options: Partial<HttpRelayOptions> = {}) {
  const frames: string[] = [];
  const ends: string[] = [];
  const saw: (string | undefined)[] = [];
  const relay = new HttpRelay({
    upstream: () => ({ name: "tools", wire: "http", url, headers: { authorization: "Bearer up" }, record: "calls" }),
    log: quiet,
    saw: (reason) => saw.push(reason),
    tap: () => ({
      frame(direction, { text }, pass) {
        frames.push(`${direction} ${text}`);
        pass();
      },
      closed: (reason) => void ends.push(reason),
      answered: () => void ends.push("the request was answered"),
    }),
    ...options,
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => relay.handle(request, server, undefined),
  });
  return {
    relay,
    frames,
    ends,
    saw,
    port: server.port ?? 0,
    url: server.url.href,
    async [Symbol.asyncDispose]() {
      relay.stop();
      await server.stop(true);
    },
  };
}

const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
const json = (text: string, headers: Record<string, string> = {}, status = 200) =>
  new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
const inSession = { "mcp-session-id": "s1" };
const call = '{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call"}';

/** A raw TCP server that answers every request with the beginning of an event stream, and then breaks the connection. */
function startBreaking(body: string) {
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(
          `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`,
        );
        socket.flush();
        setTimeout(() => socket.terminate(), 50);
      },
    },
  });
}

describe("Streamable HTTP to Streamable HTTP", () => {
  test("passes bodies, session ids and the protocol's headers unchanged, and no headers of the connection", async () => {
    const seen: { body: string; headers: Headers }[] = [];
    const answer = '{"jsonrpc":"2.0", "id":9007199254740993,"result":{"n":1.0}}';
    using upstream = startServer((request, body) => {
      seen.push({ body, headers: request.headers });
      return json(answer, { "mcp-session-id": "s1", "set-cookie": "a=b", "x-other": "stays" });
    });
    await using relayed = startRelay(upstream.url.href);
    const response = await post(relayed.url, call, {
      "mcp-protocol-version": "2099-01-01",
      authorization: "Bearer down",
      cookie: "c=d",
    });
    expect(await response.text()).toBe(answer);
    const headers = ["mcp-session-id", "set-cookie", "x-other"].map((name) => response.headers.get(name));
    expect(headers).toEqual(["s1", null, "stays"]);
    expect(seen[0]?.body).toBe(call);
    const sent = ["mcp-protocol-version", "authorization", "cookie"].map((name) => seen[0]?.headers.get(name));
    expect(sent).toEqual(["2099-01-01", "Bearer up", null]);
    expect(relayed.frames).toEqual([`up ${call}`, `down ${answer}`]);
    expect([relayed.relay.size, relayed.saw]).toEqual([1, [undefined]]);
  });

  test("passes an upstream's 404, so that the client starts over, and ends the session", async () => {
    let isGone = false;
    using upstream = startServer(() => (isGone ? json("{}", {}, 404) : json("{}", inSession)));
    await using relayed = startRelay(upstream.url.href);
    await post(relayed.url, call);
    expect(relayed.relay.size).toBe(1);
    isGone = true;
    expect((await post(relayed.url, call, inSession)).status).toBe(404);
    expect([relayed.relay.size, relayed.ends.length]).toEqual([0, 1]);
  });

  test("keeps the session when the upstream has no GET stream", async () => {
    using upstream = startServer((request) => (request.method === "GET" ? json("{}", {}, 404) : json("{}", inSession)));
    await using relayed = startRelay(upstream.url.href);
    await post(relayed.url, call);
    expect((await fetch(relayed.url, { headers: inSession })).status).toBe(404);
    await post(relayed.url, call, inSession);
    expect([relayed.relay.size, relayed.ends]).toEqual([1, []]);
  });

  test("passes an upstream's temporary refusal of the GET stream, and reports it", async () => {
    const streams: (string | undefined)[] = [];
    const statuses = [503, 429, 405];
    using upstream = startServer(() => new Response(null, { status: statuses.shift() ?? 200 }));
    await using relayed = startRelay(upstream.url.href, { sawStream: (reason) => void streams.push(reason) });
    const got = [];
    for (let count = 0; count < 3; count++) got.push((await fetch(relayed.url, { headers: inSession })).status);
    expect([got, streams]).toEqual([
      [503, 429, 405],
      [...[503, 429].map((status) => `its event stream cannot be opened: HTTP ${status}`), undefined],
    ]);
  });

  test("refuses requests of a session at once while the upstream is down, but lets a new session wait for it", async () => {
    const port = freePort();
    await using relayed = startRelay(`http://127.0.0.1:${port}/`);
    const refused = await post(relayed.url, call, inSession);
    expect([refused.status, await refused.text()]).toEqual([
      502,
      expect.stringMatching(/"id":9007199254740993.*tools.*cannot be reached/),
    ]);
    expect(relayed.saw.at(-1)).toBeDefined();
    // Its session is unknown, so it counts as its own, which has ended.
    expect(relayed.ends).toHaveLength(1);
    const waiting = post(relayed.url, call);
    await Bun.sleep(300);
    using upstream = startServer(() => json('{"up":true}'), port);
    expect(upstream.port).toBe(port);
    expect(await (await waiting).text()).toBe('{"up":true}');
    expect(relayed.saw.at(-1)).toBeUndefined();
  });

  test("answers the open requests of a broken stream with errors unless it can be resumed, and logs the cause", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", format: "json", write: (line) => lines.push(line) });
    const without = startBreaking(": hi\n\n");
    const within = startBreaking("id: 1\ndata: \n\n");
    await using first = startRelay(`http://127.0.0.1:${without.port}/`, { log });
    await using second = startRelay(`http://127.0.0.1:${within.port}/`);
    const text = await (await post(first.url, call)).text();
    expect(text).toMatch(/data: \{.*"id":9007199254740993.*tools is gone/);
    expect(first.frames.at(-1)).toContain("tools is gone");
    expect(lines.join("")).toMatch(/an event stream of the upstream broke.*ECONNRESET/);
    const resumable = await (await post(second.url, call)).text();
    expect(resumable).toBe("id: 1\ndata: \n\n");
    without.stop(true);
    within.stop(true);
  });

  test("answers each request of a truncated response with an error that names the upstream", async () => {
    const breaking = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
          socket.end();
        },
      },
    });
    await using relayed = startRelay(`http://127.0.0.1:${breaking.port}/`);
    const refusal = (id: string) =>
      expect.stringMatching(new RegExp(`"id":${id}[,}].*tools is not available.*closed the connection`));
    const alone = await post(relayed.url, call);
    expect([alone.status, await alone.text()]).toEqual([502, refusal("9007199254740993")]);
    const batch = await post(
      relayed.url,
      `[${call},{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":"b","method":"x"}]`,
    );
    const text = await batch.text();
    expect((JSON.parse(text) as unknown[]).length).toBe(2);
    expect([text, text]).toEqual([refusal("9007199254740993"), refusal('"b"')]);
    expect(relayed.frames.at(-1)).toBe(`down ${text}`);
    expect([relayed.saw.at(-1), relayed.ends.length]).toEqual([expect.any(String), 2]);
    breaking.stop(true);
  });

  test("reads from the upstream only as fast as the client, and disconnects a client that reads nothing", async () => {
    let sent = 0;
    let cancelled = false;
    const event = new TextEncoder().encode(
      `data: {"jsonrpc":"2.0","method":"n","params":"${"x".repeat(100_000)}"}\n\n`,
    );
    using upstream = startServer(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(event);
              sent += 1;
              if (sent % 20 === 0) await Bun.sleep(0);
            },
            cancel() {
              cancelled = true;
            },
          }),
          { headers: { "content-type": "text/event-stream" } },
        ),
    );
    await using relayed = startRelay(upstream.url.href, { stallLimitMs: 500 });
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: relayed.port,
      socket: {
        open(socket) {
          socket.pause();
          socket.write("GET / HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n");
        },
        data() {},
      },
    });
    await until("the upstream's stream to be given up", () => cancelled);
    expect(sent).toBeLessThan(1000);
    socket.terminate();
  });

  test("drops an idle session", async () => {
    using upstream = startServer(() => json("{}", inSession));
    await using relayed = startRelay(upstream.url.href, { idleLimitMs: 50 });
    await post(relayed.url, call);
    await until("no session", () => relayed.relay.size === 0);
    expect(relayed.ends).toEqual(["it was idle for too long"]);
  });

  test("brings the upstream what a client sent before it left, and ends the request when it stays unanswered", async () => {
    using clock = stopClock();
    let signal: AbortSignal | undefined;
    using fetches = spyOn(globalThis, "fetch").mockImplementation(((_url: string, init: RequestInit) => {
      signal = init.signal ?? undefined;
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    }) as unknown as typeof fetch);
    using relayed = bareRelay("http://upstream.example/");
    for (const isEarly of [false, true]) {
      fetches.mockClear();
      const leaving = new AbortController();
      // While its body is recorded, the client may leave as well.
      if (isEarly) leaving.abort();
      const handled = relayed.handle({ signal: leaving.signal });
      await clock.passUntil("the request", () => fetches.mock.calls.length === 1);
      leaving.abort();
      await clock.pass(29_000, 100);
      expect(signal?.aborted).toBe(false);
      await clock.pass(2000, 100);
      expect(signal?.aborted).toBe(true);
      expect((await handled).status).toBe(499);
    }
  });

  test("does not blame the upstream for a client that leaves", async () => {
    let asked = 0;
    using upstream = startServer(async () => {
      asked += 1;
      await Bun.sleep(100);
      return json("{}");
    });
    await using relayed = startRelay(upstream.url.href);
    const leaving = new AbortController();
    const answer = fetch(relayed.url, { method: "POST", body: call, signal: leaving.signal }).catch(() => "left");
    await until("the request", () => asked === 1);
    leaving.abort();
    expect(await answer).toBe("left");
    await post(relayed.url, call);
    expect(relayed.saw.every((reason) => reason === undefined)).toBe(true);
  });
});

/** A relay without a port; requests are passed to it directly. */
function bareRelay(url: string, options: Partial<HttpRelayOptions> = {}) {
  const ends: string[] = [];
  const keys: (string | undefined)[] = [];
  const relay = new HttpRelay({
    upstream: () => ({ name: "tools", wire: "http", url, headers: {}, record: "calls" }),
    log: quiet,
    saw: () => {},
    tap(sessionKey) {
      keys.push(sessionKey);
      return {
        frame: (_direction, _frame, pass) => pass(),
        closed: (reason) => ends.push(reason),
        answered: () => ends.push("the request was answered"),
      };
    },
    ...options,
  });
  const server = { timeout() {}, requestIP: () => null } as unknown as Parameters<HttpRelay["handle"]>[1];
  const handle = (init: RequestInit = {}, key?: string) =>
    relay.handle(new Request("http://relay/mcp", { method: "POST", body: call, ...init }), server, key);
  return { relay, ends, keys, handle, [Symbol.dispose]: () => relay.stop() };
}

describe("a forwarded session", () => {
  test("has one tap for all its requests, with the caller's key", async () => {
    using upstream = startServer(() => json("{}", inSession));
    using relayed = bareRelay(upstream.url.href);
    await relayed.handle({}, "key");
    await relayed.handle({ headers: inSession }, "other");
    expect([relayed.keys, relayed.relay.size, relayed.ends]).toEqual([["key"], 1, []]);
    relayed.relay.stop();
    expect([relayed.relay.size, relayed.ends]).toEqual([0, ["the proxy is stopping"]]);
  });

  test("ends when the client deletes it, but not with any failure", async () => {
    let status = 200;
    using upstream = startServer(() => json("{}", inSession, status));
    using relayed = bareRelay(upstream.url.href);
    await relayed.handle();
    status = 400;
    await relayed.handle({ headers: inSession });
    expect(relayed.relay.size).toBe(1);
    await relayed.handle({ method: "DELETE", body: null, headers: inSession });
    expect([relayed.relay.size, relayed.ends]).toEqual([0, ["the client ended it"]]);
  });

  test("has the answers of the requests that are open when it ends, and ends with the last", async () => {
    const waiting: ((response: Response) => void)[] = [];
    using upstream = startServer((request) =>
      request.headers.has("mcp-session-id")
        ? new Promise<Response>((resolve) => void waiting.push(resolve))
        : json("{}", inSession),
    );
    await using relayed = startRelay(upstream.url.href);
    await (await post(relayed.url, "{}")).text();
    const answers = [post(relayed.url, call, inSession), post(relayed.url, call, inSession)];
    await until("both requests", () => waiting.length === 2);
    relayed.relay.stop();
    expect([relayed.relay.size, relayed.ends]).toEqual([0, []]);
    waiting[0]?.(json('{"first":1}'));
    await Promise.race(answers);
    expect(relayed.ends).toEqual([]);
    waiting[1]?.(json('{"second":2}'));
    await Promise.all(answers);
    expect(relayed.frames.slice(-2)).toEqual(['down {"first":1}', 'down {"second":2}']);
    expect(relayed.ends).toEqual(["the proxy is stopping"]);
  });

  test("ends with its clients when a request is never answered", async () => {
    let isAsked = false;
    using upstream = startServer((request) => {
      if (!request.headers.has("mcp-session-id")) return json("{}", inSession);
      isAsked = true;
      return new Promise<Response>(() => {});
    });
    await using relayed = startRelay(upstream.url.href);
    await (await post(relayed.url, "{}")).text();
    const answer = post(relayed.url, call, inSession).catch(() => {});
    await until("the request", () => isAsked);
    relayed.relay.stop();
    expect(relayed.ends).toEqual([]);
    relayed.relay.close();
    expect(relayed.ends).toEqual(["the proxy is stopping"]);
    await upstream.stop(true);
    await answer;
  });

  test("is a single request if the upstream assigns no session ids", async () => {
    using upstream = startServer(() => json("{}"));
    using relayed = bareRelay(upstream.url.href);
    await relayed.handle();
    await relayed.handle();
    expect([relayed.keys.length, relayed.relay.size, relayed.ends]).toEqual([
      2,
      0,
      ["the request was answered", "the request was answered"],
    ]);
  });

  test("is dropped after half an hour without a request", async () => {
    using clock = stopClock();
    using upstream = startServer(() => json("{}", inSession));
    using relayed = bareRelay(upstream.url.href);
    await relayed.handle();
    await clock.pass(20 * 60_000, 1000);
    await relayed.handle({ headers: inSession });
    await clock.pass(29 * 60_000, 1000);
    expect(relayed.relay.size).toBe(1);
    await clock.pass(2 * 60_000, 1000);
    expect([relayed.relay.size, relayed.ends]).toEqual([0, ["it was idle for too long"]]);
  });

  test("is not dropped while one of its streams is open, nor in the half hour after that", async () => {
    using clock = stopClock();
    let end = () => {};
    const answer = (request: Request) =>
      request.method === "POST"
        ? json("{}", inSession)
        : new Response(
            new ReadableStream({
              start: (controller) => {
                controller.enqueue(":\n\n");
                end = () => controller.close();
              },
            }),
            { headers: { "content-type": "text/event-stream" } },
          );
    using upstream = startServer(answer);
    using relayed = bareRelay(upstream.url.href, { stallLimitMs: 2 ** 31 - 1 });
    await relayed.handle();
    const stream = await relayed.handle({ method: "GET", body: null, headers: inSession });
    const read = stream.text();
    await clock.pass(40 * 60_000, 1000);
    expect(relayed.relay.size).toBe(1);
    end();
    await read;
    await clock.pass(29 * 60_000, 1000);
    expect(relayed.relay.size).toBe(1);
    await clock.pass(2 * 60_000, 1000);
    expect(relayed.relay.size).toBe(0);
  });

  test("is no longer recorded when there are too many and it is unused for longest", async () => {
    let count = 0;
    using upstream = startServer(({ headers }) =>
      json("{}", { "mcp-session-id": headers.get("mcp-session-id") ?? `s${(count += 1)}` }),
    );
    using relayed = bareRelay(upstream.url.href, { maxSessions: 3 });
    for (let begun = 0; begun < 3; begun += 1) await relayed.handle();
    await relayed.handle({ headers: { "mcp-session-id": "s1" } });
    expect([relayed.relay.size, relayed.ends]).toEqual([3, []]);
    await relayed.handle();
    expect([relayed.relay.size, relayed.ends]).toEqual([3, ["there are too many sessions"]]);
    const known = relayed.keys.length;
    // The first was used since: the second had to go.
    await relayed.handle({ headers: { "mcp-session-id": "s1" } });
    expect(relayed.keys).toHaveLength(known);
    await relayed.handle({ headers: { "mcp-session-id": "s2" } });
    expect(relayed.keys).toHaveLength(known + 1);
  });
});

describe("forwarding", () => {
  test("omits headers of the connection, and the client's credentials", async () => {
    const hops = [
      "keep-alive",
      "proxy-authenticate",
      "proxy-authorization",
      "te",
      "trailer",
      "upgrade",
      "origin",
      "cookie",
    ];
    let seen = new Headers();
    using upstream = startServer((request) => {
      seen = request.headers;
      return json("{}", {
        "x-kept": "kept",
        "keep-alive": "timeout=7",
        "set-cookie": "a=b",
        "content-encoding": "identity",
      });
    });
    using relayed = bareRelay(upstream.url.href);
    const sent = Object.fromEntries(hops.map((name) => [name, "mine"]));
    const response = await relayed.handle({
      headers: { ...sent, host: "mine", authorization: "mine", "x-kept": "kept" },
    });
    expect([...seen].filter(([, value]) => value === "mine")).toEqual([]);
    expect([seen.get("x-kept"), seen.get("host")]).toEqual(["kept", upstream.url.host]);
    const got = ["x-kept", "keep-alive", "set-cookie", "content-encoding"].map((name) => response.headers.get(name));
    expect(got).toEqual(["kept", null, null, null]);
  });

  test("passes responses of any other type unchanged", async () => {
    using upstream = startServer(() => new Response("no such method", { status: 405 }));
    await using relayed = startRelay(upstream.url.href);
    const response = await fetch(relayed.url);
    expect([response.status, await response.text()]).toEqual([405, "no such method"]);
    expect([relayed.frames, relayed.ends]).toEqual([[], ["the request was answered"]]);
  });
});

describe("an upstream that refuses connections", () => {
  const refused = () => Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));

  test("is tried for five seconds by the first request of a session, and once by any other", async () => {
    using clock = stopClock();
    using fetches = spyOn(globalThis, "fetch").mockImplementation(refused as unknown as typeof fetch);
    using relayed = bareRelay("http://127.0.0.1:1/");
    for (const [init, attempts] of [
      [{}, 26],
      [{ headers: inSession }, 1],
      [{ method: "GET", body: null }, 1],
    ] as const) {
      fetches.mockClear();
      let response: Response | undefined;
      void relayed.handle(init).then((answered) => (response = answered));
      const answered = await clock.passUntil("the answer", () => response);
      expect([answered.status, fetches.mock.calls.length]).toEqual([502, attempts]);
    }
  });

  test("is not tried again when it may have received the request", async () => {
    using fetches = spyOn(globalThis, "fetch").mockImplementation((() =>
      Promise.reject(new Error("the socket was closed"))) as unknown as typeof fetch);
    using relayed = bareRelay("http://127.0.0.1:1/");
    const response = await relayed.handle();
    expect(await response.text()).toContain("closed the connection");
    expect(fetches).toHaveBeenCalledTimes(1);
  });

  test("is not tried any longer once the client has left, and is not reported as down", async () => {
    using clock = stopClock();
    using fetches = spyOn(globalThis, "fetch").mockImplementation(refused as unknown as typeof fetch);
    const saw: unknown[] = [];
    using relayed = bareRelay("http://127.0.0.1:1/", { saw: (reason) => saw.push(reason) });
    const leaving = new AbortController();
    let response: Response | undefined;
    void relayed.handle({ signal: leaving.signal }).then((answered) => (response = answered));
    await clock.pass(500);
    leaving.abort();
    const answered = await clock.passUntil("the end", () => response);
    expect([answered.status, fetches.mock.calls.length, saw]).toEqual([499, 4, []]);
    expect(relayed.ends).toEqual(["the request was answered"]);
  });
});
