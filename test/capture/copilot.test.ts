import { expect, test } from "bun:test";
import { jsonLines, told } from "../support/imports.ts";

const at = (second: number) => `2025-03-01T10:00:0${second}.000Z`;
const event = (type: string, data: object, second = 1) => ({
  type,
  data,
  id: crypto.randomUUID(),
  timestamp: at(second),
  parentId: null,
});
const request = { toolCallId: "c", name: "view", arguments: { path: "a" } };
const rows = [
  event(
    "session.start",
    {
      sessionId: "s",
      copilotVersion: "1.0",
      startTime: at(0),
      selectedModel: "m",
      context: { cwd: "/work", branch: "main" },
    },
    0,
  ),
  event("user.message", {
    content: "look at LYNX",
    transformedContent: "<time/>look",
    attachments: [{ type: "file", path: "/a.ts" }],
  }),
  event("assistant.reasoning", { content: "think of MARGAY" }),
  event("assistant.message", {
    messageId: "m1",
    content: "",
    reasoningText: "think of MARGAY",
    toolRequests: [request],
    outputTokens: 7,
  }),
  event("tool.execution_start", { toolCallId: "c", toolName: "view", arguments: { path: "a" } }),
  event(
    "tool.execution_complete",
    { toolCallId: "c", success: true, result: { content: '{"n":1.10}', detailedContent: "diff" } },
    2,
  ),
  event("tool.execution_start", { toolCallId: "d", toolName: "rm", arguments: {} }),
  event("tool.execution_complete", { toolCallId: "d", success: false, error: { message: "no" } }),
  event("assistant.message", { messageId: "m2", content: "It is OCELOT." }, 3),
  event("session.error", { errorType: "quota", message: "no quota" }),
  event("session.usage_info", { words: "NOISE" }),
];

test("a session of Copilot CLI is read whole, and pieces that two events tell are stored once", async () => {
  const path = "session-state/s/events.jsonl";
  const [talk] = await told(
    { [path]: jsonLines(...rows), "session-state/s/workspace.yaml": "id: s\nname: Cats\n" },
    path,
  );
  expect(talk?.said).toEqual([
    ["user", "prompt", "look at LYNX\n\n[file /a.ts]"],
    ["assistant", "thinking", "think of MARGAY"],
    ["assistant", "tool_use", "view\npath: a"],
    ["tool", "tool_result", '{"n":1.10}'],
    ["system", "display", "diff"],
    ["assistant", "tool_use", "rm"],
    ["tool", "tool_result", "no"],
    ["assistant", "answer", "It is OCELOT."],
    ["system", "session.error", "quota\nno quota"],
  ]);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: {
      source: "copilot",
      session_id: "s",
      cwd: "/work",
      branch: "main",
      model: "m",
      client_version: "1.0",
      created_at: at(0),
    },
  });
  expect(
    talk?.messages.filter((each) => each.metadata?.["kind"] === "tool_result").map((each) => each.metadata),
  ).toMatchObject([
    { tool: "view", outcome: "success" },
    { tool: "rm", outcome: "error" },
  ]);
});

test("the earliest forms are read", async () => {
  const early = [
    { session_id: "e", cwd: "/work", type: "user.message", prompt: "look", timestamp: 1_700_000_000_000 },
    { session_id: "e", type: "assistant.message", output: "seen", timestamp: 1_700_000_001_000 },
  ];
  const [rowsOf] = await told({ "e.jsonl": jsonLines(...early) }, "e.jsonl");
  expect(rowsOf).toMatchObject({
    facts: { source: "copilot", cwd: "/work" },
    said: [
      ["user", "prompt", "look"],
      ["assistant", "answer", "seen"],
    ],
  });
  const legacy = {
    sessionId: "l",
    startTime: at(0),
    chatMessages: [
      { role: "user", content: "look" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "c", type: "function", function: { name: "view", arguments: '{"path":"a"}' } }],
      },
      { role: "tool", tool_call_id: "c", content: "body" },
      { role: "assistant", content: "seen" },
    ],
    timeline: [],
  };
  const [talk] = await told({ "session_l.json": JSON.stringify(legacy) }, "session_l.json");
  expect(talk?.said).toEqual([
    ["user", "prompt", "look"],
    ["assistant", "tool_use", "view\npath: a"],
    ["tool", "tool_result", "body"],
    ["assistant", "answer", "seen"],
  ]);
});
