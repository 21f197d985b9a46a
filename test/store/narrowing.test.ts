import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { boundOf, beginningOf, endOf } from "../../src/moment.ts";
import { MS_PER_DAY } from "../../src/units.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

interface Said {
  content: string;
  role?: string;
  metadata?: Record<string, unknown>;
  created_at?: string;
}

for (const engine of engines) {
  describe(`narrowing on ${engine.name}`, () => {
    let store: Store;
    const ids: Record<string, string> = {};
    beforeAll(async () => {
      store = await testStore(engine);
      const say = async (name: string, metadata: Record<string, unknown>, messages: Said[]) => {
        const { conversation_id } = await store.conversations.begin({ metadata });
        for (const { content, role = "user", ...rest } of messages)
          await store.messages.store({ conversation_id, role, content, ...rest });
        ids[name] = conversation_id;
      };
      const call = (tool: string, kind: string, outcome?: string) => ({ tool, kind, ...(outcome ? { outcome } : {}) });
      await say(
        "dewey",
        { client_name: "claude-code", cwd: "/home/ana/dewey", branch: "Main", title: "A flaky test" },
        [
          { content: "quartz prompt", metadata: { kind: "prompt" }, created_at: "2024-01-01T00:00:00Z" },
          { content: "quartz call", role: "assistant", metadata: call("Bash", "tool_use") },
          { content: "quartz broke", role: "tool", metadata: call("Bash", "tool_result", "error") },
        ],
      );
      await say("other", { client_name: "codex", cwd: "/home/ana/other", branch: "topic", title: "It's 100% \\done" }, [
        { content: "quartz shell", role: "assistant", metadata: call("bash", "tool_use") },
        { content: "quartz went well", role: "tool", metadata: call("bash", "tool_result", "success") },
      ]);
      await say("recorded", { source: "proxy", upstream: "Files" }, [
        { content: "quartz read", metadata: { source: "proxy", upstream: "Files", tool: "read_file" } },
        { content: "quartz heartbeat", metadata: { kind: "heartbeat", bookkeeping: true } },
      ]);
    });
    afterAll(() => store.close());

    const search = (narrowing: object, query = "quartz") =>
      store.search.find({ query, limit: 100, offset: 0, ...narrowing });
    const list = (narrowing: object) =>
      store.conversations.list({ limit: 100, offset: 0, sort_by: "updated_at", ...narrowing });
    /** What a search finds, with and without words, in order; and the names of the conversations that a list shows. */
    const found = async (narrowing: object) => {
      const [worded, wordless, listed] = await Promise.all([search(narrowing), search(narrowing, ""), list(narrowing)]);
      const contents = worded.results.map(({ content }) => content.replace("quartz ", "")).toSorted();
      expect(wordless.results.map(({ content }) => content.replace("quartz ", "")).toSorted()).toEqual(contents);
      expect([worded.total, wordless.total]).toEqual([contents.length, contents.length]);
      const named = Object.keys(ids).filter((name) => listed.conversations.some(({ id }) => id === ids[name]));
      expect(listed.total).toBe(named.length);
      return { contents, named };
    };

    test("by a tool takes its calls and results, whatever the case of its name", async () => {
      expect(await found({ tool: "BASH" })).toEqual({
        contents: ["broke", "call", "shell", "went well"],
        named: ["dewey", "other"],
      });
      expect(await found({ tool: "read_file" })).toEqual({ contents: ["read"], named: ["recorded"] });
    });

    test("by errors takes calls that failed", async () => {
      expect(await found({ errors: true })).toEqual({ contents: ["broke"], named: ["dewey"] });
      expect(await found({ errors: true, client: "codex" })).toEqual({ contents: [], named: [] });
    });

    test("by a kind takes what messages are, bookkeeping too", async () => {
      expect(await found({ kind: "Tool-Use" })).toEqual({ contents: ["call", "shell"], named: ["dewey", "other"] });
      expect(await found({ kind: "heartbeat" })).toEqual({ contents: ["heartbeat"], named: ["recorded"] });
    });

    test("lists conversations in which one message meets all that is asked of messages", async () => {
      expect((await found({ kind: "tool_use", errors: true })).named).toEqual([]);
      expect((await found({ kind: "tool_result", tool: "bash", errors: true })).named).toEqual(["dewey"]);
    });

    test("by client, upstream, branch and folder takes the conversations of that name", async () => {
      expect((await found({ client: "Codex" })).named).toEqual(["other"]);
      expect((await found({ upstream: "files" })).named).toEqual(["recorded"]);
      expect((await found({ branch: "main" })).named).toEqual(["dewey"]);
      expect((await found({ folder: "ana" })).named).toEqual(["dewey", "other"]);
      expect((await found({ folder: "ana", branch: "topic" })).contents).toEqual(["shell", "went well"]);
    });

    test("by a folder finds it among more than are looked through", async () => {
      const connection = await emptyDatabase(engine);
      await using crowded = await testStore(engine, { connection });
      await using sql = connect(connection);
      await sql`insert into conversations (folder) select '/tmp/run-' || n from generate_series(1, 11000) n`;
      const { conversation_id } = await crowded.conversations.begin({ metadata: { cwd: "/usr/Zed\\it's/" } });
      await crowded.messages.store({
        conversation_id,
        role: "user",
        content: "quartz",
        metadata: { cwd: "/usr/Zed\\it's/" },
      });
      for (const folder of ["it's", "/usr", "zed", "/USR/zed/it's", "Zed\\it's/"]) {
        const narrowed = { folder, limit: 5, offset: 0 };
        const { conversations } = await crowded.conversations.list({ ...narrowed, sort_by: "updated_at" });
        expect([folder, conversations.map(({ id }) => id)]).toEqual([folder, [conversation_id]]);
        expect((await crowded.search.find({ ...narrowed, query: "quartz" })).total).toBe(1);
        expect((await crowded.search.find({ ...narrowed, query: "" })).total).toBe(1);
      }
      for (const folder of ["/us", "ed", "%", "/zed"])
        expect((await crowded.search.find({ folder, limit: 5, offset: 0, query: "quartz" })).total).toBe(0);
    });

    test("by a title takes those with words that begin so, whatever signs stand around them", async () => {
      for (const title of ["flaky", "TEST fla", "a-flaky", "flaky, test!"])
        expect((await found({ title })).named).toEqual(["dewey"]);
      for (const title of ["it's", "100%", "\\done"]) expect((await found({ title })).named).toEqual(["other"]);
      for (const title of ["laky", "flaky done", "!", "'", "\\"]) expect((await found({ title })).named).toEqual([]);
    });

    test("by a title follows a new one", async () => {
      const conversation_id = ids["recorded"] ?? "";
      await store.conversations.update({ conversation_id, title: "Renamed basalt" });
      expect((await found({ title: "basalt" })).named).toEqual(["recorded"]);
      await store.conversations.update({ conversation_id, title: "Renamed again" });
      expect((await found({ title: "basalt" })).named).toEqual([]);
    });

    test("by a time counts from now, on later pages from the first", async () => {
      const since = (text: string) => ({ start_date: boundOf(text, beginningOf, "utc") });
      expect((await found(since("3d"))).contents).not.toContain("prompt");
      expect((await found({ end_date: boundOf("yesterday", endOf, "utc") })).contents).toEqual(["prompt"]);
      const asked = new Set<number>();
      const moving = {
        written: "3d",
        at: (now: Date) => (asked.add(now.getTime()), new Date(now.getTime() - MS_PER_DAY)),
      };
      const page = { query: "quartz", offset: 0, start_date: moving };
      const first = await store.search.find({ ...page, limit: 2 });
      const rest = await store.search.find({ ...page, limit: 100, cursor: first.next_cursor });
      expect(first.results.length + rest.results.length).toBe(first.total);
      expect(asked.size).toBe(1);
    });

    test("that finds nothing says which filters nothing meets, and the names that there are", async () => {
      const known = ["Bash", "bash", "read_file"];
      for (const reply of [
        await search({ tool: "bsh", client: "codex" }),
        await list({ tool: "bsh", client: "codex" }),
      ])
        expect(reply).toMatchObject({
          total: 0,
          unmatched: [{ filter: "tool", value: "bsh", known: expect.any(Array) }],
        });
      const { unmatched } = await search({ tool: "bsh" });
      expect(unmatched?.[0]?.known?.toSorted()).toEqual(known.toSorted());
      expect(unmatched?.[0]?.known?.[0]?.toLowerCase()).toBe("bash");
      expect((await list({ title: "nothing", folder: "dewey" })).unmatched).toEqual([
        { filter: "title", value: "nothing" },
      ]);
      expect((await search({ client: "codex", branch: "main" })).unmatched).toBeUndefined();
      expect((await search({ client: "codex", end_date: new Date("2020-01-01") })).unmatched).toEqual([
        { filter: "end_date", value: "2020-01-01T00:00:00.000Z" },
      ]);
      expect(await search({ client: "codex" }, "nowhere")).not.toHaveProperty("unmatched");
    });

    test("lets the planner know how many have each name", async () => {
      const connection = await emptyDatabase(engine);
      await (await testStore(engine, { connection })).close();
      await using sql = connect(connection);
      // An empty table that was looked at is taken to stay empty, and what stores messages would read through it.
      const [table] = await sql`select reltuples from pg_class where oid = 'messages'::regclass`;
      expect(table.reltuples).toBe(-1);
      await sql`insert into conversations (client, branch, metadata)
        select 'codex', 'main', '{"upstream": "files"}' from generate_series(1, 1000)`;
      await sql`insert into messages (conversation_id, turn_number, role, content, metadata)
        select id, 1, 'tool', '', '{"tool": "Bash"}' from conversations`;
      await sql`analyze conversations, messages`;
      const estimated = async (of: string) => {
        const [row] = await sql.unsafe(`explain (format json) select from ${of}`);
        return row["QUERY PLAN"][0].Plan["Plan Rows"];
      };
      expect(await estimated("conversations where left(client, 200) = 'codex'")).toBe(1000);
      expect(await estimated("conversations where left(branch, 200) = 'main'")).toBe(1000);
      expect(await estimated("conversations where left(metadata ->> 'upstream', 200) = 'files'")).toBe(1000);
      expect(await estimated("messages where left(metadata ->> 'tool', 200) = 'Bash'")).toBe(1000);
    });
  });
}
