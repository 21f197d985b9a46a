import { expect, test } from "bun:test";
import { captureIn, jsonLines, told } from "../support/imports.ts";

const at = (second: number) => `2025-03-01T10:00:0${second}.000Z`;
const facts = { sessionId: "s", projectHash: "h", startTime: at(0), lastUpdated: at(0) };
const prompt = { id: "u", timestamp: at(1), type: "user", content: [{ text: "look at LYNX" }] };
const png = Buffer.from("hello").toString("base64");
const answer = {
  id: "a",
  timestamp: at(2),
  type: "gemini",
  model: "gemini-3-pro",
  content: "It is OCELOT.",
  thoughts: [{ subject: "Plan", description: "Think of MARGAY", timestamp: at(2) }],
  tokens: { input: 10, output: 5, cached: 2, thoughts: 3, tool: 0, total: 18 },
  toolCalls: [
    {
      id: "read-1",
      name: "read_file",
      args: { path: "a.txt" },
      status: "success",
      timestamp: at(3),
      result: [
        {
          functionResponse: {
            id: "read-1",
            name: "read_file",
            response: { output: '{"n":1.10}' },
            parts: [{ inlineData: { mimeType: "image/png", data: png } }],
          },
        },
      ],
    },
    {
      id: "rm-1",
      name: "shell",
      args: {},
      status: "error",
      result: [{ functionResponse: { response: { error: "no" } } }],
    },
  ],
};
const said = [
  ["user", "prompt", "look at LYNX"],
  ["assistant", "thinking", "Plan\nThink of MARGAY"],
  ["assistant", "answer", "It is OCELOT."],
  ["assistant", "tool_use", "read_file\npath: a.txt"],
  ["tool", "tool_result", '{"n":1.10}\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]'],
  ["assistant", "tool_use", "shell"],
  ["tool", "tool_result", "no"],
];

test.each([
  [
    "a file of rows",
    "session-1.jsonl",
    jsonLines(facts, prompt, { ...answer, tokens: undefined, toolCalls: [] }, answer),
  ],
  ["one JSON text", "session-1.json", JSON.stringify({ ...facts, messages: [prompt, answer] }, null, 2)],
  ["one JSON text in one line", "session-1.json", JSON.stringify({ ...facts, messages: [prompt, answer] })],
])("a chat of Gemini CLI in %s is read whole, each message once", async (_, name, content) => {
  const [talk] = await told(
    { "tmp/x/.project_root": "/work\n", [`tmp/x/chats/${name}`]: content },
    `tmp/x/chats/${name}`,
  );
  expect(talk?.said as unknown[]).toEqual(said);
  expect(talk?.facts).toMatchObject({ source: "gemini", session_id: "s", cwd: "/work", created_at: at(0) });
  expect(talk?.messages.map((each) => each.created_at)).toEqual([1, 2, 2, 3, 3, 2, 2].map(at));
  const counted = talk?.messages.filter((each) => each.metadata?.["tokens"] !== undefined);
  expect(counted?.map((each) => each.metadata?.["tokens"])).toEqual([
    { input: 10, output: 5, cache_read: 2, thinking: 3, total: 18 },
  ]);
  expect(talk?.messages.map((each) => each.metadata?.["outcome"])).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    "success",
    undefined,
    "error",
  ]);
});

test("the typed text is the prompt, and the expanded text is context", async () => {
  const row = { ...prompt, displayContent: "@a.txt", content: [{ text: "@a.txt" }, { text: "text of FILE" }] };
  const [talk] = await told({ "c.jsonl": jsonLines(facts, row) }, "c.jsonl");
  expect(talk?.said).toEqual([
    ["user", "prompt", "@a.txt"],
    ["system", "context", "@a.txt\ntext of FILE"],
  ]);
});

test("the client's own context is no prompt, and a result that is sent back to the model is told once", async () => {
  const context = { ...prompt, id: "c", content: "<session_context>\nThis is the Gemini CLI." };
  const { toolCalls } = answer;
  const sent = { ...prompt, id: "r", content: (toolCalls[0]?.result ?? []).map((part) => ({ ...part })) };
  const [talk] = await told({ "c.jsonl": jsonLines(facts, context, prompt, answer, sent) }, "c.jsonl");
  expect(talk?.said[0]).toEqual(["system", "environment", context.content]);
  expect(talk?.said.slice(1) as unknown[]).toEqual(said);
});

test("a rewind leaves messages behind, and a summary is the title", async () => {
  const second = { ...prompt, id: "u2", content: "other" };
  const rows = [facts, prompt, answer, { $rewindTo: "a" }, second, { $set: { summary: "Cats" } }];
  const captured = await captureIn({ "c.jsonl": jsonLines(...rows) }, "c.jsonl");
  const notes = captured?.flatMap((each) => (each.kind === "facts" ? [each.facts] : []));
  expect(notes).toMatchObject([{ abandoned: { length: said.length - 1 } }, { title: "Cats", title_source: "client" }]);
});

test("a sub-agent is linked to the session in whose folder it lies", async () => {
  const parent = "01a211db-4eb8-76bf-8bf6-5867dd2e1c33";
  const path = `chats/${parent}/agent.jsonl`;
  const [talk] = await told({ [path]: jsonLines({ ...facts, kind: "subagent" }, prompt) }, path);
  expect(talk?.facts).toMatchObject({ parent_conversation_id: parent, agent_id: "s" });
});

test("the log of prompts tells of sessions without a chat", async () => {
  const row = (messageId: number, message: string) => ({
    sessionId: "s",
    messageId,
    type: "user",
    message,
    timestamp: at(1),
  });
  const log = JSON.stringify([row(0, "first"), row(1, "/chat")]);
  const captured = await captureIn({ "logs.json": log }, "logs.json");
  expect(captured).toMatchObject([
    { kind: "conversation", unlessKnown: true },
    { message: { role: "user", content: "first", created_at: at(1) } },
    { message: { content: "/chat" } },
  ]);
});

test("a chat in which nothing was said is no conversation", async () => {
  expect(await captureIn({ "c.jsonl": jsonLines(facts, { $set: { summary: "Cats" } }) }, "c.jsonl")).toEqual([]);
});

test("a message that is written again later is told once, and what it has gained is added", async () => {
  const second = { ...prompt, id: "u2", content: "other" };
  const rows = [facts, prompt, { ...answer, toolCalls: [] }, second, answer];
  const [talk] = await told({ "c.jsonl": jsonLines(...rows) }, "c.jsonl");
  expect(talk?.said as unknown[]).toEqual([...said.slice(0, 3), ["user", "prompt", "other"], ...said.slice(3)]);
});

test("a chat that was saved under a name is read, with its calls and their results", async () => {
  const rows = [
    { role: "user", parts: [{ text: "look at PUMA" }] },
    {
      role: "model",
      parts: [
        { text: "Think of SERVAL", thought: true },
        { text: "I read." },
        { functionCall: { id: "1", name: "read_file", args: { path: "CARACAL.txt" } } },
      ],
    },
    { role: "user", parts: [{ functionResponse: { id: "1", name: "read_file", response: { output: "a KODKOD" } } }] },
  ];
  const said = [
    ["user", "prompt", "look at PUMA"],
    ["assistant", "thinking", "Think of SERVAL"],
    ["assistant", "answer", "I read."],
    ["assistant", "tool_use", "read_file\npath: CARACAL.txt"],
    ["tool", "tool_result", "a KODKOD"],
  ];
  for (const text of [JSON.stringify(rows), JSON.stringify(rows, null, 2), JSON.stringify({ history: rows })]) {
    const name = "tmp/h/checkpoint-my%20tag.json";
    const [talk] = await told({ [name]: text }, name);
    expect(talk?.title).toBe("my tag");
    expect(talk?.said).toEqual(said as never);
  }
});
