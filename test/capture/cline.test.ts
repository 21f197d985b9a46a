import { expect, test } from "bun:test";
import { captureIn, told } from "../support/imports.ts";

const ms = Date.parse("2025-03-01T10:00:00Z");
const say = (second: number, kind: string, text: string, more: object = {}) => ({
  ts: ms + second * 1000,
  type: "say",
  say: kind,
  text,
  ...more,
});
const ask = (second: number, kind: string, text: string) => ({ ts: ms + second * 1000, type: "ask", ask: kind, text });
const png = `data:image/png;base64,${Buffer.from("hello").toString("base64")}`;
const shown = [
  say(0, "text", "look at LYNX", { images: [png] }),
  say(1, "api_req_started", JSON.stringify({ request: "<task>NOISE</task>", tokensIn: 10, tokensOut: 5 }), {
    conversationHistoryIndex: 0,
  }),
  say(2, "reasoning", "think of MARGAY"),
  say(3, "text", "Reading it."),
  say(4, "tool", JSON.stringify({ tool: "readFile", path: "a.ts" }), { conversationHistoryIndex: 1 }),
  say(5, "command", "npm test"),
  ask(6, "command", "npm test"),
  say(7, "command_output", "passed"),
  ask(8, "followup", JSON.stringify({ question: "Which one?", options: ["red", "blue"] })),
  say(9, "user_feedback", "the red one"),
  say(10, "text", "half", { partial: true }),
  say(11, "completion_result", "It is OCELOT."),
];
const sent = [
  {
    role: "user",
    content: [
      { type: "text", text: "<task>look at LYNX</task>" },
      { type: "text", text: "<environment_details>x</environment_details>" },
    ],
  },
  { role: "assistant", content: [{ type: "text", text: "Reading it." }] },
  {
    role: "user",
    content: [
      { type: "text", text: "[read_file for 'a.ts'] Result:" },
      { type: "text", text: "BODY of the file" },
      { type: "text", text: "[execute_command for 'npm test'] Result:" },
      { type: "text", text: "passed" },
      { type: "text", text: "<environment_details>x</environment_details>" },
    ],
  },
  { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: "NATIVE result", is_error: true }] },
];
const folder = (extension: string, more: Record<string, string> = {}) => {
  const path = `User/globalStorage/${extension}/tasks/1740823200000`;
  return {
    path: `${path}/ui_messages.json`,
    files: {
      [`${path}/ui_messages.json`]: JSON.stringify(shown),
      [`${path}/api_conversation_history.json`]: JSON.stringify(sent),
      [`${path}/task_metadata.json`]: '{"files_in_context":[]}',
      ...Object.fromEntries(Object.entries(more).map(([name, text]) => [name.replace("TASK", path), text])),
    },
  };
};
const said = [
  ["user", "prompt", "look at LYNX\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]"],
  ["assistant", "thinking", "think of MARGAY"],
  ["assistant", "answer", "Reading it."],
  ["assistant", "tool_use", "readFile\npath: a.ts"],
  ["tool", "tool_result", "BODY of the file"],
  ["assistant", "tool_use", "command\ncommand: npm test"],
  ["tool", "tool_result", "passed"],
  ["assistant", "answer", "Which one?\nred\nblue"],
  ["user", "prompt", "the red one"],
  ["assistant", "answer", "It is OCELOT."],
  ["tool", "tool_result", "NATIVE result"],
];

test("a task of Cline has the messages that the person saw, and results that only the model was sent", async () => {
  const list = JSON.stringify([
    { id: "1740823200000", ts: ms, cwdOnTaskInitialization: "/work", modelId: "m", tokensIn: 30, tokensOut: 9 },
  ]);
  const { path, files } = folder("saoudrizwan.claude-dev", {
    "User/globalStorage/saoudrizwan.claude-dev/state/taskHistory.json": list,
  });
  const [talk] = await told(files, path);
  expect(talk?.said as unknown[]).toEqual(said);
  expect(talk?.facts).toMatchObject({
    source: "cline",
    session_id: "1740823200000",
    cwd: "/work",
    model: "m",
    tokens: { input: 30, output: 9 },
    created_at: "2025-03-01T10:00:00.000Z",
  });
  const request = talk?.messages.find((each) => each.metadata?.["kind"] === "api_req_started");
  expect(request?.metadata).toMatchObject({ bookkeeping: true, tokens: { input: 10, output: 5 } });
  expect(JSON.stringify(talk)).not.toContain("NOISE");
});

test("a task of Roo Code has its own facts, and the task that started it", async () => {
  const history = JSON.stringify({
    id: "1740823200000",
    ts: ms,
    workspace: "/work",
    parentTaskId: "2",
    apiConfigName: "m",
  });
  const { path, files } = folder("rooveterinaryinc.roo-cline", { "TASK/history_item.json": history });
  const [talk] = await told(files, path);
  expect(talk?.facts).toMatchObject({
    source: "roo-code",
    cwd: "/work",
    model: "m",
    parent_conversation_id: expect.any(String),
  });
});

test("files beside a task are read with it; the messages sent to the model stand in when nothing else is left", async () => {
  const { path, files } = folder("saoudrizwan.claude-dev");
  for (const name of ["api_conversation_history.json", "task_metadata.json"])
    expect(await captureIn(files, path.replace("ui_messages.json", name))).toEqual([]);
  const name = "tasks/1/api_conversation_history.json";
  const [talk] = await told({ [name]: JSON.stringify(sent) }, name);
  expect(talk?.said.map(([role, kind]) => [role, kind])).toEqual([
    ["user", "prompt"],
    ["system", "environment"],
    ["assistant", "answer"],
    ["tool", "tool_result"],
    ["tool", "tool_result"],
    ["system", "environment"],
    ["tool", "tool_result"],
  ]);
});

test("a session of Cline's command line is read whole", async () => {
  const session = {
    version: 1,
    agent: "lead",
    sessionId: "x",
    messages: [
      { id: "1", role: "user", content: [{ type: "text", text: "look at LYNX" }] },
      {
        id: "2",
        role: "assistant",
        ts: ms,
        modelInfo: { id: "m" },
        metrics: { inputTokens: 10, outputTokens: 5 },
        content: [
          { type: "thinking", thinking: "think of MARGAY" },
          { type: "tool_use", id: "c", name: "read", input: { path: "a" } },
        ],
      },
      { id: "3", role: "user", content: [{ type: "tool_result", tool_use_id: "c", content: "body" }] },
    ],
  };
  const files = {
    "x/x.messages.json": JSON.stringify(session),
    "x/x.json": JSON.stringify({ cwd: "/work", metadata: { title: "Cats" } }),
  };
  const [talk] = await told(files, "x/x.messages.json");
  expect(talk).toMatchObject({
    title: "Cats",
    facts: { source: "cline", session_id: "x", cwd: "/work" },
    said: [
      ["user", "prompt", "look at LYNX"],
      ["assistant", "thinking", "think of MARGAY"],
      ["assistant", "tool_use", "read\npath: a"],
      ["tool", "tool_result", "body"],
    ],
  });
});
