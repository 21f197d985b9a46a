import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ConversationList } from "../../src/store/conversations.ts";
import type { SearchReply } from "../../src/store/search/search.ts";
import type { Store } from "../../src/store/store.ts";
import { call, importFiles, jsonLines, sqlite } from "../support/imports.ts";
import { engines, testStore } from "../support/postgres.ts";

// Sessions of every agent, imported twice: all are stored, listed under their client, and found.

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");
let store: Store & AsyncDisposable;
beforeAll(async () => {
  store = await testStore(engine);
});
afterAll(() => store[Symbol.asyncDispose]());

const time = "2025-03-01T10:00:00.000Z";
const ms = Date.parse(time);
const sessionId = (digit: number) => `0000000${digit}-4eb8-76bf-8bf6-5867dd2e1c33`;
const text = (value: string) => [{ type: "text", text: value }];
const webRow = (type: string, content: unknown) => ({
  type,
  uuid: crypto.randomUUID(),
  sessionId: sessionId(1),
  timestamp: time,
  message: { role: type, content },
});
const openCodeSession = { id: "ses_1", title: "Cats", directory: "/work", time: { created: ms } };

/** A prompt with a word of its own in the form of each client. */
const files: Record<string, string | Uint8Array> = {
  "web.json": JSON.stringify(
    { loglines: [webRow("user", "look at WEBLYNX"), webRow("assistant", text("seen"))] },
    null,
    2,
  ),
  "gemini/session-1.jsonl": jsonLines(
    { sessionId: sessionId(2), projectHash: "h", startTime: time },
    { id: "u", type: "user", timestamp: time, content: "look at GEMINILYNX" },
  ),
  "qwen.jsonl": jsonLines({
    uuid: "1",
    sessionId: sessionId(3),
    timestamp: time,
    type: "user",
    message: { role: "user", parts: [{ text: "look at QWENLYNX" }] },
  }),
  "opencode.json": JSON.stringify({
    info: openCodeSession,
    messages: [{ info: { id: "msg_1", role: "user" }, parts: [{ id: "prt_1", ...text("look at OPENLYNX")[0] }] }],
  }),
  "copilot/events.jsonl": jsonLines(
    { type: "session.start", timestamp: time, data: { sessionId: sessionId(4) } },
    { type: "user.message", id: "1", timestamp: time, data: { content: "look at COPILOTLYNX" } },
  ),
  "vscode.json": JSON.stringify({
    version: 3,
    sessionId: sessionId(5),
    creationDate: ms,
    requests: [
      { requestId: "r", timestamp: ms, message: { text: "look at EDITORLYNX" }, response: [{ value: "seen" }] },
    ],
  }),
  "state.vscdb": sqlite({
    cursorDiskKV: [
      {
        key: `composerData:${sessionId(6)}`,
        value: JSON.stringify({ createdAt: ms, fullConversationHeadersOnly: [{ bubbleId: "b" }] }),
      },
      { key: `bubbleId:${sessionId(6)}:b`, value: JSON.stringify({ type: 1, text: "look at CURSORLYNX" }) },
    ],
  }),
  "tasks/1/ui_messages.json": JSON.stringify([{ ts: ms, type: "say", say: "text", text: "look at CLINELYNX" }]),
  "goose.jsonl": jsonLines(
    { working_dir: "/work", description: "Cats", message_count: 1 },
    { role: "user", created: ms / 1000, content: text("look at GOOSELYNX") },
  ),
  "threads.db": sqlite({
    threads: [
      {
        id: sessionId(7),
        summary: "Cats",
        updated_at: time,
        data_type: "json",
        data: JSON.stringify({ messages: [{ User: { id: "u", content: [{ Text: "look at ZEDLYNX" }] } }] }),
      },
    ],
  }),
  "pi.jsonl": jsonLines(
    { type: "session", id: sessionId(8), timestamp: time, cwd: "/work" },
    { type: "message", id: "1", parentId: null, timestamp: time, message: { role: "user", content: "look at PILYNX" } },
  ),
  "T-1.json": JSON.stringify({
    id: `T-${sessionId(9)}`,
    created: ms,
    messages: [{ role: "user", messageId: 0, content: text("look at AMPLYNX") }],
  }),
};
const clients = {
  WEBLYNX: "claude-code",
  GEMINILYNX: "gemini",
  QWENLYNX: "qwen-code",
  OPENLYNX: "opencode",
  COPILOTLYNX: "copilot",
  EDITORLYNX: "vscode-chat",
  CURSORLYNX: "cursor",
  CLINELYNX: "cline",
  GOOSELYNX: "goose",
  ZEDLYNX: "zed",
  PILYNX: "pi",
  AMPLYNX: "amp",
};

test("a log of prompts adds nothing to a session that is there, and is all that is left of one that is gone", async () => {
  const [here, gone] = [crypto.randomUUID(), crypto.randomUUID()];
  const log = (session: string, messageId: number, message: string) => ({
    sessionId: session,
    messageId,
    type: "user",
    message,
    timestamp: time,
  });
  const past = (session_id: string, prompt: string) => ({ session_id, ts: ms / 1000, text: prompt });
  const codexHere = crypto.randomUUID();
  const given = {
    "x/chats/session-1.jsonl": jsonLines(
      { sessionId: here, projectHash: "h", startTime: time },
      { id: "u", type: "user", timestamp: time, content: "look at PUMA" },
    ),
    "x/logs.json": JSON.stringify([
      log(here, 0, "look at PUMA"),
      log(gone, 0, "look at GONEPUMA"),
      log(gone, 1, "again"),
    ]),
    "rollout.jsonl": jsonLines(
      { timestamp: time, type: "session_meta", payload: { id: codexHere, timestamp: time } },
      {
        timestamp: time,
        type: "response_item",
        payload: { type: "message", role: "user", content: [{ type: "input_text", text: "look at TIGER" }] },
      },
    ),
    "history.jsonl": jsonLines(past(codexHere, "look at TIGER"), past(crypto.randomUUID(), "look at GONETIGER")),
  };
  const first = await importFiles(store, given);
  for (const word of ["PUMA", "GONEPUMA", "TIGER", "GONETIGER"]) {
    const { results } = (await call(store, "dewey_search", { query: word })) as unknown as SearchReply;
    expect(results.map(({ content }) => content)).toEqual([`look at ${word}`]);
  }
  const second = await importFiles(store, given);
  expect([second.stored, second.known]).toEqual([0, first.stored + first.known]);
});

test("sessions of every agent are stored once, listed under their client with their own time, and found", async () => {
  const listed = async () =>
    (await call(store, "dewey_list_conversations", { limit: 100 })) as unknown as ConversationList;
  const before = await listed();
  const first = await importFiles(store, files);
  const second = await importFiles(store, files);
  expect([second.stored, second.known, second.versions]).toEqual([0, first.stored, 0]);
  const list = await listed();
  expect(list.total - before.total).toBe(Object.keys(clients).length);
  for (const [word, client] of Object.entries(clients)) {
    const { results } = (await call(store, "dewey_search", { query: word })) as unknown as SearchReply;
    expect(results.map(({ content }) => content)).toEqual([`look at ${word}`]);
    const conversation = list.conversations.find((each) => each.id === results[0]?.conversation_id);
    expect(conversation).toMatchObject({ client, created_at: time });
  }
});
