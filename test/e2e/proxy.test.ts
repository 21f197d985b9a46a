import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { echoCommand, startEchoWebSocket } from "../support/echo-server.ts";
import { freePort } from "../support/ports.ts";
import { Rpc, until } from "../support/rpc.ts";

// The recorder's guarantees, tested on the compiled binary while processes around it are killed.

const home = temporaryHome();
const echo = startEchoWebSocket({ subprotocol: false });
const serverPort = freePort();
const serverUrl = `ws://127.0.0.1:${serverPort}/`;
const configFile = join(home.path, "mcp.json");
let server: Running | undefined;

beforeAll(async () => {
  const mcpServers = {
    echo: { type: "ws", url: echo.url },
    child: echoCommand,
    nowhere: { url: `ws://127.0.0.1:${freePort()}` },
    broken: { command: "no-such-command" },
  };
  writeFileSync(configFile, JSON.stringify({ mcpServers, default: "echo" }));
  await startServer();
});
afterAll(async () => {
  await server?.stop();
  await echo.stop();
  home[Symbol.dispose]();
});

async function startServer(): Promise<void> {
  server = (await startServe(home.path, {}, ["--port", `${serverPort}`])).running;
}

async function startProxy(spool: string, env: Record<string, string> = {}): Promise<{ running: Running; url: string }> {
  const args = [
    "proxy",
    "--port",
    "0",
    "--config",
    configFile,
    "--url",
    serverUrl,
    "--spool-dir",
    join(home.path, spool),
  ];
  const running = start(args, { ...plainEnvironment(home.path), ...env });
  const [, url = ""] = await running.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  return { running, url };
}

interface Found {
  content: string;
  role: string;
  turn: number;
}

async function dewey(): Promise<Rpc> {
  const rpc = await Rpc.open(serverUrl);
  await rpc.initialize();
  return rpc;
}

/** Waits until the only conversation of a session has this many messages, and returns them. */
async function recorded(session: string, least: number): Promise<Found[]> {
  const rpc = await dewey();
  const messages = await until(`${least} messages of ${session}`, async () => {
    const { conversations } = (await rpc.tool("dewey_list_conversations", { session_id: session })) as {
      conversations: { id: string; message_count: number }[];
    };
    const [one] = conversations;
    if (!one || one.message_count < least) return false;
    expect(conversations).toHaveLength(1);
    return (await rpc.tool("dewey_get_conversation", { conversation_id: one.id, full: true }))["messages"] as Found[];
  });
  rpc.close();
  return messages;
}

/** The reason why a session ended, from its conversation's metadata. */
async function endOf(session: string): Promise<unknown> {
  const rpc = await dewey();
  const { conversations } = (await rpc.tool("dewey_list_conversations", { session_id: session })) as {
    conversations: { metadata: Record<string, unknown> | null }[];
  };
  rpc.close();
  return conversations[0]?.metadata?.["end_reason"];
}

/** Calls echo repeatedly until the connection breaks; returns the replies. */
async function callUntilBroken(rpc: Rpc): Promise<string[]> {
  const answered: string[] = [];
  for (;;) {
    const text = `call ${answered.length}`;
    try {
      await rpc.tool("echo", { text });
    } catch {
      return answered;
    }
    answered.push(text);
  }
}

describe("dewey proxy", () => {
  test("that is killed has every answered call on disk, and the next one delivers it once and in order", async () => {
    const first = await startProxy("killed");
    const rpc = await Rpc.open(`${first.url}?session=killed`);
    await rpc.initialize();
    const calling = callUntilBroken(rpc);
    await recorded("killed", 50);
    first.running.process.kill("SIGKILL");
    const answered = await calling;
    const second = await startProxy("killed");
    await until("the end, which the next proxy adds", async () => (await endOf("killed")) !== undefined);
    expect(await endOf("killed")).toBe("the proxy ended before the session did");
    // The introduction, a request and a response for each call, and possibly one in flight.
    const messages = await recorded("killed", 2 * answered.length + 1);
    const said = messages.filter((message) => message.role === "user").map((message) => message.content);
    expect(said.slice(0, answered.length)).toEqual(answered.map((text) => `echo\ntext: ${text}`));
    expect(said.length - answered.length).toBeLessThanOrEqual(1);
    const heard = messages.filter((message) => message.role === "assistant").map((message) => message.content);
    expect(heard.slice(0, answered.length)).toEqual(answered);
    expect(await second.running.stop()).toBe(0);
    expect(readdirSync(join(home.path, "killed"))).toEqual([]);
  });

  test("relays without delay while the store is away, and delivers when it is back", async () => {
    await server?.stop();
    const { running, url } = await startProxy("away");
    const rpc = await Rpc.open(`${url}?session=away`);
    await rpc.initialize();
    for (let index = 0; index < 100; index++)
      expect(await rpc.tool("echo", { text: `${index}` })).toEqual({ text: `${index}` });
    rpc.close();
    const health = async () =>
      (await (await fetch(`${url.replace("ws:", "http:")}healthz`)).json()) as {
        recorder: { queued_bytes: number; last_error: string | null };
      };
    await until("a failed delivery", async () => (await health()).recorder.last_error !== null);
    expect((await health()).recorder.queued_bytes).toBeGreaterThan(0);
    await startServer();
    const messages = await recorded("away", 201);
    expect(messages.map((message) => message.turn)).toEqual(Array.from({ length: 201 }, (_, index) => index + 1));
    expect(messages.filter((message) => message.role === "assistant").map((message) => message.content)).toEqual(
      Array.from({ length: 100 }, (_, index) => `${index}`),
    );
    await until("an empty queue", async () => (await health()).recorder.queued_bytes === 0);
    expect(await running.stop()).toBe(0);
    expect(readdirSync(join(home.path, "away"))).toEqual([]);
  });

  test("keeps sessions apart whatever ids they use, and passes ids verbatim", async () => {
    const { running, url } = await startProxy("apart");
    const clients = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const rpc = await Rpc.open(`${url}?session=apart-${index}`);
        await rpc.initialize();
        return rpc;
      }),
    );
    const ids = ["1", '"1"', "0", "-5", "9007199254740993", '"日本"'];
    await Promise.all(
      clients.map(async (rpc, client) => {
        for (const id of ids) {
          const result = await rpc.call(
            "tools/call",
            { name: "echo", arguments: { text: `client ${client} id ${id}` } },
            id,
          );
          expect(result).toEqual({ content: [{ type: "text", text: `client ${client} id ${id}` }] });
        }
        expect(rpc.received.every((text) => !text.includes("client") || text.includes(`client ${client} `))).toBe(true);
        rpc.close();
      }),
    );
    for (const client of [0, 19]) {
      const messages = await recorded(`apart-${client}`, 13);
      expect(messages.slice(1).every((message) => message.content.includes(`client ${client} `))).toBe(true);
    }
    await running.stop();
  });

  test("passes the server's requests, progress, and methods it does not know", async () => {
    const { running, url } = await startProxy("both");
    const rpc = await Rpc.open(`${url}?upstream=child`);
    rpc.onRequest = (method) => ({ sampled: method });
    await rpc.initialize();
    expect(await rpc.tool("ask")).toEqual({ text: '{"sampled":"sampling/createMessage"}' });
    await rpc.call("tools/call", { name: "progress", arguments: { steps: 5 }, _meta: { progressToken: "mine" } });
    expect(
      rpc.received.filter((text) => text.includes("notifications/progress") && text.includes('"mine"')),
    ).toHaveLength(5);
    const metrics = await (await fetch(`${url.replace("ws:", "http:")}metrics`)).text();
    expect(metrics).toMatch(/^dewey_proxy_frames_total\{upstream="child",direction="down"\} [1-9]/m);
    expect(metrics).toContain("dewey_proxy_sessions 1\n");
    expect(rpc.call("made/up", { x: 1 })).rejects.toMatchObject({ code: -32_601 });
    rpc.close();
    await running.stop();
  });

  test("answers requests to an unreachable upstream with an error that names it and the reason", async () => {
    const { running, url } = await startProxy("nowhere");
    for (const [name, reason] of [
      ["nowhere", "cannot be reached"],
      ["broken", "no-such-command"],
    ] as const) {
      const rpc = await Rpc.open(`${url}?upstream=${name}`);
      const { message } = await rpc.initialize().then(
        () => new Error("it was initialized"),
        (thrown: unknown) => thrown as Error,
      );
      expect(message).toContain(name);
      expect(message).toContain(reason);
      rpc.close();
    }
    const { upstreams } = (await (await fetch(`${url.replace("ws:", "http:")}healthz`)).json()) as {
      upstreams: { name: string; state: string; last_error: string | null }[];
    };
    const state = (name: string) => upstreams.find((upstream) => upstream.name === name);
    expect(state("broken")).toMatchObject({ state: "down", last_error: expect.stringContaining("no-such-command") });
    expect(state("echo")).toMatchObject({ state: "unused", last_error: null });
    const unknown = await fetch(`${url.replace("ws:", "http:")}mcp?upstream=nope`, { method: "POST" });
    expect([unknown.status, await unknown.text()]).toEqual([
      404,
      expect.stringContaining("echo, child, nowhere, broken"),
    ]);
    expect(Rpc.open(`${url}?upstream=nope`)).rejects.toThrow();
    await running.stop();
  });

  test("stores the replies of an orchestration as results", async () => {
    const { running, url } = await startProxy("fiedler");
    const client = await Rpc.open(`${url}?session=fiedler`);
    await client.initialize();
    const results = [
      {
        model: "one",
        status: "success",
        output_file: "/out/one.md",
        duration: 2.5,
        tokens: { prompt: 10, completion: 20 },
      },
      { model: "two", status: "failed", error: "no quota" },
    ];
    await client.tool("fiedler_send", {
      text: JSON.stringify({ status: "partial", correlation_id: "corr-e2e", results }),
    });
    client.close();
    const rpc = await dewey();
    const found = await until("two results", async () => {
      const reply = await rpc.tool("dewey_get_fiedler_results", { correlation_id: "corr-e2e" });
      return reply["total"] === 2 && (reply["results"] as { model: string; conversation_id: string }[]);
    });
    expect(found.toSorted((a, b) => a.model.localeCompare(b.model))).toMatchObject([
      {
        model: "one",
        status: "success",
        output: "/out/one.md",
        duration_seconds: 2.5,
        tokens_prompt: 10,
        tokens_completion: 20,
      },
      { model: "two", status: "error", output: "no quota", error_message: "no quota" },
    ]);
    const { conversations } = (await rpc.tool("dewey_list_conversations", { session_id: "fiedler" })) as {
      conversations: { id: string }[];
    };
    expect(found.every((result) => result.conversation_id === conversations[0]?.id)).toBe(true);
    rpc.close();
    await running.stop();
  });

  test("guards its port like the server", async () => {
    const { running, url } = await startProxy("guarded", { DEWEY_TOKEN: "secret" });
    const http = url.replace("ws:", "http:");
    expect((await fetch(`${http}healthz`)).status).toBe(200);
    expect((await fetch(`${http}mcp`, { method: "POST" })).status).toBe(401);
    expect((await fetch(`${http}healthz`, { headers: { origin: "https://evil.example" } })).status).toBe(403);
    expect((await fetch(`${http}healthz`, { headers: { host: "evil.example" } })).status).toBe(403);
    expect(Rpc.open(url)).rejects.toThrow();
    const rpc = await Rpc.open(url, { headers: { authorization: "Bearer secret" } });
    await rpc.initialize();
    rpc.close();
    await running.stop();
  });
});
