import { describe, expect, test } from "bun:test";
import type { ServerWebSocket } from "bun";
import { HIGH_WATER_BYTES } from "../../src/wire/limits.ts";
import { acceptedWebSocket, dialWebSocket, selectSubprotocol } from "../../src/wire/websocket.ts";
import type { Accepted } from "../../src/wire/websocket.ts";
import type { Link } from "../../src/wire/link.ts";
import { stopClock } from "../support/clock.ts";
import { failure } from "../support/failure.ts";
import { listen } from "../support/links.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/rpc.ts";

/** A server that passes on each accepted link with the request that opened it. */
function startServer(options: { stallLimitMs?: number } = {}) {
  const links: Link[] = [];
  const sockets: ServerWebSocket<Accepted>[] = [];
  const requests: Request[] = [];
  const server = Bun.serve<Accepted>({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      requests.push(request);
      const selected = selectSubprotocol(request);
      if (!selected.ok) return new Response("no", { status: 400 });
      return server.upgrade(request, {
        data: { opened: (link) => links.push(link), ...options },
        headers: selected.headers,
      })
        ? undefined
        : new Response("no", { status: 400 });
    },
    websocket: {
      ...acceptedWebSocket,
      open(socket) {
        sockets.push(socket);
        void acceptedWebSocket.open?.(socket);
      },
    },
  });
  return {
    url: `ws://127.0.0.1:${server.port}/path?key=s3cret`,
    links,
    sockets,
    requests,
    accepted: () => until("a link", () => links.at(-1)),
    [Symbol.dispose]: () => void server.stop(true),
  };
}

const upgradeRequest = [
  "GET / HTTP/1.1",
  "host: localhost",
  "upgrade: websocket",
  "connection: upgrade",
  "sec-websocket-version: 13",
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  "",
  "",
].join("\r\n");

describe("a link over WebSocket", () => {
  test("carries frames unchanged both ways, and sends the given headers", async () => {
    using server = startServer();
    const client = await dialWebSocket({ url: server.url, headers: { authorization: "Bearer x" } });
    const up = await server.accepted();
    const [here, there] = [listen(client), listen(up)];
    const frames = ['{"id":90071992547409931234}', " {}\n", "not JSON at all", "é漢🙂", "z".repeat(50_000_000)];
    for (const text of frames) {
      client.send(text);
      up.send(text);
    }
    expect((await there.count(frames.length)).every((text, index) => text === frames[index])).toBe(true);
    expect((await here.count(frames.length)).every((text, index) => text === frames[index])).toBe(true);
    expect(server.requests[0]?.headers.get("authorization")).toBe("Bearer x");
    client.close("done");
    expect(await there.end()).toContain("done");
    await here.end();
  });

  test("keeps frames that arrive before its owner is ready", async () => {
    using server = startServer();
    const client = await dialWebSocket({ url: server.url });
    client.send("early");
    const up = await server.accepted();
    await Bun.sleep(20);
    expect(await listen(up).count(1)).toEqual(["early"]);
    client.close();
  });

  for (const side of ["the server", "the client"] as const) {
    test(`stops reading while ${side} is paused, which its peer sees as backpressure, and loses nothing`, async () => {
      using server = startServer();
      const client = await dialWebSocket({ url: server.url });
      const up = await server.accepted();
      const [reader, writer] = side === "the server" ? [up, client] : [client, up];
      const [heard, told] = [listen(reader), listen(writer)];
      reader.pause();
      const big = "y".repeat(200_000);
      let sent = 0;
      while (sent < 2000 && writer.send(`${sent} ${big}`)) {
        sent += 1;
        if (sent % 10 === 0) await Bun.sleep(0);
      }
      expect(sent).toBeLessThan(2000);
      sent += 1;
      reader.resume();
      await until("room again", () => told.drained > 0);
      const frames = await heard.count(sent);
      expect(frames.map((text) => text.split(" ")[0])).toEqual(Array.from({ length: sent }, (_, index) => `${index}`));
      client.close();
    });
  }

  test("whose client leaves while it is paused closes after the client's last frame", async () => {
    using server = startServer();
    const client = await dialWebSocket({ url: server.url });
    const up = await server.accepted();
    const heard = listen(up);
    up.pause();
    client.send("the last");
    client.close();
    await heard.end();
    expect(heard.frames).toEqual(["the last"]);
  });

  test("of a client that takes slowly is kept, however much is queued for it, and one that stops taking is closed", async () => {
    using clock = stopClock();
    using server = startServer({ stallLimitMs: 1000 });
    let taking: Bun.Socket | undefined;
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(server.url).port),
      socket: {
        open: (socket) => void socket.write(upgradeRequest),
        data(socket) {
          socket.pause();
          taking = socket;
        },
      },
    });
    const link = await clock.passUntil("a link", () => server.links.at(-1));
    const heard = listen(link);
    const [socket] = server.sockets;
    link.send("y".repeat(100_000_000));
    expect(link.send("the last")).toBe(false);
    for (let limits = 0; limits < 10; limits += 1) {
      const queuedBytes = socket?.getBufferedAmount() ?? 0;
      // Time stands still until the kernel has passed some bytes on, which depends on the machine.
      while (socket?.getBufferedAmount() === queuedBytes) {
        taking?.resume();
        await new Promise(setImmediate);
      }
      await clock.pass(1000, 100);
      expect(heard.closed).toBeUndefined();
    }
    expect(heard.drained).toBe(0);
    await clock.pass(2000, 100);
    await clock.passUntil("the close", () => heard.closed);
    client.terminate();
  });

  describe("over a socket whose queue the test sets", () => {
    /** The socket sends no drain event unless the test does. */
    function open() {
      const state = { queuedBytes: 0, terminated: false };
      let link: Link | undefined;
      const socket = {
        data: { opened: (opened: Link) => void (link = opened), stallLimitMs: 1000 },
        send: (text: string) => void (state.queuedBytes += text.length),
        getBufferedAmount: () => state.queuedBytes,
        terminate: () => void (state.terminated = true),
      } as unknown as ServerWebSocket<Accepted>;
      void acceptedWebSocket.open?.(socket);
      if (!link) throw new Error("no link was opened");
      return { state, link, heard: listen(link), drain: () => void acceptedWebSocket.drain?.(socket) };
    }

    test("a queue that falls without a drain event is progress", async () => {
      using clock = stopClock();
      const { state, link, heard } = open();
      expect(link.send("y".repeat(5_000_000))).toBe(false);
      for (let limits = 0; limits < 10; limits += 1) {
        state.queuedBytes -= 1;
        await clock.pass(1000, 100);
      }
      expect([state.terminated, heard.drained]).toEqual([false, 0]);
      await clock.pass(1000, 100);
      expect(state.terminated).toBe(true);
    });

    test("a queue that is refilled as it is taken is progress", async () => {
      using clock = stopClock();
      const { state, link } = open();
      link.send("y".repeat(5_000_000));
      for (let limits = 0; limits < 10; limits += 1) {
        await clock.pass(500, 100);
        state.queuedBytes -= 100;
        link.send("z".repeat(1000));
        await clock.pass(500, 100);
      }
      expect(state.terminated).toBe(false);
      for (let limits = 0; limits < 2; limits += 1) {
        link.send("more, of which nothing is taken");
        await clock.pass(1000, 100);
      }
      expect(state.terminated).toBe(true);
    });

    test("a queue that sending itself empties is reported as drained", async () => {
      using clock = stopClock();
      const { state, link, heard } = open();
      expect(link.send("y".repeat(5_000_000))).toBe(false);
      state.queuedBytes = 0;
      expect(link.send("z")).toBe(true);
      expect(heard.drained).toBe(1);
      await clock.pass(5000, 100);
      expect(state.terminated).toBe(false);
    });

    test("a queue is reported as drained once it is below the high-water mark", () => {
      const { state, link, heard, drain } = open();
      link.send("y".repeat(5_000_000));
      state.queuedBytes = HIGH_WATER_BYTES;
      drain();
      expect(heard.drained).toBe(0);
      state.queuedBytes = HIGH_WATER_BYTES - 1;
      drain();
      expect(heard.drained).toBe(1);
    });
  });

  test("of a client that reads nothing of its queue is closed after the stall limit", async () => {
    using server = startServer({ stallLimitMs: 200 });
    const client = await dialWebSocket({ url: server.url });
    client.pause();
    const up = await server.accepted();
    const heard = listen(up);
    const big = "y".repeat(500_000);
    await until("a full queue", () => !up.send(big));
    // It keeps sending, so that the idle limit does not apply.
    const talking = setInterval(() => client.send("still here"), 20);
    expect(await heard.end()).toContain("closed");
    clearInterval(talking);
    client.close();
  });

  test("to a server that vanished is closed by missed pings, and one to a quiet server is kept", async () => {
    using server = startServer();
    const handshake = (request: string) =>
      new Bun.CryptoHasher("sha1")
        .update(`${/sec-websocket-key: (.*)\r/i.exec(request)?.[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
    const dead = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, bytes) {
          const text = bytes.toString();
          if (!text.startsWith("GET")) return;
          const lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: upgrade"];
          const more = [`sec-websocket-accept: ${handshake(text)}`, "sec-websocket-protocol: mcp", "", ""];
          socket.write([...lines, ...more].join("\r\n"));
        },
      },
    });
    const [gone, quiet] = await Promise.all(
      [`ws://127.0.0.1:${dead.port}/`, server.url].map(async (url) => {
        const link = await dialWebSocket({ url, pingIntervalMs: 50 });
        return { link, heard: listen(link) };
      }),
    );
    expect(await gone?.heard.end()).toContain("closed");
    expect(quiet?.heard.closed).toBeUndefined();
    quiet?.link.close();
    dead.stop(true);
  });

  test("of a client that vanished is closed by missed pings, and one of a quiet client, or a paused one, is kept", async () => {
    const links: Link[] = [];
    const server = Bun.serve<Accepted>({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) =>
        server.upgrade(request, { data: { opened: (link) => void links.push(link) } }) ? undefined : new Response(),
      // The shortest time that Bun's timer resolves; the rest is as in production.
      websocket: { ...acceptedWebSocket, idleTimeout: 8 },
    });
    // A link that is paused, because its upstream is slow, cannot read a pong, and sends no pings.
    const held = new WebSocket(`ws://127.0.0.1:${server.port}/`);
    const paused = await until("the paused one", () => links[0]);
    const kept = listen(paused);
    paused.pause();
    // The server may have accepted it before it knows.
    await until("the paused one's client is open", () => held.readyState === WebSocket.OPEN);
    const much = "w".repeat(5_000_000);
    for (const text of [much, "waits"]) held.send(text);
    const dead = await Bun.connect({
      hostname: "127.0.0.1",
      port: server.port ?? 0,
      socket: {
        open(socket) {
          socket.write(upgradeRequest);
        },
        data() {},
      },
    });
    const first = listen(await until("the dead one", () => links[1]));
    const quiet = new WebSocket(`ws://127.0.0.1:${server.port}/`);
    const second = listen(await until("the quiet one", () => links[2]));
    await first.end();
    expect([second.closed, kept.closed]).toEqual([undefined, undefined]);
    paused.resume();
    expect((await kept.count(2))[1]).toBe("waits");
    quiet.close();
    held.close();
    dead.terminate();
    await server.stop(true);
  });

  test("is dialled again without the subprotocol when the server does not select it", async () => {
    const server = Bun.serve<Accepted>({
      port: 0,
      fetch(request, server) {
        if (request.headers.has("sec-websocket-protocol")) return new Response("unknown subprotocol", { status: 400 });
        return server.upgrade(request, { data: { opened: (link) => void listen(link) } }) ? undefined : new Response();
      },
      websocket: acceptedWebSocket,
    });
    const link = await dialWebSocket({ url: `ws://localhost:${server.port}` });
    link.close();
    await server.stop(true);
  });

  test("that cannot be opened names the address and the reason, without secrets", async () => {
    const url = `ws://user:pass@127.0.0.1:${freePort()}/mcp?token=s3cret`;
    const { code, message } = await failure(dialWebSocket({ url }));
    expect(code).toBe("unavailable");
    expect(message).toContain("/mcp");
    expect(message).not.toMatch(/s3cret|pass/);
  });

  test("to a server that never answers the handshake fails at the deadline", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const error = await failure(dialWebSocket({ url: `ws://127.0.0.1:${silent.port}/`, deadlineMs: 200 }));
    expect(error.message).toContain("within 0.2 s");
    silent.stop(true);
  });
});

test("only the subprotocol mcp is selected", () => {
  const ask = (protocols?: string) =>
    selectSubprotocol(
      new Request("http://x", { headers: protocols === undefined ? {} : { "sec-websocket-protocol": protocols } }),
    );
  expect(ask()).toEqual({ ok: true, headers: {} });
  expect(ask("chat, mcp")).toEqual({ ok: true, headers: { "sec-websocket-protocol": "mcp" } });
  expect(ask("chat")).toEqual({ ok: false });
});
