import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { claudeCode } from "../support/claude-code.ts";
import { stopDeliverers } from "../support/deliverers.ts";
import { say, startModel, use } from "../support/model.ts";
import { Rpc, until } from "../support/rpc.ts";
import { spoolFiles } from "../support/spool-folder.ts";

// The real Claude Code, connected by `dewey connect`, against a scripted model: nothing leaves this machine.

const claude = await claudeCode();
const echoServer = join(import.meta.dir, "../support/echo-server.ts");

/** The script: an MCP tool through the proxy, a shell command, a sub-agent, a failing command. */
const model = () =>
  startModel((told) => {
    switch (told) {
      case "Please mend the flaky test.":
        return [say("I ask the echo first."), use("toolu_echo", "mcp__echo__echo", { text: "wherefore" })];
      case "toolu_echo":
        return [
          say("Now the shell."),
          use("toolu_shell", "Bash", { command: "echo from-the-shell", description: "say it" }),
        ];
      case "toolu_shell":
        return [
          use("toolu_agent", "Agent", {
            description: "look",
            prompt: "Look around.",
            subagent_type: "general-purpose",
          }),
        ];
      case "Look around.":
        return [say("There is nothing here.")];
      case "toolu_agent":
        return [use("toolu_failing", "Bash", { command: "exit 3", description: "fail" })];
      case "toolu_failing":
        return [say("It is mended.")];
      default:
        return [say("Good morning.")];
    }
  });

interface Message {
  role: string;
  content: string;
  metadata: Record<string, unknown>;
}

describe.skipIf(claude === undefined)("the real Claude Code, connected by dewey connect", () => {
  test("has its whole conversation stored once and in order, and starts the next session with the startup context", async () => {
    using home = temporaryHome();
    const dataDir = join(home.path, "data");
    const { running, url } = await startServe(home.path);
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    const answers = model();
    const project = join(home.path, "project");
    mkdirSync(project);
    Bun.spawnSync(["git", "init", "-q", "-b", "mending"], { cwd: project });
    const env = plainEnvironment(home.path);
    const servers = { echo: { command: process.execPath, args: [echoServer] } };
    writeFileSync(
      join(home.path, ".claude.json"),
      JSON.stringify({ hasCompletedOnboarding: true, mcpServers: servers }),
    );
    const connected = await run(["connect", "claude-code", "--url", url, "--data-dir", dataDir], env);
    expect(connected).toMatchObject({ code: 0, stdout: expect.stringContaining("Through the proxy: echo.") });

    const ask = async (prompt: string) => {
      const child = Bun.spawn([claude ?? "", "-p", prompt, "--allowedTools", "mcp__echo__echo,Bash,Agent,Task"], {
        cwd: project,
        env: {
          ...env,
          ANTHROPIC_BASE_URL: answers.url,
          ANTHROPIC_API_KEY: "sk-ant-none",
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
          DISABLE_AUTOUPDATER: "1",
        },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      if (code !== 0) throw new Error(`Claude Code ended with ${code}: ${stdout}${stderr}`);
      return stdout.trim();
    };

    expect(await ask("Please mend the flaky test.")).toBe("It is mended.");
    const conversations = await until("both conversations, whole", async () => {
      const { results } = (await rpc.tool("dewey_search", { query: '"It is mended"' })) as {
        results: { conversation_id: string }[];
      };
      const [found] = results;
      if (found === undefined) return undefined;
      const listed = (await rpc.tool("dewey_list_conversations", { session_id: found.conversation_id })) as {
        conversations: { id: string; metadata: Record<string, unknown> }[];
      };
      return listed.conversations.length === 2 && { session: found.conversation_id, listed: listed.conversations };
    });
    const { session } = conversations;
    const messages = async (conversation_id: string) =>
      (await rpc.tool("dewey_get_conversation", { conversation_id, full: true }))["messages"] as Message[];
    const talk = (all: Message[]) =>
      all
        .filter((message) => message.role !== "system")
        .map((message) => [message.role, message.content.split("\n")[0]]);
    expect(talk(await messages(session))).toEqual([
      ["user", "Please mend the flaky test."],
      ["assistant", "I ask the echo first."],
      ["assistant", "mcp__echo__echo"],
      ["tool", "wherefore"],
      ["assistant", "Now the shell."],
      ["assistant", "Bash"],
      ["tool", "from-the-shell"],
      ["assistant", "Agent"],
      ["tool", "There is nothing here."],
      ["assistant", "Bash"],
      ["tool", "Exit code 3"],
      ["assistant", "It is mended."],
    ]);
    const result = (await messages(session)).find((message) => message.content === "wherefore");
    expect(result?.metadata).toMatchObject({
      tool: "mcp__echo__echo",
      outcome: "success",
      cwd: project,
      branch: "mending",
      client_version: "2.1.197",
      duration_ms: expect.any(Number),
    });
    const agent = conversations.listed.find((each) => each.id !== session);
    expect(agent?.metadata).toMatchObject({ parent_conversation_id: session, parent_tool_use_id: "toolu_agent" });
    expect(talk(await messages(agent?.id ?? ""))).toEqual([
      ["user", "Look around."],
      ["assistant", "There is nothing here."],
    ]);

    // The proxy saw the call too and left it to the hooks, so the word occurs only in the call and its result, and there is
    // no conversation of the proxy's.
    await until("an empty spool", () => spoolFiles(dataDir).length === 0);
    expect((await rpc.tool("dewey_search", { query: "echo", source: "proxy" }))["total"]).toBe(0);
    expect((await rpc.tool("dewey_search", { query: "wherefore" }))["total"]).toBe(2);

    await rpc.tool("dewey_set_startup_context", { name: "manners", content: "Always answer in rhyme." });
    const before = answers.requests.length;
    expect(await ask("Hello")).toBe("Good morning.");
    expect(
      answers.requests
        .slice(before)
        .some((request) => request.includes("Startup context") && request.includes("Always answer in rhyme.")),
    ).toBe(true);

    // Everything the client wrote is stored: an import finds nothing new.
    await until(
      "the second talk",
      async () => (await rpc.tool("dewey_search", { query: '"Good morning"' }))["total"] === 1,
    );
    await stopDeliverers(dataDir);
    const imported = JSON.parse((await run(["import", "--json"], { ...env, DEWEY_URL: url })).stdout) as Record<
      string,
      number
    >;
    expect(imported).toMatchObject({ conversations: 3, refused: 0, broken: 0, unknown: {} });
    expect(talk(await messages(session))).toHaveLength(12);

    rpc.close();
    await answers.stop();
    await running.stop();
  });
});
