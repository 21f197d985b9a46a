import { expect, test } from "bun:test";
import { captureFile, jsonLines, sqlite, told } from "../support/imports.ts";

const ms = Date.parse("2025-03-01T10:00:00Z");
const session = "01a211db-4eb8-76bf-8bf6-5867dd2e1c33";
const bubbles: Record<string, object> = {
  b1: { type: 1, text: "look at LYNX", createdAt: "2025-03-01T10:00:01.000Z", workspaceUris: ["file:///work/a%20b"] },
  b2: { type: 2, thinking: { text: "think of MARGAY" }, createdAt: ms + 2000 },
  b3: {
    type: 2,
    toolFormerData: {
      name: "read_file",
      toolCallId: "c",
      rawArgs: '{"path":"a"}',
      status: "completed",
      result: '{"contents":"body","n":1.10}',
    },
  },
  b4: {
    type: 2,
    toolFormerData: {
      name: "grep",
      toolCallId: "d",
      params: "{}",
      status: "completed",
      additionalData: { status: "error" },
    },
  },
  b5: {
    type: 2,
    text: "It is OCELOT.",
    tokenCount: { inputTokens: 10, outputTokens: 5 },
    modelInfo: { modelName: "m2" },
  },
  b6: { type: 2, text: "", errorDetails: { message: "no quota" } },
};
const composer = {
  composerId: session,
  name: "Cats",
  createdAt: ms,
  modelConfig: { modelName: "m1" },
  fullConversationHeadersOnly: [...Object.keys(bubbles), "gone"].map((bubbleId) => ({ bubbleId })),
};
const bytes = (value: object) => Buffer.from(JSON.stringify(value));
const values = [
  { key: `composerData:${session}`, value: bytes(composer) },
  { key: "composerData:empty", value: JSON.stringify({ name: "draft" }) },
  { key: "composerData:broken", value: "{" },
  { key: "messageRequestContext:x", value: "{}" },
  // A bubble of another chat.
  { key: "bubbleId:other:b1", value: JSON.stringify({ type: 1, text: "OTHER" }) },
  ...Object.entries(bubbles).map(([id, bubble]) => ({
    key: `bubbleId:${session}:${id}`,
    value: JSON.stringify(bubble),
  })),
];
const database = sqlite({ ItemTable: [{ key: "k", value: "v" }], cursorDiskKV: values });

test("a chat of Cursor's database is read whole, in the order of its headers", async () => {
  const talks = await told({ "state.vscdb": database }, "state.vscdb");
  expect(talks).toHaveLength(1);
  const [talk] = talks;
  expect(talk?.said).toEqual([
    ["user", "prompt", "look at LYNX"],
    ["assistant", "thinking", "think of MARGAY"],
    ["assistant", "tool_use", "read_file\npath: a"],
    ["tool", "tool_result", '{"contents":"body","n":1.10}'],
    ["assistant", "tool_use", "grep"],
    ["tool", "tool_result", "error"],
    ["assistant", "answer", "It is OCELOT."],
    ["system", "error", "no quota"],
  ]);
  expect(talk).toMatchObject({
    id: session,
    title: "Cats",
    facts: { source: "cursor", cwd: "/work/a b", model: "m1", created_at: "2025-03-01T10:00:00.000Z" },
  });
  // A message without a time has that of the one before.
  expect(talk?.messages.map((each) => each.created_at?.slice(17, 19))).toEqual(["00", "01", ...Array(7).fill("02")]);
  expect(talk?.messages.at(7)?.metadata).toMatchObject({ model: "m2", tokens: { input: 10, output: 5 } });
});

test("a chat that is broken is told, and one without messages is none", async () => {
  const captured = await captureFile("state.vscdb", database);
  expect(captured?.filter((each) => each.kind === "broken")).toEqual([
    { kind: "broken", reason: "composerData:broken is no JSON" },
  ]);
  expect(captured?.filter((each) => each.kind === "conversation")).toHaveLength(1);
});

test("a chat that holds its messages itself, and the folder that newer versions note, are read", async () => {
  const old = { name: "Old", conversation: [{ type: 1, bubbleId: "x", text: "old words" }] };
  const headers = [{ composerId: "o", value: JSON.stringify({ workspaceIdentifier: { uri: { fsPath: "/noted" } } }) }];
  const given = sqlite({
    cursorDiskKV: [{ key: "composerData:o", value: JSON.stringify(old) }],
    composerHeaders: headers,
  });
  const [talk] = await told({ "state.vscdb": given }, "state.vscdb");
  expect(talk).toMatchObject({ title: "Old", facts: { cwd: "/noted" }, said: [["user", "prompt", "old words"]] });
});

test("an agent's transcript gives what the database also has the same ids", async () => {
  const path = `.cursor/projects/work-a/agent-transcripts/${session}/${session}.jsonl`;
  const rows = [
    { role: "user", message: { content: [{ type: "text", text: "<user_query>\nlook at LYNX\n</user_query>" }] } },
    {
      role: "assistant",
      message: {
        content: [
          { type: "tool_use", name: "Read", input: { path: "a" } },
          { type: "text", text: "It is OCELOT." },
        ],
      },
    },
  ];
  const [talk] = await told({ [path]: jsonLines(...rows) }, path);
  expect(talk).toMatchObject({
    id: session,
    facts: { source: "cursor", project: "work-a" },
    said: [
      ["user", "prompt", "look at LYNX"],
      ["assistant", "tool_use", "Read\npath: a"],
      ["assistant", "answer", "It is OCELOT."],
    ],
  });
  const [stored] = await told({ "state.vscdb": database }, "state.vscdb");
  const idOf = (content: string) => (each: { content: string }) => each.content === content;
  for (const content of ["look at LYNX", "It is OCELOT."])
    expect(talk?.messages.find(idOf(content))?.message_id).toBe(stored?.messages.find(idOf(content))?.message_id ?? "");
});
