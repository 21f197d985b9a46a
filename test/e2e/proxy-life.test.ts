import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { echoCommand } from "../support/echo-server.ts";
import { freePort } from "../support/ports.ts";
import { Rpc, until } from "../support/rpc.ts";
import { trueCases } from "../support/secrets.ts";
import { canMount, smallDisk } from "../support/small-disk.ts";

// The life cycle of the compiled proxy: start, reload, shutdown, and its health, metrics and log.

const home = temporaryHome();
const serverPort = freePort();
const serverUrl = `ws://127.0.0.1:${serverPort}/`;
let server: Running | undefined;
beforeAll(async () => {
  server = (await startServe(home.path, {}, ["--port", `${serverPort}`])).running;
});
afterAll(async () => {
  await server?.stop();
  home[Symbol.dispose]();
});

let files = 0;

/** A proxy with its own configuration and echo servers as children. */
async function startProxy(
  mcpServers: Record<string, unknown> = { echo: echoCommand },
  options: { spool?: string; env?: Record<string, string> } = {},
) {
  files += 1;
  const config = join(home.path, `mcp-${files}.json`);
  const configure = (servers: unknown) => writeFileSync(config, JSON.stringify({ mcpServers: servers }));
  configure(mcpServers);
  const spool = options.spool ?? join(home.path, `spool-${files}`);
  const running = start(["proxy", "--port", "0", "--config", config, "--url", serverUrl, "--spool-dir", spool], {
    ...plainEnvironment(home.path),
    ...options.env,
  });
  const [, url = ""] = await running.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  const http = url.replace("ws:", "http:");
  return {
    running,
    url,
    http,
    spool,
    config,
    configure,
    log: () =>
      running
        .stderr()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    health: async () => (await (await fetch(`${http}healthz`)).json()) as Health,
    metrics: async () => (await fetch(`${http}metrics`)).text(),
  };
}

interface Health {
  status: string;
  configuration: { error: string | null };
  upstreams: { name: string; state: string; since: string | null; last_error: string | null }[];
  recorder: Record<string, unknown>;
}

async function client(url: string, upstream = "echo"): Promise<Rpc> {
  const rpc = await Rpc.open(`${url}?upstream=${upstream}`);
  await rpc.initialize();
  return rpc;
}

describe("SIGTERM", () => {
  test("lets calls in flight finish, refuses new sessions, and leaves the spool empty", async () => {
    const proxy = await startProxy();
    const rpc = await client(proxy.url);
    const slow = rpc.tool("slow", { ms: 1500 });
    await until("the call", async () => (await proxy.metrics()).includes("dewey_proxy_open_requests 1"));
    proxy.running.process.kill("SIGTERM");
    await proxy.running.until("stderr", /"event":"stopping"/);
    const health = await fetch(`${proxy.http}healthz`);
    expect([health.status, ((await health.json()) as Health).status]).toEqual([503, "stopping"]);
    expect(Rpc.open(proxy.url)).rejects.toThrow();
    const refused = await fetch(`${proxy.http}mcp`, { method: "POST", body: "{}" });
    expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining("is stopping")]);
    expect(await slow).toEqual({ text: "slept" });
    expect(await proxy.running.process.exited).toBe(0);
    expect((await rpc.closed).reason).toContain("stopping");
    expect(readdirSync(proxy.spool)).toEqual([]);
  });

  test("sent twice exits at once", async () => {
    const proxy = await startProxy();
    const rpc = await client(proxy.url);
    const slow = rpc.tool("slow", { ms: 60_000 }).catch((error: Error) => error.message);
    await until("the call", async () => (await proxy.metrics()).includes("dewey_proxy_open_requests 1"));
    proxy.running.process.kill("SIGTERM");
    await proxy.running.until("stderr", /"event":"stopping"/);
    proxy.running.process.kill("SIGTERM");
    expect(await proxy.running.process.exited).toBe(143);
    expect(await slow).toContain("closed");
  });

  test("also lets a call of a stdio client finish", async () => {
    const child = Bun.spawn(
      [
        binary,
        "proxy",
        "--stdio",
        "--url",
        serverUrl,
        "--spool-dir",
        join(home.path, "stdio"),
        "--",
        echoCommand.command,
        ...echoCommand.args,
      ],
      { env: plainEnvironment(home.path), stdin: "pipe", stdout: "pipe", stderr: "pipe" },
    );
    const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "slow", arguments: { ms: 1000 } } };
    void child.stdin.write(`${JSON.stringify(call)}\n`);
    await child.stdin.flush();
    const spool = join(home.path, "stdio");
    await until("the call", () => {
      const file =
        readdirSync(home.path).includes("stdio") && readdirSync(spool).find((name) => name.endsWith(".spool"));
      return file ? readFileSync(join(spool, file), "utf8").includes('"slow"') : false;
    });
    child.kill("SIGTERM");
    expect(await new Response(child.stdout).text()).toContain("slept");
    expect(await child.exited).toBe(0);
  });
});

test("a store killed and restarted in the middle has everything once and in order", async () => {
  const proxy = await startProxy();
  const rpc = await Rpc.open(`${proxy.url}?session=middle`);
  await rpc.initialize();
  const calls = async (from: number) => {
    for (let number = from; number < from + 20; number++)
      expect(await rpc.tool("echo", { text: `${number}` })).toEqual({ text: `${number}` });
  };
  await calls(0);
  await server?.stop("SIGKILL");
  await calls(20);
  await until("a failed delivery", async () => (await proxy.health()).recorder["last_error"] !== null);
  server = (await startServe(home.path, {}, ["--port", `${serverPort}`])).running;
  await calls(40);
  await until("the delivery", async () => (await proxy.health()).recorder["queued_bytes"] === 0);
  const dewey = await Rpc.open(serverUrl);
  await dewey.initialize();
  const { conversations } = await dewey.tool("dewey_list_conversations", { session_id: "middle" });
  const [{ id } = { id: "" }] = conversations as { id: string }[];
  const { messages } = await dewey.tool("dewey_get_conversation", { conversation_id: id, full: true });
  const answers = (messages as { role: string; content: string }[]).filter(({ role }) => role === "assistant");
  expect(answers.map(({ content }) => content)).toEqual(Array.from({ length: 60 }, (_, number) => `${number}`));
  expect(conversations).toHaveLength(1);
  for (const each of [dewey, rpc]) each.close();
  await proxy.running.stop();
});

test("health reports each upstream and the recorder, and is good while anything can be relayed", async () => {
  const lost = { type: "ws", url: `ws://127.0.0.1:${freePort()}/` };
  const proxy = await startProxy({ echo: echoCommand, lost, quiet: echoCommand });
  const rpc = await client(proxy.url);
  await client(proxy.url, "lost").catch(() => {});
  await rpc.tool("echo", { text: "anything" });
  await until("the delivery", async () => {
    const { recorder } = await proxy.health();
    return recorder["last_delivery"] !== null && recorder["oldest_age_seconds"] === null;
  });
  const response = await fetch(`${proxy.http}healthz`);
  const health = (await response.json()) as Health;
  expect([response.status, health.status]).toEqual([200, "ok"]);
  const since = expect.stringMatching(/^20.*Z$/);
  expect(health.upstreams).toMatchObject([
    { name: "echo", wire: "stdio", state: "up", since, last_error: null },
    { name: "lost", wire: "websocket", state: "down", since, last_error: expect.stringContaining("cannot be reached") },
    { name: "quiet", wire: "stdio", state: "unused", since: null, last_error: null },
  ]);
  expect(health.recorder).toMatchObject({
    recording: true,
    queued_records: expect.any(Number),
    queued_bytes: expect.any(Number),
    oldest_age_seconds: null,
    last_delivery: since,
    last_error: null,
    lost_frames: 0,
    set_aside: 0,
  });
  rpc.close();
  await proxy.running.stop();
});

test("a child's stderr is logged with its upstream's name and without secrets", async () => {
  const secrets = [
    "Authorization: Bearer 0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
  ];
  const key = trueCases.find(({ kind }) => kind === "private key")?.secret ?? "";
  const script = `echo 'asking with ${secrets.join(" and ")}' >&2; echo '${key}' >&2; exec "$0" "$@"`;
  const { command, args } = echoCommand;
  const proxy = await startProxy({ echo: { command: "/bin/sh", args: ["-c", script, command, ...args] } });
  await client(proxy.url);
  await proxy.running.until("stderr", /"upstream":"echo".*"line":"asking with [^"]*\[redacted[^"]*\[redacted/);
  await proxy.running.until("stderr", /"line":"\[redacted: private key\]"/);
  for (const secret of [...secrets, ...key.split("\n").slice(1, -1)])
    expect(proxy.running.stderr()).not.toContain(secret.slice(-20));
  expect(await proxy.running.stop()).toBe(0);
});

describe("SIGHUP", () => {
  const named = (name: string) => ({ ...echoCommand, env: { NAME: name } });
  const reload = async (proxy: Awaited<ReturnType<typeof startProxy>>, configured: unknown, event: RegExp) => {
    proxy.configure(configured);
    proxy.running.process.kill("SIGHUP");
    await proxy.running.until("stderr", event);
  };

  test("adds new upstreams, reconnects changed ones once nothing is in flight, and opens no sessions to removed ones", async () => {
    const proxy = await startProxy({ kept: named("k"), changed: named("one"), removed: named("r") });
    const [kept, changed, removed] = await Promise.all(
      ["kept", "changed", "removed"].map((name) => client(proxy.url, name)),
    );
    if (!kept || !changed || !removed) throw new Error("no clients");
    const slow = changed.tool("slow", { ms: 1000 });
    await until("the call", async () => (await proxy.metrics()).includes("dewey_proxy_open_requests 1"));
    const children = () =>
      proxy.log().filter(({ event }) => event === "the upstream's configuration changed; reconnecting");
    await reload(proxy, { kept: named("k"), changed: named("two"), added: named("a") }, /reloaded the configuration/);
    const added = await client(proxy.url, "added");
    expect(await added.tool("env", { name: "NAME" })).toEqual({ text: "a" });
    // Calls in flight finished on the old connection.
    expect(children()).toEqual([]);
    expect(await slow).toEqual({ text: "slept" });
    await until("the new child", async () => (await changed.tool("env", { name: "NAME" }))["text"] === "two");
    expect(children()).toMatchObject([{ upstream: "changed", session: expect.any(String) }]);
    expect(await kept.tool("env", { name: "NAME" })).toEqual({ text: "k" });
    // Existing sessions stay; new ones are refused.
    expect(await removed.tool("env", { name: "NAME" })).toEqual({ text: "r" });
    expect(Rpc.open(`${proxy.url}?upstream=removed`)).rejects.toThrow();
    expect((await proxy.health()).upstreams.map(({ name }) => name)).toEqual(["kept", "changed", "added"]);
    await proxy.running.stop();
  });

  test("changes nothing when the file is invalid, and gives the reason in log and health", async () => {
    const proxy = await startProxy();
    const rpc = await client(proxy.url);
    await reload(proxy, { echo: { command: "" } }, /kept the old configuration/);
    expect((await proxy.health()).configuration.error).toContain("mcpServers.echo.command should not be empty");
    expect(await rpc.tool("echo", { text: "still" })).toEqual({ text: "still" });
    rpc.close();
    const another = await client(proxy.url);
    await reload(proxy, { echo: echoCommand }, /reloaded the configuration/);
    expect((await proxy.health()).configuration.error).toBeNull();
    another.close();
    await proxy.running.stop();
  });
});

test("metrics count sessions, frames, calls by outcome, and the recorder's work", async () => {
  const proxy = await startProxy({ echo: echoCommand, quiet: { ...echoCommand, record: "none" } });
  const rpc = await client(proxy.url);
  await rpc.tool("echo", { text: "x" });
  await rpc.tool("fail").catch(() => {});
  await rpc.tool("die").catch(() => {});
  const other = await client(proxy.url, "quiet");
  await other.tool("echo", { text: "x" });
  await until("the delivery", async () => (await proxy.health()).recorder["queued_bytes"] === 0);
  const text = await proxy.metrics();
  for (const line of [
    'dewey_proxy_sessions_total{upstream="echo"} 1',
    "dewey_proxy_sessions 2",
    'dewey_proxy_frames_total{upstream="echo",direction="up"} 5',
    'dewey_proxy_call_duration_seconds_count{upstream="echo",outcome="success"} 1',
    'dewey_proxy_call_duration_seconds_count{upstream="echo",outcome="error"} 1',
    'dewey_proxy_call_duration_seconds_count{upstream="echo",outcome="unavailable"} 1',
    'dewey_proxy_call_duration_seconds_count{upstream="quiet",outcome="success"} 1',
    "dewey_recorder_recording 1",
    "dewey_recorder_queued_records 0",
    "dewey_recorder_oldest_age_seconds 0",
    "dewey_recorder_delivered_messages_total 7",
    "dewey_recorder_lost_frames_total 0",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text).toMatch(/^dewey_recorder_last_delivery_timestamp_seconds 1\d{9}/m);
  // The rules of Prometheus's text format: help and type precede a family's samples, and no sample occurs twice.
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(new Set(samples.map((line) => line.split(" ")[0])).size).toBe(samples.length);
  for (const line of samples) expect(line).toMatch(/^[a-z_]+(\{([a-z]+="[^"]*",?)+\})? -?[0-9.e+-]+$/);
  const serverText = await (await fetch(`http://127.0.0.1:${serverPort}/metrics`)).text();
  expect(serverText).toMatch(/^dewey_tool_call_duration_seconds_count\{tool="dewey_store_messages_bulk"\} [1-9]/m);
  expect(serverText).toMatch(/^dewey_database_connections\{pool="main",state="idle"\} [0-9]/m);
  await proxy.running.stop();
});

test("the log has one JSON line per event, with session and conversation, and no content", async () => {
  const proxy = await startProxy();
  const rpc = await client(proxy.url);
  await rpc.tool("echo", { text: "a private word" });
  await rpc.tool("die").catch(() => {});
  await rpc.tool("echo", { text: "a private word" });
  rpc.close();
  await proxy.running.until("stderr", /"event":"a session has ended"/);
  await proxy.running.stop();
  const lines = proxy.log().filter((line) => "session" in line);
  const [{ session } = {}] = lines;
  expect(lines.every((line) => line["session"] === session && line["conversation"] === session)).toBe(true);
  expect(lines.every((line) => line["upstream"] === "echo")).toBe(true);
  expect(lines.map(({ event }) => event)).toEqual(
    expect.arrayContaining(["a session begins", "a session has no upstream", "a session has ended"]),
  );
  expect(proxy.running.stderr()).not.toContain("private");
  const found = await Rpc.open(serverUrl);
  await found.initialize();
  const { messages } = await found.tool("dewey_get_conversation", { conversation_id: session });
  expect(messages).toHaveLength(7);
  found.close();
});

test.skipIf(!canMount)(
  "a full disk fails no call; health reports the loss, and one message in the conversation describes it",
  async () => {
    using disk = smallDisk(256);
    const proxy = await startProxy({ echo: echoCommand }, { spool: join(disk.path, "spool") });
    const rpc = await Rpc.open(`${proxy.url}?session=full`);
    await rpc.initialize();
    await rpc.tool("echo", { text: "before" });
    await until("the delivery", async () => (await proxy.health()).recorder["queued_bytes"] === 0);
    disk.fill();
    const text = "x".repeat(8000);
    for (let number = 0; number < 5; number++) expect(await rpc.tool("echo", { text })).toEqual({ text });
    const { recorder } = await proxy.health();
    expect(recorder).toMatchObject({ recording: false, not_recording_because: expect.stringContaining("ENOSPC") });
    expect(recorder["lost_frames"]).toBe(10);
    disk.free();
    await until("the gap", async () => (await proxy.health()).recorder["recording"]);
    await rpc.tool("echo", { text: "after" });
    rpc.close();
    const dewey = await Rpc.open(serverUrl);
    await dewey.initialize();
    const messages = await until("the conversation", async () => {
      const reply = await dewey.tool("dewey_list_conversations", { session_id: "full" });
      const [one] = reply["conversations"] as { id: string; message_count: number }[];
      if (!one || one.message_count < 6) return false;
      return (await dewey.tool("dewey_get_conversation", { conversation_id: one.id }))["messages"] as {
        content: string;
        metadata: object;
      }[];
    });
    expect(messages.map(({ content }) => content.slice(0, 40))).toEqual([
      expect.stringContaining("echo"),
      "echo\ntext: before",
      "before",
      expect.stringMatching(/^10 frames \(\d+ bytes\) were relayed/),
      "echo\ntext: after",
      "after",
    ]);
    expect(messages[3]?.metadata).toMatchObject({
      event: "gap",
      frames: 10,
      from: expect.any(String),
      to: expect.any(String),
    });
    dewey.close();
    expect(await proxy.running.stop()).toBe(0);
  },
);

test("a frame nested too deeply for JavaScript harms no other session", async () => {
  const proxy = await startProxy();
  const rpc = await Rpc.open(`${proxy.url}?session=deep`);
  await rpc.initialize();
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  rpc.socket.send(`{"jsonrpc":"2.0","id":"deep","method":"tools/call","params":{"name":"echo","arguments":${deep}}}`);
  expect(await rpc.tool("echo", { text: "after" })).toEqual({ text: "after" });
  await until("the delivery", async () => (await proxy.health()).recorder["queued_bytes"] === 0);
  expect((await proxy.health()).recorder).toMatchObject({ set_aside: 0, lost_frames: 0 });
  const long = await fetch(`${proxy.http}mcp?session=${"x".repeat(501)}`, { method: "POST", body: "{}" });
  expect([long.status, await long.text()]).toEqual([400, expect.stringContaining("at most 500 characters")]);
  rpc.close();
  await proxy.running.stop();
});

test("a proxy keeps running when its log is no longer read", async () => {
  const port = freePort();
  const child = Bun.spawn([binary, "proxy", "--port", `${port}`, "--url", serverUrl], {
    env: plainEnvironment(home.path),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const reader = child.stderr.getReader();
  await reader.read();
  await reader.cancel();
  // Each of these would log a line.
  for (let number = 0; number < 5; number++) {
    const rpc = await client(`ws://127.0.0.1:${port}/`, "dewey");
    rpc.close();
    await rpc.closed;
  }
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});
