import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Deliverer } from "../../src/capture/deliverer.ts";
import { HookQueue } from "../../src/capture/hook-queue.ts";
import { temporaryHome } from "../support/home.ts";
import { fileListener } from "../support/listener.ts";
import { quiet } from "../support/quiet.ts";

// Events and rows in the forms of Codex 0.171 and Gemini CLI 0.61.

const served = fileListener();

interface Message {
  role: string;
  content: string;
  kind?: string;
  metadata: Record<string, unknown>;
}

/** Delivers the events of one session, and returns what its conversation then holds. */
async function delivered(name: "codex" | "gemini", events: object[], transcript?: { path: string; rows: object[] }) {
  using home = temporaryHome();
  const session: string = crypto.randomUUID();
  const path = transcript && join(home.path, transcript.path);
  if (transcript && path) writeFileSync(path, transcript.rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const queue = new HookQueue(join(home.path, "hooks"));
  const common = { session_id: session, cwd: "/home/ada/project", transcript_path: path ?? null };
  for (const event of events) queue.put({ ...common, ...event }, name);
  const call = (tool: string, args: Record<string, unknown>) => served.client.call(tool, args);
  const stopping = new AbortController().signal;
  await new Deliverer({ queue, call, log: quiet, idleMs: 300, patienceMs: 60_000, stopping }).run();
  expect(queue.waiting()).toEqual([]);
  const { conversations } = (await served.client.call("dewey_list_conversations", { session_id: session })) as {
    conversations: { id: string; client: string; folder: string; title: string }[];
  };
  const [conversation] = conversations;
  expect(conversations).toHaveLength(1);
  const page = await served.client.call("dewey_get_conversation", {
    conversation_id: conversation?.id ?? "",
    full: true,
  });
  return { session, conversation, messages: page["messages"] as Message[] };
}
const spoken = (messages: Message[]) => messages.map(({ role, content }) => [role, content]);

const codexEvents = [
  { hook_event_name: "UserPromptSubmit", turn_id: "t", model: "gpt-5.1", prompt: "mend the test" },
  {
    hook_event_name: "PostToolUse",
    turn_id: "t",
    tool_name: "mcp__echo__echo",
    tool_use_id: "call_1",
    tool_input: { text: "wherefore" },
    tool_response: { content: [{ type: "text", text: "wherefore" }] },
  },
  { hook_event_name: "Stop", turn_id: "t", last_assistant_message: "It is mended." },
];

describe("the events of Codex", () => {
  test("have its transcript stored, and add nothing to it", async () => {
    const time = "2026-11-01T10:00:00.000Z";
    const item = (payload: object) => ({ timestamp: time, type: "response_item", payload });
    const id = crypto.randomUUID();
    const text = (role: string, type: string, words: string) =>
      item({ type: "message", role, content: [{ type, text: words }] });
    const rows = [
      { timestamp: time, type: "session_meta", payload: { id, timestamp: time, cwd: "/home/ada/project" } },
      text("user", "input_text", "mend the test"),
      item({ type: "function_call", name: "exec_command", call_id: "call_1", arguments: '{"cmd":"ls"}' }),
      item({ type: "function_call_output", call_id: "call_1", output: "a.ts" }),
      text("assistant", "output_text", "It is mended."),
    ];
    using home = temporaryHome();
    const path = join(home.path, `rollout-2026-11-01T10-00-00-${id}.jsonl`);
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const queue = new HookQueue(join(home.path, "hooks"));
    for (const event of codexEvents)
      queue.put({ session_id: id, cwd: "/home/ada/project", transcript_path: path, ...event }, "codex");
    const call = (tool: string, args: Record<string, unknown>) => served.client.call(tool, args);
    const stopping = new AbortController().signal;
    await new Deliverer({ queue, call, log: quiet, idleMs: 300, patienceMs: 60_000, stopping }).run();
    const page = await served.client.call("dewey_get_conversation", { conversation_id: id, full: true });
    const messages = page["messages"] as Message[];
    expect(messages.map(({ role, kind }) => [role, kind])).toEqual([
      ["user", "prompt"],
      ["assistant", "tool_use"],
      ["tool", "tool_result"],
      ["assistant", "answer"],
    ]);
    expect(JSON.stringify(messages)).not.toContain("provisional");
  });

  test("stand in where the session has no transcript", async () => {
    const { session, conversation, messages } = await delivered("codex", codexEvents);
    expect(conversation).toMatchObject({
      id: session,
      client: "codex",
      folder: "/home/ada/project",
      title: "mend the test",
    });
    expect(spoken(messages)).toEqual([
      ["user", "mend the test"],
      ["assistant", "mcp__echo__echo\ntext: wherefore"],
      ["tool", "wherefore"],
      ["assistant", "It is mended."],
    ]);
  });
});

describe("the events of Gemini", () => {
  const events = (prompt: string) => [
    { hook_event_name: "BeforeAgent", timestamp: "2026-11-01T10:00:00.000Z", prompt },
    {
      hook_event_name: "AfterTool",
      timestamp: "2026-11-01T10:00:01.000Z",
      tool_name: "read_file",
      tool_input: { absolute_path: "/a.ts" },
      tool_response: { llmContent: [{ text: "line one" }, { text: "line two" }], returnDisplay: "shown" },
    },
    { hook_event_name: "AfterTool", tool_name: "run", tool_input: {}, tool_response: { llmContent: "no", error: {} } },
    { hook_event_name: "AfterAgent", prompt, prompt_response: "It is mended." },
  ];

  test("stand in where no kind of source knows the transcript, with the times of the events", async () => {
    const { conversation, messages } = await delivered("gemini", events("mend the test"), {
      path: "session.unknown",
      rows: [{ something: "else" }],
    });
    expect(conversation).toMatchObject({ client: "gemini", folder: "/home/ada/project" });
    expect(spoken(messages)).toEqual([
      ["user", "mend the test"],
      ["assistant", "read_file\nabsolute_path: /a.ts"],
      ["tool", "line one\n\nline two"],
      ["assistant", "run"],
      ["tool", "no"],
      ["assistant", "It is mended."],
    ]);
    expect(messages[0]).toMatchObject({ created_at: "2026-11-01T10:00:00.000Z" });
    expect(messages.map(({ metadata }) => metadata["outcome"]).filter(Boolean)).toEqual(["success", "error"]);
  });

  test("have what hooks said told apart from the person's prompt", async () => {
    const { conversation, messages } = await delivered(
      "gemini",
      events("<hook_context>A digest.</hook_context>\n\nmend the test"),
    );
    expect(conversation).toMatchObject({ title: "mend the test" });
    expect(messages.slice(0, 2)).toMatchObject([
      { role: "system", kind: "hook", content: "<hook_context>A digest.</hook_context>" },
      { role: "user", kind: "prompt", content: "mend the test" },
    ]);
  });
});
