import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { Rpc } from "../../support/rpc.ts";

interface Server extends AsyncDisposable {
  env: Record<string, string>;
  rpc: Rpc;
}

async function serve(): Promise<Server> {
  const home = temporaryHome();
  const { running, url } = await startServe(home.path);
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  return {
    env: { ...plainEnvironment(home.path), DEWEY_URL: url },
    rpc,
    async [Symbol.asyncDispose]() {
      rpc.close();
      await running.stop();
      home[Symbol.dispose]();
    },
  };
}

const home = temporaryHome();
let full: Server;
const session = "a session";
let odd: string;

/** Content that is hard to export and import. */
const oddMessages = [
  { role: "user", content: "NUL \0, a lone surrogate \uD800, é, 漢字, 😀, \u2028, ```fence```" },
  {
    role: "assistant",
    content: "# Title\n\n<script>alert(1)</script> [x](javascript:alert(2))",
    metadata: { n: 1e21, deep: { a: [null, "\0"] } },
  },
  { role: "tool", content: "ls\n````\n<b>", metadata: { tool: "Bash", outcome: "error", duration_ms: 12 } },
  { role: "system", content: "with a secret ghp_abcdefghijklmnopqrstuvwxyz0123456789" },
];

/** Longer than the content that a list of contexts returns. */
const longContext = "Begin here. ".repeat(3000);

/** More than a page. */
function oddResults(conversation: string): Record<string, unknown>[] {
  return [
    {
      model: "m",
      output: "NUL \0",
      prompt: "\uD800",
      duration_seconds: 1.1,
      tokens_prompt: 0,
      metadata: { "\0": 1 },
    },
    { model: "m", output: "failed", status: "error", error_message: "no", conversation_id: conversation },
    ...Array.from({ length: 120 }, (_, index) => ({ model: "small", output: `${index}` })),
  ].map((result) => ({ correlation_id: "c", ...result }));
}

beforeAll(async () => {
  full = await serve();
  const { rpc, env } = full;
  const begun = await rpc.tool("dewey_begin_conversation", {
    session_id: session,
    metadata: { title: "Odd & <new>", "z\0": 1, a: 2 },
  });
  odd = String(begun["conversation_id"]);
  for (const message of oddMessages) await rpc.tool("dewey_store_message", { conversation_id: odd, ...message });
  await rpc.tool("dewey_store_message", { conversation_id: odd, role: "user", content: "numbered", turn_number: 42 });
  await rpc.tool("dewey_begin_conversation", {});
  const many = Array.from({ length: 1200 }, (_, index) => ({ role: "user", content: `message ${index}` }));
  await rpc.tool("dewey_store_messages_bulk", { session_id: "many", messages: many });
  await run(["import", join(import.meta.dir, "../../capture/recorded")], env);
  for (const result of oddResults(odd)) await rpc.tool("dewey_store_fiedler_result", result);
  await rpc.tool("dewey_set_startup_context", { name: "a name", content: longContext });
  await rpc.tool("dewey_set_startup_context", { name: "another", content: "short ".repeat(6000), set_active: false });
});

afterAll(async () => {
  await full[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

describe("dewey export", () => {
  test("exports everything; importing it into an empty store and exporting again gives the identical bytes", async () => {
    const first = await run(["export"], full.env);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const lines = first.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines.filter((line) => line.type === "conversation")).toHaveLength(5);
    expect(lines.filter((line) => line.type === "message")).toHaveLength(oddMessages.length + 1 + 1200 + 20);
    const results = lines.filter((line) => line.type === "orchestration_result");
    expect(results).toHaveLength(oddResults(odd).length);
    expect(lines.slice(-2)).toEqual([
      { type: "startup_context", name: "a name", content: longContext, is_active: true },
      { type: "startup_context", name: "another", content: "short ".repeat(6000), is_active: false },
    ] as never);

    const path = join(home.path, "export.jsonl");
    writeFileSync(path, first.stdout);
    await using empty = await serve();
    const imported = await run(["import", path], empty.env);
    expect(imported.stdout).toBe(
      "1,219 messages imported, 0 known already, in 5 conversations from 1 file.\n" +
        "Also imported: 122 orchestration results and 2 startup contexts.\n",
    );
    expect((await run(["export"], empty.env)).stdout).toBe(first.stdout);
    // Importing it again adds nothing.
    expect((await run(["import", path], empty.env)).stdout).toStartWith("0 messages imported, 1,219 known already");
    expect((await run(["export"], empty.env)).stdout).toBe(first.stdout);
    // The store accepts its own export, although it set the times of the results itself.
    expect(await run(["import", path], full.env)).toMatchObject({ code: 0, stderr: "" });
  });

  test("imports a startup context beside one of the same name with another text", async () => {
    const path = join(home.path, "contexts.jsonl");
    const contexts = [
      { name: "kept", content: "from elsewhere", is_active: true },
      { name: "new", content: "from elsewhere", is_active: true },
    ].map((context) => JSON.stringify({ type: "startup_context", ...context }));
    writeFileSync(path, [JSON.stringify({ type: "dewey_export", version: 1 }), ...contexts, ""].join("\n"));
    await using other = await serve();
    await other.rpc.tool("dewey_set_startup_context", { name: "kept", content: "written here" });
    const imported = await run(["import", path], other.env);
    expect(imported.code).toBe(1);
    expect(imported.stdout).toContain(
      'contexts.jsonl:2: the startup context "kept" has another text here, and keeps it',
    );
    expect(imported.stdout).toContain("Also imported: 1 startup context.");
    const active = await other.rpc.tool("dewey_get_startup_context", {});
    expect(active["context"]).toMatchObject({ name: "kept", content: "written here" });
    const added = await other.rpc.tool("dewey_get_startup_context", { name: "new" });
    expect(added["context"]).toMatchObject({ content: "from elsewhere", is_active: false });
  });

  test("selects a session, a conversation, or conversations changed since a time", async () => {
    const ids = async (...args: string[]) => {
      const { stdout } = await run(["export", ...args], full.env);
      const rows = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { type: string; conversation_id: string });
      return rows.filter((row) => row.type === "conversation").map((row) => row.conversation_id);
    };
    expect(await ids("--session", session)).toEqual([odd]);
    expect(await ids("--conversation", odd)).toEqual([odd]);
    const since = new Date().toISOString();
    await full.rpc.tool("dewey_store_message", { conversation_id: odd, role: "user", content: "later" });
    expect(await ids("--since", since)).toEqual([odd]);
    expect(await ids("--since", "2020-01-01")).toHaveLength(5);
  });

  test("as Markdown has one section per message, and tool output in fences that it cannot close", async () => {
    const { stdout } = await run(["export", "--conversation", odd, "--format", "markdown"], full.env);
    expect(stdout).toStartWith(`# Odd & \\<new>\n\n- id: ${odd}\n- session: a session\n- begun: 20`);
    expect(stdout).toMatch(/## 3 · tool · Bash · error · 12 ms · 20.*\n\n> `````\n> ls\n> ````\n> <b>\n> `````\n/);
    expect(stdout).toContain("## 42 · user");
  });

  test("as a web page executes no recorded text", async () => {
    const { stdout } = await run(["export", "--conversation", odd, "--format", "html"], full.env);
    expect(stdout).toStartWith("<!doctype html>");
    expect(stdout).toContain("<h1>Odd &amp; &lt;new&gt;</h1>");
    expect(stdout).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(stdout).not.toMatch(/<script/i);
    expect(stdout).toContain("default-src 'none'");
    expect(stdout).toContain('<pre class="stored">ls\n````\n&lt;b&gt;</pre></details>');
    expect(stdout).toEndWith("</article>\n</body></html>\n");
  });

  test("exports results in full that together exceed one reply", async () => {
    const outputs = ["a", "b", "c", "d"].map((letter) => letter.repeat(9_000_000));
    for (const output of outputs) {
      await full.rpc.tool("dewey_store_fiedler_result", { correlation_id: "large", model: "m", output });
    }
    const { stdout } = await run(["export"], full.env);
    for (const output of outputs) expect(stdout.includes(`"output":"${output}"`)).toBe(true);
    expect(stdout).not.toContain("cut_bytes");
  });

  test("reports wrong arguments", async () => {
    const wrong = (...args: string[]) => run(["export", ...args], full.env);
    expect(await wrong("--format", "pdf")).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("needs jsonl, markdown or html after --format"),
    });
    expect(await wrong("--since", "someday")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--since should be a time such as 3d"),
    });
    expect(await wrong("--since", "yesterday")).toMatchObject({ code: 0 });
    expect(await wrong("--conversation", crypto.randomUUID())).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("there is no conversation"),
    });
    expect(await wrong("--conversation", odd, "--session", session)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--conversation only without"),
    });
    expect(await wrong("--json", "--format", "html")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("not both"),
    });
    expect((await wrong("--help")).stdout).toContain("usage: dewey export [--session S]");
  });
});
