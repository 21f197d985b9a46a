import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, run, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { echoCommand } from "../support/echo-server.ts";
import { freePort } from "../support/ports.ts";
import { Rpc, until } from "../support/rpc.ts";
import { statelessRequest } from "../support/stateless-calls.ts";

const postmaster = (home: string) =>
  Number(readFileSync(join(home, "data/postgres/data-18/postmaster.pid"), "utf8").split("\n")[0]);

const isAlive = (pid: number) => {
  try {
    // A zombie has ended too; its parent has not reaped it yet.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] !== "Z";
  } catch {
    return false;
  }
};

async function connected(url: string): Promise<Rpc> {
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  return rpc;
}

/** Stores messages one by one until the connection breaks; returns the acknowledged ones. */
async function storeUntilBroken(rpc: Rpc, conversation_id: unknown): Promise<string[]> {
  const acknowledged: string[] = [];
  for (;;) {
    const content = `message ${acknowledged.length}`;
    try {
      await rpc.tool("dewey_store_message", { conversation_id, role: "user", content });
    } catch {
      return acknowledged;
    }
    acknowledged.push(content);
  }
}

async function contents(rpc: Rpc, conversation_id: unknown): Promise<string[]> {
  const page = await rpc.tool("dewey_get_conversation", { conversation_id, full: true });
  return (page["messages"] as { content: string }[]).map((message) => message.content);
}

describe("dewey serve", () => {
  test("reads its token again at SIGHUP, keeps the sessions that are open, and never opens to all", async () => {
    using home = temporaryHome();
    const file = join(home.path, "token");
    writeFileSync(file, "first\n");
    const { running, url } = await startServe(home.path, { DEWEY_TOKEN_FILE: file });
    await using _ = running;
    const withToken = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const rpc = await Rpc.open(url, withToken("first"));
    await rpc.initialize();
    writeFileSync(file, "second\n");
    running.process.kill("SIGHUP");
    await running.until("stderr", /read the files of tokens/);
    await rpc.tool("dewey_begin_conversation");
    expect(Rpc.open(url, withToken("first"))).rejects.toThrow();
    (await Rpc.open(url, withToken("second"))).close();
    writeFileSync(file, "");
    running.process.kill("SIGHUP");
    await running.until("stderr", /DEWEY_TOKEN_FILE is empty/);
    expect(Rpc.open(url)).rejects.toThrow();
    (await Rpc.open(url, withToken("second"))).close();
    writeFileSync(file, "not a token\n");
    running.process.kill("SIGHUP");
    await running.until("stderr", /what was read before stays[^\n]*DEWEY_TOKEN_FILE should be/);
    (await Rpc.open(url, withToken("second"))).close();
    rpc.close();
    const probe = (flag: string) => run(["health", flag], { ...plainEnvironment(home.path), DEWEY_URL: url });
    expect((await probe("--live")).stdout).toBe('{"status":"alive"}\n');
    expect((await probe("--ready")).stdout).toBe('{"status":"ready"}\n');
  });

  test("a token that came later stays when its file is emptied, too", async () => {
    using home = temporaryHome();
    const file = join(home.path, "token");
    writeFileSync(file, "");
    const { running, url } = await startServe(home.path, { DEWEY_TOKEN_FILE: file });
    await using _ = running;
    writeFileSync(file, "later\n");
    running.process.kill("SIGHUP");
    await running.until("stderr", /read the files of tokens/);
    writeFileSync(file, "");
    running.process.kill("SIGHUP");
    await running.until("stderr", /DEWEY_TOKEN_FILE is empty/);
    expect(Rpc.open(url)).rejects.toThrow();
    (await Rpc.open(url, { headers: { authorization: "Bearer later" } })).close();
  });

  test("loses no acknowledged message when it is killed, and leaves no PostgreSQL behind", async () => {
    using home = temporaryHome();
    const first = await startServe(home.path);
    const rpc = await connected(first.url);
    const { conversation_id } = await rpc.tool("dewey_begin_conversation");
    const storing = storeUntilBroken(rpc, conversation_id);
    await until("some messages", async () => (await contents(await connected(first.url), conversation_id)).length > 20);
    const database = postmaster(home.path);
    first.running.process.kill("SIGKILL");
    const acknowledged = await storing;
    await until("the end of PostgreSQL", () => !isAlive(database));

    const second = await startServe(home.path);
    const found = await contents(await connected(second.url), conversation_id);
    expect(found.slice(0, acknowledged.length)).toEqual(acknowledged);
    // Beyond the acknowledged ones, only the one in flight may be stored.
    expect(found.length - acknowledged.length).toBeLessThanOrEqual(1);
    expect(await second.running.stop()).toBe(0);
  });

  test("answers with a clear error while its PostgreSQL is down, restarts it, and loses nothing", async () => {
    using home = temporaryHome();
    await using server = (await startServe(home.path)).running;
    const [, url = ""] = await server.until("stderr", /"event":"serving","url":"([^"]+)"/);
    const rpc = await connected(url);
    const { conversation_id } = await rpc.tool("dewey_begin_conversation");
    await rpc.tool("dewey_store_message", { conversation_id, role: "user", content: "before" });
    const killed = postmaster(home.path);
    process.kill(killed, "SIGKILL");
    await until("a new PostgreSQL that serves", async () => {
      try {
        await rpc.tool("dewey_store_message", {
          conversation_id,
          role: "user",
          content: "after",
          message_id: "00000000-0000-4000-8000-000000000001",
        });
        return postmaster(home.path) !== killed;
      } catch (error) {
        expect((error as Error).message).toContain('"code":"unavailable"');
        return false;
      }
    });
    expect(await contents(rpc, conversation_id)).toEqual(["before", "after"]);
  });

  test("names the owner of the folder to a second server on it", async () => {
    using home = temporaryHome();
    await using server = (await startServe(home.path)).running;
    const { code, stderr } = await run(
      ["serve", "--port", "0", "--data-dir", join(home.path, "data")],
      plainEnvironment(home.path),
    );
    expect(code).toBe(1);
    expect(stderr).toContain(`process ${server.process.pid}`);
  });

  test("exits after its idle time without clients", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path, {}, ["--idle-exit", "1"]);
    const rpc = await connected(url);
    await rpc.tool("dewey_list_conversations");
    rpc.close();
    expect(await running.process.exited).toBe(0);
  });

  test("ignores .env and bunfig.toml of its working directory", async () => {
    using home = temporaryHome();
    const folder = join(home.path, "project");
    mkdirSync(folder);
    writeFileSync(join(folder, ".env"), "DEWEY_MCP_PORT=not-a-port\n");
    writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./nothing-here.ts"]\n');
    await using server = start(
      ["serve", "--port", "0", "--data-dir", join(home.path, "data")],
      plainEnvironment(home.path),
      folder,
    );
    await server.until("stderr", /"event":"serving"/);
  });

  test("reports all configuration mistakes at once and exits with 2", async () => {
    using home = temporaryHome();
    const { code, stderr, stdout } = await run(["serve"], {
      ...plainEnvironment(home.path),
      DEWEY_MCP_PORT: "x",
      DEWEY_DB_HOST: "somewhere",
      DEWEY_TOKEN: "a secret",
    });
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain("DEWEY_MCP_PORT");
    expect(stderr).toContain("DEWEY_TOKEN");
    expect(stderr).not.toContain("a secret");
  });
});

describe("dewey serve --stdio", () => {
  test("starts a server when none runs, shared by any number of clients", async () => {
    using home = temporaryHome();
    const url = `ws://localhost:${freePort()}`;
    const env = { ...plainEnvironment(home.path), DEWEY_URL: url, DEWEY_DATA_DIR: join(home.path, "data") };
    const clients = Array.from({ length: 4 }, () => stdioClient(["serve", "--stdio"], env));
    const replies = await Promise.all(clients.map((client) => client.initialize()));
    for (const reply of replies) expect(reply).toMatchObject({ result: { serverInfo: { name: "dewey" } } });
    for (const client of clients) expect(await client.end()).toBe(0);
    const server = Number(readFileSync(join(home.path, "data/postgres/owner"), "utf8"));
    process.kill(server, "SIGTERM");
    await until("the end of the server", () => !isAlive(server));
  });

  test("answers requests received before its stdin closed", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path);
    const child = Bun.spawn([binary, "serve", "--stdio"], {
      env: { ...plainEnvironment(home.path), DEWEY_URL: url },
      stdin: new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"ping"}\n'),
      stdout: "pipe",
      stderr: "ignore",
    });
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
    expect(await child.exited).toBe(0);
    await running.stop();
  });

  test("speaks the revision without sessions too, of which a client asks first", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path);
    const frames = [
      statelessRequest(1, "server/discover"),
      statelessRequest(2, "tools/call", { name: "dewey_begin_conversation", arguments: { session_id: "s" } }),
      statelessRequest(3, "logging/setLevel"),
    ];
    const child = Bun.spawn([binary, "serve", "--stdio"], {
      env: { ...plainEnvironment(home.path), DEWEY_URL: url },
      stdin: new TextEncoder().encode(frames.map((frame) => `${JSON.stringify(frame)}\n`).join("")),
      stdout: "pipe",
      stderr: "ignore",
    });
    const replies = (await new Response(child.stdout).text()).trimEnd().split("\n");
    const parsed = replies.map((line) => JSON.parse(line) as { id: number }).toSorted((a, b) => a.id - b.id);
    expect(parsed).toMatchObject([
      { id: 1, result: { resultType: "complete", supportedVersions: ["2026-07-28"] } },
      { id: 2, result: { resultType: "complete", structuredContent: { session_id: "s" } } },
      { id: 3, error: { code: -32_601 } },
    ]);
    await running.stop();
  });

  test("reports a server on another machine that does not answer", async () => {
    using home = temporaryHome();
    const client = stdioClient(["serve", "--stdio"], {
      ...plainEnvironment(home.path),
      DEWEY_URL: "ws://dewey.invalid:9020",
    });
    const reply = await client.initialize();
    expect(JSON.stringify(reply)).toContain("no Dewey server answers at ws://dewey.invalid:9020");
    await client.end();
  });
});

/** A client that starts the binary and talks to it over stdin and stdout. */
function stdioClient(args: string[], env: Record<string, string>) {
  const child = Bun.spawn([binary, ...args], { env, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  const reader = child.stdout.getReader();
  return {
    async initialize(): Promise<unknown> {
      const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
      void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })}\n`);
      void child.stdin.flush();
      const decoder = new TextDecoder();
      let text = "";
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error("the command has ended");
        text += decoder.decode(value, { stream: true });
      }
      return JSON.parse(text);
    },
    async end(): Promise<number> {
      await child.stdin.end();
      return child.exited;
    },
  };
}

describe("dewey up", () => {
  test("prints what it starts and how to connect, and stops everything on Ctrl-C", async () => {
    using home = temporaryHome();
    const [serverPort, proxyPort] = [freePort(), freePort()];
    const running = start(["up"], {
      ...plainEnvironment(home.path),
      DEWEY_MCP_PORT: `${serverPort}`,
      DEWEY_PROXY_PORT: `${proxyPort}`,
      DEWEY_DATA_DIR: join(home.path, "data"),
    });
    await running.until("stdout", /Ready\./);
    expect(running.stdout()).toMatch(/Unpacking[\s\S]*Creating a database[\s\S]*Starting/);
    const [, serverUrl = ""] = await running.until("stdout", /^Ready\..*\n {2}dewey connect claude-code --url (\S+) /m);
    expect(serverUrl).toBe(`ws://localhost:${serverPort}`);
    const [, proxyUrl = ""] = await running.until("stdout", /proxy {3}(\S+) /);
    const rpc = await connected(`${proxyUrl}/?upstream=dewey`);
    expect(await rpc.tool("dewey_list_conversations")).toMatchObject({ total: 0 });
    const database = postmaster(home.path);
    expect(await running.stop("SIGINT")).toBe(0);
    await until("the end of PostgreSQL", () => !isAlive(database));
  });

  test("joins the server that runs, and says how to stop both when both run", async () => {
    using home = temporaryHome();
    const [serverPort, proxyPort] = [freePort(), freePort()];
    const env = {
      ...plainEnvironment(home.path),
      DEWEY_MCP_PORT: `${serverPort}`,
      DEWEY_PROXY_PORT: `${proxyPort}`,
      DEWEY_DATA_DIR: join(home.path, "data"),
    };
    const server = start(["serve"], env);
    await server.until("stderr", /"event":"serving"/);
    const joined = start(["up"], env);
    const [, proxyUrl = ""] = await joined.until("stdout", /proxy {3}(\S+) /);
    expect(joined.stdout()).toStartWith("A server runs already");
    const rpc = await connected(`${proxyUrl}/?upstream=dewey`);
    expect(await rpc.tool("dewey_list_conversations")).toMatchObject({ total: 0 });
    expect(await run(["up"], env)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Dewey runs already; to stop it: dewey stop\n/),
    });
    expect(await joined.stop("SIGINT")).toBe(0);
    expect((await fetch(`http://localhost:${serverPort}/healthz`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });

  test("names another program on its port", async () => {
    using home = temporaryHome();
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("{}") });
    const { code, stderr } = await run(["up"], {
      ...plainEnvironment(home.path),
      DEWEY_MCP_PORT: `${other.port}`,
      DEWEY_DATA_DIR: join(home.path, "data"),
    });
    expect([code, stderr]).toEqual([
      69,
      `dewey: another program listens on the port of ws://localhost:${other.port}; stop it, or choose another port: DEWEY_MCP_PORT\n`,
    ]);
  });

  test("reloads its upstreams on SIGHUP, and lets calls in flight finish on SIGTERM", async () => {
    using home = temporaryHome();
    const config = join(home.path, "mcp.json");
    const configure = (text: string) => writeFileSync(config, text);
    configure(JSON.stringify({ mcpServers: { one: echoCommand } }));
    await using running = start(["up"], {
      ...plainEnvironment(home.path),
      DEWEY_MCP_PORT: `${freePort()}`,
      DEWEY_PROXY_PORT: `${freePort()}`,
      DEWEY_PROXY_CONFIG: config,
      DEWEY_DATA_DIR: join(home.path, "data"),
    });
    const [, proxyUrl = ""] = await running.until("stdout", /proxy {3}(\S+) /);
    configure("{ no JSON");
    running.process.kill("SIGHUP");
    await running.until("stderr", /"event":"kept the old configuration because the new one is wrong"/);
    const one = await connected(`${proxyUrl}/?upstream=one`);
    configure(JSON.stringify({ mcpServers: { one: echoCommand, two: echoCommand } }));
    running.process.kill("SIGHUP");
    const two = await until("the new upstream", () => connected(`${proxyUrl}/?upstream=two`).catch(() => undefined));
    expect(await two.tool("echo", { text: "here" })).toEqual({ text: "here" });

    const slow = one.tool("slow", { ms: 1500 });
    const metrics = async () => (await fetch(`${proxyUrl.replace("ws", "http")}/metrics`)).text();
    await until("the call", async () => (await metrics()).includes("dewey_proxy_open_requests 1"));
    const database = postmaster(home.path);
    running.process.kill("SIGTERM");
    expect(await slow).toEqual({ text: "slept" });
    expect(await running.process.exited).toBe(0);
    await until("the end of PostgreSQL", () => !isAlive(database));
    // The proxy stops before the server, so its records are stored.
    expect(readdirSync(join(home.path, "data/spool"))).toEqual([]);
  });
});

describe("the binary", () => {
  test("prints its version and its commands", async () => {
    const env = { PATH: "/usr/bin:/bin" };
    expect((await run(["--version"], env)).stdout).toMatch(/^dewey \d+\.\d+\.\d+\n$/);
    expect((await run(["--help"], env)).stdout).toMatch(/^ {2}serve +\S/m);
  });

  test("rejects an unknown command, flag or operand with one line and exit code 2", async () => {
    const env = { PATH: "/usr/bin:/bin" };
    for (const args of [
      ["nonsense"],
      ["--nonsense"],
      ["serve", "--nonsense"],
      ["serve", "extra"],
      ["help", "nonsense"],
      ["unit"],
      ["serve", "--port"],
    ]) {
      const { code, stderr, stdout } = await run(args, env);
      expect([args, code, stdout, stderr.trim().split("\n").length]).toEqual([args, 2, "", 1]);
    }
  });

  test("reports health by its exit code", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path);
    const env = plainEnvironment(home.path);
    const healthy = await run(["health", "--url", url], env);
    expect([healthy.code, JSON.parse(healthy.stdout)]).toMatchObject([0, { status: "ok" }]);
    await running.stop();
    expect(await run(["health", "--url", url], env)).toMatchObject({ code: 69, stdout: "" });
  });
});
