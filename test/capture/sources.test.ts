import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Captured } from "../../src/capture/captured.ts";
import { filesAt } from "../../src/capture/files.ts";
import { piecesOf, sourcesIn } from "../../src/capture/sources.ts";
import { encodeEntry } from "../../src/proxy/spool/entry.ts";
import type { Entry } from "../../src/proxy/spool/entry.ts";
import { temporaryHome } from "../support/home.ts";
import { zip } from "../support/zip.ts";

async function read(path: string): Promise<Captured[] | undefined> {
  const captured: Captured[] = [];
  for await (const source of sourcesIn(path)) {
    const pieces = piecesOf(source);
    for (;;) {
      const { done, value } = await pieces.next();
      if (done && !value) return undefined;
      if (done) break;
      captured.push(...value.captured);
    }
  }
  return captured;
}

async function readText(text: string | Buffer, name = "file"): Promise<Captured[] | undefined> {
  using home = temporaryHome();
  writeFileSync(join(home.path, name), text);
  return await read(join(home.path, name));
}

const rows = (...values: object[]) => `${values.map((value) => JSON.stringify(value)).join("\n")}\n`;
const said = (captured: Captured[] | undefined) =>
  captured?.flatMap((each) => (each.kind === "message" ? [[each.message.role, each.message.content]] : []));
const begins = (captured: Captured[] | undefined) =>
  captured?.flatMap((each) => (each.kind === "conversation" ? [each.begin] : []));

const codex = [
  {
    timestamp: "2026-01-01T10:00:00.000Z",
    type: "session_meta",
    payload: { id: "01a211db-4eb8-76bf-8bf6-5867dd2e1c33", cwd: "/x", cli_version: "0.169.0", git: { branch: "main" } },
  },
  {
    timestamp: "2026-01-01T10:00:00.000Z",
    type: "response_item",
    payload: {
      type: "message",
      role: "user",
      content: [{ type: "input_text", text: "<environment_context>\n</environment_context>" }],
    },
  },
  {
    timestamp: "2026-01-01T10:00:01.000Z",
    type: "response_item",
    payload: { type: "message", role: "user", content: [{ type: "input_text", text: "list files" }] },
  },
  {
    timestamp: "2026-01-01T10:00:01.000Z",
    type: "event_msg",
    payload: { type: "user_message", message: "list files" },
  },
  { timestamp: "2026-01-01T10:00:02.000Z", type: "turn_context", payload: { model: "gpt-5-codex" } },
  {
    timestamp: "2026-01-01T10:00:03.000Z",
    type: "response_item",
    payload: { type: "reasoning", summary: [{ type: "summary_text", text: "I list" }], encrypted_content: "x" },
  },
  {
    timestamp: "2026-01-01T10:00:04.000Z",
    type: "response_item",
    payload: { type: "function_call", name: "shell", arguments: '{"command":["ls"]}', call_id: "c1" },
  },
  {
    timestamp: "2026-01-01T10:00:05.000Z",
    type: "response_item",
    payload: {
      type: "function_call_output",
      call_id: "c1",
      output: '{"output":"a.txt","metadata":{"exit_code":1,"duration_seconds":0.5}}',
    },
  },
  {
    timestamp: "2026-01-01T10:00:06.000Z",
    type: "response_item",
    payload: { type: "message", role: "assistant", content: [{ type: "output_text", text: "One file." }] },
  },
  { timestamp: "2026-01-01T10:00:06.000Z", type: "response_item", payload: { type: "from_the_future" } },
];

const claude = [
  {
    uuid: "0b9a3a3e-57b4-4b5a-9d55-d2ba5a8b4f10",
    name: "Cats",
    created_at: "2025-01-01T00:00:00.000000Z",
    summary: "about cats",
    chat_messages: [
      {
        uuid: "m1",
        sender: "human",
        text: "hi",
        content: [{ type: "text", text: "hi" }],
        created_at: "2025-01-01T00:00:01.000000Z",
        attachments: [{ file_name: "cat.txt", extracted_content: "miaow" }],
      },
      {
        uuid: "m2",
        sender: "assistant",
        text: "",
        content: [
          { type: "thinking", thinking: "…" },
          { type: "text", text: "Hello." },
        ],
        created_at: "2025-01-01T00:00:02.000000Z",
      },
    ],
  },
];

const chatgpt = [
  {
    title: "Dogs",
    create_time: 1_700_000_000.5,
    conversation_id: "6b9a3a3e-57b4-4b5a-9d55-d2ba5a8b4f10",
    current_node: "c",
    mapping: {
      root: { id: "root", message: null, parent: null, children: ["a"] },
      c: {
        id: "c",
        parent: "a",
        children: [],
        message: {
          author: { role: "assistant" },
          create_time: 1_700_000_003,
          content: { content_type: "text", parts: ["Second answer"] },
          metadata: { model_slug: "gpt-4o" },
        },
      },
      b: {
        id: "b",
        parent: "a",
        children: [],
        message: {
          author: { role: "assistant" },
          create_time: 1_700_000_002,
          content: { content_type: "text", parts: ["First answer"] },
          metadata: {},
        },
      },
      a: {
        id: "a",
        parent: "root",
        children: ["b", "c"],
        message: {
          author: { role: "user" },
          create_time: 1_700_000_001,
          content: {
            content_type: "multimodal_text",
            parts: ["Look", { content_type: "image_asset_pointer", asset_pointer: "file-x" }],
          },
          metadata: {},
        },
      },
    },
  },
];

describe("a source is recognised by its content:", () => {
  test("a session of Codex, in which its events are not taken for talk", async () => {
    const captured = await readText(rows(...codex));
    expect(begins(captured)).toEqual([
      {
        conversation_id: "01a211db-4eb8-76bf-8bf6-5867dd2e1c33",
        session_id: "01a211db-4eb8-76bf-8bf6-5867dd2e1c33",
        created_at: "2026-01-01T10:00:00.000Z",
        metadata: { source: "codex", cwd: "/x", branch: "main", client_version: "0.169.0" },
      },
    ]);
    expect(said(captured)?.filter(([role]) => role !== "system")).toEqual([
      ["user", "list files"],
      ["assistant", "I list"],
      ["assistant", 'shell\ncommand: [\n "ls"\n]'],
      ["tool", "a.txt"],
      ["assistant", "One file."],
    ]);
    const results = captured?.flatMap((each) =>
      each.kind === "message" && each.message.role === "tool" ? [each.message.metadata] : [],
    );
    expect(results).toMatchObject([
      { tool: "shell", outcome: "error", duration_ms: 500, row: { facts: { exit_code: 1 } } },
    ]);
    expect(captured?.filter((each) => each.kind === "unknown")).toEqual([
      { kind: "unknown", type: "response_item/from_the_future" },
    ]);
  });

  test("a session of Codex that calls a server's tool, and a command that fails", async () => {
    // As Codex 0.169 wrote it, without the fields that are never read.
    const item = (timestamp: string, payload: object) => ({ timestamp, ordinal: 1, type: "response_item", payload });
    const captured = await readText(
      rows(
        { timestamp: "2026-11-25T13:01:41.558Z", ordinal: 0, type: "session_meta", payload: { id: "s", cwd: "/x" } },
        { timestamp: "2026-11-25T13:01:41.721Z", ordinal: 4, type: "world_state", payload: { full: true } },
        item("2026-11-25T13:01:42.059Z", {
          type: "function_call",
          name: "dewey_stats",
          namespace: "mcp__dewey",
          arguments: "{}",
          call_id: "call_1",
        }),
        item("2026-11-25T13:01:42.063Z", {
          type: "function_call",
          name: "exec_command",
          arguments: '{"cmd":"false"}',
          call_id: "call_2",
        }),
        { timestamp: "2026-11-25T13:01:42.068Z", ordinal: 13, type: "token_usage_record", payload: {} },
        item("2026-11-25T13:01:42.331Z", {
          type: "function_call_output",
          call_id: "call_1",
          output: 'Wall time: 0.2408 seconds\nOutput:\n{"conversations":3}',
        }),
        item("2026-11-25T13:01:42.516Z", {
          type: "function_call_output",
          call_id: "call_2",
          output: "Chunk ID: b75165\nWall time: 0.0500 seconds\nProcess exited with code 1\nOutput:\n",
        }),
      ),
    );
    const results = captured?.flatMap((each) =>
      each.kind === "message" && each.message.role === "tool" ? [each.message.metadata] : [],
    );
    expect(results).toMatchObject([
      { tool: "mcp__dewey__dewey_stats", outcome: "success", duration_ms: 241 },
      { tool: "exec_command", outcome: "error", duration_ms: 50 },
    ]);
    expect(captured?.filter((each) => each.kind === "unknown")).toEqual([]);
  });

  test("a session of an early Codex, whose items stand bare", async () => {
    const captured = await readText(
      rows(
        { id: "early", timestamp: "2025-05-01T00:00:00Z", instructions: null },
        { type: "message", role: "user", content: [{ type: "input_text", text: "old" }] },
      ),
    );
    expect(begins(captured)).toMatchObject([{ session_id: "early" }]);
    expect(said(captured)).toContainEqual(["user", "old"]);
  });

  test("Claude's data export", async () => {
    const captured = await readText(JSON.stringify(claude), "conversations.json");
    expect(begins(captured)).toMatchObject([
      {
        conversation_id: claude[0]?.uuid,
        created_at: "2025-01-01T00:00:00.000Z",
        metadata: { title: "Cats", row: { summary: "about cats" } },
      },
    ]);
    expect(said(captured)).toEqual([
      ["system", "about cats"],
      ["user", "hi\n\n[file cat.txt]\nmiaow"],
      ["assistant", "…"],
      ["assistant", "Hello."],
      ["system", "Cats"],
    ]);
  });

  test("ChatGPT's data export, with regenerated answers marked", async () => {
    const captured = await readText(JSON.stringify(chatgpt, null, 1));
    expect(said(captured)).toEqual([
      ["user", "Look\n\n[image_asset_pointer]"],
      ["assistant", "First answer"],
      ["assistant", "Second answer"],
      ["system", "Dogs"],
    ]);
    const metadata = captured?.flatMap((each) => (each.kind === "message" ? [each.message.metadata] : []));
    expect(metadata).toMatchObject([
      { source: "chatgpt", row: { content: { parts: [{ asset_pointer: "file-x" }] } } },
      { abandoned: true },
      { model: "gpt-4o" },
      { kind: "title", bookkeeping: true },
    ]);
    expect(metadata?.[2]).not.toHaveProperty("abandoned");
  });

  test("either of them in a zip, among whatever else is there", async () => {
    const files = { "users.json": "[]", "chat.html": "<html>", "nested/conversations.json": JSON.stringify(claude) };
    expect(said(await readText(zip(files)))).toHaveLength(5);
    const parts = {
      "conversations-000.json": JSON.stringify(chatgpt),
      "conversations-001.json": JSON.stringify(chatgpt),
    };
    expect(said(await readText(zip(parts)))).toHaveLength(8);
  });

  test("a piece of a proxy's spool, up to where it is torn", async () => {
    const session = Bun.randomUUIDv7();
    const frame = (sequence: number, direction: "up" | "down", message: object): Entry => ({
      kind: "frame",
      session,
      sequence,
      direction,
      time: 1_700_000_000_000 + sequence,
      frame: JSON.stringify({ jsonrpc: "2.0", id: 1, ...message }),
    });
    const entries: Entry[] = [
      { kind: "open", session, time: 1_700_000_000_000, upstream: "up", record: "calls", wire: "stdio" },
      frame(1, "up", { method: "tools/call", params: { name: "echo", arguments: { text: "x" } } }),
      frame(2, "down", { result: { content: [{ type: "text", text: "x" }] } }),
    ];
    const bytes = Buffer.concat([
      ...entries.map(encodeEntry),
      encodeEntry(frame(3, "up", { method: "ping" })).subarray(0, 20),
    ]);
    const captured = await readText(bytes);
    expect(begins(captured)).toMatchObject([{ conversation_id: session, metadata: { upstream: "up" } }]);
    expect(said(captured)).toContainEqual(["user", "echo\ntext: x"]);
    expect(said(captured)).toContainEqual(["assistant", "x"]);
  });

  test("and nothing else is taken for any of them", async () => {
    for (const text of [
      "",
      "hello",
      "{}",
      "[1,2]",
      '[{"a":1}]',
      '{"type":"x"}\n',
      zip({ "conversations.json": "{}" }),
    ]) {
      expect(await readText(text)).toBeUndefined();
    }
  });
});

test("of a folder the files that may be sources are found, however deep, in the order of their names", async () => {
  using home = temporaryHome();
  mkdirSync(join(home.path, "b/c"), { recursive: true });
  for (const name of ["b/c/2.jsonl", "a.jsonl", "b/notes.txt", "b/conversations.json"])
    writeFileSync(join(home.path, name), "x");
  expect((await filesAt(home.path)).files.map((file) => file.path.slice(home.path.length + 1))).toEqual([
    "a.jsonl",
    "b/c/2.jsonl",
    "b/conversations.json",
  ]);
});
