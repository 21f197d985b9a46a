import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acceptedWebSocket } from "../../src/wire/websocket.ts";
import type { Accepted } from "../../src/wire/websocket.ts";
import { start } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { echoCommand, serveEcho, startEchoWebSocket } from "../support/echo-server.ts";
import { freePort } from "../support/ports.ts";
import { childrenOf, cpuMs, isRunning, openFiles, residentBytes, writtenBytes } from "../support/processes.ts";
import { Rpc, until } from "../support/rpc.ts";
import { startTalkingHttp } from "../support/talking-server.ts";

// Misbehaving upstreams and clients against the compiled proxy.

const MB = 1_000_000;
const home = temporaryHome();
const starts = join(home.path, "starts");
const pids = join(home.path, "pids");
const counted = join(home.path, "counted");
const restarting = freePort();
const coming = freePort();
const echo = startEchoWebSocket({ subprotocol: false });
let proxy: Running;
let url = "";

const shell = (script: string) => ({ command: "sh", args: ["-c", script] });
const frame = (method: string) => JSON.stringify({ jsonrpc: "2.0", method });

beforeAll(async () => {
  const mcpServers = {
    child: echoCommand,
    socket: { type: "ws", url: echo.url },
    http: { type: "http", url: `http://127.0.0.1:${restarting}/mcp` },
    coming: { type: "ws", url: `ws://127.0.0.1:${coming}/`, headers: { "x-key": "from ${PLACE}" } },
    comingHttp: { type: "http", url: `http://127.0.0.1:${coming}/`, headers: { "x-key": "from ${PLACE}" } },
    looping: shell(`date +%s%N >>'${starts}'; echo 'no licence' >&2; exit 7`),
    missing: { command: "no-such-command" },
    flooding: { ...shell(`exec yes '${frame("x".repeat(10_000))}'`), record: "none" },
    deaf: { ...shell(`trap 'exec wc -c >"${counted}"' USR1; while :; do sleep 0.05; done`), record: "none" },
    stubborn: shell(`trap '' TERM HUP INT; sleep 1000 & echo $$ $! >>'${pids}'; while :; do sleep 1000; done`),
  };
  const config = join(home.path, "mcp.json");
  writeFileSync(config, JSON.stringify({ mcpServers }));
  // No Dewey server runs: recorded entries stay on disk.
  const args = ["--config", config, "--url", "ws://dewey.invalid:9020", "--data-dir", join(home.path, "data")];
  const env = { ...plainEnvironment(home.path), PLACE: "the environment" };
  proxy = start(["proxy", "--port", "0", ...args], env);
  [, url = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
});
afterAll(async () => {
  await proxy.stop("SIGKILL");
  await echo.stop();
  home[Symbol.dispose]();
});

const open = (upstream: string) => Rpc.open(`${url}?upstream=${upstream}`);
const httpUrl = (upstream: string) => `${url.replace("ws:", "http:")}mcp?upstream=${upstream}`;
const linesOf = (file: string) => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []);
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "it was answered",
    (error: Error) => error.message,
  );

async function initializeHttp(upstream: string): Promise<Record<string, string>> {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params });
  const response = await fetch(httpUrl(upstream), { method: "POST", headers, body });
  await response.text();
  return { ...headers, "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
}

/** Opens a connection whose socket is never read. */
function unread(request: string): Promise<Bun.Socket> {
  return Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(url).port),
    socket: {
      open(socket) {
        socket.pause();
        socket.write(`${request}\r\n\r\n`);
      },
      data() {},
    },
  });
}

describe("an upstream", () => {
  test("that keeps exiting is restarted with growing pauses, its errors name it, and the client stays connected", async () => {
    const rpc = await open("looping");
    const message = await refusal(rpc.initialize());
    expect(message).toMatch(/looping.*exit code 7/);
    await until("four starts", () => linesOf(starts).length >= 4);
    const times = linesOf(starts).map((line) => Number(line) / 1e6);
    const pauses = times.slice(1, 4).map((time, index) => time - (times[index] ?? 0));
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThan(95 * 2 ** index);
    expect(rpc.socket.readyState).toBe(WebSocket.OPEN);
    // Its stderr is logged with its name.
    await proxy.until("stderr", /"event":"stderr".*"upstream":"looping".*"line":"no licence"/);
    rpc.close();
  });

  test("that cannot be started is reported to the client, with its name and command", async () => {
    const rpc = await open("missing");
    expect(await refusal(rpc.initialize())).toMatch(/missing.*no-such-command/);
    rpc.close();
  });

  test("mcp-remote #106, sparfenyuk/mcp-proxy #75, #149, agentgateway #3622: restarted behind HTTP is initialized again, and the client stays connected", async () => {
    const first = startTalkingHttp(restarting);
    const rpc = await open("http");
    await rpc.initialize();
    expect(await rpc.tool("echo", { text: "before" })).toEqual({ text: "before" });
    await first.stop();
    expect(await refusal(rpc.tool("echo", { text: "meanwhile" }))).toContain("http");
    const second = startTalkingHttp(restarting);
    await until("the other one", () => rpc.received.some((text) => text.includes("tools/list_changed")));
    expect(await rpc.tool("echo", { text: "after" })).toEqual({ text: "after" });
    rpc.close();
    await second.stop();
  });

  test("that is not up yet receives the frames that wait for it, with its headers", async () => {
    const seen: Record<string, string | null> = {};
    const rpc = await open("coming");
    const initialized = rpc.initialize();
    const http = initializeHttp("comingHttp");
    await Bun.sleep(500);
    const late = Bun.serve<Accepted>({
      port: coming,
      hostname: "127.0.0.1",
      async fetch(request, server) {
        const wire = request.headers.has("upgrade") ? "websocket" : "http";
        seen[wire] = request.headers.get("x-key");
        if (wire === "http") return Response.json({ jsonrpc: "2.0", id: 0, result: {} });
        return server.upgrade(request, { data: { opened: serveEcho } }) ? undefined : new Response();
      },
      websocket: acceptedWebSocket,
    });
    expect(await initialized).toMatchObject({ serverInfo: { name: "echo" } });
    await http;
    // The variable was replaced by its value.
    expect(seen).toEqual({ websocket: "from the environment", http: "from the environment" });
    rpc.close();
    await late.stop(true);
  });

  test("that restarts between two calls has lost its session and is initialized again", async () => {
    const first = startTalkingHttp(restarting);
    const rpc = await open("http");
    await rpc.initialize();
    await first.stop();
    const second = startTalkingHttp(restarting);
    // The first call may find the session gone; it then gets an error and is not repeated.
    const answers = await until("an answer", async () => {
      const message = await refusal(rpc.tool("echo", { text: "x" }));
      return message === "it was answered" && rpc.received.filter((text) => text.includes('"error"'));
    });
    expect(answers.length).toBeLessThan(50);
    rpc.close();
    await second.stop();
  });

  for (const wire of ["websocket", "http"]) {
    test(`that floods a client over ${wire} that does not read is paused, and memory stays bounded`, async () => {
      const before = residentBytes(proxy.process.pid);
      const lines =
        wire === "http"
          ? [
              "GET /mcp?upstream=flooding HTTP/1.1",
              ...Object.entries(await httpSession()).map(([k, v]) => `${k}: ${v}`),
            ]
          : [
              "GET /?upstream=flooding HTTP/1.1",
              "upgrade: websocket",
              "connection: upgrade",
              "sec-websocket-version: 13",
              "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            ];
      const socket = await unread([...lines, "host: localhost"].join("\r\n"));
      const child = await until("the child", () => flooders().at(-1));
      // A paused child blocks in its write.
      await until("the child to be held back", async () => {
        const written = writtenBytes(child);
        await Bun.sleep(300);
        return written > 0 && writtenBytes(child) === written;
      });
      expect(residentBytes(proxy.process.pid) - before).toBeLessThan(150 * MB);
      socket.terminate();
      if (wire === "http") await endHttpSession();
      await until("no child", () => flooders().length === 0);
    });
  }

  test("that reads nothing pauses its client, with bounded memory; nothing is lost, and it ends with its client", async () => {
    const before = residentBytes(proxy.process.pid);
    const deaf = () => grandchildren(`${Bun.which("sh")}\0-c\0trap 'exec wc`);
    const rpc = await open("deaf");
    const big = frame("x".repeat(MB));
    for (let index = 0; index < 200; index++) rpc.socket.send(big);
    await until("the client to be held back", async () => {
      const waiting = rpc.socket.bufferedAmount;
      await Bun.sleep(300);
      return waiting > 100 * MB && rpc.socket.bufferedAmount === waiting;
    });
    expect(residentBytes(proxy.process.pid) - before).toBeLessThan(100 * MB);
    const first = await until("its child", () => deaf()[0]);
    const quiet = await open("deaf");
    for (let index = 0; index < 2; index++) quiet.socket.send(big);
    await until("another child", () => deaf().length === 2);
    quiet.socket.terminate();
    await until("its end", () => deaf().length === 1);
    process.kill(first, "SIGUSR1");
    await until("all to be read", () => rpc.socket.bufferedAmount === 0);
    rpc.close();
    await until("the count", () => linesOf(counted)[0]?.trim() === `${200 * (big.length + 1)}`);
  });

  let session: Record<string, string> = {};
  async function httpSession(): Promise<Record<string, string>> {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params: {} });
    // The flood goes to the stream of this request, which is never read.
    const leaving = new AbortController();
    const init = { method: "POST", headers, body, signal: leaving.signal };
    const response = await fetch(httpUrl("flooding"), init);
    session = { accept: headers.accept, "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
    leaving.abort();
    return session;
  }
  const endHttpSession = () => fetch(httpUrl("flooding"), { method: "DELETE", headers: session });

  const flooders = () => grandchildren("yes");
  function grandchildren(command: string): number[] {
    return childrenOf(proxy.process.pid)
      .flatMap(childrenOf)
      .filter((pid) => commandLine(pid).startsWith(command));
  }
});

describe("supergateway (39.8 s for 50 MB): a request and a result of 50 MB pass at linear cost", () => {
  let http: ReturnType<typeof startTalkingHttp>;
  let memory = 0;
  beforeAll(() => {
    http = startTalkingHttp(restarting);
    memory = residentBytes(proxy.process.pid);
  });
  afterAll(() => http.stop());

  for (const wire of ["websocket", "http"]) {
    for (const upstream of ["child", "socket", "http"]) {
      test(`from a client over ${wire} to the upstream ${upstream}`, async () => {
        const client = await (wire === "http" ? httpClient : socketClient)(upstream);
        const used: number[] = [];
        for (const size of [5 * MB, 50 * MB]) {
          const before = cpuMs(proxy.process.pid);
          const text = "z".repeat(size);
          expect((await client.echo(text)) === text).toBe(true);
          used.push(cpuMs(proxy.process.pid) - before);
        }
        // Ten times the size: a quadratic cost would be a hundredfold.
        expect((used[1] ?? 0) / (used[0] ?? 0)).toBeLessThan(40);
        await client.close();
      });
    }
  }

  test("and their memory is freed", async () => {
    const rpc = await open("child");
    await rpc.initialize();
    // A leak would keep more than half of what has passed.
    await until("the memory of a proxy that has little to do", async () => {
      await rpc.tool("echo", { text: "small" });
      return residentBytes(proxy.process.pid) - memory < 300 * MB;
    });
    rpc.close();
  });

  const socketClient = async (upstream: string) => {
    const rpc = await open(upstream);
    await rpc.initialize();
    return {
      echo: async (text: string) => String((await rpc.tool("echo", { text }))["text"]),
      close: () => Promise.resolve(rpc.close()),
    };
  };
  const httpClient = async (upstream: string) => {
    const headers = await initializeHttp(upstream);
    return {
      async echo(text: string) {
        const params = { name: "echo", arguments: { text } };
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
        const response = await fetch(httpUrl(upstream), { method: "POST", headers, body });
        return /"text":"(z*)"/.exec(await response.text())?.[1] ?? "";
      },
      close: () => fetch(httpUrl(upstream), { method: "DELETE", headers }),
    };
  };
});

test("a frame above the limit closes only the connection that sent it, with the right code", async () => {
  const other = await open("socket");
  await other.initialize();
  const rpc = await open("socket");
  rpc.socket.send("x".repeat(140 * MB));
  expect([1009, 1006]).toContain((await rpc.closed).code);
  const posted = await fetch(httpUrl("child"), { method: "POST", body: "x".repeat(140 * MB) }).then(
    ({ status }) => status,
    () => "cut off",
  );
  expect([413, "cut off"]).toContain(posted);
  expect(await other.tool("echo", { text: "here" })).toEqual({ text: "here" });
  other.close();
});

test("supergateway #108, #124, metamcp #162: two hundred sessions, opened and dropped, leave no child, file or memory behind", async () => {
  const { pid } = proxy.process;
  const round = async () => {
    const sockets = await Promise.all(["child", "child", "socket", "socket"].map(open));
    await Promise.all(sockets.map((rpc) => rpc.initialize()));
    for (const rpc of sockets) rpc.socket.terminate();
    const { "mcp-session-id": id = "", ...headers } = await initializeHttp("socket");
    await fetch(httpUrl("socket"), { method: "DELETE", headers: { ...headers, "mcp-session-id": id } });
  };
  // The first sessions warm the proxy up; growth is measured after them.
  for (let index = 0; index < 5; index++) await round();
  await until("no child", () => childrenOf(pid).length === 0);
  const before = { files: openFiles(pid), bytes: residentBytes(pid) };
  for (let index = 0; index < 40; index++) await round();
  await until("no child", () => childrenOf(pid).length === 0);
  // Connections that fetch keeps alive belong to this test.
  await until("no file", () => openFiles(pid) <= before.files + 5);
  expect(residentBytes(pid) - before.bytes).toBeLessThan(60 * MB);
});

test("a proxy that is killed leaves no child, not even one that ignores all signals it can", async () => {
  const rpcs = await Promise.all(["stubborn", "stubborn", "child"].map(open));
  await until("both", () => linesOf(pids).length === 2);
  const started = linesOf(pids).flatMap((line) => line.split(" ").map(Number));
  const guards = childrenOf(proxy.process.pid);
  expect([...started, ...guards].every(isRunning)).toBe(true);
  proxy.process.kill("SIGKILL");
  await until("no process", () => ![...started, ...guards].some(isRunning));
  for (const rpc of rpcs) rpc.close();
});

/** Empty when the process has ended meanwhile. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
