import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { binary, run, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { freePort } from "../support/ports.ts";
import { Rpc, until } from "../support/rpc.ts";
import { openTerminal, tmux } from "../support/tmux.ts";

// The commands that read the store, as people and programs see them.

const home = temporaryHome();
let server: Running;
let env: Record<string, string>;
let rpc: Rpc;
let id: string;

const messages = [
  { role: "user", content: "# The plan\n\nPlease **mend** the `flaky` test." },
  { role: "user", content: 'echo\n{\n  "message": "hi"\n}', metadata: { tool: "echo" } },
  {
    role: "assistant",
    content: "first line\nsecond line\u001B]0;a new title\u0007\u009B31m",
    metadata: { tool: "echo", outcome: "success", duration_ms: 12 },
  },
  { role: "assistant", content: "It waited for a time, 日本語." },
];

async function conversation(session_id: string): Promise<string> {
  const begun = await rpc.tool("dewey_begin_conversation", { session_id, metadata: { client_name: "a client" } });
  const conversation_id = String(begun["conversation_id"]);
  for (const message of messages) await rpc.tool("dewey_store_message", { conversation_id, ...message });
  return conversation_id;
}

beforeAll(async () => {
  const { running, url } = await startServe(home.path, { DEWEY_TOKEN: "secret-token" });
  server = running;
  env = {
    ...plainEnvironment(home.path),
    DEWEY_DATA_DIR: join(home.path, "data"),
    TZ: "UTC",
    DEWEY_URL: url,
    DEWEY_TOKEN: "secret-token",
  };
  rpc = await Rpc.open(url, { headers: { authorization: "Bearer secret-token" } });
  await rpc.initialize();
  id = await conversation("looked-at");
});

afterAll(async () => {
  rpc.close();
  await server.stop();
  home[Symbol.dispose]();
});

const dewey = (...args: string[]) => run(args, env);

describe("dewey list", () => {
  test("shows one line per conversation, and the total", async () => {
    const { stdout, code } = await dewey("list");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        `^# +TITLE +PROJECT .*\n1  The plan Please mend the flaky test\\. +a client +(just now|\\d+ min ago) +4  ${id.slice(0, 13)}\n`,
      ),
    );
    expect(stdout).toEndWith("1 conversation\n");
  });

  test("gives numbers and short ids that other commands take", async () => {
    await dewey("list", "--session", "looked-at");
    for (const name of ["1", id.slice(0, 13), "last"])
      expect(JSON.parse((await dewey("show", name, "--json")).stdout)).toMatchObject({ conversation_id: id });
    expect((await dewey("star", "1")).stdout).toBe("★ The plan Please mend the flaky test.\n");
    expect((await dewey("list", "--starred", "--client", "A CLIENT", "--since", "1h")).stdout).toContain(
      "\n1  ★ The plan",
    );
    expect((await dewey("unstar", "last")).stdout).toBe("The plan Please mend the flaky test.\n");
    expect((await dewey("list", "--starred")).stdout).toBe("There are no favourites.\n");
    // An empty list has no numbers, and those of the list before it are forgotten.
    expect((await run(["show", "1"], env)).stderr).toContain("there is no conversation number 1");
  });

  test("names the filter that nothing meets, and the client that was meant", async () => {
    expect((await dewey("list", "--folder", "nowhere")).stdout).toBe("Nothing is stored with --folder nowhere.\n");
    expect((await dewey("list", "--client", "a cleint")).stdout).toBe(
      "Nothing is stored with --client a cleint. Did you mean a client? There are: a client.\n",
    );
    expect((await dewey("list", "--since", "2020-01-01", "--until", "2020-01-02", "--client", "a client")).stdout).toBe(
      "Nothing is stored with --until 2020-01-02 23:59.\n",
    );
    expect((await dewey("list", "--tool", "echo", "--errors")).stdout).toBe("Nothing is stored with --errors.\n");
  });

  test("prints the reply as JSON for programs", async () => {
    const reply = JSON.parse((await dewey("list", "--session", "looked-at", "--json")).stdout);
    expect(reply).toMatchObject({ total: 1, conversations: [{ id, message_count: 4, session_id: "looked-at" }] });
  });

  test("reads as many pages as it needs", async () => {
    for (let n = 0; n < 101; n += 1) await rpc.tool("dewey_begin_conversation", { session_id: "many" });
    const reply = JSON.parse((await dewey("list", "--session", "many", "--limit", "200", "--json")).stdout);
    expect(new Set(reply.conversations.map((each: { id: string }) => each.id)).size).toBe(101);
    expect((await dewey("list", "--session", "many", "--limit", "7")).stdout).toEndWith("\n7 of 101 conversations\n");
  });
});

describe("dewey search", () => {
  test("shows the role, the conversation and the words around the match", async () => {
    const { stdout, code } = await dewey("search", "flaky", "test");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^user {2}\S+ \S+ {2}The plan Please mend the flaky test. · a client · looked-at\n {2}.*flaky/,
    );
    expect(stdout).toContain(`\ndewey show ${id} --turn 1\n`);
  });

  test("takes its filters as flags, and unwanted words with a dash, also after --", async () => {
    expect(JSON.parse((await dewey("search", "hi", "--tool", "echo", "--json")).stdout)).toMatchObject({ total: 1 });
    expect(JSON.parse((await dewey("search", "waited", "--role", "user", "--json")).stdout)).toMatchObject({
      total: 0,
    });
    expect(JSON.parse((await dewey("search", "waited", "-time", "--json")).stdout)).toMatchObject({ total: 0 });
    expect(JSON.parse((await dewey("search", "--json", "--", "waited", "-time")).stdout)).toMatchObject({ total: 0 });
    expect(JSON.parse((await dewey("search", "waited", "--since", "1h", "--json")).stdout)).toMatchObject({ total: 1 });
    expect(JSON.parse((await dewey("search", "waited", "--client", "x", "--json")).stdout)).toMatchObject({ total: 0 });
    const metadata = JSON.stringify({ outcome: "success" });
    expect(JSON.parse((await dewey("search", "line", "--metadata", metadata, "--json")).stdout)).toMatchObject({
      total: 1,
    });
  });

  test("takes filters among the words, and shows the newest messages without any", async () => {
    const found = async (...args: string[]) => (await dewey("search", ...args)).stdout;
    expect(await found("client:A", "mend")).toContain("Nothing is stored with client:A. There are: a client.");
    expect(await found("role:user", "tool:ECHO", "since:yesterday", "hi")).toContain("1 match");
    expect(await found("tool:echo")).toContain("2 matches");
    expect(await found("--tool", "ehco", "hi")).toContain("Nothing is stored with --tool ehco. Did you mean echo?");
    expect(await found("http://x:80", "mend")).toContain("1 match");
    expect((await dewey("search", "--tool", "echo", "tool:echo")).stderr).toBe(
      "dewey: dewey search has --tool both as a flag and in the query; see: dewey help search\n",
    );
    expect((await dewey("search", "since:soon", "x")).stderr).toStartWith("dewey: since: should be a time such as 3d");
    for (const few of [[], ["--session", "x"], ["--source", "proxy"], ["--metadata", "{}"]])
      expect((await dewey("search", ...few)).stderr).toContain("needs words to search for, or filters such as");
    // What is refused is named as it was written.
    expect((await dewey("search", "role:usr", "x")).stderr).toStartWith("dewey: role: should be one of user, ");
    expect((await dewey("search", "x ".repeat(3000))).stderr).toBe("dewey: the query should have at most 2000 words\n");
  });

  test("tells which word it searched for instead of a mistyped one", async () => {
    const corrected = await until("the words to be known", async () => {
      const { stdout } = await dewey("search", "flakky");
      return stdout.includes("mend") && stdout;
    });
    expect(corrected).toStartWith("No message contains flakky; searched for flaky\n\nuser  ");
    expect(JSON.parse((await dewey("search", "flakky", "--json")).stdout).corrected).toEqual([
      { from: "flakky", to: "flaky" },
    ]);
    expect((await dewey("search", "flaky")).stdout).toStartWith("user  ");
  });

  test("reads as many pages as it needs, each hit once", async () => {
    await rpc.tool("dewey_store_messages_bulk", {
      session_id: "paged",
      messages: Array.from({ length: 150 }, (_, n) => ({
        role: "user",
        content: `pageable ${n} ${"x ".repeat(2000)}`,
      })),
    });
    const reply = JSON.parse((await dewey("search", "pageable", "--limit", "140", "--json")).stdout);
    expect(new Set(reply.results.map((hit: { message_id: string }) => hit.message_id)).size).toBe(140);
    expect(reply).toMatchObject({ total: 150, next_cursor: expect.any(String) });
    const shown = (await dewey("search", "pageable", "--limit", "200")).stdout;
    expect(shown).toEndWith("\n150 matches\n");
  });

  test("names the flag whose value the server refuses", async () => {
    expect(await dewey("search", "x", "--since", "yesterdayish")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^dewey: --since should be a time such as 3d, /),
    });
    expect(await dewey("search", "x", "--metadata", "{")).toMatchObject({
      code: 2,
      stderr: 'dewey: --metadata should be a JSON object, not "{"\n',
    });
    expect(await dewey("search")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("needs words to search for"),
    });
  });
});

describe("dewey show", () => {
  test("prints the whole conversation with tool calls folded, and Markdown as it is when stdout is not a terminal", async () => {
    const { stdout, code } = await dewey("show", id);
    expect(code).toBe(0);
    expect(stdout).toStartWith(`# The plan Please mend the flaky test.\n${id}\na client · looked-at\n`);
    expect(stdout).toContain("\n\n# The plan\n\nPlease **mend** the `flaky` test.\n\n");
    expect(stdout).toContain('▸ 2 · user · echo: { "message": "hi" } (4 lines)\n');
    expect(stdout).toContain("▸ 3 · assistant · echo · success · 12 ms: first line second line");
  });

  test("says what is thought, and folds output without its colours and the name of its tool", async () => {
    const { conversation_id } = await rpc.tool("dewey_store_messages_bulk", {
      messages: [
        { role: "assistant", content: "Perhaps.", metadata: { kind: "thinking" } },
        { role: "assistant", content: "Bash ls", metadata: { kind: "tool_use", tool: "Bash" } },
        {
          role: "tool",
          content: "\u001b[31mred\u001b[0m\nmore",
          metadata: { kind: "tool_result", tool: "Bash", outcome: "error", duration_ms: 61_000 },
        },
        { role: "tool", content: "Bashful", metadata: { tool: "Bash" } },
      ],
    });
    const { stdout } = await dewey("show", String(conversation_id));
    expect(stdout).toContain("## 1 · assistant · thinking  ");
    expect(stdout).toContain("▸ 2 · assistant · Bash: ls\n");
    expect(stdout).toContain("▸ 3 · tool · Bash · error · 1 min 1 s: red more (2 lines)\n");
    expect(stdout).toContain("▸ 4 · tool · Bash: Bashful\n");
    await rpc.tool("dewey_delete_conversation", { conversation_id, force: true });
  });

  test("unfolds tool calls with --unfold, and the turn of --turn", async () => {
    expect((await dewey("show", id, "--unfold")).stdout).toContain('echo\n{\n  "message": "hi"\n}\n');
    const turn = (await dewey("show", id, "--turn", "2")).stdout;
    expect(turn).toContain('echo\n{\n  "message": "hi"\n}\n');
    expect(turn).not.toContain("Please **mend**");
    expect((await dewey("show", id, "--after", "3")).stdout).not.toContain("first line");
    const around = (await dewey("show", id, "--turn", "3", "--around", "1")).stdout;
    expect(around).toContain("▸ 2 · user · echo");
    expect(around).toContain("first line\nsecond line");
    expect(around).toContain("## 4 · assistant");
    expect(around).not.toContain("## 1 ·");
    expect((await dewey("show", id, "--turn", "1", "--around", "1")).stdout).not.toContain("first line");
    expect(await dewey("show", id, "--around", "1")).toMatchObject({ code: 2 });
  });

  test("tells of the parts that are not text, unless the text does", async () => {
    const { conversation_id } = await rpc.tool("dewey_begin_conversation", {});
    const [told, untold] = ["a".repeat(64), "b".repeat(64)];
    const blocks = [
      { type: "image", mimeType: "image/png", bytes: 2_000_000, sha256: untold },
      { type: "base64", mimeType: "audio/wav", bytes: 5, sha256: told },
    ];
    const content = `see\n[audio/wav, 5 bytes, sha256 ${told}]`;
    const metadata = { tool: "shoot", blocks, more_blocks: 2 };
    await rpc.tool("dewey_store_message", { conversation_id, role: "assistant", content, metadata });
    const shown = (await dewey("show", String(conversation_id), "--unfold")).stdout;
    expect(shown).toContain(
      `${content}\n\n[image · image/png · 2000000 bytes · sha256 bbbbbbbbbbbb]\n\n[2 more parts]\n`,
    );
    expect((await dewey("show", String(conversation_id))).stdout).toContain("(2 lines, 2 other parts)");
  });

  test("lets no control character of a recorded text reach the terminal", async () => {
    const { stdout } = await dewey("show", id, "--unfold");
    expect(stdout).toContain("second line");
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/);
  });

  test("prints every message as JSON as it was stored, from as many pages as there are", async () => {
    const begun = await rpc.tool("dewey_store_messages_bulk", {
      messages: Array.from({ length: 450 }, (_, n) => ({ role: "user", content: `${n} ${"x".repeat(500)}` })),
    });
    const shown = JSON.parse((await dewey("show", String(begun["conversation_id"]), "--json")).stdout);
    expect(shown.messages.map((message: { turn: number }) => message.turn)).toEqual(
      Array.from({ length: 450 }, (_, n) => n + 1),
    );
    const reply = JSON.parse((await dewey("show", id, "--json")).stdout);
    expect(reply).toMatchObject({ conversation_id: id, messages });
    const empty = await rpc.tool("dewey_begin_conversation");
    expect(JSON.parse((await dewey("show", String(empty["conversation_id"]), "--json")).stdout).messages).toEqual([]);
  });

  test("loses nothing to a slow reader, and exits silently when the reader leaves", async () => {
    const large = await rpc.tool("dewey_store_messages_bulk", {
      messages: [{ role: "assistant", content: "y".repeat(3_000_000) }],
    });
    const command = `"${binary}" show ${String(large["conversation_id"])}`;
    const shell = (line: string) =>
      Bun.spawnSync(["/bin/bash", "-c", `set -o pipefail; ${line}`], { env, stderr: "pipe" });
    const slow = shell(`${command} | { sleep 1; tr -cd y | wc -c; }`);
    expect(slow.stdout.toString().trim()).toBe("3000000");
    const left = shell(`${command} | head -c 10`);
    expect([left.exitCode, left.stderr.toString()]).toEqual([0, ""]);
  });

  test("reports a conversation that does not exist", async () => {
    expect(await dewey("show", crypto.randomUUID())).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("there is no conversation"),
    });
    expect(await dewey("show", "nope")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"nope" names no conversation'),
    });
    expect(await dewey("show")).toMatchObject({ code: 2, stderr: expect.stringContaining("needs the id") });
  });
});

describe("dewey rm and dewey restore", () => {
  test("move a conversation to the trash and bring it back", async () => {
    const gone = await conversation("thrown-away");
    expect((await dewey("rm", gone)).stdout).toMatch(/^\S+ \(4 messages\) is in the trash until .*dewey restore/);
    expect(await dewey("show", gone)).toMatchObject({ code: 1 });
    expect((await dewey("restore", gone)).stdout).toBe(`${gone} (4 messages) is back\n`);
    expect(await dewey("show", gone)).toMatchObject({ code: 0 });
    expect((await dewey("restore", gone)).stdout).toBe(`${gone} (4 messages) was not in the trash\n`);
  });

  test("take several, print JSON, and delete for good with --force", async () => {
    const both = [await conversation("thrown-away"), await conversation("thrown-away")];
    const { stdout } = await dewey("rm", ...both, "--force", "--json");
    expect(
      stdout
        .split("}\n")
        .filter(Boolean)
        .map((text) => JSON.parse(`${text}}`)),
    ).toEqual(both.map((conversation_id) => ({ conversation_id, deleted: true, messages_deleted: 4 })));
    expect(await dewey("restore", both[0] ?? "")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no conversation"),
    });
    const trashed = await conversation("thrown-away");
    await dewey("rm", trashed);
    // Only the last digits of ids that are made at the same moment differ.
    expect((await dewey("rm", trashed.slice(0, 35), "--force")).stdout).toBe(
      `${trashed} (4 messages) is gone for good\n`,
    );
    expect(await dewey("rm")).toMatchObject({ code: 2, stderr: expect.stringContaining("needs the id") });
  });
});

describe("dewey tail", () => {
  test("shows messages as they are stored, and ends with Ctrl-C", async () => {
    await using lines = start(["tail", "--session", "followed"], env);
    await using objects = start(["tail", "--json"], env);
    const begun = await rpc.tool("dewey_begin_conversation", { session_id: "followed" });
    const conversation_id = String(begun["conversation_id"]);
    let stored = 0;
    const told = () => lines.stdout().includes("hello 0") && objects.stdout().includes("hello 0");
    // Messages stored before it follows are not shown, so store them until one is.
    await until("both to follow", async () => {
      const content = told() ? "" : `hello 0 ${(stored += 1)}\nsecond line`;
      if (content !== "") await rpc.tool("dewey_store_message", { conversation_id, role: "user", content });
      return content === "";
    });
    await rpc.tool("dewey_store_message", { conversation_id: id, role: "tool", content: "elsewhere" });
    await rpc.tool("dewey_store_message", {
      conversation_id,
      role: "tool",
      content: "the last one",
      metadata: { tool: "echo", outcome: "error" },
    });
    await lines.until("stdout", new RegExp(`^\\S+ \\S+  ${conversation_id}  tool echo error  the last one$`, "m"));
    await objects.until("stdout", /elsewhere[^]*the last one/);
    expect(lines.stdout()).not.toContain("elsewhere");
    expect(lines.stdout()).toMatch(/ user {2}hello 0 \d+ second line$/m);
    const last = objects.stdout().trim().split("\n").at(-1) ?? "";
    expect(JSON.parse(last)).toMatchObject({ conversation_id, content: "the last one", role: "tool" });
    expect([await lines.stop("SIGINT"), await objects.stop("SIGINT")]).toEqual([0, 0]);
  });

  test("continues at the same message after a restart of the server", async () => {
    const itsHome = temporaryHome();
    let server = await startServe(itsHome.path);
    try {
      const { url } = server;
      const ask = async (tool: string, args: Record<string, unknown>) => {
        const asking = await Rpc.open(url);
        await asking.initialize();
        const reply = await asking.tool(tool, args);
        asking.close();
        return reply;
      };
      const { conversation_id } = await ask("dewey_begin_conversation", {});
      const say = (content: string) => ask("dewey_store_message", { conversation_id, role: "user", content });
      await using tail = start(["tail"], { ...plainEnvironment(itsHome.path), DEWEY_URL: url });
      await until("it to follow", async () => {
        if (!tail.stdout().includes("before")) await say("before");
        return tail.stdout().includes("before");
      });
      await server.running.stop();
      await tail.until("stderr", /waiting for it/);
      server = await startServe(itsHome.path, {}, ["--port", new URL(url).port]);
      await say("while disconnected");
      await say("after");
      await tail.until("stdout", /while disconnected[^]*after/);
      expect(tail.stdout().match(/while disconnected/g)).toHaveLength(1);
      expect(await tail.stop("SIGINT")).toBe(0);
    } finally {
      await server.running.stop();
      itsHome[Symbol.dispose]();
    }
  });

  test("reports at once why it cannot follow", async () => {
    expect(await dewey("tail", "--conversation", "x")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"x" names no conversation'),
    });
    expect(await run(["tail"], { ...env, DEWEY_URL: "ws://server.invalid:1" })).toMatchObject({ code: 69 });
  });
});

describe("dewey audit", () => {
  test("shows who did what from where, as a table and as JSON, and names actions that there are", async () => {
    const begun = await rpc.tool("dewey_begin_conversation");
    const gone = String(begun["conversation_id"]);
    expect((await dewey("rm", gone, "--force")).code).toBe(0);
    const { stdout, code } = await dewey("audit", "--action", "conversation.purge", "--since", "1h");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^WHEN +ACTION +OUTCOME +WHO +FROM +WHAT\n/);
    expect(stdout).toMatch(new RegExp(`conversation\\.purge +ok +dewey [\\d.]+ +127\\.0\\.0\\.1 +${gone}\n`));
    const { entries } = JSON.parse((await dewey("audit", "--json")).stdout) as { entries: { target: string }[] };
    expect(entries.map(({ target }) => target)).toContain(gone);
    expect(await dewey("audit", "--action", "nothing")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--action should be one of conversation.delete"),
    });
  });
});

describe("dewey stats", () => {
  test("draws the days and counts each tool's calls", async () => {
    const { stdout, code } = await dewey("stats", "--days", "5");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^\d+ conversations?.*, [\d,]+ messages, [\d.]+ MB on disk\n\n▁▁▁▁█\n\S+ to \S+: [\d,]+ messages/,
    );
    expect(stdout).toMatch(/^TOOL +CALLS +ERRORS +P50 +P95\necho +\d+ +\d+ +12 ms +12 ms$/m);
    expect(JSON.parse((await dewey("stats", "--json")).stdout)).toMatchObject({ tools: [{ tool: "echo" }] });
    expect(await dewey("stats", "--days", "0")).toMatchObject({
      code: 2,
      stderr: "dewey: --days should be from 1 to 366\n",
    });
  });
});

describe("a command that asks the server", () => {
  test("starts a server when none answers on this machine, which dewey status shows and dewey stop stops", async () => {
    using fresh = temporaryHome();
    const away = {
      ...plainEnvironment(fresh.path),
      DEWEY_URL: `ws://localhost:${freePort()}`,
      DEWEY_DATA_DIR: fresh.path,
    };
    const place = `${away.DEWEY_URL}/`;
    expect(await run(["status"], away)).toMatchObject({
      code: 3,
      stdout: expect.stringContaining(`server  does not run at ${place}`),
    });
    try {
      expect(await run(["list"], away)).toEqual({
        code: 0,
        stdout:
          "There are no conversations yet. To bring in earlier ones: dewey import; to keep new ones: dewey connect claude-code\n",
        stderr: "",
      });
      expect(await run(["status"], away)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^server {2}runs at .*\nproxy .*\nstore {3}0 conversations, 0 messages, /),
      });
    } finally {
      expect(await run(["stop"], away)).toEqual({ code: 0, stdout: `Stopped the server at ${place}.\n`, stderr: "" });
    }
    expect(await run(["stop"], away)).toMatchObject({ code: 0, stdout: `No Dewey server runs at ${place}.\n` });
  });

  test("tells how to start a server when none answers on another machine", async () => {
    const nowhere = "ws://user:hidden@server.invalid:9020";
    const { stderr, code } = await run(["list"], { ...env, DEWEY_URL: nowhere });
    expect(code).toBe(69);
    expect(stderr).toMatch(
      /^dewey: no Dewey server answers at ws:\/\/server\.invalid:9020\/; start one there, or correct DEWEY_URL\n$/,
    );
  });

  test("reports that the token is missing or wrong", async () => {
    expect(await run(["list"], { ...env, DEWEY_TOKEN: "" })).toMatchObject({
      code: 77,
      stderr: expect.stringContaining("requires a token; set DEWEY_TOKEN"),
    });
    expect(await run(["list"], { ...env, DEWEY_TOKEN: "another" })).toMatchObject({
      code: 77,
      stderr: expect.stringContaining("rejects the token; correct DEWEY_TOKEN"),
    });
  });

  test("reports wrong numbers and unknown flags before it connects", async () => {
    for (const args of [
      ["list", "--limit", "0"],
      ["list", "--limit", "few"],
      ["list", "--colour"],
      ["list", "--sort", "size"],
    ]) {
      expect(await run(args, { ...env, DEWEY_URL: "ws://localhost:1" })).toMatchObject({ code: 2, stdout: "" });
    }
  });
});

describe.skipIf(tmux === null)("on a terminal", () => {
  const shown = (args: string[], more: Record<string, string> = {}, columns?: number) =>
    openTerminal([binary, ...args], { ...env, ...more }, columns);

  test("Markdown is rendered, headings are coloured, and a folded call fits on one line", async () => {
    using screen = shown(["show", id]);
    const text = await screen.until(/\[ended 0\]/);
    expect(text).toContain("Please mend the flaky test.");
    expect(text).not.toContain("**");
    // oxlint-disable-next-line no-control-regex
    expect(screen.coloured()).toMatch(/\u001B\[36m[^#]*## 1 · user/);
  });

  test("a list takes two lines each on a narrow terminal", async () => {
    using screen = shown(["list", "--limit", "1", "--session", "looked-at"], {}, 60);
    expect(await screen.until(/\[ended 0\]/)).toMatch(
      /^1 {2}The plan Please mend the flaky test\.\n {3}a client · .* · \d messages · \S+$/m,
    );
  });

  test("NO_COLOR removes the colours only", async () => {
    using screen = shown(["search", "flaky"], { NO_COLOR: "1" });
    expect(await screen.until(/\[ended 0\]/)).toContain("flaky");
    // oxlint-disable-next-line no-control-regex
    expect(screen.coloured()).not.toMatch(/\u001B\[[0-9;]*3[0-9]m/);
  });

  test("the words that match a search are highlighted", async () => {
    using screen = shown(["search", "flaky"]);
    await screen.until(/\[ended 0\]/);
    // oxlint-disable-next-line no-control-regex
    expect(screen.coloured()).toMatch(/\u001B\[33mflaky\u001B/);
  });

  test("messages appear as they are stored, one line each, cut at the width, until Ctrl-C", async () => {
    const begun = await rpc.tool("dewey_begin_conversation", { session_id: "looked at live" });
    const conversation_id = String(begun["conversation_id"]);
    using screen = shown(["tail", "--session", "looked at live"], {}, 100);
    await screen.until(/^Following new messages; Ctrl-C stops\.$/m);
    // Messages stored before it follows are not shown, so store them until one is.
    await until("it to follow", async () => {
      if (!screen.text().includes("heard"))
        await rpc.tool("dewey_store_message", { conversation_id, role: "user", content: "heard" });
      return screen.text().includes("heard");
    });
    const failed = {
      role: "tool",
      content: `late ${"word ".repeat(40)}`,
      metadata: { tool: "echo", outcome: "error" },
    };
    await rpc.tool("dewey_store_message", { conversation_id, ...failed });
    expect(await screen.until(/late/)).toMatch(
      new RegExp(`^\\S+ \\S+  ${conversation_id}  tool echo error  late.*…$`, "m"),
    );
    // oxlint-disable-next-line no-control-regex
    expect(screen.coloured()).toMatch(/\u001B\[31mtool echo error\u001B/);
    screen.type("C-c");
    await screen.until(/\[ended 0\]/);
  });

  test.skipIf(Bun.which("less") === null)(
    "a long text goes through the pager, which gets Ctrl-C and quits with q",
    async () => {
      const long = await rpc.tool("dewey_store_messages_bulk", {
        messages: Array.from({ length: 300 }, (_, n) => ({ role: "user", content: `message ${n}` })),
      });
      using screen = shown(["show", String(long["conversation_id"])], { PAGER: "less" });
      await screen.until(/message 0[^]*\n:/);
      screen.type("C-c");
      screen.type("C-c");
      // less ignores keys that arrive together with a Ctrl-C.
      await until("the end of the text", () => {
        screen.type("G");
        return screen.text().includes("message 299");
      });
      screen.type("q");
      await screen.until(/\[ended 0\]/);
    },
  );
});
