import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HookQueue } from "../../../src/capture/hook-queue.ts";
import { acquireLock } from "../../../src/lock.ts";
import { binary, run, start, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { deliverersOf, stopDeliverers } from "../../support/deliverers.ts";
import { startEchoWebSocket } from "../../support/echo-server.ts";
import { freePort } from "../../support/ports.ts";
import { Rpc, until } from "../../support/rpc.ts";

// Runs the binary as a client's hooks do. The deliverer's tests cover the content of conversations.

interface Server extends AsyncDisposable {
  rpc: Rpc;
  url: string;
}

async function serve(home: string): Promise<Server> {
  const { running, url } = await startServe(home);
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  return {
    rpc,
    url,
    async [Symbol.asyncDispose]() {
      rpc.close();
      await running.stop();
    },
  };
}

const home = temporaryHome();
let server: Server;
beforeAll(async () => {
  server = await serve(home.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

/** A user's folder for one test. Background processes that hooks started end before it is removed. */
function person(url = server.url) {
  const folder = temporaryHome();
  const dataDir = join(folder.path, "data");
  const env = { ...plainEnvironment(folder.path), DEWEY_URL: url, DEWEY_DATA_DIR: dataDir };
  const hooks = join(dataDir, "spool/hooks");
  return {
    path: folder.path,
    dataDir,
    hooks,
    env,
    waiting: () => (existsSync(hooks) ? readdirSync(hooks).filter((name) => name.endsWith(".event")) : []),
    async hook(event: unknown, more: Record<string, string> = {}, args: string[] = []) {
      const stdin = typeof event === "string" ? event : JSON.stringify(event);
      const child = Bun.spawn([binary, "hook", ...args], {
        env: { ...env, ...more },
        stdin: Buffer.from(stdin),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      return { stdout, stderr, code };
    },
    async [Symbol.asyncDispose]() {
      await stopDeliverers(dataDir);
      folder[Symbol.dispose]();
    },
  };
}

const event = (session_id: string, more: object) => ({ session_id, cwd: "/home/ada/project", ...more });

describe("dewey hook", () => {
  test("ends at once without output, and its event appears in the conversation", async () => {
    await using ada = person();
    const session: string = crypto.randomUUID();
    const prompt = event(session, { hook_event_name: "UserPromptSubmit", prompt_id: "p", prompt: "mend the test" });
    expect(await ada.hook(prompt)).toEqual({ stdout: "", stderr: "", code: 0 });
    const messages = await until("the prompt", async () => {
      try {
        const page = await server.rpc.tool("dewey_get_conversation", { conversation_id: session });
        const found = page["messages"] as object[];
        return found.length > 0 && found;
      } catch {
        return undefined;
      }
    });
    expect(messages).toMatchObject([
      { role: "user", content: "mend the test", metadata: { cwd: "/home/ada/project" } },
    ]);
    await until("an empty queue", () => ada.waiting().length === 0);
    // One deliverer runs at a time, and waits for more.
    expect(
      await ada.hook(event(session, { hook_event_name: "Stop", prompt_id: "p", last_assistant_message: "Done." })),
    ).toMatchObject({ code: 0 });
    await until(
      "the answer",
      async () => (await server.rpc.tool("dewey_search", { query: "Done", conversation_id: session }))["total"] === 1,
    );
    expect(deliverersOf(ada.dataDir)).toHaveLength(1);
  });

  test("prints the context of the folder, or the active one, at the start of a session", async () => {
    await using ada = person();
    const begin = (cwd: string, source = "startup") =>
      ada.hook(event("s", { cwd, hook_event_name: "SessionStart", source }), { DEWEY_DIGEST: "off" });
    expect(await begin("/home/ada/project")).toEqual({ stdout: "", stderr: "", code: 0 });
    await server.rpc.tool("dewey_set_startup_context", { name: "all", content: "Be brief." });
    await server.rpc.tool("dewey_set_startup_context", { name: "here", content: "Use tabs.", set_active: false });
    await server.rpc.tool("dewey_tie_startup_context", { folder: "/home/ada/project", name: "here" });
    const context = (text: string) => ({
      hookSpecificOutput: { hookEventName: "SessionStart", additionalContext: expect.stringContaining(text) },
    });
    expect(JSON.parse((await begin("/home/ada/project/deep")).stdout)).toEqual(context("Use tabs."));
    expect(JSON.parse((await begin("/elsewhere", "compact")).stdout)).toEqual(context("Be brief."));
    // A resumed session has it among its messages.
    expect((await begin("/elsewhere", "resume")).stdout).toBe("");
  });

  test("tells a new session where the last one in its folder ended, and one that is resumed or compacted nothing", async () => {
    await using ada = person();
    const cwd = "/home/ada/earlier";
    const earlier: string = crypto.randomUUID();
    await ada.hook(
      event(earlier, { cwd, hook_event_name: "UserPromptSubmit", prompt_id: "p", prompt: "feed the owl" }),
    );
    await until("the prompt", async () => (await server.rpc.tool("dewey_search", { query: "owl" }))["total"] === 1);
    const begin = async (source: string, session = "s", more = {}) =>
      (await ada.hook(event(session, { cwd, hook_event_name: "SessionStart", source }), more)).stdout;
    for (const source of ["startup", "clear"]) {
      const { hookSpecificOutput } = JSON.parse(await begin(source)) as { hookSpecificOutput: Record<string, string> };
      expect(hookSpecificOutput["additionalContext"]).toContain('asked: "feed the owl"');
    }
    for (const source of ["resume", "compact"]) expect(await begin(source)).not.toContain("owl");
    expect(await begin("startup", "s", { DEWEY_DIGEST: "off" })).not.toContain("owl");
    // The session itself is no earlier one.
    expect(await begin("startup", earlier)).not.toContain("owl");
  });

  test("keeps events while no server answers, and the next hook delivers them when one does", async () => {
    const port = freePort();
    await using ada = person(`ws://127.0.0.1:${port}`);
    const session: string = crypto.randomUUID();
    await ada.hook(event(session, { hook_event_name: "UserPromptSubmit", prompt_id: "p", prompt: "while away" }));
    expect(ada.waiting()).toHaveLength(1);
    // Kill its deliverer: the event remains.
    for (const pid of await until(
      "a deliverer",
      () => deliverersOf(ada.dataDir).length > 0 && deliverersOf(ada.dataDir),
    ))
      process.kill(pid, "SIGKILL");
    await until("its end", () => deliverersOf(ada.dataDir).length === 0);
    expect(ada.waiting()).toHaveLength(1);
    await ada.hook(event(session, { hook_event_name: "SessionEnd", prompt_id: "p", reason: "other" }), {
      DEWEY_URL: server.url,
    });
    await until("an empty queue", () => ada.waiting().length === 0);
    const { messages } = (await server.rpc.tool("dewey_get_conversation", { conversation_id: session })) as {
      messages: { content: string }[];
    };
    expect(messages.map((message) => message.content)).toEqual(["while away"]);
  });

  test("leaves its events to a proxy that starts, if no later hook delivers them", async () => {
    await using ada = person();
    const session: string = crypto.randomUUID();
    new HookQueue(ada.hooks).put(
      event(session, { hook_event_name: "UserPromptSubmit", prompt_id: "p", prompt: "left over" }),
    );
    await using _proxy = start(["proxy", "--port", "0"], ada.env);
    await until("an empty queue", () => ada.waiting().length === 0);
    expect((await server.rpc.tool("dewey_search", { query: '"left over"' }))["total"]).toBe(1);
  });

  test("never fails the client, whatever its input and whatever is wrong, and logs the reason", async () => {
    await using ada = person();
    for (const input of ["", "not JSON", "[]", "null"])
      expect(await ada.hook(input)).toEqual({ stdout: "", stderr: "", code: 0 });
    expect(readFileSync(join(ada.dataDir, "hook.log"), "utf8").trim().split("\n")).toHaveLength(4);
    expect(await ada.hook({}, { DEWEY_URL: "nonsense" })).toMatchObject({
      code: 0,
      stdout: "",
      stderr: expect.stringContaining("DEWEY_URL"),
    });
    expect(await ada.hook({}, {}, ["--unknown"])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("--unknown"),
    });
    const blocked = join(ada.path, "a-file");
    writeFileSync(blocked, "");
    expect(
      await ada.hook({ session_id: "s", hook_event_name: "Stop" }, { DEWEY_DATA_DIR: join(blocked, "data") }),
    ).toMatchObject({ code: 0 });
    const nowhere = { DEWEY_URL: "ws://203.0.113.1:9" };
    expect(await ada.hook(event("s", { hook_event_name: "SessionStart", source: "startup" }), nowhere)).toMatchObject({
      code: 0,
      stdout: "",
    });
  });

  test("claims the tool use that follows, which the proxy then does not record; unclaimed ones it records", async () => {
    await using ada = person();
    const echo = startEchoWebSocket({ subprotocol: true });
    const config = join(ada.path, "mcp.json");
    writeFileSync(config, JSON.stringify({ mcpServers: { echo: { type: "ws", url: echo.url } } }));
    await using proxy = start(["proxy", "--port", "0", "--config", config], ada.env);
    const [, url = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    await ada.hook(
      event("s", { hook_event_name: "PreToolUse", tool_name: "mcp__echo__echo", tool_use_id: "toolu_claimed" }),
    );
    for (const [text, id] of [
      ["claimed words", "toolu_claimed"],
      ["nobodys words", "toolu_other"],
    ] as const) {
      const params = { name: "echo", arguments: { text }, _meta: { "claudecode/toolUseId": id } };
      expect(await rpc.call("tools/call", params)).toMatchObject({ content: [{ text }] });
    }
    rpc.close();
    const total = async (query: string) => (await server.rpc.tool("dewey_search", { query, source: "proxy" }))["total"];
    await until("what the proxy recorded", async () => (await total("nobodys")) === 2);
    expect(await total('"claimed words"')).toBe(0);
    await echo.stop();
  });

  test("starts no second deliverer while one is running", async () => {
    await using ada = person();
    mkdirSync(ada.hooks, { recursive: true });
    const lock = acquireLock(join(ada.hooks, "deliver.lock"));
    await ada.hook(event("s", { hook_event_name: "UserPromptSubmit", prompt: "x" }));
    expect(deliverersOf(ada.dataDir)).toEqual([]);
    expect(ada.waiting()).toHaveLength(1);
    // A second one that is started by hand ends at once.
    expect(await ada.hook("", {}, ["--deliver"])).toMatchObject({ code: 0 });
    lock?.release();
  });

  test("prints its help", async () => {
    expect((await run(["help", "hook"], plainEnvironment(home.path))).stdout).toContain("usage: dewey hook");
  });
});
