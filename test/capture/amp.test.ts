import { expect, test } from "bun:test";
import { captureFile, told } from "../support/imports.ts";

const ms = Date.parse("2025-03-01T10:00:00Z");
const id = "T-01a211db-4eb8-76bf-8bf6-5867dd2e1c33";
const result = (run: object, toolUseID = "c") => ({ type: "tool_result", toolUseID, run });
const thread = {
  v: 9,
  id,
  created: ms,
  title: "Cats",
  mainThreadID: "T-11a211db-4eb8-76bf-8bf6-5867dd2e1c33",
  env: { initial: { trees: [{ displayName: "work", uri: "file:///work/a%20b" }] } },
  messages: [
    { role: "user", messageId: 0, content: [{ type: "text", text: "look at LYNX" }], meta: { sentAt: ms + 1000 } },
    {
      role: "assistant",
      messageId: 1,
      usage: {
        model: "m",
        inputTokens: 10,
        outputTokens: 5,
        cacheReadInputTokens: 2,
        cacheCreationInputTokens: 3,
        timestamp: "2025-03-01T10:00:02Z",
      },
      content: [
        { type: "thinking", thinking: "think of MARGAY", signature: "x" },
        { type: "text", text: "It is OCELOT." },
        { type: "tool_use", id: "c", name: "Bash", input: { cmd: "ls" } },
        { type: "tool_use", id: "d", name: "Read", input: { path: "a" } },
      ],
    },
    {
      role: "user",
      messageId: 2,
      content: [
        result({ status: "done", result: { output: "a.txt\n", exitCode: 0 } }),
        result({ status: "error", error: { message: "no" } }, "d"),
      ],
    },
  ],
};

test("a thread of Amp is read whole", async () => {
  const [talk] = await told({ [`${id}.json`]: JSON.stringify(thread, null, 2) }, `${id}.json`);
  expect(talk?.said).toEqual([
    ["user", "prompt", "look at LYNX"],
    ["assistant", "thinking", "think of MARGAY"],
    ["assistant", "answer", "It is OCELOT."],
    ["assistant", "tool_use", "Bash\ncmd: ls"],
    ["assistant", "tool_use", "Read\npath: a"],
    ["tool", "tool_result", "a.txt\n"],
    ["tool", "tool_result", "no"],
  ]);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: {
      source: "amp",
      session_id: id,
      cwd: "/work/a b",
      model: "m",
      parent_conversation_id: expect.any(String),
      created_at: "2025-03-01T10:00:00.000Z",
    },
  });
  expect(talk?.messages.map((each) => each.created_at?.slice(17, 19))).toEqual([
    "00",
    "01",
    "02",
    "02",
    "02",
    "02",
    "02",
    "02",
  ]);
  expect(talk?.messages.filter((each) => each.metadata?.["tokens"])).toMatchObject([
    { metadata: { tokens: { input: 10, output: 5, cache_read: 2, cache_write: 3 } } },
  ]);
  expect(talk?.messages.at(-1)?.metadata).toMatchObject({ tool: "Read", outcome: "error" });
});

test("other JSON with messages is no thread of Amp's", async () => {
  const other = JSON.stringify({ id: "x", messages: [{ role: "user", content: "hi" }] });
  expect(await captureFile("x.json", other)).toBeUndefined();
});
