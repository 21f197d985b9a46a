import { describe, expect, test } from "bun:test";
import type { CapturedMessage } from "../../src/capture/captured.ts";
import { captureFile, jsonLines } from "../support/imports.ts";

const at = (second: number) => `2025-03-01T10:00:${String(second).padStart(2, "0")}.000Z`;
const meta = { timestamp: at(0), type: "session_meta", payload: { id: "s", timestamp: at(0), cwd: "/x" } };
const row = (type: string, payload: object, second = 1) => ({ timestamp: at(second), type, payload });
const item = (payload: object, second = 1) => row("response_item", payload, second);
const said = (role: string, text: string) =>
  item({ type: "message", role, content: [{ type: role === "assistant" ? "output_text" : "input_text", text }] });

async function messages(name: string, content: string | Uint8Array): Promise<CapturedMessage[]> {
  const captured = await captureFile(name, content);
  return captured?.flatMap((each) => (each.kind === "message" ? [each.message] : [])) ?? [];
}
const talk = async (...rows: object[]) =>
  (await messages("rollout.jsonl", jsonLines(meta, ...rows)))
    .filter(({ metadata }) => metadata?.["bookkeeping"] !== true)
    .map(({ role, metadata, content }) => [role, metadata?.["kind"], content]);

describe("an output of a tool", () => {
  const output = async (given: unknown, type = "function_call_output") =>
    (await talk(item({ type, call_id: "c", output: given })))[0]?.[2];

  test("in blocks is their text, and a picture by its type, size and hash", async () => {
    const blocks = [
      { type: "input_text", text: "screenshot of LYNXPAGE" },
      { type: "input_image", image_url: `data:image/png;base64,${Buffer.from("hello").toString("base64")}` },
    ];
    const text = "screenshot of LYNXPAGE\n\n[input_image image/png 5 bytes sha256:2cf24dba5fb0a30e]";
    expect(await output(blocks)).toBe(text);
    expect(await output(blocks, "custom_tool_call_output")).toBe(text);
  });

  test("that is JSON stays as it came, to the last digit", async () => {
    for (const text of [
      '{"content":"short body","size":12345678901234567890,"owner":"MARGAY"}',
      '{"id":12345678901234567890,"ratio":1.10}',
      '[{"a": 1},  2]',
      '{"output":"a","metadata":{"other":1}}',
    ])
      expect(await output(text)).toBe(text);
  });

  test("in the wrapping of older versions is what the command printed", async () => {
    expect(await output('{"output":"a.txt","metadata":{"exit_code":0,"duration_seconds":0.5}}')).toBe("a.txt");
    expect(await output({ content: "body", success: false })).toBe("body");
  });
});

test("a message without content has its other words", async () => {
  const called = { name: "shell", arguments: '{"command":"find OLINGO"}' };
  const rows = [
    item({ type: "message", role: "assistant", content: null, function_call: called }),
    item({ type: "message", role: "assistant", phase: "commentary", content: [] }),
  ];
  expect((await talk(...rows)).map(([, , text]) => text)).toEqual(['shell\n{"command":"find OLINGO"}', "(empty)"]);
});

test("arguments keep the digits of large numbers", async () => {
  const call = { type: "function_call", name: "lookup", call_id: "c", arguments: '{"id":12345678901234567890}' };
  expect(await talk(item(call))).toEqual([["assistant", "tool_use", "lookup\nid: 12345678901234567890"]]);
});

test("the client's words in the user's name are the system's, each of its kind", async () => {
  const texts = {
    "# AGENTS.md instructions for /x": "instructions",
    "<environment_context>\n</environment_context>": "environment",
    "<user_shell_command>\nls</user_shell_command>": "command-output",
    "<skill>\n<name>x</name></skill>": "skill",
    "<subagent_notification>{}</subagent_notification>": "task-notification",
    "<turn_aborted>": "interrupted",
  };
  const rows = [...Object.keys(texts), "a <b> of my own"].map((text) => said("user", text));
  expect((await talk(...rows)).map(([role, kind]) => [role, kind])).toEqual([
    ...Object.values(texts).map((kind) => ["system", kind]),
    ["user", "prompt"],
  ]);
});

test("everything that a person saw is said: compactions, plans, reviews, errors, calls, words between agents", async () => {
  const rows = [
    row("compacted", { message: "COMPACTED" }),
    row("event_msg", { type: "item_completed", item: { type: "Plan", text: "PLAN" } }),
    row("event_msg", { type: "exited_review_mode", review_output: { overall_explanation: "REVIEW" } }),
    row("event_msg", { type: "error", message: "ERROR" }),
    row("event_msg", {
      type: "mcp_tool_call_end",
      call_id: "x",
      result: { Ok: { content: [{ type: "text", text: "MCP" }] } },
    }),
    item({ type: "agent_message", author: "a", recipient: "b", content: [{ type: "input_text", text: "BETWEEN" }] }),
    item({ type: "from_the_future", body: { note: "FUTURE" } }),
    row("event_msg", { type: "token_count", info: { total: 1 } }),
  ];
  const texts = (await talk(...rows)).map(([, , text]) => text);
  expect(texts).toEqual(["COMPACTED", "PLAN", "REVIEW", "ERROR", "MCP", "a\nb\nBETWEEN", "FUTURE"]);
});

test("what events and items both tell is said once, and what only an event tells is not lost", async () => {
  const rows = [
    row("event_msg", { type: "user_message", message: "both" }),
    said("user", "both"),
    said("assistant", "answer"),
    row("event_msg", { type: "agent_message", message: "answer" }),
    row("event_msg", { type: "user_message", message: "only told" }),
    item({ type: "function_call", name: "t", arguments: "{}", call_id: "c" }),
    row("event_msg", { type: "mcp_tool_call_end", call_id: "c", result: { Ok: { content: [{ text: "r" }] } } }),
    item({ type: "function_call_output", call_id: "c", output: "r" }),
  ];
  expect((await talk(...rows)).map(([, , text]) => text)).toEqual(["both", "answer", "t", "r", "only told"]);
});

test("what only an event tells is said at the end of its turn", async () => {
  const rows = [
    said("user", "one"),
    row("event_msg", { type: "agent_message", message: "only told" }),
    row("event_msg", { type: "task_complete", last_agent_message: "only told" }),
    said("user", "two"),
  ];
  expect((await talk(...rows)).map(([, , text]) => text)).toEqual(["one", "only told", "two"]);
});

describe("what a command printed", () => {
  const call = item({ type: "function_call", name: "shell", arguments: '{"cmd":"ls"}', call_id: "c" });
  const output = (text: string, call_id = "c") => item({ type: "function_call_output", call_id, output: text });
  const end = (printed: string, more: object = {}) =>
    row("event_msg", {
      type: "exec_command_end",
      call_id: "c",
      command: ["ls", "-a"],
      aggregated_output: printed,
      ...more,
    });
  const completed = row("event_msg", { type: "task_complete" });
  const texts = async (...rows: object[]) => (await talk(...rows)).map(([, , text]) => text);

  test("is said once, as the call's output has it", async () => {
    expect(await texts(call, end("one\ntwo\n"), output("Output:\none\ntwo\n"), completed)).toEqual([
      "shell\ncmd: ls",
      "Output:\none\ntwo\n",
    ]);
    const pieces = [call, output("one\n"), output("two\nthree\n", "d"), end("one\ntwo\nthree\n"), completed];
    expect(await texts(...pieces)).toEqual(["shell\ncmd: ls", "one\n", "two\nthree\n"]);
  });

  test("is not lost when its output has less of it, or never came", async () => {
    expect(await talk(said("user", "go"), call, end("LYNX\nOCELOT"), completed, said("assistant", "ok"))).toEqual([
      ["user", "prompt", "go"],
      ["assistant", "tool_use", "shell\ncmd: ls"],
      ["tool", "tool_result", "LYNX\nOCELOT"],
      ["assistant", "answer", "ok"],
    ]);
    expect(await texts(call, output("LYNX\n… 1 line truncated …"), end("LYNX\nOCELOT"))).toContain("LYNX\nOCELOT");
    expect(await texts(call, end("LYNX\nOCELOT"), output("LYNX\n… 1 line truncated …"))).toContain("LYNX\nOCELOT");
    expect(await texts(end("MARGAY"))).toEqual(["ls -a\nMARGAY"]);
    expect(await texts(end("", { stdout: "PUMA", stderr: "SERVAL", exit_code: 2 }))).toEqual(["ls -a\nPUMA\nSERVAL"]);
  });

  test("of a person's own command is said once, as its message has it", async () => {
    const shell =
      "<user_shell_command>\n<command>\nls -a\n</command>\n<result>\nOutput:\nLYNX\n</result>\n</user_shell_command>";
    expect(await texts(end("LYNX\n", { call_id: "u", source: "user_shell" }), said("user", shell))).toEqual([shell]);
  });
});

test("a search of the web is said once, and by its event alone where it has no item", async () => {
  const end = (query: string) => row("event_msg", { type: "web_search_end", call_id: "ws", query });
  const call = (query: string) =>
    item({ type: "web_search_call", status: "completed", action: { type: "search", query } });
  const rows = [end("LYNX facts"), call("LYNX facts"), call("OCELOT"), end("OCELOT"), end("MARGAY")];
  expect(await talk(...rows)).toEqual([
    ["assistant", "tool_use", "web_search\ntype: search\nquery: LYNX facts"],
    ["assistant", "tool_use", "web_search\ntype: search\nquery: OCELOT"],
    ["assistant", "tool_use", "MARGAY"],
  ]);
});

describe("a session whose events are items of turns", () => {
  const turnItem = (type: string, more: object) =>
    row("event_msg", { type: "item_completed", item: { type, id: "i", ...more } });
  const text = (value: string, type = "Text") => ({ content: [{ type, text: value }] });

  test("says each text once", async () => {
    const rows = [
      said("user", "# Context of my editor\n\n## My request:\nPROMPT"),
      turnItem("UserMessage", text("PROMPT", "text")),
      turnItem("Reasoning", { summary_text: ["FIRST", "SECOND"], raw_content: [] }),
      item({ type: "reasoning", summary: ["FIRST", "SECOND"].map((each) => ({ type: "summary_text", text: each })) }),
      item({ type: "function_call", name: "mcp__s__t", arguments: "{}", call_id: "i" }),
      turnItem("McpToolCall", { server: "s", tool: "t", result: { content: [{ type: "text", text: "a\nb" }] } }),
      item({ type: "function_call_output", call_id: "i", output: '[{"type":"text","text":"a\\nb"}]' }),
      turnItem("FileChange", { changes: { "a.ts": { type: "add", content: "x" } }, stdout: "done" }),
      said("assistant", "ANSWER"),
      turnItem("AgentMessage", text("ANSWER")),
      turnItem("ContextCompaction", {}),
    ];
    expect((await talk(...rows)).map(([role, kind]) => [role, kind])).toEqual([
      ["user", "prompt"],
      ["assistant", "thinking"],
      ["assistant", "tool_use"],
      ["tool", "tool_result"],
      ["assistant", "answer"],
    ]);
  });

  test("loses no text that they alone tell", async () => {
    const rows = [
      turnItem("UserMessage", text("LYNX", "text")),
      turnItem("Reasoning", { summary_text: ["OCELOT"], raw_content: ["MARGAY"] }),
      turnItem("AgentMessage", text("PUMA")),
      turnItem("HookPrompt", { fragments: [{ text: "SERVAL", hookRunId: "h" }] }),
      turnItem("FileChange", { changes: { "KODKOD.ts": { type: "add", content: "COLOCOLO" } } }),
      turnItem("McpToolCall", { server: "s", tool: "t", arguments: { q: "CARACAL" }, error: { message: "JAGUAR" } }),
      turnItem("DynamicToolCall", {
        tool: "t",
        arguments: {},
        content_items: [{ type: "inputText", text: "ONCILLA" }],
      }),
      turnItem("ImageView", { path: "/x/PANTHER.png" }),
      turnItem("ImageGeneration", { status: "completed", revised_prompt: "a TIGER", result: "" }),
      turnItem("CollabAgentToolCall", { tool: "spawnAgent", prompt: "find a LION" }),
      turnItem("CommandExecution", { command: ["ls", "COUGAR"], aggregated_output: "BOBCAT" }),
      turnItem("FromTheFuture", { note: "CHEETAH" }),
    ];
    const all = (await talk(...rows)).map(([, , each]) => each).join("\n");
    const cats =
      "LYNX OCELOT MARGAY PUMA SERVAL KODKOD COLOCOLO CARACAL JAGUAR ONCILLA PANTHER TIGER LION COUGAR BOBCAT CHEETAH";
    expect(cats.split(" ").filter((cat) => all.split(cat).length !== 2)).toEqual([]);
  });
});

test("a row of an unknown type keeps its words, and is named", async () => {
  const rows = [meta, row("from_the_future", { note: "LYNX" })];
  const captured = await captureFile("rollout.jsonl", jsonLines(...rows));
  expect(captured?.slice(2)).toEqual([
    expect.objectContaining({ message: expect.objectContaining({ content: "LYNX" }) }),
    { kind: "unknown", type: "from_the_future" },
  ]);
});

test("turns that a person went back behind are marked as left", async () => {
  const rows = [
    said("user", "one"),
    said("assistant", "ONE"),
    said("user", "two"),
    said("assistant", "TWO"),
    row("event_msg", { type: "thread_rolled_back", num_turns: 1 }),
    said("user", "three"),
  ];
  const captured = (await captureFile("rollout.jsonl", jsonLines(meta, ...rows))) ?? [];
  const [left] = captured.flatMap((each) => (each.kind === "facts" ? [each.facts.abandoned] : []));
  const texts = captured.flatMap((each) =>
    each.kind === "message" && left?.includes(each.message.message_id) ? [each.message.content] : [],
  );
  expect(texts).toEqual(["two", "TWO"]);
});

describe("an older session", () => {
  const id = "01a211db-4eb8-76bf-8bf6-5867dd2e1c33";
  const bare = { type: "message", role: "user", content: [{ type: "input_text", text: "old" }] };

  test("in one JSON object is read, with its own time", async () => {
    const whole = { session: { timestamp: "2025-04-20T10:00:00Z", id, instructions: "" }, items: [bare] };
    const read = await messages("rollout-2025-04-20.json", JSON.stringify(whole, null, 2));
    expect(read.at(-1)).toMatchObject({ role: "user", content: "old", created_at: "2025-04-20T10:00:00.000Z" });
  });

  test("has the instructions of its first row, unless a message repeats them", async () => {
    const first = { ...meta, payload: { ...meta.payload, instructions: "Be a LYNX.\n" } };
    const texts = async (...rows: object[]) =>
      (await messages("rollout.jsonl", jsonLines(first, ...rows)))
        .filter(({ metadata }) => metadata?.["bookkeeping"] !== true)
        .map(({ content, created_at }) => [content, created_at]);
    expect(await texts(said("user", "<environment_context>x"), said("user", "hello"))).toEqual([
      ["<environment_context>x", at(1)],
      ["Be a LYNX.\n", at(0)],
      ["hello", at(1)],
    ]);
    const repeated = "<user_instructions>\n\nBe a LYNX.\n\n</user_instructions>";
    expect(await texts(said("user", repeated), said("user", "hello"))).toEqual([
      [repeated, at(1)],
      ["hello", at(1)],
    ]);
    expect(await texts()).toEqual([["Be a LYNX.\n", at(0)]]);
  });

  test("of bare rows, or without its first row, has the time and the session of its name", async () => {
    const name = `rollout-2025-06-01T08-09-10-${id}.jsonl`;
    for (const rows of [[{ record_type: "state" }, bare], [{ type: "response_item", payload: bare }]]) {
      const captured = await captureFile(name, jsonLines(...rows));
      expect(captured?.[0]).toMatchObject({ begin: { conversation_id: id, created_at: "2025-06-01T08:09:10.000Z" } });
      expect(captured?.at(-1)).toMatchObject({ message: { content: "old", created_at: "2025-06-01T08:09:10.000Z" } });
    }
  });
});

test("a picture that was drawn has the words that it was drawn by", async () => {
  const call = {
    type: "image_generation_call",
    id: "ig_1",
    status: "completed",
    revised_prompt: "a LYNX",
    result: "AAAA",
  };
  expect(await talk(item(call))).toEqual([["assistant", "tool_use", "image_generation\ndrawn: a LYNX"]]);
});

test("the output of `codex exec --json` is a session: answers, thoughts, commands, calls and failures", async () => {
  const item = (type: string, more: object, id: string) => ({ type: "item.completed", item: { id, type, ...more } });
  const rows = [
    { type: "thread.started", thread_id: crypto.randomUUID() },
    { type: "turn.started" },
    { type: "item.started", item: { id: "1", type: "command_execution", command: "ls LYNX", status: "in_progress" } },
    item(
      "command_execution",
      { command: "ls LYNX", aggregated_output: "an OCELOT", exit_code: 2, status: "completed" },
      "1",
    ),
    item("reasoning", { text: "of MARGAY" }, "2"),
    item(
      "mcp_tool_call",
      { server: "s", tool: "t", arguments: { q: "PUMA" }, result: { content: [{ type: "text", text: "a SERVAL" }] } },
      "3",
    ),
    item("agent_message", { text: "a CARACAL" }, "4"),
    item("file_change", { changes: [{ path: "KODKOD.ts", kind: "update" }], status: "completed" }, "5"),
    item("from_the_future", { text: "a COLOCOLO" }, "6"),
    { type: "turn.failed", error: { message: "a JAGUAR" } },
  ];
  const captured = (await captureFile("out.jsonl", jsonLines(...rows))) ?? [];
  const said = captured.flatMap((each) =>
    each.kind === "message" && each.message.metadata?.["bookkeeping"] !== true
      ? [[each.message.role, each.message.content]]
      : [],
  );
  expect(said).toEqual([
    ["assistant", "shell\ncommand: ls LYNX"],
    ["tool", "an OCELOT"],
    ["assistant", "of MARGAY"],
    ["assistant", "mcp__s__t\nq: PUMA"],
    ["tool", "a SERVAL"],
    ["assistant", "a CARACAL"],
    ["system", expect.stringContaining("KODKOD.ts")],
    ["system", "a COLOCOLO"],
    ["system", "a JAGUAR"],
  ]);
});
