import { expect, test } from "bun:test";
import { captureFile, jsonLines, told } from "../support/imports.ts";

const at = (second: number) => `2025-03-01T10:00:0${second}.000Z`;
const parent = "01a211db-4eb8-76bf-8bf6-5867dd2e1c33";
const head = {
  type: "session",
  version: 3,
  id: "p",
  timestamp: at(0),
  cwd: "/work",
  parentSession: `/x/2025-01-01T00-00-00-000Z_${parent}.jsonl`,
};
const entry = (id: string, parentId: string | null, message: object, second = 1) => ({
  type: "message",
  id,
  parentId,
  timestamp: at(second),
  message,
});
const png = Buffer.from("hello").toString("base64");
const rows = [
  head,
  entry("1", null, {
    role: "user",
    content: [
      { type: "text", text: "look at LYNX" },
      { type: "image", data: png, mimeType: "image/png" },
    ],
  }),
  entry("2", "1", {
    role: "assistant",
    model: "m",
    usage: { input: 10, output: 5, cacheRead: 2, cacheWrite: 3, totalTokens: 20 },
    content: [
      { type: "thinking", thinking: "think of MARGAY" },
      { type: "text", text: "It is OCELOT." },
      { type: "toolCall", id: "c", name: "read", arguments: { path: "a" } },
    ],
  }),
  entry("3", "2", {
    role: "toolResult",
    toolCallId: "c",
    toolName: "read",
    content: [{ type: "text", text: "body" }],
    isError: true,
  }),
  { type: "compaction", id: "4", parentId: "3", timestamp: at(2), summary: "COMPACTED" },
  { type: "model_change", id: "5", parentId: "4", timestamp: at(2), modelId: "n" },
  { type: "session_info", id: "6", parentId: "5", timestamp: at(2), name: "Cats" },
  entry("7", "6", { role: "bashExecution", command: "ls", output: "a.txt", exitCode: 0 }),
  entry("8", "7", { role: "assistant", content: [], stopReason: "error", errorMessage: "no quota" }),
];

test("a session of Pi is read whole", async () => {
  const [talk] = await told({ "t_p.jsonl": jsonLines(...rows) }, "t_p.jsonl");
  expect(talk?.said).toEqual([
    ["user", "prompt", "look at LYNX\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]"],
    ["assistant", "thinking", "think of MARGAY"],
    ["assistant", "answer", "It is OCELOT."],
    ["assistant", "tool_use", "read\npath: a"],
    ["tool", "tool_result", "body"],
    ["system", "compact-summary", "COMPACTED"],
    ["user", "prompt", "!ls"],
    ["tool", "tool_result", "a.txt"],
    ["system", "error", "no quota"],
  ]);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: { source: "pi", session_id: "p", cwd: "/work", forked_from: parent, created_at: at(0) },
  });
  expect(talk?.messages.filter((each) => each.metadata?.["tokens"])).toMatchObject([
    { metadata: { model: "m", tokens: { input: 10, output: 5, cache_read: 2, cache_write: 3, total: 20 } } },
  ]);
  expect(talk?.messages[4]?.metadata).toMatchObject({ tool: "read", outcome: "error" });
});

test("a prompt that was sent again leaves the first branch behind", async () => {
  const [first, again] = ["9", "10"].map((id) => entry(id, "3", { role: "user", content: `prompt ${id}` }));
  const captured = await captureFile(
    "t_p.jsonl",
    jsonLines(...rows, ...[first, again].filter((each) => each !== undefined)),
  );
  const left = captured?.find((each) => each.kind === "message" && each.message.content === "prompt 9");
  expect(captured?.findLast((each) => each.kind === "facts")).toMatchObject({
    facts: { abandoned: [left?.kind === "message" ? left.message.message_id : ""] },
  });
});

test("a session of the first version, whose entries have no ids, gets the same ids again", async () => {
  const bare = [head, { type: "message", timestamp: at(1), message: { role: "user", content: "one" } }];
  const next = { type: "message", timestamp: at(2), message: { role: "user", content: "one" } };
  const [first] = await told({ "t_p.jsonl": jsonLines(...bare) }, "t_p.jsonl");
  const [second] = await told({ "t_p.jsonl": jsonLines(...bare, next) }, "t_p.jsonl");
  expect(first?.messages).toHaveLength(1);
  expect(second?.messages[0]?.message_id).toBe(first?.messages[0]?.message_id ?? "");
  expect(second?.messages[1]?.message_id).not.toBe(second?.messages[0]?.message_id ?? "");
});

test("an entry of an unknown type keeps its words and is counted", async () => {
  const novel = { type: "novelty", id: "9", parentId: "8", timestamp: at(3), body: { text: "NOVEL words" } };
  const captured = await captureFile("t_p.jsonl", jsonLines(...rows, novel));
  expect(captured?.slice(-2)).toMatchObject([
    { message: { role: "system", content: "NOVEL words", metadata: { kind: "novelty" } } },
    { kind: "unknown", type: "pi/novelty" },
  ]);
});
