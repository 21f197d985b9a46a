import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Store } from "../../../src/store/store.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

for (const engine of engines) {
  describe(`search on ${engine.name}`, () => {
    let store: Store;
    let connection: Awaited<ReturnType<typeof emptyDatabase>>;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());

    const find = (query: string, filter: object = {}) => store.search.find({ query, limit: 100, offset: 0, ...filter });
    const contents = async (query: string, filter: object = {}) =>
      (await find(query, filter)).results.map((hit) => hit.content);
    const user = (content: string) => ({ role: "user", content });

    test("finds a message by any of its words, in any form, the one with more of them first", async () => {
      await store.messages.storeBulk({
        messages: [user("a walrus swims"), user("walruses and a penguin swimming"), user("an unrelated line")],
      });
      expect(await contents("Where did the penguins and walruses swim?")).toEqual([
        "walruses and a penguin swimming",
        "a walrus swims",
      ]);
      expect(await contents("penguin submarine")).toEqual(["walruses and a penguin swimming"]);
    });

    test("returns all fields of a hit", async () => {
      const { conversation_id } = await store.messages.storeBulk({
        session_id: "hit",
        metadata: { about: "hit" },
        messages: [
          { role: "tool", content: "gramophone", metadata: { tool: "t" }, created_at: "2024-05-06T07:08:09.123Z" },
        ],
      });
      expect((await find("gramophone")).results).toEqual([
        {
          message_id: expect.any(String),
          conversation_id,
          session_id: "hit",
          turn: 1,
          role: "tool",
          snippet: "**gramophone**",
          snippet_matches: [[2, 12]],
          content: "gramophone",
          rank: expect.any(Number),
          created_at: "2024-05-06T07:08:09.123Z",
          metadata: { tool: "t" },
          conversation_metadata: { about: "hit" },
          title: null,
          client: null,
          folder: null,
        },
      ]);
    });

    test("shows the newest of equal matches first, and continues at an offset", async () => {
      const messages = ["2024-01-02", "2024-01-04", "2024-01-03"].map((day) => ({
        ...user(`zeppelin ${day}`),
        created_at: `${day}T00:00:00Z`,
      }));
      // Separate conversations, because neighbours would lend them weight.
      for (const message of messages) await store.messages.storeBulk({ messages: [message] });
      const newest = ["zeppelin 2024-01-04", "zeppelin 2024-01-03", "zeppelin 2024-01-02"];
      expect(await contents("zeppelin")).toEqual(newest);
      expect(await contents("zeppelin", { limit: 1, offset: 1 })).toEqual(newest.slice(1, 2));
    });

    test("applies each filter to the hits and to the total", async () => {
      const first = await store.messages.storeBulk({
        session_id: "s1",
        messages: [
          { role: "user", content: "quasar one", created_at: "2024-02-01T00:00:00Z" },
          { role: "assistant", content: "quasar two", created_at: "2024-02-02T00:00:00Z" },
        ],
      });
      await store.messages.storeBulk({
        session_id: "s2",
        messages: [{ role: "user", content: "quasar three", created_at: "2024-02-03T00:00:00Z" }],
      });
      const filtered = async (filter: object) => {
        const reply = await find("quasar", filter);
        const one = await find("quasar", { ...filter, limit: 1 });
        expect([reply.total, one.total]).toEqual([reply.results.length, reply.results.length]);
        return reply.results.map((hit) => hit.content.split(" ")[1] ?? "").toSorted((a, b) => a.localeCompare(b));
      };
      expect(await filtered({})).toEqual(["one", "three", "two"]);
      expect(await filtered({ session_id: "s1" })).toEqual(["one", "two"]);
      expect(await filtered({ conversation_id: first.conversation_id, role: "user" })).toEqual(["one"]);
      expect(await filtered({ role: "assistant" })).toEqual(["two"]);
      expect(await filtered({ start_date: new Date("2024-02-02T00:00:00Z") })).toEqual(["three", "two"]);
      expect(await filtered({ end_date: new Date("2024-02-02T00:00:00Z") })).toEqual(["one"]);
      expect(await filtered({ session_id: "s2", role: "assistant" })).toEqual([]);
    });

    test("filters by the client and the folder of the conversation", async () => {
      const say = async (client: string | undefined, cwd: string, content: string) => {
        const metadata = client === undefined ? {} : { client_name: client, cwd };
        const { conversation_id } = await store.conversations.begin({ metadata });
        await store.messages.store({ conversation_id, role: "user", content });
      };
      await say("codex", "/work/lib", "pulsar codex");
      await say("gemini", "/work/lib/src", "pulsar gemini");
      await say(undefined, "", "pulsar unknown");
      const found = async (filter: object, query = "pulsar") => {
        const { total, results } = await find(query, filter);
        expect(total).toBe(results.length);
        return results.map((hit) => hit.client ?? "").toSorted((a, b) => a.localeCompare(b));
      };
      expect(await found({ client: "Codex" })).toEqual(["codex"]);
      expect(await found({ folder: "/work/lib/" })).toEqual(["codex", "gemini"]);
      expect(await found({ folder: "src" })).toEqual(["gemini"]);
      expect(await found({ folder: "lib", client: "gemini" }, "a pulsar")).toEqual(["gemini"]);
      expect(await found({ folder: "li" })).toEqual([]);
    });

    test("filters by a message's metadata", async () => {
      const { conversation_id } = await store.conversations.begin({});
      const metadata = { source: "proxy", tool: "read_file", nested: { a: [1, 2] } };
      await store.messages.store({ conversation_id, ...user("basalt recorded"), metadata });
      await store.messages.store({ conversation_id, ...user("basalt told") });
      for (const filter of [{ source: "proxy" }, { tool: "read_file" }, { metadata: { nested: { a: [2] } } }]) {
        expect(await find("basalt", filter)).toMatchObject({ total: 1, results: [{ content: "basalt recorded" }] });
      }
      expect((await find("basalt", { tool: "other" })).total).toBe(0);
      expect((await find("basalt")).total).toBe(2);
    });

    test("requires a quoted phrase, and excludes what follows a minus, except numbers", async () => {
      for (const text of [
        "the obsidian mirror broke",
        "a mirror of obsidian",
        "obsidian only",
        "error -32601 obsidian",
      ]) {
        await store.messages.storeBulk({ messages: [user(text)] });
      }
      expect(await contents('"obsidian mirror"')).toEqual(["the obsidian mirror broke"]);
      expect((await contents("obsidian -mirror")).toSorted()).toEqual(["error -32601 obsidian", "obsidian only"]);
      expect((await contents('obsidian -"obsidian mirror"')).length).toBe(3);
      expect((await contents("-32601 obsidian"))[0]).toBe("error -32601 obsidian");
      expect(await find("-obsidian")).toMatchObject({ total: 0, results: [] });
    });

    test("reads operators as websearch_to_tsquery does, and misplaced ones as words", async () => {
      const said = [
        "the cobalt kiln",
        "a kiln of cobalt",
        "ochre glaze",
        "umber glaze",
        "run it with --glaze",
        "plain or fancy",
      ];
      for (const text of said) await store.messages.storeBulk({ session_id: "operators", messages: [user(text)] });
      const found = async (query: string) => (await contents(query, { session_id: "operators" })).toSorted();
      expect(await found('"cobalt kiln" or "ochre glaze"')).toEqual(["ochre glaze", "the cobalt kiln"]);
      expect(await found('"cobalt kiln" OR umber')).toEqual(["the cobalt kiln", "umber glaze"]);
      expect(await found("ochre or umber glaze")).toEqual(["ochre glaze", "run it with --glaze", "umber glaze"]);
      expect(await found('kiln -"cobalt kiln"')).toEqual(["a kiln of cobalt"]);
      expect(await found("glaze -ochre -umber")).toEqual(["run it with --glaze"]);
      expect((await found("--glaze")).length).toBe(3);
      expect(await found("fancy - plain")).toEqual(["plain or fancy"]);
      expect(await found('kiln "')).toEqual(["a kiln of cobalt", "the cobalt kiln"]);
      for (const query of [
        "or",
        "or or or",
        "- -",
        '""',
        '-""',
        '"" or ""',
        "or umber",
        "umber or",
        "umber or or ochre",
      ]) {
        expect([query, (await found(query)).every((text) => / or |umber|ochre/.test(text))]).toEqual([query, true]);
      }
    });

    test("finds text without indexed words verbatim, newest first", async () => {
      const said = ["To be, or not to be", "not to be or to be", "well 🦭 done", "x -> y", "x => y", "100% (sure)"];
      for (const text of said) await store.messages.storeBulk({ session_id: "signs", messages: [user(text)] });
      const found = (query: string) => contents(query, { session_id: "signs" });
      expect(await found("to be")).toEqual(["not to be or to be", "To be, or not to be"]);
      expect(await found("TO BE, or not")).toEqual(["To be, or not to be"]);
      expect(await found("🦭")).toEqual(["well 🦭 done"]);
      expect(await found("->")).toEqual(["x -> y"]);
      expect(await found("=>")).toEqual(["x => y"]);
      expect(await found("% (")).toEqual(["100% (sure)"]);
      expect(await found("o be")).toEqual([]);
      const [hit] = (await find('"to be"', { session_id: "signs", limit: 1 })).results;
      expect(hit?.snippet).toBe("not **to be** or **to be**");
      const first = await find("to be", { session_id: "signs", limit: 1 });
      const second = await find("to be", { session_id: "signs", cursor: first.next_cursor });
      expect([first.total, second.results.map((each) => each.content)]).toEqual([2, ["To be, or not to be"]]);
      expect((await find("🦭")).total).toBe(1);
    });

    /** Stores each text as a turn of one conversation, all with the same time. */
    const talk = (day: string, ...texts: string[]) =>
      store.messages.storeBulk({
        messages: texts.map((text) => ({ ...user(text), created_at: `${day}T00:00:00Z` })),
      });

    test("lends a turn weight from neighbours up to four turns away, and from none beyond", async () => {
      const at = (distance: number, word: string) => [...Array.from({ length: distance - 1 }, () => "filler"), word];
      // Without a neighbour's weight the turns are equal, and the newer one comes first.
      const first = async (distance: number) => {
        await talk("2024-03-01", `lantern near${distance}`, ...at(distance, "lighthouse"));
        await talk("2024-03-02", `lantern none${distance}`, ...at(distance, "filler"));
        const narrowing = { start_date: new Date("2024-03-01"), end_date: new Date("2024-03-03") };
        const found = await contents("lantern lighthouse", narrowing);
        return found.find((content) => content.startsWith("lantern") && content.endsWith(`${distance}`));
      };
      expect(await first(1)).toBe("lantern near1");
      expect(await first(4)).toBe("lantern near4");
      expect(await first(5)).toBe("lantern none5");
    });

    test("lends a turn weight from the question that it answers", async () => {
      await talk("2024-04-01", "is the vestibule locked?", "vestibule green");
      await talk("2024-04-02", "is the vestibule locked.", "vestibule azure");
      const found = await contents("vestibule");
      expect(found.indexOf("vestibule green")).toBeLessThan(found.indexOf("vestibule azure"));
    });

    test("weighs a speaker's name more than the same name elsewhere", async () => {
      await talk("2024-05-01", "Ingrid: we sail at dawn");
      await talk("2024-05-02", "Ingrid Ingrid sail sail");
      expect((await contents("Ingrid sail"))[0]).toBe("Ingrid: we sail at dawn");
    });

    test("searches the rarest words of a long query, wherever they stand in it", async () => {
      const other = await emptyDatabase(engine);
      await using long = await testStore(engine, { connection: other });
      const common = Array.from({ length: 32 }, (_, index) => `common${index}`).join(" ");
      await long.messages.storeBulk({ messages: [...Array.from({ length: 60 }, () => user(common)), user("ibex")] });
      await using sql = connect(other);
      await sql`analyze messages`;
      const { total } = await long.search.find({ query: `${common} ibex`, limit: 1, offset: 0 });
      expect(total).toBe(61);
    });

    test("searches the rarest pairs of a long query in a script without spaces, and other words besides", async () => {
      const other = await emptyDatabase(engine);
      await using long = await testStore(engine, { connection: other });
      const [common, rare] = ["人人生而自由在尊严和权利上一律平等他们赋有理性和良心", "鹮鹳"];
      await long.messages.storeBulk({
        messages: [...Array.from({ length: 60 }, () => user(common)), user(rare), user("ibex")],
      });
      await using sql = connect(other);
      await sql`analyze messages`;
      const { total } = await long.search.find({ query: `${common} ${rare} ibex`, limit: 1, offset: 0 });
      expect(total).toBe(62);
      // Of equally rare pairs, the first are searched.
      expect(await long.search.find({ query: common, limit: 1, offset: 0 })).toMatchObject({ total: 60 });
      expect((await long.search.find({ query: "良心", limit: 1, offset: 0 })).total).toBe(60);
    });

    test("answers any query, and never with an error of the database", async () => {
      const none = ["the of and", "!!! ??? &|!()<->", "\0\ud800", "🙂", "   "];
      for (const query of none) expect(await find(query)).toMatchObject({ results: [], total: 0 });
      const odd = [
        "a:* & !b | (c",
        "'; drop table messages; --",
        "it's \\ o'clock",
        "x".repeat(100_000),
        Array.from({ length: 20_000 }, (_, index) => `w${index}`).join(" "),
        "foo-bar http://a.b/c?d=e&f=g|h user@host.example /usr/lib/x.so",
        "'".repeat(1000),
        "\\".repeat(1000),
        "漢字 かな 한글 ไทย",
        "字",
        "\ud83d '\ue000 \u200b\u0301",
        '"'.repeat(999),
        `${'-"a" or '.repeat(2000)}b`,
        "a".repeat(99).concat("\\ ").repeat(1000),
      ];
      for (const query of odd) expect((await find(query)).total).toBeGreaterThanOrEqual(0);
    });

    test("finds words between quotes, signs and backslashes", async () => {
      await store.messages.storeBulk({
        messages: [user("see http://host.example/o'brien?a=b&c='d' \\server\\xylophone")],
      });
      for (const query of ["server\\xylophone", "http://host.example/o'brien?a=b&c='d'"]) {
        expect((await find(query)).total).toBe(1);
      }
    });

    test("has a total that is a lower bound above 10,000", async () => {
      await using sql = connect(connection);
      const { conversation_id } = await store.conversations.begin({});
      const fill = (from: number, to: number) => sql`
        insert into messages (conversation_id, turn_number, role, content, search)
        select ${conversation_id}::uuid, n, 'user', 'marmalade', to_tsvector('english', 'marmalade')
        from generate_series(${from}::integer, ${to}::integer) n`;
      await fill(1, 10_000);
      expect(await find("marmalade", { limit: 1 })).toMatchObject({ total: 10_000 });
      expect(await find("marmalade", { limit: 1 })).not.toHaveProperty("total_is_lower_bound");
      await fill(10_001, 10_001);
      expect(await find("marmalade", { limit: 1 })).toMatchObject({ total: 10_000, total_is_lower_bound: true });
    });

    test("has an exact total when most that matches is in the trash, with a filter and without", async () => {
      const other = await emptyDatabase(engine);
      await using full = await testStore(engine, { connection: other });
      const { conversation_id } = await full.conversations.begin({});
      await full.messages.storeBulk({ messages: [user("marmalade"), user("marmalade again")] });
      await using sql = connect(other);
      await sql`insert into messages (conversation_id, turn_number, role, content, search)
        select ${conversation_id}::uuid, n, 'user', 'marmalade', to_tsvector('marmalade') from generate_series(1, 31000) n`;
      await sql`update conversations set message_count = 31000 where id = ${conversation_id}`;
      await sql`insert into conversations (id) select gen_random_uuid() from generate_series(1, 500)`;
      await sql`analyze messages`;
      const total = async (narrowing: object) => {
        const reply = await full.search.find({ query: "marmalade", limit: 1, offset: 0, ...narrowing });
        return [reply.total, reply.total_is_lower_bound];
      };
      const narrowings = [{}, { role: "user" }, { start_date: new Date(0) }];
      for (const each of narrowings) expect(await total(each)).toEqual([10_000, true]);
      await full.conversations.delete({ conversation_id, force: false });
      // The statistics suggest an almost empty trash: one conversation in five hundred.
      await sql`analyze conversations`;
      for (const each of narrowings) expect(await total(each)).toEqual([2, undefined]);
    });

    test("cuts long hits to fit the reply, reports their length, and keeps short ones whole", async () => {
      const long = `saxophone ${"é".repeat(300_000)}`;
      await store.messages.storeBulk({
        messages: [
          user(long),
          { ...user("saxophone"), metadata: { raw: "y".repeat(300_000) } },
          user(`${long.replace(" é", " éa")}\0`),
        ],
      });
      const reply = await find("saxophone");
      expect(Buffer.byteLength(JSON.stringify(reply))).toBeLessThan(60_500);
      const short = reply.results.find((hit) => hit.content === "saxophone");
      expect(short).toMatchObject({ metadata: null, metadata_bytes: 300_011 });
      expect(short).not.toHaveProperty("content_length");
      const cut = reply.results.filter((hit) => hit !== short);
      expect(new Set(cut.map((hit) => hit.content_length))).toEqual(new Set([300_010, 300_012]));
      for (const hit of cut) expect(hit.content).toMatch(/^saxophone éa?é{5000,}$/);
    });

    test("returns NUL and lone surrogates as they were stored", async () => {
      await store.messages.storeBulk({ messages: [{ ...user("harpsichord\0\ud800"), metadata: { k: "\0" } }] });
      expect((await find("harpsichord")).results).toMatchObject([
        { content: "harpsichord\0\ud800", metadata: { k: "\0" } },
      ]);
    });
  });
}
