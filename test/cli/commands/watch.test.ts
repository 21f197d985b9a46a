import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { run, start, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { freePort } from "../../support/ports.ts";
import { processesWith } from "../../support/processes.ts";
import { Rpc, until } from "../../support/rpc.ts";

/** A user with sessions of Claude Code and Codex. */
function person() {
  const home = temporaryHome();
  const dataDir = join(home.path, "data");
  const add = (path: string, row: object) => {
    mkdirSync(dirname(join(home.path, path)), { recursive: true });
    appendFileSync(join(home.path, path), `${JSON.stringify(row)}\n`);
  };
  return {
    path: home.path,
    dataDir,
    env: { ...plainEnvironment(home.path), DEWEY_DATA_DIR: dataDir },
    claude: (content: string) =>
      add(".claude/projects/-p/a3d1c6fc-0000-4000-8000-000000000001.jsonl", {
        type: "user",
        sessionId: "a3d1c6fc-0000-4000-8000-000000000001",
        uuid: crypto.randomUUID(),
        cwd: "/p",
        timestamp: new Date().toISOString(),
        message: { role: "user", content },
      }),
    codex: (text: string) =>
      add(".codex/sessions/2026/11/01/rollout-2026-11-01T10-00-00-a3d1c6fc-0000-4000-8000-000000000002.jsonl", {
        timestamp: new Date().toISOString(),
        type: "response_item",
        payload: { type: "message", role: "user", content: [{ type: "input_text", text }] },
      }),
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
}

async function found(rpc: Rpc, word: string) {
  await until(word, async () => (await rpc.tool("dewey_search", { query: word }))["total"] === 1);
}

async function openRpc(url: string): Promise<Rpc> {
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  return rpc;
}

/** Processes that follow this user's sessions. */
const watchersOf = (dataDir: string) => processesWith("watch", dataDir);

describe("dewey watch", () => {
  test("follows all agents, waits for a server that is down, and goes on after a restart", async () => {
    using ada = person();
    ada.claude("aardvark");
    ada.codex("bandicoot");
    const { running, url } = await startServe(ada.path);
    const env = { ...ada.env, DEWEY_URL: url };
    const rpc = await openRpc(url);
    {
      await using watch = start(["watch"], env);
      await found(rpc, "aardvark");
      await found(rpc, "bandicoot");
      ada.codex("capybara");
      await found(rpc, "capybara");
      expect(await watch.stop()).toBe(0);
    }
    ada.claude("dormouse");
    await using _second = start(["watch"], env);
    await found(rpc, "dormouse");
    expect((await rpc.tool("dewey_stats", {}))["messages"]).toBe(4);
    rpc.close();
    await running.stop();
  });

  test("starts a server if none runs on this machine", async () => {
    using ada = person();
    ada.claude("echidna");
    const url = `ws://127.0.0.1:${freePort()}`;
    await using watch = start(["watch"], { ...ada.env, DEWEY_URL: url });
    await until("the message", async () =>
      (await run(["search", "echidna"], { ...ada.env, DEWEY_URL: url })).stdout.includes("1 match"),
    );
    await watch.stop();
    await stopServers(ada.dataDir);
  });

  test("is done by dewey up, unless DEWEY_WATCH is off, in a process that ends with it", async () => {
    using ada = person();
    ada.claude("fossa");
    const port = `${freePort()}`;
    const env = { ...ada.env, DEWEY_MCP_PORT: port, DEWEY_PROXY_PORT: "0" };
    const url = `ws://127.0.0.1:${port}`;
    {
      await using up = start(["up"], env);
      await up.until("stdout", /Ready/);
      const rpc = await openRpc(url);
      await found(rpc, "fossa");
      rpc.close();
      // A person at a terminal reads what dewey up says; the log is for problems.
      expect(up.stderr()).not.toContain("watching");
      expect(watchersOf(ada.dataDir)).toHaveLength(1);
      up.process.kill("SIGKILL");
      await until("the end of the watch", () => watchersOf(ada.dataDir).length === 0);
    }
    await using up = start(["up"], { ...env, DEWEY_WATCH: "off" });
    await up.until("stdout", /Ready/);
    expect(watchersOf(ada.dataDir)).toEqual([]);
    expect(await up.stop()).toBe(0);
  });
});

/** Ends the servers that commands have started in the background for this user. */
async function stopServers(dataDir: string): Promise<void> {
  const servers = () => processesWith("--idle-exit", dataDir);
  for (const pid of servers()) process.kill(pid, "SIGTERM");
  await until("the end of the server", () => servers().length === 0);
}
