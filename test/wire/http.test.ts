import { describe, expect, spyOn, test } from "bun:test";
import { jsonRpcCode } from "../../src/errors.ts";
import { createLog } from "../../src/log.ts";
import { dialHttp } from "../../src/wire/http.ts";
import type { HttpDialOptions } from "../../src/wire/http.ts";
import { failure } from "../support/failure.ts";
import { listen } from "../support/links.ts";
import type { Listening } from "../support/links.ts";
import { freePort } from "../support/ports.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";
import { startStrictServer } from "../support/strict-server.ts";

type Answer = (request: Request, body: string) => Response | Promise<Response>;

/** An upstream that answers as the test says and records its requests. */
function startUpstream(answer: Answer, port = 0) {
  const asked: { method: string; body: string; headers: Headers; path: string }[] = [];
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const body = await request.text();
      const { pathname } = new URL(request.url);
      asked.push({ method: request.method, body, headers: request.headers, path: pathname });
      return request.method === "OPTIONS" ? new Response(null, { status: 405 }) : answer(request, body);
    },
  });
  return {
    asked,
    port: server.port ?? 0,
    url: `http://127.0.0.1:${server.port}/mcp?key=s3cret`,
    posts: () => asked.filter(({ method }) => method === "POST").map(({ body }) => body),
    stop: () => server.stop(true),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

async function dial(url: string, options: Partial<HttpDialOptions> = {}) {
  const link = await dialHttp({ url, headers: { authorization: "Bearer x" }, log: quiet, ...options });
  return { link, heard: listen(link) };
}

const initialize = '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const json = (text: string, headers: Record<string, string> = {}, status = 200) =>
  new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
const hello = json.bind(null, '{"jsonrpc":"2.0","id":"i","result":{"protocolVersion":"2025-11-25"}}', {
  "mcp-session-id": "s1",
});
const events = (...parts: (string | Error)[]) =>
  new Response(
    new ReadableStream({
      async pull(controller) {
        const part = parts.shift();
        if (part instanceof Error) {
          // The headers must have been sent before the break.
          await Bun.sleep(20);
          controller.error(part);
        } else if (part === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(part));
      },
    }),
    { headers: { "content-type": "text/event-stream" } },
  );
const accepted = () => new Response(null, { status: 202 });
const note = (method: string) => `{"jsonrpc":"2.0","method":"${method}"}`;
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{}}`;
/** A stream whose headers arrive and whose data does not. */
const begun = () =>
  new Response(new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(":\n\n")) }), {
    headers: { "content-type": "text/event-stream" },
  });
/** A response whose headers never arrive: Bun sends them with the first bytes. */
const never = () => new Response(new ReadableStream({}), { headers: { "content-type": "text/event-stream" } });
const call = (id: unknown) => `{"jsonrpc":"2.0","id":${String(id)},"method":"tools/call"}`;

describe("a link to a server over Streamable HTTP", () => {
  test("passes frames unchanged both ways, from bodies and from events", async () => {
    const big = '{"jsonrpc":"2.0","id":9007199254740993,"result":{"n":123456789012345678901234567890,"m":1.0}}';
    await using upstream = startUpstream((_, body) =>
      body.includes('"one"') ? json(big) : events(": hi\n\ndata: ", big.slice(0, 30), `${big.slice(30)}\n\n`),
    );
    const { link, heard } = await dial(upstream.url);
    const frames = ["one", "two"].map((name) => `{ "jsonrpc":"2.0","id":9007199254740993,"method":"${name}","x":1.0}`);
    for (const frame of frames) link.send(frame);
    expect(await heard.count(2)).toEqual([big, big]);
    // Requests run concurrently, so their responses arrive in any order.
    expect(upstream.posts().toSorted()).toEqual(frames);
    expect(upstream.asked.every(({ headers }) => headers.get("authorization") === "Bearer x")).toBe(true);
    link.close();
  });

  test("names session and revision once known, keeps the order of notifications, opens the GET stream, and ends with DELETE", async () => {
    await using upstream = startUpstream(async (request, body) => {
      if (body === initialize) return hello();
      if (request.method === "GET") return events('id: g1\ndata: {"from":"stream"}\n\n', "retry: 10\n\n");
      await Bun.sleep(body === initialized ? 50 : 0);
      return body === "" || body.includes("notifications")
        ? new Response(null, { status: 202 })
        : json('{"jsonrpc":"2.0","id":1,"result":{}}');
    });
    const { link, heard } = await dial(upstream.url);
    for (const frame of [initialize, initialized, call(1)]) link.send(frame);
    await until("the streams", () => upstream.asked.filter(({ method }) => method === "GET").length >= 3);
    expect(upstream.posts()).toEqual([initialize, initialized, call(1)]);
    expect(heard.frames).toContain('{"from":"stream"}');
    const [, , later] = upstream.asked.filter(({ method }) => method !== "OPTIONS");
    expect([later?.headers.get("mcp-session-id"), later?.headers.get("mcp-protocol-version")]).toEqual([
      "s1",
      "2025-11-25",
    ]);
    // A stream that ends is opened again after its last event.
    const gets = upstream.asked.filter(({ method }) => method === "GET");
    expect(gets.map(({ headers }) => headers.get("last-event-id"))).toEqual(
      [null, "g1", "g1"].concat(gets.slice(3).map(() => "g1")),
    );
    link.close();
    await until("goodbye", () => upstream.asked.some(({ method }) => method === "DELETE"));
  });

  test("keeps the session when a request from before it is answered later, without a session or with an earlier one", async () => {
    const early = Promise.withResolvers<Response>();
    const older = Promise.withResolvers<Response>();
    let sessions = 0;
    await using upstream = startUpstream((request, body) => {
      if (request.method === "GET") return new Response(null, { status: 405 });
      if (body === call(1)) return early.promise;
      if (body === call(2)) return older.promise;
      if (body !== initialize) return body.includes('"id"') ? json(answer(9)) : accepted();
      sessions += 1;
      return json('{"jsonrpc":"2.0","id":"i","result":{}}', { "mcp-session-id": `s${sessions}` });
    });
    const { link, heard } = await dial(upstream.url);
    const sessionOf = async (id: number) => {
      link.send(call(id));
      const found = () => upstream.asked.find(({ body }) => body === call(id));
      await until("the call", () => found() !== undefined);
      return found()?.headers.get("mcp-session-id");
    };
    expect(await sessionOf(1)).toBeNull();
    link.send(initialize);
    await heard.count(1);
    early.resolve(json(answer(1)));
    await heard.count(2);
    expect(await sessionOf(2)).toBe("s1");
    link.send(initialize);
    await heard.count(3);
    older.resolve(json(answer(2), { "mcp-session-id": "s1" }));
    await heard.count(4);
    expect(await sessionOf(3)).toBe("s2");
    link.close();
  });

  test("lets no cancellation overtake its call, and sends it before the call is answered", async () => {
    await using upstream = startUpstream(async (_, body) => {
      // The call arrives late, and its response never does.
      await Bun.sleep(body.includes("tools/call") ? 50 : 0);
      return body.includes("tools/call") ? never() : new Response(null, { status: 202 });
    });
    const { link } = await dial(upstream.url);
    const cancelled = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
    for (const frame of [call(1), cancelled, cancelled]) link.send(frame);
    await until("both", () => upstream.posts().length === 3);
    expect(upstream.posts()).toEqual([call(1), cancelled, cancelled]);
    link.close();
  });

  test("sends a notification when earlier requests have arrived, or after its patience", async () => {
    const arrival = Promise.withResolvers<void>();
    await using upstream = startUpstream(async (_, body) => {
      if (body === call(1)) {
        await arrival.promise;
        return begun();
      }
      return body === call(2) ? never() : accepted();
    });
    const patient = await dial(upstream.url, { arrivalPatienceMs: 1_000_000 });
    patient.link.send(call(1));
    patient.link.send(note("cancelled"));
    await until("the call", () => upstream.posts().length === 1);
    await Bun.sleep(50);
    expect(upstream.posts()).toEqual([call(1)]);
    arrival.resolve();
    await until("the notification", () => upstream.posts().length === 2);
    patient.link.close();
    const hasty = await dial(upstream.url, { arrivalPatienceMs: 1 });
    for (const frame of [call(2), note("cancelled")]) hasty.link.send(frame);
    await until("both", () => upstream.posts().length === 4);
    hasty.link.close();
  });

  test("sends nothing after a notification, or initialize, before it is answered", async () => {
    const released = new Map<string, PromiseWithResolvers<void>>();
    await using upstream = startUpstream(async (_, body) => {
      const release = Promise.withResolvers<void>();
      released.set(body, release);
      await release.promise;
      return body === initialize ? hello() : body.includes('"id"') ? json(answer(1)) : accepted();
    });
    const { link, heard } = await dial(upstream.url);
    const frames = [initialize, note("one"), note("two"), call(1)];
    for (const frame of frames) link.send(frame);
    for (const [index, frame] of frames.entries()) {
      await until(frame, () => released.has(frame));
      await Bun.sleep(20);
      expect(upstream.posts()).toEqual(frames.slice(0, index + 1));
      released.get(frame)?.resolve();
    }
    await heard.count(2);
    link.close();
  });

  test("reports backpressure while much is in flight, and room when it has arrived", async () => {
    const arrival = Promise.withResolvers<void>();
    await using upstream = startUpstream(async () => {
      await arrival.promise;
      return json(answer(1));
    });
    const { link, heard } = await dial(upstream.url, { maxSendingCharacters: 3 * call(1).length });
    expect([link.send(call(1)), link.send(call(1)), link.send(call(1)), link.send(call(1))]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(heard.drained).toBe(0);
    arrival.resolve();
    await heard.count(4);
    expect(heard.drained).toBe(1);
    expect([link.send(call(1)), link.send("{"), link.send("[]")]).toEqual([true, true, true]);
    await heard.count(7);
    // An invalid frame is not sent, and makes room again.
    expect(link.send("[]".padEnd(1000))).toBe(false);
    await until("room again", () => heard.drained === 2);
    await heard.count(8);
    expect(
      heard.frames.filter((frame) => frame.includes('"error"')).map((frame) => JSON.parse(frame) as object),
    ).toEqual([
      { jsonrpc: "2.0", id: null, error: { code: -32_700, message: "the frame is not JSON" } },
      { jsonrpc: "2.0", id: null, error: { code: -32_600, message: "the frame is not JSON-RPC" } },
      { jsonrpc: "2.0", id: null, error: { code: -32_600, message: "the frame is not JSON-RPC" } },
    ]);
    link.close();
    expect(link.send("x".repeat(1000))).toBe(true);
  });

  test("opens one GET stream after the client is initialized, and none where the server has none", async () => {
    const gets = (upstream: { asked: { method: string }[] }) =>
      upstream.asked.filter(({ method }) => method === "GET").length;
    await using listening = startUpstream((request) => (request.method === "GET" ? never() : accepted()));
    const first = await dial(listening.url);
    first.link.send(note("notifications/other"));
    first.link.send(note("notifications/another"));
    await until("both", () => listening.posts().length === 2);
    expect(gets(listening)).toBe(0);
    for (const frame of [initialized, initialized, note("n")]) first.link.send(frame);
    await until("all", () => listening.posts().length === 5);
    await until("the stream", () => gets(listening) > 0);
    expect(gets(listening)).toBe(1);
    first.link.close();
    await using deaf = startUpstream((request) =>
      request.method === "GET" ? new Response("retry: 1\n\n", { status: 405 }) : accepted(),
    );
    const second = await dial(deaf.url);
    second.link.send(initialized);
    await until("the question", () => gets(deaf) === 1);
    second.link.send(note("n"));
    await until("the notification", () => deaf.posts().length === 2);
    // Long enough for another attempt, if that body were read as a stream.
    await Bun.sleep(50);
    expect([gets(deaf), second.heard.closed]).toEqual([1, undefined]);
    second.link.close();
  });

  test("ignores the body of a response to a notification", async () => {
    await using upstream = startUpstream((_, body) =>
      json(body === call(1) ? answer(1) : '{"jsonrpc":"2.0","method":"n"}'),
    );
    const { link, heard } = await dial(upstream.url);
    for (const frame of [note("n"), call(1)]) link.send(frame);
    await heard.count(1);
    expect(heard.frames).toEqual([answer(1)]);
    link.close();
  });

  test("gives a stream that fails 5 more attempts in a row, at the pace the server sets", async () => {
    const times: number[] = [];
    await using upstream = startUpstream(() => {
      times.push(performance.now());
      return events(`id: 1\nretry: 100\ndata: \n\n`, new Error("cut"));
    });
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    const [error = ""] = await heard.count(1);
    expect(JSON.parse(error)).toMatchObject({ id: 1, error: { code: jsonRpcCode("unavailable") } });
    expect(error).toContain(`http://127.0.0.1:${upstream.port}/mcp did not answer the request: `);
    const ids = upstream.asked
      .filter(({ method }) => method === "GET")
      .map(({ headers }) => headers.get("last-event-id"));
    expect(ids).toEqual(["1", "1", "1", "1", "1"]);
    for (const [index, time] of times.slice(1).entries()) expect(time - (times[index] ?? 0)).toBeGreaterThan(90);
    link.close();
  });

  test("polls a server that closes the stream of a call, for as long as it takes", async () => {
    // Closed cleanly, broken with a new event, refused a few times: none of these alone ends the call.
    const turns = [
      ...Array.from({ length: 8 }, (_, index) => () => events(`id: p${index}\ndata: \n\n`)),
      ...Array.from({ length: 8 }, (_, index) => () => events(`id: b${index}\ndata: \n\n`, new Error("cut"))),
      ...[503, 429, 502, 500].map((status) => () => new Response(null, { status })),
      () => events("id: more\ndata: \n\n"),
      ...[503, 429, 502, 500].map((status) => () => new Response(null, { status })),
      ...Array.from({ length: 8 }, () => () => events(": nothing yet\n\n")),
      () => events(`id: last\ndata: ${answer(1)}\n\n`),
    ];
    await using upstream = startUpstream((request) =>
      request.method === "GET" ? (turns.shift()?.() ?? json("{}", {}, 404)) : events("id: first\nretry: 1\ndata: \n\n"),
    );
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    expect(await heard.count(1)).toEqual([answer(1)]);
    expect([turns.length, heard.closed]).toEqual([0, undefined]);
    link.close();
  });

  test("stops polling for a call that was cancelled, without an error", async () => {
    let polls = 0;
    await using upstream = startUpstream((request, body) => {
      if (request.method === "GET") polls += 1;
      return request.method === "GET" || body === call(1) ? events("id: a\nretry: 1\ndata: \n\n") : accepted();
    });
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    await until("a poll", () => polls > 3);
    link.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}');
    await until("no more polls", async () => {
      const before = polls;
      await Bun.sleep(100);
      return polls === before;
    });
    expect(heard.frames).toEqual([]);
    link.close();
  });

  test("does not resume a stream that ends after its response, and names one that ends before", async () => {
    await using upstream = startUpstream((_, body) =>
      body === call(1) ? events(`id: a\nretry: 1\ndata: ${answer(1)}\n\n`) : events(": no response\n\n"),
    );
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    await heard.count(1);
    link.send(call(2));
    expect((await heard.count(2))[1]).toContain("did not answer the request: the stream ended too early");
    expect(upstream.asked.some(({ method }) => method === "GET")).toBe(false);
    link.close();
  });

  test.each([
    ["a page", () => new Response("<p>MCP server</p>", { headers: { "content-type": "text/html" } })],
    ["a document", () => json('{"name":"server"}')],
    ["nothing", () => accepted()],
  ])(
    "answers the request when the rest of its stream is asked for and %s comes, not polling for ever",
    async (_, page) => {
      await using upstream = startUpstream((request) =>
        request.method === "GET" ? page() : events("id: a\nretry: 1\ndata: \n\n"),
      );
      const { link, heard } = await dial(upstream.url);
      link.send(call(1));
      expect((await heard.count(1))[0]).toContain("the answer is no event stream");
      link.close();
    },
  );

  test("answers the request when its stream cannot be resumed", async () => {
    await using upstream = startUpstream((request) =>
      request.method === "GET"
        ? new Response("unknown stream", { status: 400 })
        : events("id: a\nretry: 1\ndata: \n\n"),
    );
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    expect((await heard.count(1))[0]).toContain("HTTP 400: unknown stream");
    link.close();
  });

  test("closes once, and ends the session once", async () => {
    await using upstream = startUpstream((_, body) => (body === initialize ? hello() : accepted()));
    const { link, heard } = await dial(upstream.url);
    link.send(initialize);
    await heard.count(1);
    link.close();
    link.close();
    expect(await heard.end()).toBe("closed by Dewey");
    const ends = () => upstream.asked.filter(({ method }) => method === "DELETE");
    await until("the end", () => ends().length > 0);
    expect(ends().map(({ headers }) => headers.get("mcp-session-id"))).toEqual(["s1"]);
    const without = await dial(upstream.url);
    without.link.close();
    await dial(upstream.url);
    expect(ends()).toHaveLength(1);
  });

  test("answers each request that the server refuses, with the server's own JSON-RPC error if there is one", async () => {
    const own = '{"jsonrpc":"2.0","id":2,"error":{"code":-32600,"message":"own"}}';
    await using upstream = startUpstream((_, body) =>
      body === call(2)
        ? json(own, {}, 400)
        : body === call(3)
          ? new Response("try later", { status: 503 })
          : json("", {}, 200),
    );
    const { link, heard } = await dial(upstream.url);
    for (const id of [2, 3, 4]) link.send(call(id));
    link.send("not JSON");
    const frames = await heard.count(4);
    expect(frames).toContain(own);
    const messages = Object.fromEntries(
      frames
        .map((frame) => JSON.parse(frame) as { id: number; error: { message: string } })
        .map(({ id, error }) => [id, error.message]),
    );
    expect(messages["3"]).toContain("HTTP 503: try later");
    expect(messages["4"]).toContain("ended before every request was answered");
    expect(messages["null"]).toContain("not JSON");
    expect(frames.join("")).not.toContain("s3cret");
    expect(heard.closed).toBeUndefined();
    link.close();
  });

  test("answers the requests of a stream that breaks at once, or resumes the stream if it has event ids", async () => {
    await using upstream = startUpstream((request, body) => {
      if (request.method === "GET") return events(`data: ${answer(2)}\n\n`);
      if (body === call(2)) return events("id: a\nretry: 1\ndata: \n\n", new Error("cut"));
      return events(": no id\n\n", new Error("cut"));
    });
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    link.send(call(2));
    const frames = await heard.count(2);
    expect(frames.find((frame) => frame.includes('"id":1'))).toContain('"error"');
    expect(frames.find((frame) => frame.includes('"id":2'))).toContain('"result"');
    expect(upstream.asked.find(({ method }) => method === "GET")?.headers.get("last-event-id")).toBe("a");
    link.close();
  });

  test("closes when the session is gone or the connection is refused, and says why", async () => {
    let isGone = false;
    await using upstream = startUpstream((_, body) =>
      isGone ? json('{"error":"no session"}', {}, 404) : body === initialize ? hello() : never(),
    );
    const first = await dial(upstream.url);
    const second = await dial(upstream.url);
    for (const { link, heard } of [first, second]) {
      link.send(initialize);
      await heard.count(1);
      link.send(call(1));
    }
    await until("two calls", () => upstream.posts().filter((body) => body === call(1)).length === 2);
    isGone = true;
    first.link.send(call(2));
    expect(await first.heard.end()).toContain("session is gone");
    await upstream.stop();
    // The call breaks when the server stops; the next is refused.
    await second.heard.count(2);
    second.link.send(call(3));
    expect(await second.heard.end()).toContain("cannot be reached");
    expect(second.heard.frames.slice(1).every((frame) => frame.includes('"error"'))).toBe(true);
  });

  test("loses nothing when the server has no GET stream, whatever it answers", async () => {
    for (const status of [200, 400, 401, 403, 404, 405, 406, 410, 501]) {
      const released = Promise.withResolvers<void>();
      await using upstream = startUpstream(async (request, body) => {
        if (request.method === "GET") return new Response("no such page", { status });
        if (body === initialize) return hello();
        if (body === call(1)) await released.promise;
        return body.includes('"id"') ? json(answer(body === call(1) ? 1 : 2)) : accepted();
      });
      const { link, heard } = await dial(upstream.url);
      for (const frame of [initialize, initialized, call(1)]) link.send(frame);
      await until("the GET", () => upstream.asked.some(({ method }) => method === "GET"));
      link.send(call(2));
      await heard.count(2);
      released.resolve();
      expect((await heard.count(3)).slice(1)).toEqual([answer(2), answer(1)]);
      expect([heard.closed, upstream.posts().filter((body) => body === initialize).length]).toEqual([undefined, 1]);
      link.close();
    }
  });

  test("tries a GET stream again that is refused for now, reports it, and misses nothing", async () => {
    const refusals = [429, 503, 500, 502, 408];
    const lastIds: (string | null)[] = [];
    await using upstream = startUpstream((request) => {
      if (request.method !== "GET") return accepted();
      lastIds.push(request.headers.get("last-event-id"));
      // It breaks once, is refused several times, and is open again.
      if (lastIds.length === 1) return events(`id: one\nretry: 1\ndata: ${note("one")}\n\n`);
      const status = refusals.shift();
      return status === undefined ? events(`data: ${note("two")}\n\n`, ": open\n\n") : new Response(null, { status });
    });
    const lines: string[] = [];
    const log = createLog({ level: "info", format: "json", write: (line) => lines.push(line) });
    const saw: (string | undefined)[] = [];
    const sleep = spyOn(Bun, "sleep").mockImplementation(() => new Promise((resolve) => setImmediate(resolve)));
    const { link, heard } = await dial(upstream.url, { log, sawStream: (reason) => saw.push(reason) });
    link.send(initialized);
    const frames = await heard.count(2);
    const pausesMs = sleep.mock.calls.map(([ms]) => Number(ms)).filter((ms) => ms >= 500);
    sleep.mockRestore();
    expect(frames.slice(0, 2)).toEqual([note("one"), note("two")]);
    expect(lastIds.slice(0, 7)).toEqual([null, ...Array.from({ length: 6 }, () => "one")]);
    expect(pausesMs.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(saw.slice(0, 6)).toEqual([
      ...[429, 503, 500, 502, 408].map((status) => `its event stream cannot be opened: HTTP ${status}`),
      undefined,
    ]);
    expect(lines.join("")).toMatch(/event stream is tried again.*HTTP 503/);
    expect(heard.closed).toBeUndefined();
    link.close();
  });

  test("closes when the GET stream finds that the server is gone", async () => {
    const opened = Promise.withResolvers<void>();
    await using upstream = startUpstream((request) => {
      if (request.method !== "GET") return accepted();
      opened.resolve();
      return begun();
    });
    const { link, heard } = await dial(upstream.url);
    link.send(initialized);
    await opened.promise;
    expect(heard.closed).toBeUndefined();
    await upstream.stop();
    expect(await heard.end()).toContain("cannot be reached");
  });

  test("stays open after a refused request, and passes no response to another request on", async () => {
    const other = '{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"of another request"}}';
    await using upstream = startUpstream((_, body) =>
      body === initialize ? hello() : body === call(1) ? json(other, {}, 400) : json("{}", {}, 503),
    );
    const { link, heard } = await dial(upstream.url);
    for (const frame of [initialize, call(1), call(2)]) link.send(frame);
    await heard.count(3);
    expect(heard.frames.some((frame) => frame.includes('"id":99'))).toBe(false);
    expect([heard.frames.filter((frame) => frame.includes('"error"')).length, heard.closed]).toEqual([2, undefined]);
    link.close();
    await using unknown = startUpstream(() => json("{}", {}, 404));
    const without = await dial(unknown.url);
    without.link.send(call(1));
    expect((await without.heard.count(1))[0]).toContain("HTTP 404");
    expect(without.heard.closed).toBeUndefined();
    without.link.close();
  });

  test("passes the response to a batch unchanged, and aborts requests in flight when it closes", async () => {
    const aborted = Promise.withResolvers<void>();
    await using upstream = startUpstream((request, body) => {
      if (body.startsWith("[")) return json(`[${answer(2)},${answer(1)}]`);
      request.signal.addEventListener("abort", () => aborted.resolve());
      return never();
    });
    const { link, heard } = await dial(upstream.url);
    link.send(`[${call(1)},${call(2)}]`);
    expect(await heard.count(1)).toEqual([`[${answer(2)},${answer(1)}]`]);
    link.send(call(3));
    await until("the call", () => upstream.posts().length === 2);
    link.close();
    await aborted.promise;
    expect(heard.frames).toHaveLength(1);
  });

  test("that cannot be opened names the address and the reason, without secrets", async () => {
    const url = `http://user:pass@127.0.0.1:${freePort()}/mcp?token=s3cret`;
    const { code, message } = await failure(dialHttp({ url, headers: {}, log: quiet }));
    expect([code, message]).toEqual([
      "unavailable",
      expect.stringMatching(/\/mcp cannot be reached: the connection was refused/),
    ]);
    expect(message).not.toMatch(/s3cret|pass/);
  });

  test("follows redirects within a server, and sends its headers to no other", async () => {
    await using other = startUpstream(() => json("{}"));
    await using upstream = startUpstream((request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/mcp") return new Response(null, { status: 307, headers: { location: "/mcp/" } });
      return new Response(null, { status: 308, headers: { location: other.url } });
    });
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    expect((await heard.count(1))[0]).toContain("HTTP 308");
    expect(upstream.asked.map(({ method, path }) => `${method} ${path}`).slice(-2)).toEqual([
      "POST /mcp",
      "POST /mcp/",
    ]);
    expect(other.asked).toEqual([]);
    link.close();
  });

  test("is not read while the link is paused", async () => {
    let sent = 0;
    const big = `data: {"jsonrpc":"2.0","method":"n","params":"${"x".repeat(100_000)}"}\n\n`;
    await using upstream = startUpstream(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new TextEncoder().encode(big));
              sent += 1;
              if (sent % 20 === 0) await Bun.sleep(0);
            },
          }),
          { headers: { "content-type": "text/event-stream" } },
        ),
    );
    const { link, heard } = await dial(upstream.url);
    link.send(call(1));
    await heard.count(10);
    const quietly = () =>
      until("quiet", async () => {
        const before = sent;
        await Bun.sleep(100);
        return sent === before && before;
      });
    link.pause();
    const settled = await quietly();
    expect(settled).toBeLessThan(1000);
    link.pause();
    link.resume();
    await until("more", () => sent > settled + 100);
    link.pause();
    const again = await quietly();
    link.resume();
    await until("more again", () => sent > again + 100);
    link.close();
  });

  describe("to a server of 2026-07-28 that checks headers", () => {
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const request = (id: number, method: string, params: object = {}) =>
      JSON.stringify({ jsonrpc: "2.0", id, method, params: { _meta, ...params } });
    const replies = async (heard: Listening, count: number) =>
      (await heard.count(count)).map((frame) => JSON.parse(frame) as Record<string, unknown>);

    test("tools and arguments of any name arrive, whether or not the tools were listed before", async () => {
      await using upstream = startStrictServer();
      const calls = ["plain", "größe", "two words", "mirrored"].map((name, index) =>
        request(index + 2, "tools/call", { name, arguments: { text: "naïve" } }),
      );
      for (const frames of [[request(1, "tools/list"), ...calls], calls]) {
        const { link, heard } = await dial(upstream.url);
        for (const [index, frame] of frames.entries()) {
          link.send(frame);
          expect((await replies(heard, index + 1)).at(-1)).toHaveProperty("result");
        }
        expect((await replies(heard, frames.length)).at(-1)).toMatchObject({
          result: { content: [{ type: "text", text: "mirrored heard naïve" }] },
        });
        link.close();
      }
    });

    test("a list of tools that passes is remembered, so that no call is refused first", async () => {
      const schema = { properties: { a: { type: "string", "x-mcp-header": "A" } } };
      const list = { jsonrpc: "2.0", id: 1, result: { tools: [{ name: "echo", inputSchema: schema }] } };
      await using upstream = startUpstream((_, body) =>
        json(body.includes("tools/list") ? JSON.stringify(list) : answer(2)),
      );
      const { link, heard } = await dial(upstream.url);
      link.send(request(1, "tools/list"));
      await heard.count(1);
      link.send(request(2, "tools/call", { name: "echo", arguments: { a: "x" } }));
      await heard.count(2);
      expect(upstream.asked.at(-1)?.headers.get("mcp-param-a")).toBe("x");
      expect(upstream.posts()).toHaveLength(2);
      link.close();
    });

    test("a refusal for other reasons than unknown headers is passed on, once", async () => {
      let lists = 0;
      const refusal = '{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"no"}}';
      await using upstream = startUpstream((_, body) => {
        if (!body.includes("tools/list")) return json(refusal, {}, 400);
        lists += 1;
        return json('{"jsonrpc":"2.0","id":"dewey-tools","result":{"tools":[{"name":"echo","inputSchema":{}}]}}');
      });
      const { link, heard } = await dial(upstream.url);
      link.send(request(1, "tools/call", { name: "echo" }));
      expect(await heard.count(1)).toEqual([refusal]);
      expect([lists, upstream.posts().length]).toEqual([1, 2]);
      link.close();
    });

    test("a cancelled request is cancelled by closing its stream, and gets no response", async () => {
      let closed = 0;
      await using upstream = startUpstream((request, body) => {
        if (!body.includes("subscriptions/listen")) return json('{"jsonrpc":"2.0","id":2,"result":{}}');
        request.signal.addEventListener("abort", () => (closed += 1));
        return begun();
      });
      const { link, heard } = await dial(upstream.url);
      link.send(request(1, "subscriptions/listen", { notifications: {} }));
      await until("the request", () => upstream.posts().length === 1);
      link.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}');
      await until("the end of the stream", () => closed === 1);
      link.send(request(2, "tools/list"));
      expect(await replies(heard, 1)).toMatchObject([{ id: 2 }]);
      expect(upstream.posts()).toHaveLength(2);
      link.close();
    });
  });

  test("repeats parts of a request in headers, for the revision without sessions", async () => {
    await using upstream = startUpstream(() => json('{"jsonrpc":"2.0","id":1,"result":{}}'));
    const { link, heard } = await dial(upstream.url);
    link.send(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}',
    );
    await heard.count(1);
    const { headers } = upstream.asked.at(-1) ?? {};
    expect(["mcp-protocol-version", "mcp-method", "mcp-name"].map((name) => headers?.get(name))).toEqual([
      "2026-07-28",
      "tools/call",
      "echo",
    ]);
    link.close();
  });
});
