import { expect, test } from "bun:test";
import { captureIn, jsonLines, told } from "../support/imports.ts";

const at = (second: number) => `2025-03-01T10:00:0${second}.000Z`;
const row = (uuid: string, parentUuid: string | null, type: string, more: object) => ({
  uuid,
  parentUuid,
  sessionId: "q",
  timestamp: at(1),
  type,
  cwd: "/work",
  version: "0.9.0",
  gitBranch: "main",
  ...more,
});
const rows = [
  row("0", null, "system", { subtype: "slash_command", systemPayload: { phase: "invocation", rawCommand: "/init" } }),
  row("1", "0", "user", { message: { role: "user", parts: [{ text: "look at LYNX" }] } }),
  row("2", "1", "assistant", {
    model: "qwen3-coder",
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 15 },
    message: {
      role: "model",
      parts: [
        { text: "think of MARGAY", thought: true },
        { text: "It is " },
        { text: "OCELOT." },
        { functionCall: { id: "c", name: "read", args: { path: "a" } } },
      ],
    },
  }),
  row("3", "2", "tool_result", {
    message: { role: "user", parts: [{ functionResponse: { id: "c", name: "read", response: { output: "body" } } }] },
    toolCallResult: { callId: "c", status: "success" },
  }),
  row("4", "3", "system", { subtype: "ui_telemetry", systemPayload: { uiEvent: { words: "NOISE" } } }),
];

test("a chat of Qwen Code is told as Qwen Code's, though its envelope is Claude Code's", async () => {
  const [talk] = await told({ "q.jsonl": jsonLines(...rows) }, "q.jsonl");
  expect(talk?.facts).toMatchObject({
    source: "qwen-code",
    session_id: "q",
    cwd: "/work",
    branch: "main",
    client_version: "0.9.0",
  });
  expect(talk?.said).toEqual([
    ["user", "prompt", "/init"],
    ["user", "prompt", "look at LYNX"],
    ["assistant", "thinking", "think of MARGAY"],
    ["assistant", "answer", "It is OCELOT."],
    ["assistant", "tool_use", "read\npath: a"],
    ["tool", "tool_result", "body"],
  ]);
  expect(talk?.messages.find((each) => each.metadata?.["tokens"])?.metadata).toMatchObject({
    model: "qwen3-coder",
    tokens: { input: 10, output: 5, total: 15 },
  });
});

test.each([["its system rows"], ["its first row alone"]])("%s do not make it Claude Code's", async (which) => {
  const given = which === "its system rows" ? [rows[0], rows[4]] : [rows[0]];
  const [talk] = await told({ "q.jsonl": jsonLines(...(given as object[])) }, "q.jsonl");
  expect(talk?.facts).toMatchObject({ source: "qwen-code" });
});

test("a prompt that was sent again leaves the first branch behind", async () => {
  const again = row("5", "0", "user", { message: { role: "user", parts: [{ text: "other" }] } });
  const captured = await captureIn({ "q.jsonl": jsonLines(...rows, again) }, "q.jsonl");
  expect(captured?.findLast((each) => each.kind === "facts")).toMatchObject({ facts: { abandoned: { length: 6 } } });
});
