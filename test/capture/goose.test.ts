import { expect, test } from "bun:test";
import { captureFile, jsonLines, sqlite, told } from "../support/imports.ts";

const seconds = Date.parse("2025-03-01T10:00:00Z") / 1000;
const png = Buffer.from("hello").toString("base64");
const contents: [string, object[]][] = [
  [
    "user",
    [
      { type: "text", text: "look at LYNX" },
      { type: "image", data: png, mimeType: "image/png" },
    ],
  ],
  [
    "assistant",
    [
      { type: "thinking", thinking: "think of MARGAY", signature: "x" },
      { type: "text", text: "Reading it." },
      {
        type: "toolRequest",
        id: "c",
        toolCall: { status: "success", value: { name: "read", arguments: { path: "a" } } },
      },
      { type: "toolRequest", id: "d", toolCall: { status: "success", value: { name: "rm", arguments: {} } } },
    ],
  ],
  [
    "user",
    [
      {
        type: "toolResponse",
        id: "c",
        toolResult: { status: "success", value: { content: [{ type: "text", text: "body" }] } },
      },
      { type: "toolResponse", id: "d", toolResult: { status: "error", error: "no" } },
      { type: "systemNotification", msg: "compacted WOMBAT" },
    ],
  ],
];
const said = [
  ["user", "prompt", "look at LYNX\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]"],
  ["assistant", "thinking", "think of MARGAY"],
  ["assistant", "answer", "Reading it."],
  ["assistant", "tool_use", "read\npath: a"],
  ["assistant", "tool_use", "rm"],
  ["tool", "tool_result", "body"],
  ["tool", "tool_result", "no"],
  ["system", "systemNotification", "compacted WOMBAT"],
];
const stored = (id: number, role: string, content: string, more: object = {}) => ({
  id,
  message_id: `m${id}`,
  session_id: "20250301_1",
  role,
  content_json: content,
  created_timestamp: seconds + id,
  timestamp: "2025-03-01 10:00:00",
  metadata_json: "{}",
  ...more,
});
const session = {
  id: "20250301_1",
  name: "Cats",
  description: "",
  working_dir: "/work",
  created_at: "2025-03-01 10:00:00",
  model_config_json: '{"model_name":"m"}',
  parent_session_id: null,
  accumulated_input_tokens: 10,
  accumulated_output_tokens: 5,
};
const database = sqlite({
  sessions: [session, { ...session, id: "child", name: "Child", parent_session_id: "20250301_1" }],
  messages: [
    ...contents.map(([role, content], index) => stored(index + 1, role, JSON.stringify(content))),
    stored(4, "assistant", '[{"type":"text","text":"HIDDEN"}]', { metadata_json: '{"userVisible":false}' }),
    stored(5, "user", '[{"type":"text","text":"a task"}]', { session_id: "child" }),
  ],
});
const rows = [
  {
    working_dir: "/work",
    description: "Cats",
    message_count: 3,
    accumulated_input_tokens: 10,
    accumulated_output_tokens: 5,
  },
  ...contents.map(([role, content], index) => ({ role, created: seconds + index + 1, content })),
];

test.each([
  ["a database", "sessions.db", database],
  ["a file of rows", "20250301_1.jsonl", jsonLines(...rows)],
])("a session of Goose in %s is read whole", async (_, name, content) => {
  const [talk] = await told({ [name]: content }, name);
  expect(talk?.said as unknown[]).toEqual(said);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: {
      source: "goose",
      session_id: "20250301_1",
      cwd: "/work",
      tokens: { input: 10, output: 5 },
      created_at: "2025-03-01T10:00:01.000Z",
    },
  });
  expect(talk?.messages[0]?.created_at).toBe("2025-03-01T10:00:01.000Z");
});

test("messages meant for the model only are bookkeeping, and a sub-agent is linked", async () => {
  const [first, child] = await told({ "sessions.db": database }, "sessions.db");
  expect(first?.messages.at(-1)).toMatchObject({ content: "HIDDEN", metadata: { bookkeeping: true } });
  expect(child?.facts).toMatchObject({ parent_conversation_id: first?.id });
});

test("a session whose messages are broken is told, and the others are read", async () => {
  const broken = sqlite({
    sessions: [session, { ...session, id: "child" }],
    messages: [
      stored(1, "user", "{"),
      { ...stored(2, "user", '[{"type":"text","text":"whole"}]'), session_id: "child" },
    ],
  });
  const captured = await captureFile("sessions.db", broken);
  expect(captured?.filter((each) => each.kind === "broken")).toHaveLength(1);
  expect(captured?.filter((each) => each.kind === "message")).toMatchObject([
    { message: { content: session.name, metadata: { kind: "title" } } },
    { message: { content: "whole" } },
  ]);
});

test("a session in which nothing was said is no conversation", async () => {
  const messages = [stored(1, "user", '[{"type":"text","text":"whole"}]')];
  const talks = await told(
    { "sessions.db": sqlite({ sessions: [session, { ...session, id: "empty" }], messages }) },
    "sessions.db",
  );
  expect(talks.map((talk) => talk.facts?.["session_id"])).toEqual([session.id]);
});
