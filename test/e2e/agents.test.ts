import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startGeminiModel, startResponsesModel } from "../support/agent-models.ts";
import type { AgentScript } from "../support/agent-models.ts";
import { run, startServe } from "../support/binary.ts";
import { stopDeliverers } from "../support/deliverers.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { npmProgram } from "../support/npm-program.ts";
import { Rpc, until } from "../support/rpc.ts";
import { spoolFiles } from "../support/spool-folder.ts";

// The real Codex and the real Gemini CLI, connected by `dewey connect`, against scripted models: nothing leaves this machine.

const echoServer = join(import.meta.dir, "../support/echo-server.ts");
const echo = { command: process.execPath, args: [echoServer] };

const codex = await npmProgram({
  name: "Codex",
  package: "@openai/codex",
  version: "0.171.0",
  file: "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
});
const gemini = await npmProgram({
  name: "Gemini CLI",
  package: "@google/gemini-cli",
  version: "0.61.0",
  file: "@google/gemini-cli/bundle/gemini.js",
});

/** The script: a tool of an MCP server behind the proxy, then an answer; in a later session a greeting. */
const script =
  (tool: { namespace?: string; name: string }): AgentScript =>
  ({ prompt = "", result }) => {
    if (result !== undefined) return { text: "It is mended." };
    if (prompt.includes("flaky test")) return { call: { id: "call_echo", ...tool, args: { text: "wherefore" } } };
    return { text: "Good morning." };
  };

/** A server and a user's home; `ask` runs the client in a project there. */
async function person(client: string[], settings: (home: string) => Record<string, string>) {
  const home = temporaryHome();
  const dataDir = join(home.path, "data");
  const project = join(home.path, "project");
  mkdirSync(project);
  const { running, url } = await startServe(home.path);
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  const env = { ...plainEnvironment(home.path), ...settings(home.path) };
  return {
    home: home.path,
    dataDir,
    rpc,
    connect: (name: string) => run(["connect", name, "--url", url, "--data-dir", dataDir], env),
    async ask(...args: string[]) {
      const child = Bun.spawn([...client, ...args], {
        cwd: project,
        env,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      if (code !== 0) throw new Error(`the client ended with ${code}: ${stdout}${stderr}`);
      return stdout.trim().split("\n").at(-1);
    },
    /** The talk of the conversation that holds these words, once it is whole. */
    async talk(words: string, messages: number) {
      return until("the whole talk", async () => {
        const { results } = (await rpc.tool("dewey_search", { query: `"${words}"` })) as {
          results: { conversation_id: string }[];
        };
        const [found] = results;
        if (found === undefined) return undefined;
        const page = await rpc.tool("dewey_get_conversation", { conversation_id: found.conversation_id, full: true });
        const said = (page["messages"] as { role: string; content: string }[])
          .filter(({ role }) => role !== "system")
          .map(({ role, content }) => [role, content.trim()]);
        return said.length >= messages && said;
      });
    },
    async [Symbol.asyncDispose]() {
      await stopDeliverers(dataDir);
      rpc.close();
      await running.stop();
      home[Symbol.dispose]();
    },
  };
}

describe.skipIf(codex === undefined)("the real Codex, connected by dewey connect", () => {
  test("has its talk stored once and in order, and tells the next session where it ended", async () => {
    const model = startResponsesModel(script({ namespace: "mcp__echo", name: "echo" }));
    await using ada = await person([codex ?? "", "exec"], (home) => ({ CODEX_HOME: join(home, ".codex") }));
    mkdirSync(join(ada.home, ".codex"));
    writeFileSync(
      join(ada.home, ".codex/config.toml"),
      `model = "gpt-5.1"\nmodel_provider = "local"\n\n[model_providers.local]\nname = "local"\nbase_url = "${model.url}/v1"\nwire_api = "responses"\n\n[mcp_servers.echo]\ncommand = ${JSON.stringify(echo.command)}\nargs = ${JSON.stringify(echo.args)}\n`,
    );
    expect(await ada.connect("codex")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Through the proxy: echo."),
    });
    // A person trusts the hooks once; a program says so at each start.
    const flags = [
      "--dangerously-bypass-hook-trust",
      "--dangerously-bypass-approvals-and-sandbox",
      "--skip-git-repo-check",
    ];
    expect(await ada.ask(...flags, "Please mend the flaky test.")).toBe("It is mended.");
    expect(await ada.talk("It is mended", 4)).toEqual([
      ["user", "Please mend the flaky test."],
      ["assistant", "mcp__echo__echo\ntext: wherefore"],
      ["tool", expect.stringContaining("wherefore")],
      ["assistant", "It is mended."],
    ]);
    // The proxy left the call to the hooks.
    await until("an empty spool", () => spoolFiles(ada.dataDir).length === 0);
    expect((await ada.rpc.tool("dewey_search", { query: "echo", source: "proxy" }))["total"]).toBe(0);
    expect((await ada.rpc.tool("dewey_search", { query: "wherefore" }))["total"]).toBe(2);
    const before = model.requests.length;
    expect(await ada.ask(...flags, "Hello")).toBe("Good morning.");
    expect(model.requests.slice(before).join("")).toContain('asked: \\"Please mend the flaky test.\\"');
    await model.stop();
  });
});

describe.skipIf(gemini === undefined)("the real Gemini CLI, connected by dewey connect", () => {
  test("has its talk stored in order, and tells the next session where it ended", async () => {
    const model = startGeminiModel(script({ name: "mcp_echo_echo" }));
    await using ada = await person([process.execPath, gemini ?? ""], () => ({
      GEMINI_API_KEY: "none",
      GOOGLE_GEMINI_BASE_URL: model.url,
    }));
    mkdirSync(join(ada.home, ".gemini"));
    const settings = {
      security: { auth: { selectedType: "gemini-api-key" } },
      privacy: { usageStatisticsEnabled: false },
      general: { enableAutoUpdate: false },
      mcpServers: { echo: { ...echo, trust: true } },
    };
    writeFileSync(join(ada.home, ".gemini/settings.json"), JSON.stringify(settings));
    expect(await ada.connect("gemini")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Through the proxy: echo."),
    });
    const flags = ["-m", "gemini-2.5-flash", "--yolo", "--skip-trust", "-p"];
    expect(await ada.ask(...flags, "Please mend the flaky test.")).toBe("It is mended.");
    expect(await ada.talk("It is mended", 4)).toEqual([
      ["user", "Please mend the flaky test."],
      ["assistant", "mcp_echo_echo\ntext: wherefore"],
      ["tool", expect.stringContaining("wherefore")],
      ["assistant", "It is mended."],
    ]);
    const before = model.requests.length;
    expect(await ada.ask(...flags, "Hello")).toBe("Good morning.");
    expect(model.requests.slice(before).join("")).toContain('asked: \\"Please mend the flaky test.\\"');
    // What Gemini was told by the hook is no person's prompt.
    await until(
      "the second prompt",
      async () => (await ada.rpc.tool("dewey_search", { query: "Hello", role: "user" }))["total"] === 1,
    );
    await model.stop();
  });
});
