import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ConversationList } from "../../src/store/conversations.ts";
import type { ConversationPage } from "../../src/store/page.ts";
import type { SearchReply } from "../../src/store/search/search.ts";
import type { Store } from "../../src/store/store.ts";
import { call, importFiles, jsonLines } from "../support/imports.ts";
import { engines, testStore } from "../support/postgres.ts";

// What becomes of transcripts in the store: read, imported through the tools, and read back.

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");
let store: Store & AsyncDisposable;
beforeAll(async () => {
  store = await testStore(engine);
});
afterAll(() => store[Symbol.asyncDispose]());

const page = async (conversation_id: string, more: object = {}) =>
  (await call(store, "dewey_get_conversation", { conversation_id, ...more })) as unknown as ConversationPage;
const contents = async (id: string, more: object = {}) => (await page(id, more)).messages.map(({ content }) => content);
const listed = async (session_id: string) =>
  ((await call(store, "dewey_list_conversations", { session_id })) as unknown as ConversationList).conversations;
const found = async (query: string, more: object = {}) =>
  ((await call(store, "dewey_search", { query, ...more })) as unknown as SearchReply).results;

const at = (second: number) => `2025-03-01T10:00:${String(second).padStart(2, "0")}.000Z`;

/** The rows of a session of Claude Code. Ids are unique everywhere, as the client's are. */
function session(id: string = crypto.randomUUID()) {
  let second = 0;
  const row = (type: string, content: unknown, more: object = {}) => {
    second += 1;
    const common = { uuid: crypto.randomUUID(), sessionId: id, cwd: "/work", timestamp: at(second) };
    return { type, ...common, message: { role: type, content }, ...more };
  };
  return {
    id,
    user: (content: unknown, more: object = {}) => row("user", content, { promptId: crypto.randomUUID(), ...more }),
    answer: (text: string, more: object = {}) => row("assistant", [{ type: "text", text }], more),
    note: (type: string, more: object) => ({ type, sessionId: id, ...more }),
  };
}

describe("a session of Claude Code", () => {
  test("has the time of its first and last message, and a title by its first prompt", async () => {
    const { id, user, answer, note } = session();
    await importFiles(store, {
      [`${id}.jsonl`]: jsonLines(
        note("file-history-snapshot", { snapshot: {} }),
        user("<local-command-stdout>ok</local-command-stdout>"),
        user("please\n explain   the tide"),
        answer("The moon does it."),
        note("last-prompt", { lastPrompt: "x", timestamp: "2025-04-01T00:00:00Z" }),
      ),
    });
    expect(await listed(id)).toMatchObject([
      {
        title: "please explain the tide",
        title_source: "prompt",
        client: "claude-code",
        folder: "/work",
        created_at: at(1),
        updated_at: at(3),
        message_count: 3,
      },
    ]);
    expect((await page(id)).messages.map(({ role, kind }) => [role, kind])).toEqual([
      ["system", "command-output"],
      ["user", "prompt"],
      ["assistant", "answer"],
    ]);
    expect(await contents(id, { everything: true })).toHaveLength(5);
  });

  test("keeps both results of an interrupted call, and a second text of one row, and says so", async () => {
    const { id, user, answer } = session();
    const thinking = (text: string, uuid: string) => ({
      ...answer(""),
      uuid,
      message: { content: [{ type: "thinking", thinking: text }] },
    });
    const result = (text: string) =>
      user([{ type: "tool_result", tool_use_id: "toolu_0123456789012345678901", content: text }]);
    const uuid = crypto.randomUUID();
    const rows = [
      user("go"),
      thinking("one", uuid),
      thinking("one and two BILBYLINE", uuid),
      result("[Request interrupted by user for tool use]"),
      result("real output WOMBATLINE"),
    ];
    const files = { [`${id}.jsonl`]: jsonLines(...rows) };
    const first = await importFiles(store, files);
    expect([first.stored, first.versions]).toEqual([3, 2]);
    expect(await found("BILBYLINE")).toHaveLength(1);
    expect(await found("WOMBATLINE")).toHaveLength(1);
    const second = await importFiles(store, files);
    expect([second.stored, second.known, second.versions]).toEqual([0, 5, 0]);
  });

  test("that is imported as it grows keeps a text that a known row gets later", async () => {
    const { id, user } = session();
    const row = user("draft");
    await importFiles(store, { [`${id}.jsonl`]: jsonLines(row) });
    const later = await importFiles(store, {
      [`${id}.jsonl`]: jsonLines({ ...row, message: { content: "final NUMBATLINE" } }),
    });
    expect([later.stored, later.versions]).toEqual([0, 1]);
    expect(await contents(id)).toEqual(["draft", "final NUMBATLINE"]);
  });

  test("that is compacted twice has each row once", async () => {
    const { id, user, answer } = session();
    const talk = [user("p1"), answer("a1"), user("p2"), answer("a2")];
    const boundary = { type: "system", subtype: "compact_boundary", content: "Conversation compacted", sessionId: id };
    const again = talk.map((row) => ({ ...row, promptId: "one-for-all" }));
    await importFiles(store, {
      [`${id}.jsonl`]: jsonLines(...talk, { ...boundary, uuid: crypto.randomUUID() }, ...again, user("p3")),
    });
    expect(await contents(id)).toEqual(["p1", "a1", "p2", "a2", "Conversation compacted", "p3"]);
  });

  test("that was wound back shows the branch that it went on with, and marks the other", async () => {
    const { id, user, answer } = session();
    const first = user("p1", { parentUuid: null });
    const reply = answer("a1", { parentUuid: first.uuid });
    const left = user("left", { parentUuid: reply.uuid });
    const leftReply = answer("left reply", { parentUuid: left.uuid });
    const taken = user("taken", { parentUuid: reply.uuid });
    const rows = [first, reply, left, leftReply, taken];
    await importFiles(store, { [`${id}.jsonl`]: jsonLines(...rows) });
    expect(await contents(id)).toEqual(["p1", "a1", "taken"]);
    const all = await page(id, { everything: true });
    expect(all.messages.map((each) => each.abandoned ?? false)).toEqual([false, false, true, true, false]);
    // Gone back to, it is current again.
    await importFiles(store, {
      [`${id}.jsonl`]: jsonLines(...rows, user("back", { parentUuid: leftReply.uuid })),
    });
    expect(await contents(id)).toEqual(["p1", "a1", "left", "left reply", "back"]);
  });

  test("is told by its client's title, which a person's replaces for good", async () => {
    const { id, user, note } = session();
    const named = [user("hello"), note("ai-title", { aiTitle: "Greeting DINGOTITLE" })];
    await importFiles(store, { [`${id}.jsonl`]: jsonLines(...named) });
    expect((await listed(id))[0]).toMatchObject({ title: "Greeting DINGOTITLE", title_source: "client" });
    // The title is found, though it is no message of the talk.
    expect((await found("DINGOTITLE"))[0]).toMatchObject({ conversation_id: id, title: "Greeting DINGOTITLE" });
    await call(store, "dewey_update_conversation", { conversation_id: id, title: "Mine" });
    await importFiles(store, { [`${id}.jsonl`]: jsonLines(...named, note("ai-title", { aiTitle: "Another" })) });
    expect((await listed(id))[0]).toMatchObject({ title: "Mine", title_source: "person" });
  });

  test("gets the title that the summary in another session's file gives it, whichever comes first", async () => {
    for (const order of [0, 1]) {
      const [one, other] = [session(), session()];
      const [prompt, leaf] = [one.user("q"), one.answer("the last row")];
      const files = [
        [`${one.id}.jsonl`, jsonLines(prompt, leaf)] as const,
        [
          `${other.id}.jsonl`,
          jsonLines({ type: "summary", summary: "About tides", leafUuid: leaf.uuid }, other.user("x")),
        ] as const,
      ];
      await importFiles(store, Object.fromEntries(order === 0 ? files : files.toReversed()));
      expect((await listed(one.id))[0]).toMatchObject({ title: "About tides" });
      expect((await listed(other.id))[0]).toMatchObject({ title: "x" });
    }
  });
});

describe("a copy", () => {
  test("of a session's rows in a fork is stored once, with the session, whichever file comes first", async () => {
    for (const order of [0, 1]) {
      const [origin, fork] = [session(), session()];
      const word = `OPOSSUM${order}`;
      const rows = [origin.user("p1"), origin.answer(word)];
      const copies = rows.map((row) => ({
        ...row,
        sessionId: fork.id,
        forkedFrom: { sessionId: origin.id, messageUuid: row.uuid },
      }));
      const files = [
        [`${origin.id}.jsonl`, jsonLines(...rows)] as const,
        [`${fork.id}.jsonl`, jsonLines(...copies, fork.user("own"))] as const,
      ];
      await importFiles(store, Object.fromEntries(order === 0 ? files : files.toReversed()));
      expect((await found(word)).map((hit) => hit.conversation_id)).toEqual([origin.id]);
      expect(await contents(origin.id)).toEqual(["p1", word]);
      expect(await page(fork.id)).toMatchObject({ forked_from: origin.id, messages: [{ content: "own" }] });
      expect((await page(origin.id)).related).toMatchObject([{ id: fork.id, relation: "fork" }]);
    }
  });

  test("in a session that was resumed under another id, and does not say so, is stored once and linked", async () => {
    const [origin, resumed] = [session(), session()];
    const rows = [origin.user("p1"), origin.answer("PADEMELON")];
    await importFiles(store, {
      [`${origin.id}.jsonl`]: jsonLines(...rows),
      [`${resumed.id}.jsonl`]: jsonLines(...rows.map((row) => ({ ...row, sessionId: resumed.id })), resumed.user("p2")),
    });
    expect(await found("PADEMELON")).toHaveLength(1);
    expect(await page(resumed.id)).toMatchObject({ forked_from: origin.id, messages: [{ content: "p2" }] });
  });

  test("that a compaction's agent makes of its whole session is recognised", async () => {
    const { id, user, answer } = session();
    const rows = [user("p1"), answer("QUOLL")];
    const agentId = "acompact-1f2e";
    await importFiles(store, {
      [`${id}.jsonl`]: jsonLines(...rows),
      [`${id}/subagents/agent-${agentId}.jsonl`]: jsonLines(
        ...rows.map((row) => ({ ...row, agentId, isSidechain: true })),
      ),
    });
    expect(await found("QUOLL")).toHaveLength(1);
    expect(await listed(id)).toHaveLength(1);
  });
});

test("sub-agents are linked to the call that started them, also in workflows and without a file of facts", async () => {
  const { id, user, answer } = session();
  const started = (tool_use_id: string, agentId: string) =>
    user([{ type: "tool_result", tool_use_id, content: "done" }], { toolUseResult: { agentId } });
  const agent = (agentId: string) =>
    jsonLines({ ...user(`task ${agentId}`), agentId, isSidechain: true }, answer("ok"));
  await importFiles(store, {
    [`${id}.jsonl`]: jsonLines(user("go"), started("t1", "a1"), started("t2", "a2")),
    [`${id}/subagents/agent-a1.jsonl`]: agent("a1"),
    [`${id}/subagents/workflows/wf_1/agent-a2.jsonl`]: agent("a2"),
  });
  const agents = (await listed(id)).filter((each) => each.id !== id);
  const links = agents.map((each) => `${each.title} by ${String(each.metadata?.["parent_tool_use_id"])}`);
  expect(links.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["task a1 by t1", "task a2 by t2"]);
  expect(agents.map((each) => each.parent_id)).toEqual([id, id]);
  expect((await page(id)).related?.map((each) => each.relation)).toEqual(["sub-agent", "sub-agent"]);
});

describe("a session of Codex", () => {
  const meta = (id: string, second: number, more: object = {}) => ({
    timestamp: at(second),
    type: "session_meta",
    payload: { id, timestamp: at(second), cwd: "/work", cli_version: "0.171", ...more },
  });
  const said = (role: string, text: string, second: number) => ({
    timestamp: at(second),
    type: "response_item",
    payload: { type: "message", role, content: [{ type: "input_text", text }] },
  });

  test("that was forked, or is a sub-agent's, has its parent's rows once, whichever file comes first", async () => {
    for (const [order, kind] of [
      [0, "fork"],
      [1, "fork"],
      [0, "agent"],
      [1, "agent"],
    ] as const) {
      const [parent, child] = [crypto.randomUUID(), crypto.randomUUID()];
      const word = `CASSOWARY${order}${kind}`;
      const rows = [meta(parent, 0), said("user", "p1", 1), said("assistant", word, 2)];
      const own =
        kind === "fork" ? { forked_from_id: parent } : { parent_thread_id: parent, thread_source: "subagent" };
      const files = [
        [`rollout-a-${parent}.jsonl`, jsonLines(...rows)] as const,
        [`rollout-b-${child}.jsonl`, jsonLines(meta(child, 10, own), ...rows, said("user", "own", 30))] as const,
      ];
      await importFiles(store, Object.fromEntries(order === 0 ? files : files.toReversed()));
      expect((await found(word)).map((hit) => hit.conversation_id)).toEqual([parent]);
      expect(await contents(child)).toEqual(["own"]);
      const link = kind === "fork" ? { forked_from: parent } : { parent_id: parent };
      expect(await page(child)).toMatchObject(link);
    }
  });

  test("whose copies have times of their own is stored once too", async () => {
    const [parent, child] = [crypto.randomUUID(), crypto.randomUUID()];
    await importFiles(store, {
      "a.jsonl": jsonLines(meta(parent, 0), said("user", "p1", 1), said("assistant", "EMULINE", 2)),
      "b.jsonl": jsonLines(
        meta(child, 20, { forked_from_id: parent }),
        { ...meta(parent, 0), timestamp: at(20) },
        said("user", "p1", 20),
        said("assistant", "EMULINE", 20),
        said("user", "own", 40),
      ),
    });
    expect(await found("EMULINE")).toHaveLength(1);
    expect(await contents(child)).toEqual(["own"]);
  });
});

describe("the name of a session of Codex", () => {
  const row = (type: string, payload: object, second = 1) => ({ timestamp: at(second), type, payload });
  const content = [{ type: "input_text", text: "hello" }];
  const rollout = (id: string, ...more: object[]) =>
    jsonLines(
      row("session_meta", { id, timestamp: at(0) }),
      row("response_item", { type: "message", role: "user", content }),
      ...more,
    );
  const named = (id: string, thread_name: string) => ({ id, thread_name, updated_at: at(9) });
  const shown = async (id: string) => ({ ...(await page(id)), ...(await listed(id))[0] });

  test("is the last one in its client's index, and is found by search, whichever file is read first", async () => {
    const orders = {
      TAPIRNAME: ["rollout.jsonl", "history.jsonl", "session_index.jsonl"],
      MARKHORTITLE: ["session_index.jsonl", "rollout.jsonl", "history.jsonl"],
    };
    for (const [word, order] of Object.entries(orders)) {
      const id = crypto.randomUUID();
      const files: Record<string, string> = {
        "rollout.jsonl": rollout(id),
        "history.jsonl": jsonLines({ session_id: id, ts: Date.parse(at(1)) / 1000, text: "hello" }),
        "session_index.jsonl": jsonLines(
          named(id, "first"),
          named(crypto.randomUUID(), `${word} of another that is gone`),
          named(id, `${word} at last`),
        ),
      };
      await importFiles(store, Object.fromEntries(order.map((name) => [name, files[name] ?? ""])));
      expect(await shown(id)).toMatchObject({
        title: `${word} at last`,
        title_source: "client",
        message_count: 1,
        updated_at: at(1),
      });
      expect((await found(word)).map((hit) => [hit.conversation_id, hit.content])).toEqual([[id, `${word} at last`]]);
      expect(await contents(id)).toEqual(["hello"]);
    }
  });

  test("is told in its own file too, where a fork repeats that of its parent", async () => {
    const [parent, child] = [crypto.randomUUID(), crypto.randomUUID()];
    const name = (thread_id: string, thread_name: string, second: number) =>
      row("event_msg", { type: "thread_name_updated", thread_id, thread_name }, second);
    await importFiles(store, {
      "1.jsonl": rollout(parent, name(parent, "Of the parent", 2)),
      "2.jsonl": jsonLines(
        row("session_meta", { id: child, timestamp: at(20), forked_from_id: parent }, 20),
        row("response_item", { type: "message", role: "user", content }, 20),
        name(parent, "Of the parent", 20),
        row("response_item", { type: "message", role: "user", content: [{ type: "input_text", text: "own" }] }, 40),
      ),
    });
    expect(await shown(parent)).toMatchObject({ title: "Of the parent", title_source: "client" });
    expect(await shown(child)).toMatchObject({ title: "own", title_source: "prompt" });
  });
});

test("a later export of ChatGPT moves the current branch", async () => {
  const id = crypto.randomUUID();
  const node = (name: string, parent: string | null, children: string[], role: string, text: string) => ({
    [name]: {
      id: name,
      parent,
      children,
      message: { author: { role }, create_time: 1_700_000_000, content: { content_type: "text", parts: [text] } },
    },
  });
  const exported = (current_node: string, more: object, firstChildren: string[], title = "Dogs") =>
    JSON.stringify([
      {
        title,
        conversation_id: id,
        current_node,
        mapping: { ...node("q", null, firstChildren, "user", "Q"), ...more },
      },
    ]);
  const old = node("a", "q", [], "assistant", "old answer");
  await importFiles(store, { "conversations.json": exported("a", old, ["a"]) });
  expect(await contents(id)).toEqual(["Q", "old answer"]);
  const both = { ...old, ...node("b", "q", [], "assistant", "new answer") };
  await importFiles(store, { "conversations.json": exported("b", both, ["a", "b"], "Dogs and cats") });
  expect(await contents(id)).toEqual(["Q", "new answer"]);
  expect(await page(id)).toMatchObject({ title: "Dogs and cats", created_at: "2023-11-14T22:13:20.000Z" });
  await importFiles(store, { "conversations.json": exported("a", both, ["a", "b"]) });
  expect(await contents(id)).toEqual(["Q", "old answer"]);
});

test("prompts of a history are taken where their session is gone, and only there", async () => {
  const [gone, kept] = [session(), session()];
  const line = (sessionId: string, display: string) => ({
    display,
    project: "/work",
    sessionId,
    timestamp: 1_740_823_200_000,
  });
  const files = {
    "history.jsonl": jsonLines(line(gone.id, "prompt of the GONE"), line(kept.id, "asked")),
    [`projects/-work/${kept.id}.jsonl`]: jsonLines(kept.user("asked")),
  };
  await importFiles(store, files);
  expect(await contents(gone.id)).toEqual(["prompt of the GONE"]);
  expect(await contents(kept.id)).toEqual(["asked"]);
  // It is stored by now, though its transcript is gone.
  await importFiles(store, { "history.jsonl": files["history.jsonl"] });
  expect(await contents(kept.id)).toEqual(["asked"]);
});
