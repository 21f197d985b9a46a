import { describe, expect, test } from "bun:test";
import { HttpSessions } from "../../src/wire/http-sessions.ts";
import type { HttpSessionsOptions } from "../../src/wire/http-sessions.ts";
import type { Link } from "../../src/wire/link.ts";
import { stopClock } from "../support/clock.ts";
import type { StoppedClock } from "../support/clock.ts";
import { listen } from "../support/links.ts";
import type { Listening } from "../support/links.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";

/** An endpoint whose sessions are served by the test itself. */
function startEndpoint(options: Partial<HttpSessionsOptions> = {}) {
  const opened: { link: Link; heard: Listening }[] = [];
  const sessions = new HttpSessions({
    log: quiet,
    ...options,
    opened: (link) => void opened.push({ link, heard: listen(link) }),
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => sessions.handle(request, server),
  });
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const send = (message: object) =>
    fetch(server.url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
  return {
    sessions,
    server,
    opened,
    send,
    post: (body: string, more: Record<string, string> = {}) =>
      fetch(server.url, { method: "POST", headers: { ...headers, ...more }, body }),
    port: server.port ?? 0,
    headers,
    stream: (more: Record<string, string> = {}) =>
      fetch(server.url, { headers: { ...headers, accept: "text/event-stream", ...more } }),
    /** Initializes a session; `send` then posts its requests. */
    async open(): Promise<{ link: Link; heard: Listening }> {
      const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
      const response = await send({ id: "init", method: "initialize", params });
      const session = await until("a session", () => opened.at(-1));
      session.link.send(
        JSON.stringify({
          jsonrpc: "2.0",
          id: "init",
          result: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } },
        }),
      );
      await response.text();
      headers["mcp-session-id"] = response.headers.get("mcp-session-id") ?? "";
      headers["mcp-protocol-version"] = "2025-11-25";
      return session;
    },
    async [Symbol.asyncDispose]() {
      sessions.stop();
      await server.stop(true);
    },
  };
}

/** Reads events until one contains the text, and returns everything read. */
async function readUntil(response: Response, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let read = "";
  for await (const chunk of response.body ?? []) {
    read += decoder.decode(chunk, { stream: true });
    if (read.includes(text)) break;
  }
  return read;
}

/** A session that is opened while the clock stands still. */
async function openedBy(clock: StoppedClock, endpoint: ReturnType<typeof startEndpoint>) {
  let opened: { link: Link; heard: Listening } | undefined;
  void endpoint.open().then((session) => (opened = session));
  return clock.passUntil("a session", () => opened);
}

describe("a session over Streamable HTTP", () => {
  test("carries frames both ways, and messages that belong to a request on that request's stream", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const responding = endpoint.send({
      id: 7,
      method: "tools/call",
      params: { name: "x", _meta: { progressToken: "p" } },
    });
    await heard.count(2);
    expect(JSON.parse(heard.frames[1] ?? "")).toMatchObject({ id: 7, method: "tools/call" });
    link.send(
      JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "p", progress: 1 } }),
    );
    link.send(JSON.stringify({ jsonrpc: "2.0", id: 7, result: { unknownField: 1 } }));
    const text = await (await responding).text();
    expect(text.indexOf("notifications/progress")).toBeGreaterThan(-1);
    expect(text.indexOf('"unknownField":1')).toBeGreaterThan(text.indexOf("notifications/progress"));
  });

  test("replays the missed events, and only those, to a client that reconnects", async () => {
    await using endpoint = startEndpoint();
    const { link } = await endpoint.open();
    const tell = (data: string) =>
      link.send(JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params: { data } }));
    const first = await endpoint.stream();
    tell("one");
    const seen = await readUntil(first, '"one"');
    const lastId = [...seen.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
    expect(lastId).not.toBe("");
    tell("two");
    tell("three");
    const missed = await readUntil(await endpoint.stream({ "last-event-id": lastId }), '"three"');
    expect(missed).toContain('"two"');
    expect(missed).not.toContain('"one"');
  });

  test("closes when it is idle, and its server with it, but not while a stream is open", async () => {
    using clock = stopClock();
    const idleLimitMs = 60_000;
    await using endpoint = startEndpoint({ idleLimitMs });
    const idle = await openedBy(clock, endpoint);
    await clock.passUntil("the end of the idle session", () => endpoint.sessions.size === 0, 1000);
    expect(await idle.heard.end()).toContain("idle for too long");
    await using other = startEndpoint({ idleLimitMs });
    await openedBy(clock, other);
    const stream = await other.stream();
    await clock.pass(5 * idleLimitMs, 1000);
    expect(other.sessions.size).toBe(1);
    await stream.body?.cancel();
    await clock.passUntil("the end of the session", () => other.sessions.size === 0, 10);
  });

  test("passes frames unchanged: numbers of any size, unknown fields, batches", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const request = '{"jsonrpc":"2.0", "id":123456789012345678901234567890,"method":"x","params":{"n":1.0}}';
    const responding = endpoint.post(request);
    expect((await heard.count(2))[1]).toBe(request);
    const answer = '{"jsonrpc":"2.0","id":123456789012345678901234567890,"result":{"n":9007199254740993, "m":1.0}}';
    link.send(answer);
    expect(await (await responding).text()).toContain(`data: ${answer}\n`);
    const batch =
      '[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":2,"method":"b"}]';
    const batched = endpoint.post(batch);
    expect((await heard.count(3))[2]).toBe(batch);
    link.send('{"jsonrpc":"2.0","id":2,"result":{}}');
    link.send('{"jsonrpc":"2.0","id":1,"result":{}}');
    const text = await (await batched).text();
    expect(text.match(/"result"/g)).toHaveLength(2);
  });

  test("sends a server's request on a request's stream when no GET stream is open, and otherwise when one opens", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    link.send('{"jsonrpc":"2.0","id":"early","method":"roots/list"}');
    const [one, two] = [1, 2].map((id) => endpoint.send({ id, method: "tools/call" }));
    await heard.count(3);
    link.send('{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage"}');
    for (const id of [1, 2]) link.send(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
    const texts = await Promise.all([one, two].map(async (response) => (await response)?.text()));
    expect(texts.join("").match(/sampling/g)).toHaveLength(1);
    expect(texts.join("")).not.toContain("roots/list");
    expect(await readUntil(await endpoint.stream(), "roots/list")).toContain('"early"');
  });

  test("sends the progress of each call on that call's stream, whatever else is open", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    void endpoint.stream();
    const calls = [1, 2, 3].map((id) => endpoint.send({ id, method: "x", params: { _meta: { progressToken: id } } }));
    await heard.count(4);
    for (const progressToken of [3, 1, 2])
      link.send(JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken } }));
    for (const id of [1, 2, 3]) link.send(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
    const texts = await Promise.all(calls.map(async (response) => (await response).text()));
    expect(texts.map((text) => /"progressToken":(\d)/.exec(text)?.[1])).toEqual(["1", "2", "3"]);
  });

  test("keeps the response for a client whose connection broke until it reconnects", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const leaving = new AbortController();
    const broken = await fetch(`http://127.0.0.1:${endpoint.port}`, {
      method: "POST",
      headers: endpoint.headers,
      body: '{"jsonrpc":"2.0","id":5,"method":"slow"}',
      signal: leaving.signal,
    });
    await heard.count(2);
    const reader = broken.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    const lastId = /^id: (.*)$/m.exec(first)?.[1] ?? "";
    leaving.abort();
    link.send('{"jsonrpc":"2.0","id":5,"result":{"kept":true}}');
    const again = await endpoint.stream({ "last-event-id": lastId });
    // The stream ends after its response, as the first would have.
    expect(await again.text()).toContain('"kept":true');
    expect((await endpoint.stream({ "last-event-id": "nope/1" })).status).toBe(400);
  });

  test("refuses requests that break MCP's rules, says why, and leaves the session unchanged", async () => {
    await using endpoint = startEndpoint({ versions: ["2025-11-25"] });
    const { heard } = await endpoint.open();
    const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
    const refusals: [number, string, Promise<Response>][] = [
      [406, "Accept", endpoint.post(ping, { accept: "application/json" })],
      [415, "Content-Type", endpoint.post(ping, { "content-type": "text/plain" })],
      [400, "supported revision", endpoint.post(ping, { "mcp-protocol-version": "1999-01-01" })],
      [400, "supported revision", endpoint.stream({ "mcp-protocol-version": "" })],
      [406, "Accept", endpoint.stream({ accept: "application/json" })],
      [415, "Content-Type", endpoint.post(ping, { "content-type": "application/jsonx" })],
      [400, "not JSON", endpoint.post("{")],
      [400, "string or a number", endpoint.post(`[${ping},{"jsonrpc":"2.0","id":null,"method":"ping"}]`)],
      [400, "not JSON-RPC", endpoint.post("7")],
      [400, "string or a number", endpoint.post('{"jsonrpc":"2.0","id":{},"method":"ping"}')],
      [404, "initialize again", endpoint.post(ping, { "mcp-session-id": "nope" })],
    ];
    const other = await fetch(`http://127.0.0.1:${endpoint.port}`, { method: "PUT", headers: endpoint.headers });
    expect([other.status, other.headers.get("allow")]).toEqual([405, "GET, POST, DELETE"]);
    for (const [status, message, refusing] of refusals) {
      const response = await refusing;
      expect([response.status, await response.json()]).toMatchObject([
        status,
        { error: { message: expect.stringContaining(message) } },
      ]);
    }
    void endpoint.post(ping);
    await heard.count(2);
    const again = await endpoint.post(ping);
    expect([again.status, await again.text()]).toEqual([400, expect.stringContaining("another request")]);
    expect(heard.frames).toHaveLength(2);
  });

  test("begins with initialize and ends with DELETE", async () => {
    await using endpoint = startEndpoint({ versions: ["2025-11-25"] });
    const error = async (asking: Promise<Response>) => {
      const response = await asking;
      const { id, error } = (await response.json()) as { id: unknown; error: { code: number; message: string } };
      return [response.status, id, error.code, error.message];
    };
    const required = "a session is required: initialize one, then send its mcp-session-id";
    expect(await error(endpoint.send({ id: 7, method: "ping" }))).toEqual([400, 7, -32_600, required]);
    expect(await error(endpoint.send({ method: "ping" }))).toEqual([400, null, -32_600, required]);
    expect(await error(endpoint.stream())).toEqual([400, null, -32_600, required]);
    const discover = await error(endpoint.send({ id: "d", method: "server/discover" }));
    expect(discover.slice(0, 3)).toEqual([400, "d", -32_601]);
    const { heard } = await endpoint.open();
    const later = await endpoint.post('{"jsonrpc":"2.0","method":"n"}', {
      "content-type": "Application/JSON; charset=utf-8",
    });
    expect([later.status, await later.text()]).toEqual([202, ""]);
    const stream = await endpoint.stream();
    expect(["content-type", "cache-control", "mcp-session-id"].map((name) => stream.headers.get(name))).toEqual([
      "text/event-stream",
      "no-cache, no-transform",
      endpoint.headers["mcp-session-id"] ?? "",
    ]);
    const end = await fetch(`http://127.0.0.1:${endpoint.port}`, { method: "DELETE", headers: endpoint.headers });
    expect([end.status, endpoint.sessions.size]).toEqual([200, 0]);
    expect(await heard.end()).toBe("the client has ended its session");
    await stream.text();
    expect((await endpoint.send({ id: 1, method: "ping" })).status).toBe(404);
  });

  test("starts a stream with an event id for clients of 2025-11-25 and newer revisions", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const begins = async (version: string) => {
      const id = `v ${version}`;
      const response = endpoint.post(JSON.stringify({ jsonrpc: "2.0", id, method: "ping" }), {
        "mcp-protocol-version": version,
      });
      await until("the request", () => heard.frames.some((frame) => frame.includes(id)));
      link.send(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
      return (await (await response).text()).slice(0, 3);
    };
    expect([await begins("2025-06-18"), await begins("2025-11-25"), await begins("2026-07-28")]).toEqual([
      "eve",
      "id:",
      "id:",
    ]);
  });

  /** Opens sessions by themselves and answers them; `finish` reads the response, after which a session is not in use. */
  function many(maxSessions: number) {
    const endpoint = startEndpoint({ maxSessions });
    const headers = { ...endpoint.headers };
    const body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
    const initialize = () => fetch(`http://127.0.0.1:${endpoint.port}/`, { method: "POST", headers, body });
    const finish = async (response: Response) => {
      endpoint.opened.at(-1)?.link.send('{"jsonrpc":"2.0","id":1,"result":{}}');
      await response.text();
      return response.headers.get("mcp-session-id") ?? "";
    };
    const use = async (id: string) => {
      const notify = { method: "POST", headers: { ...headers, "mcp-session-id": id } };
      return (await fetch(`http://127.0.0.1:${endpoint.port}/`, { ...notify, body: '{"jsonrpc":"2.0","method":"n"}' }))
        .status;
    };
    return { endpoint, initialize, finish, use };
  }

  test("ends for a new one when there are too many and it is unused for longest", async () => {
    const { endpoint, initialize, finish, use } = many(3);
    await using _ = endpoint;
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.push(await finish(await initialize()));
    expect(await use(ids[0] ?? "")).toBe(202);
    await finish(await initialize());
    expect(await endpoint.opened[1]?.heard.end()).toContain("unused for longest");
    expect(endpoint.sessions.size).toBe(3);
    expect([await use(ids[0] ?? ""), await use(ids[1] ?? ""), await use(ids[2] ?? "")]).toEqual([202, 404, 202]);
  });

  test("is locked out by nobody who opens thousands", async () => {
    const { endpoint, initialize, finish } = many(10);
    await using _ = endpoint;
    for (let count = 0; count < 200; count += 1) await finish(await initialize());
    const response = await initialize();
    expect([response.status, endpoint.sessions.size]).toEqual([200, 10]);
    await finish(response);
  });

  test("is not opened when all are in use", async () => {
    const { endpoint, initialize, finish } = many(3);
    await using _ = endpoint;
    const inUse: Response[] = [];
    for (let count = 0; count < 3; count += 1) inUse.push(await initialize());
    const refused = await initialize();
    expect([refused.status, await refused.json(), endpoint.sessions.size]).toMatchObject([
      503,
      { id: 1, error: { message: "all sessions that there may be are in use; try again later" } },
      3,
    ]);
    // One that has its answer makes room.
    await finish(inUse[2] as Response);
    expect((await initialize()).status).toBe(200);
    expect(endpoint.sessions.size).toBe(3);
    endpoint.sessions.stop();
    expect(endpoint.sessions.size).toBe(0);
  });

  test("is kept alive by comments while its stream is idle", async () => {
    await using endpoint = startEndpoint({ keepAliveMs: 10 });
    await endpoint.open();
    const stream = await endpoint.stream();
    expect(await readUntil(stream, ":\n\n:\n\n:\n\n")).toMatch(/^(:\n\n)+$/);
  });

  test("slows its server down while the client reads slowly, and loses nothing", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const response = await endpoint.stream();
    const big = "x".repeat(100_000);
    const tell = (number: number) =>
      link.send(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${number} ${big}"}}`);
    let sent = 0;
    while (tell(sent)) {
      sent += 1;
      if (sent % 10 === 0) await Bun.sleep(0);
      expect(sent).toBeLessThan(1000);
    }
    expect(heard.drained).toBe(0);
    const text = await readUntil(response, `"${sent} x`);
    expect([...text.matchAll(/"data":"(\d+) x/g)].map((match) => Number(match[1]))).toEqual(
      Array.from({ length: sent + 1 }, (_, index) => index),
    );
    await until("room again", () => heard.drained > 0);
  });

  test("drops a stream that its client never reads, and stays open", async () => {
    await using endpoint = startEndpoint({ stallLimitMs: 100 });
    const { link, heard } = await endpoint.open();
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: endpoint.port,
      socket: {
        open(socket) {
          socket.pause();
          const headers = Object.entries({ ...endpoint.headers, host: "localhost" });
          socket.write(`GET / HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
        },
        data() {},
      },
    });
    const big = `{"jsonrpc":"2.0","method":"n","params":"${"x".repeat(500_000)}"}`;
    await until("a full queue", () => !link.send(big));
    await until("room again", () => heard.drained > 0);
    const calling = endpoint.send({ id: 1, method: "ping" });
    await heard.count(2);
    link.send('{"jsonrpc":"2.0","id":1,"result":{"alive":true}}');
    expect(await (await calling).text()).toContain('"alive":true');
    socket.terminate();
  });

  test("keeps the stream of a client that reads slowly, however long a frame is", async () => {
    using clock = stopClock();
    await using endpoint = startEndpoint({ stallLimitMs: 1000 });
    const { link, heard } = await openedBy(clock, endpoint);
    let tail = "";
    let takenBytes = 0;
    let reading: Bun.Socket | undefined;
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: endpoint.port,
      socket: {
        open(socket) {
          const headers = Object.entries({ ...endpoint.headers, host: "localhost" });
          socket.write(`GET / HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
        },
        data(socket, bytes) {
          tail = `${tail.slice(-100)}${bytes.toString("latin1")}`;
          takenBytes += bytes.length;
          socket.pause();
          reading = socket;
        },
      },
    });
    await clock.passUntil("the stream", () => tail.includes("200 OK"));
    const frameBytes = 80_000_000;
    for (const text of ["y".repeat(frameBytes), "the last"])
      link.send(`{"jsonrpc":"2.0","method":"n","params":"${text}"}`);
    const readUntilTaken = async (isTaken: () => boolean) => {
      while (!isTaken()) {
        reading?.resume();
        await new Promise(setImmediate);
      }
    };
    // A limit passes for each part that the client has taken, however long the machine needs for it.
    for (let wantedBytes = frameBytes / 8; wantedBytes < frameBytes; wantedBytes += frameBytes / 8) {
      await readUntilTaken(() => takenBytes >= wantedBytes);
      await clock.pass(1000, 100);
    }
    await readUntilTaken(() => tail.includes("the last"));
    expect(heard.closed).toBeUndefined();
    socket.terminate();
  });

  test("stops reading while its server is slow", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    link.pause();
    const posted = endpoint.post('{"jsonrpc":"2.0","method":"n"}');
    await Bun.sleep(50);
    expect(heard.frames).toHaveLength(1);
    link.resume();
    expect((await posted).status).toBe(202);
    expect(heard.frames).toHaveLength(2);
  });
});

describe("a long answer", () => {
  const text = "x".repeat(400_000);
  const result = (id: unknown) => `{ "jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"text":"${text}"}}`;
  const call = (id: unknown) => ({ id, method: "tools/call", params: {} });
  /** Posts a request, lets the session answer, and returns the response. */
  async function asked(frames: string[], request: object = call(1), betweenMs = 0) {
    const endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const posting = endpoint.post(JSON.stringify(Array.isArray(request) ? request : { jsonrpc: "2.0", ...request }));
    await heard.count(2);
    for (const frame of frames) {
      await Bun.sleep(betweenMs);
      link.send(frame);
    }
    const response = await posting;
    const body = await response.text();
    await endpoint[Symbol.asyncDispose]();
    return { type: response.headers.get("content-type"), session: response.headers.get("mcp-session-id"), body };
  }

  test("is the body itself when nothing was sent before it, unchanged", async () => {
    const { type, session, body } = await asked([result(1)]);
    expect([type, body === result(1)]).toEqual(["application/json", true]);
    expect(session).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("to a batch is the body when it answers all of it", async () => {
    const batch = [call(1), call(2)].map((each) => ({ jsonrpc: "2.0", ...each }));
    const whole = `[${result(1)},${result(2)}]`;
    expect(await asked([whole], batch)).toMatchObject({ type: "application/json", body: whole });
    const parts = await asked([result(1), result(2)], batch);
    expect(parts.type).toBe("text/event-stream");
    expect(parts.body.match(/data: \{/g)).toHaveLength(2);
  });

  test("is an event when something was sent before it, or the answer is short", async () => {
    const progress = '{"jsonrpc":"2.0","method":"notifications/message","params":{}}';
    for (const frames of [[progress, result(1)], ['{"jsonrpc":"2.0","id":1,"result":{}}']]) {
      const { type, body } = await asked(frames);
      expect(type).toBe("text/event-stream");
      // The stream begins with an id, so that it can be resumed.
      expect(body).toMatch(/^id: /);
      expect(body).toContain(frames.at(-1) ?? "");
    }
  });

  test("is an event when it comes late: the client has seen the head by then", async () => {
    const endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const response = await endpoint.send(call(1));
    expect(heard.frames).toHaveLength(2);
    link.send(result(1));
    expect([response.headers.get("content-type"), await response.text()]).toEqual([
      "text/event-stream",
      expect.stringContaining(result(1)) as string,
    ]);
    await endpoint[Symbol.asyncDispose]();
  });

  test("is over at once for a client that left while its request waited to be taken", async () => {
    await using endpoint = startEndpoint();
    const { heard } = await endpoint.open();
    const request = new Request(`http://127.0.0.1:${endpoint.port}`, {
      method: "POST",
      headers: endpoint.headers,
      body: JSON.stringify({ jsonrpc: "2.0", ...call(1) }),
      signal: AbortSignal.abort(),
    });
    const response = await endpoint.sessions.handle(request, endpoint.server);
    expect([response.status, heard.frames.length]).toEqual([499, 2]);
  });

  test("is not waited for by the end of the session, and a client that left holds no stream", async () => {
    await using endpoint = startEndpoint();
    const { heard } = await endpoint.open();
    const leaving = new AbortController();
    const left = fetch(`http://127.0.0.1:${endpoint.port}`, {
      method: "POST",
      headers: endpoint.headers,
      body: JSON.stringify({ jsonrpc: "2.0", ...call(1) }),
      signal: leaving.signal,
    }).catch(() => "left");
    await heard.count(2);
    leaving.abort();
    expect(await left).toBe("left");
    const waiting = endpoint.send(call(2)).then((response) => response.text());
    await heard.count(3);
    const startedMs = performance.now();
    await fetch(`http://127.0.0.1:${endpoint.port}`, { method: "DELETE", headers: endpoint.headers });
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    expect([await waiting, endpoint.sessions.size]).toEqual([expect.stringMatching(/^id: /) as string, 0]);
  });
});
