import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Captured } from "../../src/capture/captured.ts";
import { ClaudeCodeReader } from "../../src/capture/claude-code.ts";

// What Claude Code 2.1.197 wrote in a talk with an MCP server, a shell, a sub-agent and a command that fails.
const session = "971be6d3-ff25-495f-81bd-2d36c20f730a";
const recorded = (path: string) =>
  readFileSync(join(import.meta.dir, "recorded", path), "utf8")
    .trim()
    .split("\n");
const agentFile = `${session}/subagents/agent-a66551e7e85801901`;

function read(rows: (string | object)[], reader = new ClaudeCodeReader({ session: "file" })): Captured[] {
  const texts = rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row)));
  return [...texts.flatMap((row) => reader.take(row)), ...reader.end()];
}

const messages = (captured: Captured[]) => captured.flatMap((each) => (each.kind === "message" ? [each.message] : []));
const talk = (captured: Captured[]) =>
  messages(captured)
    .filter((message) => message.role !== "system")
    .map((message) => [message.role, message.content]);

describe("a transcript of Claude Code", () => {
  test("becomes the talk in its order: prompt, answers, tool calls and their results", () => {
    const captured = read(recorded(`${session}.jsonl`));
    expect(talk(captured)).toEqual([
      ["user", "please use echo"],
      ["assistant", "I will call echo."],
      ["assistant", "mcp__everything__echo\ntext: hello"],
      ["tool", "hello"],
      ["assistant", "Now bash."],
      ["assistant", "Bash\ncommand: echo from-bash\ndescription: echo"],
      ["tool", "from-bash"],
      ["assistant", "Agent\ndescription: sub\nprompt: SUBAGENT say hi\nsubagent_type: general-purpose"],
      ["tool", expect.stringContaining("Sub agent says hi.")],
      ["assistant", "Bash\ncommand: exit 3\ndescription: fail"],
      ["tool", "Exit code 3"],
      ["assistant", "All done, the echo said hello."],
    ]);
    expect(captured[0]).toEqual({
      kind: "conversation",
      begin: {
        conversation_id: session,
        session_id: session,
        created_at: "2026-11-25T08:39:08.959Z",
        metadata: { source: "claude-code", cwd: "/home/ada/project", branch: "feature/x", client_version: "2.1.197" },
      },
    });
  });

  test("keeps of each row what it says beside role and text", () => {
    const captured = messages(read(recorded(`${session}.jsonl`)));
    const rows = recorded(`${session}.jsonl`).map((row) => JSON.parse(row) as { uuid?: string });
    const kept = captured.map(({ metadata }) => (metadata?.["row"] as { uuid?: string } | undefined)?.uuid);
    expect(kept).toEqual(rows.map((row) => row.uuid as string));
    expect(captured.find((message) => message.content === "Exit code 3")?.metadata).toMatchObject({
      kind: "tool_result",
      tool: "Bash",
      tool_use_id: "toolu_fail1",
      outcome: "error",
      duration_ms: 115,
      branch: "feature/x",
      row: { toolUseResult: "Error: Exit code 3" },
    });
    expect(captured.find((message) => message.content.startsWith("mcp__"))?.metadata).toMatchObject({
      model: "claude-opus-4-8",
      arguments: { text: "hello" },
      row: { message: { usage: { output_tokens: 5 } } },
    });
  });

  test("keeps what a tool printed once, though the row has it as a block and as data", () => {
    const printed = "a line that was printed\n".repeat(20);
    const result = { tool_use_id: "toolu_01", type: "tool_result", content: printed };
    const row = (stdout: string) => ({
      type: "user",
      uuid: crypto.randomUUID(),
      sessionId: session,
      message: { role: "user", content: [result] },
      toolUseResult: { stdout, stderr: "", lines: [printed] },
    });
    const [same] = messages(read([row(printed)]));
    expect(same?.content).toBe(printed);
    expect(same?.metadata).toMatchObject({
      row: { toolUseResult: { stdout: { same_as: "content" }, stderr: "", lines: [{ same_as: "content" }] } },
    });
    const [other] = messages(read([row(`${printed}and more`)]));
    expect(other?.metadata).toMatchObject({ row: { toolUseResult: { stdout: `${printed}and more` } } });
  });

  test("gives every message the same id each time, and each its own", () => {
    const ids = messages(read(recorded(`${session}.jsonl`))).map((message) => message.message_id);
    expect(messages(read(recorded(`${session}.jsonl`))).map((message) => message.message_id)).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
    const row = { type: "last-prompt", sessionId: session };
    const twice = messages(read([row, row, { type: "user", uuid: "u", message: { content: "x" } }, row]));
    expect(new Set(twice.map((message) => message.message_id)).size).toBe(4);
  });

  test("of a sub-agent is a conversation of its own that names its session and the call that made it", () => {
    const facts = JSON.parse(recorded(`${agentFile}.meta.json`).join(""));
    const captured = read(recorded(`${agentFile}.jsonl`), new ClaudeCodeReader({ session: "agent", agent: facts }));
    const [begin] = captured;
    expect(begin).toMatchObject({
      begin: {
        session_id: session,
        metadata: { agent_type: "general-purpose", parent_conversation_id: session, parent_tool_use_id: "toolu_task1" },
      },
    });
    expect(begin?.kind === "conversation" && begin.begin.conversation_id).not.toBe(session);
    expect(talk(captured)).toEqual([
      ["user", "SUBAGENT say hi"],
      ["assistant", "Sub agent says hi."],
    ]);
  });

  test("of older versions has its sub-agents between its rows, told apart by their first row", () => {
    const row = (uuid: string, parentUuid: string | null, isSidechain: boolean) => ({
      type: "user",
      uuid,
      parentUuid,
      isSidechain,
      sessionId: session,
      cwd: "/x",
      message: { content: uuid },
    });
    const captured = read([
      row("main", null, false),
      row("a1", null, true),
      row("b1", null, true),
      row("a2", "a1", true),
      row("b2", "b1", true),
    ]);
    const of = (text: string) => captured.find((each) => each.kind === "message" && each.message.content === text);
    const conversation = (text: string) => (of(text) as Captured & { kind: "message" }).conversation;
    expect(conversation("main")).toBe(session);
    expect(conversation("a2")).toBe(conversation("a1"));
    expect(conversation("b2")).toBe(conversation("b1"));
    expect(new Set(["main", "a1", "b1"].map(conversation)).size).toBe(3);
  });

  test("keeps rows and blocks of types that it does not know, and names them", () => {
    const captured = read([
      { type: "from-the-future", sessionId: session, cwd: "/x", uuid: "1", news: { deep: true } },
      { type: "assistant", uuid: "2", message: { content: [{ type: "hologram", data: 1 }] } },
    ]);
    expect(captured.filter((each) => each.kind === "unknown")).toEqual([
      { kind: "unknown", type: "from-the-future" },
      { kind: "unknown", type: "assistant/hologram" },
    ]);
    expect(messages(captured)).toMatchObject([
      { role: "system", content: "[from-the-future]", metadata: { row: { news: { deep: true } } } },
      { role: "assistant", content: "[hologram]", metadata: { block: { data: 1 } } },
    ]);
  });

  test("tells what is broken and goes on", () => {
    const captured = read([
      '{"type":"user",',
      "[]",
      "null",
      { type: "user", sessionId: session, cwd: "/x", message: { content: "after" } },
    ]);
    expect(captured.filter((each) => each.kind === "broken")).toHaveLength(3);
    expect(talk(captured)).toEqual([["user", "after"]]);
  });

  test("has in one row what was pasted, thought and said together", () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } };
    const captured = messages(
      read([
        {
          type: "user",
          uuid: "1",
          cwd: "/x",
          promptId: "p",
          message: { content: [{ type: "text", text: "what is this?" }, image] },
        },
        {
          type: "assistant",
          uuid: "2",
          message: {
            content: [
              { type: "thinking", thinking: "hm", signature: "s" },
              { type: "text", text: "A dot." },
            ],
          },
        },
        { type: "user", uuid: "3", isMeta: true, message: { content: "Caveat" } },
      ]),
    );
    expect(captured.map(({ role, content, metadata }) => [role, content, metadata?.["kind"]])).toEqual([
      ["user", "what is this?", "prompt"],
      ["user", "[image image/png 3 bytes sha256:709e80c88487a241]", "image"],
      ["assistant", "hm", "thinking"],
      ["assistant", "A dot.", "answer"],
      ["system", "Caveat", "meta"],
    ]);
    const sha256 = expect.stringMatching(/^709e80c8/);
    expect(captured[1]?.metadata).toMatchObject({
      block: { source: { media_type: "image/png", data: { bytes: 3, sha256 } } },
    });
  });

  test("that is nested deeper than the store takes is kept as text where it is too deep", () => {
    let deep: unknown = "bottom";
    for (let level = 0; level < 200; level += 1) deep = { deep };
    const [message] = messages(
      read([{ type: "user", uuid: "1", cwd: "/x", toolUseResult: deep, message: { content: "x" } }]),
    );
    expect(JSON.stringify(message?.metadata)).toContain("bottom");
  });

  test("that is nested too deeply to be written as JSON keeps its words", () => {
    for (const [levels, number] of [
      [100_000, "1"],
      [5000, "1.50"],
    ]) {
      const deep = "[".repeat(Number(levels)) + number + "]".repeat(Number(levels));
      const rows = [
        `{"type":"user","uuid":"1","cwd":"/x","toolUseResult":${deep},"message":{"content":"said"}}`,
        `{"type":"user","uuid":"2","cwd":"/x","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":${deep}},{"type":"text","text":"also said"}]}}`,
      ];
      const reader = new ClaudeCodeReader({ session: "s" });
      const found = messages([...rows.flatMap((row) => reader.take(row)), ...reader.end()]);
      expect(found.map(({ content }) => content)).toContain("said");
      expect(found.map(({ content }) => content)).toContain("also said");
      expect(JSON.stringify(found[0]?.metadata)).toContain("nested too deeply");
    }
  });
});
