import { expect, test } from "bun:test";
import { jsonLines, told } from "../support/imports.ts";

const ms = Date.parse("2025-03-01T10:00:00Z");
const png = Buffer.from("hello").toString("base64");
const request = {
  requestId: "r1",
  timestamp: ms + 1000,
  modelId: "copilot/gpt-5",
  message: { text: "look at LYNX", parts: [] },
  variableData: { variables: [{ kind: "file", name: "a.ts" }] },
  response: [
    { kind: "mcpServersStarting" },
    { kind: "thinking", value: ["think of ", "MARGAY"] },
    { value: "See " },
    { kind: "inlineReference", inlineReference: { fsPath: "/work/a.ts", path: "/work/a.ts" } },
    { value: "." },
    { kind: "prepareToolInvocation", toolName: "copilot_readFile" },
    {
      kind: "toolInvocationSerialized",
      toolId: "copilot_readFile",
      toolCallId: "c",
      pastTenseMessage: { value: "Read a.ts" },
    },
    {
      kind: "toolInvocationSerialized",
      toolId: "copilot_runInTerminal",
      toolCallId: "d",
      invocationMessage: "Run it",
      toolSpecificData: { kind: "terminal", command: "npm test" },
      resultDetails: {
        input: "",
        output: [
          { isText: true, value: "passed" },
          { mimeType: "image/png", value: png },
        ],
        isError: false,
      },
    },
    { value: "It is OCELOT." },
  ],
  result: {
    errorDetails: { message: "cut short" },
    metadata: {
      promptTokens: 10,
      outputTokens: 5,
      toolCallRounds: [{ toolCalls: [{ id: "c", name: "read_file", arguments: '{"path":"a.ts"}' }] }],
      toolCallResults: { c: { content: [{ value: "body" }] } },
    },
  },
};
const session = {
  version: 3,
  sessionId: "v",
  creationDate: ms,
  customTitle: "Cats",
  responderUsername: "GitHub Copilot",
  requests: [request],
};
const said = [
  ["user", "prompt", "look at LYNX\n\n[file a.ts]"],
  ["assistant", "thinking", "think of MARGAY"],
  ["assistant", "answer", "See /work/a.ts."],
  ["assistant", "tool_use", "read_file\npath: a.ts"],
  ["tool", "tool_result", "body"],
  ["assistant", "tool_use", "copilot_runInTerminal\nkind: terminal\ncommand: npm test\nmessage: Run it"],
  ["tool", "tool_result", "passed\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]"],
  ["assistant", "answer", "It is OCELOT."],
  ["system", "error", "cut short"],
];
const changes = [
  { kind: 0, v: { ...session, customTitle: undefined, requests: [] } },
  {
    kind: 2,
    k: ["requests"],
    v: [{ ...request, response: [{ value: "half" }, { value: "wrong" }], result: undefined }],
  },
  { kind: 2, k: ["requests", 0, "response"], v: request.response, i: 0 },
  { kind: 1, k: ["requests", 0, "result"], v: request.result },
  { kind: 1, k: ["requests", 0, "isHidden"], v: true },
  { kind: 3, k: ["requests", 0, "isHidden"] },
  { kind: 1, k: ["customTitle"], v: "Cats" },
];

test.each([
  ["one JSON text", "v.json", JSON.stringify(session, null, 2)],
  ["changes", "v.jsonl", jsonLines(...changes)],
])("a chat of VS Code in %s is read whole", async (_, name, content) => {
  const path = `User/workspaceStorage/x/chatSessions/${name}`;
  const [talk] = await told(
    { [path]: content, "User/workspaceStorage/x/workspace.json": '{"folder":"file:///work/a%20b"}' },
    path,
  );
  expect(talk?.said as unknown[]).toEqual(said);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: {
      source: "vscode-chat",
      session_id: "v",
      cwd: "/work/a b",
      model: "copilot/gpt-5",
      created_at: "2025-03-01T10:00:00.000Z",
    },
  });
  expect(talk?.messages.filter((each) => each.metadata?.["tokens"])).toMatchObject([
    { metadata: { tokens: { input: 10, output: 5 } } },
  ]);
});

test("changes of places that no chat has, or that come without a beginning, do no harm", async () => {
  const wild = [
    ...changes,
    { kind: 1, k: ["requests", 4_294_967_294], v: {} },
    { kind: 1, k: ["__proto__", "polluted"], v: true },
    { kind: 2, k: ["nothing", "here"], v: [1] },
    { kind: 1, k: [], v: 1 },
  ];
  const [talk] = await told({ "v.jsonl": jsonLines(...wild) }, "v.jsonl");
  expect(talk?.said as unknown[]).toEqual(said);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});
