import { expect, test } from "bun:test";
import { captureFile, sqlite, told } from "../support/imports.ts";

const png = Buffer.from("hello").toString("base64");
const thread = {
  version: "0.3.0",
  title: "Cats",
  model: { provider: "p", model: "m" },
  cumulative_token_usage: { input_tokens: 10, output_tokens: 5 },
  request_token_usage: { u1: { input_tokens: 4, output_tokens: 2 } },
  initial_project_snapshot: { worktree_snapshots: [{ worktree_path: "/work", git_state: { current_branch: "main" } }] },
  messages: [
    {
      User: {
        id: "u1",
        content: [
          { Text: "look at LYNX" },
          { Mention: { uri: { File: { abs_path: "/work/a.ts" } }, content: "text of FILE" } },
          { Image: { source: png } },
        ],
      },
    },
    {
      Agent: {
        content: [
          { Thinking: { text: "think of MARGAY", signature: "x" } },
          { Text: "It is OCELOT." },
          { ToolUse: { id: "c", name: "read", input: { path: "a" } } },
          { ToolUse: { id: "d", name: "rm", input: {} } },
        ],
        tool_results: {
          c: { tool_use_id: "c", is_error: false, content: { Text: "body" }, output: { more: 1 } },
          d: { tool_use_id: "d", is_error: true, content: [{ Text: "no" }] },
        },
      },
    },
    "Resume",
  ],
};
const said = [
  [
    "user",
    "prompt",
    "look at LYNX\n\n[file /work/a.ts]\ntext of FILE\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]",
  ],
  ["assistant", "thinking", "think of MARGAY"],
  ["assistant", "answer", "It is OCELOT."],
  ["assistant", "tool_use", "read\npath: a"],
  ["tool", "tool_result", "body"],
  ["assistant", "tool_use", "rm"],
  ["tool", "tool_result", "no"],
];
const old = {
  version: "0.2.0",
  messages: [
    { id: 0, role: "user", segments: [{ type: "text", text: "look at LYNX" }], context: "text of FILE" },
    {
      id: 1,
      role: "assistant",
      segments: [
        { type: "thinking", text: "think of MARGAY" },
        { type: "text", text: "Reading." },
      ],
      tool_uses: [{ id: "c", name: "read", input: { path: "a" } }],
      tool_results: [{ tool_use_id: "c", is_error: false, content: { Text: "body" } }],
    },
  ],
};
const row = (id: string, data_type: string, data: unknown, more: object = {}) => ({
  id,
  summary: "Cats",
  updated_at: "2025-03-01T10:00:00Z",
  data_type,
  data,
  parent_id: null,
  ...more,
});
const text = JSON.stringify(thread);

test.each([
  ["as JSON", row("z", "json", text)],
  ["compressed", row("z", "zstd", Bun.zstdCompressSync(Buffer.from(text)))],
])("a thread of Zed's %s is read whole", async (_, given) => {
  const [talk] = await told({ "threads.db": sqlite({ threads: [given] }) }, "threads.db");
  expect(talk?.said as unknown[]).toEqual(said);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: {
      source: "zed",
      session_id: "z",
      cwd: "/work",
      branch: "main",
      model: "m",
      tokens: { input: 10, output: 5 },
      created_at: "2025-03-01T10:00:00.000Z",
    },
  });
  expect(talk?.messages.map((each) => each.metadata?.["outcome"]).filter(Boolean)).toEqual(["success", "error"]);
});

test("an older thread, a sub-agent's, and one that is broken are each told", async () => {
  const rows = [
    row("z", "json", JSON.stringify(old)),
    row("broken", "zstd", Buffer.from("no zstd")),
    row("sub", "json", text, { parent_id: "z" }),
  ];
  const files = { "threads.db": sqlite({ threads: rows }) };
  const talks = await told(files, "threads.db");
  expect(talks.map((talk) => talk.facts?.["session_id"])).toEqual(["sub", "z"]);
  const [sub, first] = talks;
  expect(first?.said).toEqual([
    ["system", "context", "text of FILE"],
    ["user", "prompt", "look at LYNX"],
    ["assistant", "thinking", "think of MARGAY"],
    ["assistant", "answer", "Reading."],
    ["assistant", "tool_use", "read\npath: a"],
    ["tool", "tool_result", "body"],
  ]);
  expect(sub?.facts).toMatchObject({ parent_conversation_id: first?.id });
  const captured = await captureFile("threads.db", files["threads.db"]);
  expect(captured?.filter((each) => each.kind === "broken")).toHaveLength(1);
});
