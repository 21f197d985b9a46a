import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CallWatch } from "../../../src/proxy/relay/call-watch.ts";
import { HttpRelay } from "../../../src/proxy/relay/http-relay.ts";
import { RelayedSession } from "../../../src/proxy/relay/relayed-session.ts";
import type { Tap } from "../../../src/proxy/relay/tap.ts";
import { UpstreamStates } from "../../../src/proxy/relay/upstream-states.ts";
import type { Upstream } from "../../../src/proxy/relay/upstreams.ts";
import { HttpSessions } from "../../../src/wire/http-sessions.ts";
import { LineLink } from "../../../src/wire/line-link.ts";
import type { Link } from "../../../src/wire/link.ts";
import { acceptedWebSocket } from "../../../src/wire/websocket.ts";
import type { Accepted } from "../../../src/wire/websocket.ts";
import { listen } from "../../support/links.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";

/** More than the proxy and the kernel hold together, so that the client is held back. */
const FRAMES = 60;
const text = "x".repeat(1_000_000);
const frames = Array.from(
  { length: FRAMES },
  (_, index) => `{"jsonrpc":"2.0","method":"n","params":{"index":${index},"text":"${text}"}}`,
);
const indexOf = (frame: string) => Number(/"index":(\d+)/.exec(frame)?.[1] ?? -1);
const inOrder = frames.map((_, index) => index);
const initialize = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A tap that passes frames in a later turn of the event loop, like the recorder's. */
const lateTap: Tap = { frame: (_direction, _frame, pass) => setImmediate(pass), closed: () => {} };

/** An upstream, and the indexes of the frames that have reached it. */
interface Reached {
  upstream: Upstream;
  indexes: () => number[];
}

const upstreams: Record<string, () => Reached> = {
  websocket() {
    const heard: ReturnType<typeof listen>[] = [];
    const server = Bun.serve<Accepted>({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) =>
        server.upgrade(request, { data: { opened: (link) => void heard.push(answering(link)) } })
          ? undefined
          : new Response(null, { status: 400 }),
      websocket: acceptedWebSocket,
    });
    cleanups.push(() => server.stop(true));
    return reachedAt("websocket", `ws://127.0.0.1:${server.port}/`, heard);
  },
  http() {
    const heard: ReturnType<typeof listen>[] = [];
    const { server } = startSessions((link) => void heard.push(answering(link)));
    return reachedAt("http", server.url.href, heard);
  },
  stdio() {
    const folder = mkdtempSync(join(tmpdir(), "dewey-last-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "read");
    const env = { PATH: process.env["PATH"] ?? "", FILE: file };
    const args = ["-c", `read -r first; echo '{"jsonrpc":"2.0","id":0,"result":{}}'; exec cat >"$FILE"`];
    return {
      upstream: { name: "t", wire: "stdio", command: "sh", args, env, cwd: undefined, record: "all" },
      indexes: () =>
        readFileSync(file, "utf8")
          .split("\n")
          .map(indexOf)
          .filter((index) => index >= 0),
    };
  },
};

/** Listens on a link of the upstream, and answers `initialize`. */
function answering(link: Link): ReturnType<typeof listen> {
  const heard = listen(link);
  void heard.count(1).then(() => link.send('{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}'));
  return heard;
}

function reachedAt(wire: "websocket" | "http", url: string, heard: ReturnType<typeof listen>[]): Reached {
  return {
    upstream: { name: "t", wire, url, headers: {}, record: "all" },
    indexes: () => (heard.at(-1)?.frames ?? []).map(indexOf).filter((index) => index >= 0),
  };
}

function startSessions(opened: (link: Link) => void) {
  const sessions = new HttpSessions({ log: quiet, opened });
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request, it) => sessions.handle(request, it) });
  cleanups.push(() => {
    sessions.stop();
    return server.stop(true);
  });
  return { server };
}

/** Relays the link to the upstream. Resolves when the session is over. */
function relay(link: Link, upstream: Upstream): Promise<unknown> {
  const options = {
    upstream: () => upstream,
    tap: lateTap,
    watch: new CallWatch(() => {}),
    states: new UpstreamStates(),
  };
  return new RelayedSession({ ...options, link, log: quiet }).run();
}

/** Clients that send all frames and close right after the last one. Each resolves when its session is over. */
const clients: Record<string, (upstream: Upstream) => Promise<void>> = {
  async websocket(upstream) {
    const over = Promise.withResolvers<void>();
    const server = Bun.serve<Accepted>({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, it) =>
        it.upgrade(request, { data: { opened: (link) => void relay(link, upstream).then(() => over.resolve()) } })
          ? undefined
          : new Response(null, { status: 400 }),
      websocket: acceptedWebSocket,
    });
    cleanups.push(() => server.stop(true));
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
    await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
    for (const each of [JSON.stringify(initialize), ...frames]) socket.send(each);
    // A client may drop what it has not written when it closes.
    await until("the last bytes to be written", () => socket.bufferedAmount === 0);
    socket.close();
    await over.promise;
  },
  async http(upstream) {
    const over = Promise.withResolvers<void>();
    const { server } = startSessions((link) => void relay(link, upstream).then(() => over.resolve()));
    await postAll(server.url.href);
    await over.promise;
  },
  async stdio(upstream) {
    const left = [JSON.stringify(initialize), ...frames].map((each) => new TextEncoder().encode(`${each}\n`));
    const link = new LineLink({
      input: new ReadableStream({
        pull(controller) {
          const next = left.shift();
          if (next) controller.enqueue(next);
          else controller.close();
        },
      }),
      output: { write: () => 0, flush: () => 0 } as unknown as Bun.FileSink,
      end: () => {},
      reason: () => Promise.resolve("its stdin has ended"),
      onNoise: () => {},
      onFailure: () => {},
    });
    await relay(link, upstream);
  },
};

async function postAll(url: string): Promise<void> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const post = (body: string) => fetch(url, { method: "POST", headers, body });
  const response = await post(JSON.stringify(initialize));
  headers["mcp-session-id"] = response.headers.get("mcp-session-id") ?? "";
  const last = frames.at(-1) ?? "";
  for (const each of frames.slice(0, -1)) expect((await post(each)).status).toBe(202);
  // The last one is sent, and not answered, when the session is ended.
  const answered = post(last);
  const before = performance.now();
  await until("the next turn", () => performance.now() > before);
  await fetch(url, { method: "DELETE", headers });
  expect((await answered).status).toBe(202);
}

for (const [client, send] of Object.entries(clients)) {
  describe(`a client over ${client} that closes right after its last frame`, () => {
    for (const [wire, start] of Object.entries(upstreams)) {
      test(`has sent all of them to an upstream over ${wire}`, async () => {
        const { upstream, indexes } = start();
        await send(upstream);
        await until("all frames", () => indexes().length >= FRAMES);
        expect(indexes()).toEqual(inOrder);
      });
    }
  });
}

test("a client over http that ends its session behind its last frame has sent it through the relay of HTTP", async () => {
  const { upstream, indexes } = upstreams["http"]?.() ?? {};
  if (!upstream || upstream.wire === "stdio" || !indexes) throw new Error("no upstream");
  const relayed = new HttpRelay({
    upstream: () => upstream,
    log: quiet,
    tap: () => ({ ...lateTap, answered() {} }),
    saw: () => {},
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, it) => relayed.handle(request, it, undefined),
  });
  cleanups.push(() => {
    relayed.stop();
    return server.stop(true);
  });
  await postAll(server.url.href);
  expect(indexes()).toEqual(inOrder);
});
