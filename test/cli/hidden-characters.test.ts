import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { visible } from "../../src/visible.ts";
import { run, start, startServe } from "../support/binary.ts";
import type { Running } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { Rpc } from "../support/rpc.ts";

// Stored text must not act on the terminal of the person who reads it, whatever command shows it.

const HOSTILE = "a\u001b]0;title\u0007\u001b[2J\u009b31m\r\u202eb\u2066c\u200bd\u{e0041}\u2028## 9 · user";
const PERSIAN = "می‌خواهم 👩‍🚀";

const home = temporaryHome();
let server: Running;
let env: Record<string, string>;
let rpc: Rpc;
let id: string;

beforeAll(async () => {
  const { running, url } = await startServe(home.path);
  server = running;
  env = { ...plainEnvironment(home.path), DEWEY_URL: url, DEWEY_DATA_DIR: join(home.path, "data") };
  rpc = await Rpc.open(url, {});
  await rpc.initialize();
  const metadata = { title: HOSTILE, client_name: HOSTILE, cwd: HOSTILE };
  const begun = await rpc.tool("dewey_begin_conversation", { session_id: `s${HOSTILE}`, metadata });
  id = String(begun["conversation_id"]);
  const call = { tool: HOSTILE, outcome: HOSTILE, duration_ms: 1 };
  await rpc.tool("dewey_store_message", { conversation_id: id, role: "user", content: `findme ${HOSTILE} ${PERSIAN}` });
  await rpc.tool("dewey_store_message", { conversation_id: id, role: "assistant", content: HOSTILE, metadata: call });
  await rpc.tool("dewey_set_startup_context", { name: HOSTILE, content: HOSTILE });
});

afterAll(async () => {
  rpc.close();
  await server.stop();
  home[Symbol.dispose]();
});

describe("no command passes hidden characters on", () => {
  const commands: () => string[][] = () => [
    ["list"],
    ["show", id],
    ["show", id, "--unfold"],
    ["search", "findme"],
    ["stats"],
    ["context", "list"],
    ["context", "show"],
    ["context", "history", HOSTILE],
    ["export", "--format", "markdown"],
    ["export", "--format", "html"],
  ];

  test("to people, who see their names instead", async () => {
    for (const args of commands()) {
      const { stdout, code } = await run(args, env);
      expect([args, code]).toEqual([args, 0]);
      expect([args, stdout]).toEqual([args, visible(stdout)]);
      // These two count; they quote nothing.
      if (!args.includes("stats") && !args.includes("history"))
        expect([args, stdout]).toEqual([args, expect.stringContaining("U+202E")]);
    }
    expect((await run(["show", id], env)).stdout).toContain(PERSIAN);
  });

  test("to programs, which get escapes that stand for what is stored", async () => {
    for (const args of [...commands().filter(([name]) => name !== "export"), ["export"]]) {
      const { stdout } = await run([...args, "--json"], env);
      expect([args, visible(stdout)]).toEqual([args, stdout]);
      expect([args, stdout.includes("\u200d")]).toEqual([args, false]);
      for (const line of args[0] === "export" ? stdout.trim().split("\n") : [stdout]) JSON.parse(line);
    }
    const shown = JSON.parse((await run(["show", id, "--json"], env)).stdout) as { messages: { content: string }[] };
    expect(shown.messages.map(({ content }) => content)).toEqual([`findme ${HOSTILE} ${PERSIAN}`, HOSTILE]);
  });

  test("while it follows what is stored", async () => {
    for (const flags of [[], ["--json"]]) {
      await using tail = start(["tail", ...flags], env);
      const storing = setInterval(() => {
        void rpc.tool("dewey_store_message", { conversation_id: id, role: "user", content: `later ${HOSTILE}` });
      }, 300);
      await tail.until("stdout", /later/);
      clearInterval(storing);
      expect(visible(tail.stdout())).toBe(tail.stdout());
    }
  });

  test("in errors that quote", async () => {
    const file = join(home.path, "x.json");
    writeFileSync(file, "{}");
    const wrong = [
      ["show", HOSTILE],
      ["search", "x", "--role", HOSTILE],
      [HOSTILE],
      ["connect", file, "--upstream", HOSTILE],
    ];
    for (const args of wrong) {
      const { stderr, code } = await run(args, env);
      expect(code).not.toBe(0);
      expect([args, stderr]).toEqual([args, visible(stderr)]);
    }
  });
});
