import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import type { SearchHit } from "../../../src/store/search/search-hit.ts";
import type { SearchRequest } from "../../../src/store/search/search.ts";
import type { Store } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { applyWithin, migrations } from "../../../src/store/database/migrations.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

/** Words as in prose, which occur again and again. */
const prose = (count: number) =>
  Array.from({ length: count }, (_, index) => `common${((index * 7919) % 3001).toString(36)}`).join(" ");
/** Words that occur once, more than fit into a tsvector. */
const different = (count: number) => Array.from({ length: count }, (_, index) => `d${index.toString(36)}x`).join("\n");

const TEN_MILLION = 10_000_000;
const texts = {
  prose: `${prose(600_000)} plaintain\n`.padEnd(TEN_MILLION - 20, prose(600_000)).concat("\n the plumtree lastword"),
  different: `${different(700_000)} middleword ${different(700_000)}`.slice(0, TEN_MILLION).concat(" other lastword"),
  names: `${prose(60_000)} src/store/lengthyThing.test.ts, and 漢字処理 and caf\\u00e9`,
  "no spaces": `${"ab/".repeat(70_000)}finalPart`,
  borders: Array.from({ length: 50_000 }, (_, index) => `b${index}`).join(" "),
};

for (const engine of engines) {
  describe(`a long text on ${engine.name}`, () => {
    let store: Store;
    let sql: SQL;
    beforeAll(async () => {
      const connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
      sql = connect(connection);
      await store.messages.storeBulk({
        session_id: "short",
        messages: Array.from({ length: 30 }, (_, index) => ({
          role: "user",
          content: `short note ${index} on otters`,
        })),
      });
      for (const [session_id, content] of Object.entries(texts))
        await store.messages.storeBulk({
          session_id,
          metadata: { client_name: session_id.startsWith("no") ? "goose" : "codex" },
          messages: [
            { role: "user", content: `about ${session_id}` },
            { role: "tool", content, metadata: { tool: "read" } },
          ],
        });
    }, 120_000);
    afterAll(async () => {
      await sql.close();
      await store.close();
    });

    const find = (query: string, options: Partial<SearchRequest> = {}) =>
      store.search.find({ query, limit: 10, offset: 0, ...options });
    const sessions = async (query: string, options: Partial<SearchRequest> = {}) => {
      const { results, total } = await find(query, options);
      expect(results).toHaveLength(total);
      return results.map((hit) => hit.session_id ?? "").toSorted();
    };
    /** What the marks of a snippet stand on. */
    const marked = (hit: SearchHit | undefined) => {
      const shown = Array.from(hit?.snippet ?? "");
      return hit?.snippet_matches.map(([start, end]) => shown.slice(start, end).join(""));
    };

    test("is found by its last word, of ten million characters too, and shows it", async () => {
      expect(await sessions("lastword")).toEqual(["different", "prose"]);
      for (const hit of (await find("lastword")).results) {
        expect(hit.snippet).toMatch(/^… .*(the plumtree|other) \*\*lastword\*\*$/);
        expect(marked(hit)).toEqual(["lastword"]);
      }
    });

    test("is found by a word in the middle, and by each of many that occur once", async () => {
      expect(await sessions("plaintain")).toEqual(["prose"]);
      const [hit] = (await find("middleword")).results;
      expect([hit?.session_id, marked(hit)]).toEqual(["different", ["middleword"]]);
      for (let index = 0; index < 700_000; index += 69_997)
        expect(await sessions(`d${index.toString(36)}x`)).toEqual(["different"]);
    });

    test("shows the piece of the content that was found, with its place in the whole", async () => {
      const [hit] = (await find("lastword other", { session_id: "different" })).results;
      const { content = "", content_offset = 0, content_length } = hit ?? {};
      expect(content).toEndWith("other lastword");
      expect(content_length).toBe(texts.different.length);
      expect(texts.different.slice(content_offset)).toBe(content);
      const full = (await find("lastword other", { session_id: "different", full: true })).results[0];
      expect(full?.content).toBe(texts.different);
      expect(full?.snippet).toBe(hit?.snippet);
    });

    test("is found by names, paths, other scripts and escapes at its end", async () => {
      for (const query of [
        "lengthyThing",
        "lengthy",
        "src/store/lengthyThing.test.ts",
        "lengthything.test",
        "漢字",
        "処理",
        "café",
      ])
        expect([query, await sessions(query, { session_id: "names" })]).toEqual([query, ["names"]]);
      expect(await sessions("finalPart")).toEqual(["no spaces"]);
    });

    test("is found by any phrase, across the borders of its sections too", async () => {
      const borders: { words: number }[] = await sql`select length(s.search) as words from message_sections s
        join messages m on m.id = s.message_id where m.content like 'b0 b1 %' order by section`;
      expect(borders.length).toBeGreaterThan(2);
      for (const at of [10, 15_990, 15_999, 16_000, 29_999, 30_000, 49_998]) {
        const phrase = `b${at - 1} b${at} b${at + 1}`;
        expect(await sessions(`"${phrase}"`)).toEqual(["borders"]);
        expect(await sessions(`"b${at} b${at - 1}"`)).toEqual([]);
        expect(await sessions(`-"${phrase}" b1`)).toEqual([]);
      }
      const long = Array.from({ length: 1500 }, (_, index) => `b${index + 15_000}`).join(" ");
      expect(await sessions(`"${long}"`)).toEqual(["borders"]);
      const [hit] = (await find('"b30000 b30001"')).results;
      expect(hit?.snippet).toContain("**b30000** **b30001**");
    });

    test("is found by words that stand far from each other, and left out by any of its words", async () => {
      expect((await find("plaintain lastword")).results[0]?.session_id).toBe("prose");
      expect(await sessions("lastword -middleword")).toEqual(["prose"]);
      expect(await sessions("lastword -plaintain")).toEqual(["different"]);
      expect(await sessions('lastword -"the plumtree lastword"')).toEqual(["different"]);
      expect(await sessions('"plumtree lastword" or -plaintain lastword')).toEqual(["different", "prose"]);
    });

    test("is found by what its words begin with", async () => {
      expect(await sessions("lastwo*")).toEqual(["different", "prose"]);
      expect(await sessions("finalpa*")).toEqual(["no spaces"]);
    });

    test("is found within its session, and by filters alone", async () => {
      expect(await sessions("lastword", { session_id: "prose" })).toEqual(["prose"]);
      expect(await sessions("lastword", { session_id: "short" })).toEqual([]);
      expect(await sessions("lastword", { role: "tool", tool: "read", client: "codex" })).toEqual([
        "different",
        "prose",
      ]);
      expect(await sessions("lastword", { role: "user" })).toEqual([]);
      expect(await sessions("lastword", { client: "goose" })).toEqual([]);
    });

    test("counts in totals and facets", async () => {
      const { total, facets } = await find("lastword otter finalpart", { facets: true, limit: 1 });
      expect(total).toBe(33);
      expect(facets?.role).toEqual([
        { value: "user", count: 30 },
        { value: "tool", count: 3 },
      ]);
      expect(facets?.client).toContainEqual({ value: "codex", count: 2 });
    });

    test("has no word corrected that it holds", async () => {
      // One letter from a word of short messages.
      await store.messages.storeBulk({ messages: [{ role: "user", content: "plaintaim lastwore middlewore" }] });
      await store.search.vocabulary.refresh();
      for (const word of ["plaintain", "lastword", "middleword"]) {
        const { corrected, results } = await find(word);
        expect(corrected).toBeUndefined();
        expect(results.map((hit) => hit.role)).toContain("tool");
      }
    });

    test("is no last hit beside short ones that hold a commoner word", async () => {
      const { results } = await find("otters middleword");
      expect(results[0]?.session_id).toBe("different");
    });

    test("is no more found once it is deleted", async () => {
      const { conversation_id } = await store.messages.storeBulk({
        messages: [{ role: "tool", content: `${prose(30_000)} goneword` }],
      });
      expect((await find("goneword")).total).toBe(1);
      await store.conversations.delete({ conversation_id, force: false });
      expect((await find("goneword")).total).toBe(0);
      await store.conversations.restore({ conversation_id });
      expect((await find("goneword")).total).toBe(1);
      await store.conversations.delete({ conversation_id, force: true });
      expect((await find("goneword")).total).toBe(0);
      const [left] = await sql`select count(*)::integer as rows from message_sections s
        where not exists (select from messages m where m.id = s.message_id)`;
      expect(left).toEqual({ rows: 0 });
    });
  });
}

/** Makes the words that wait for it in the background. */
async function makeWords(store: Store, sql: SQL): Promise<void> {
  const stopping = new AbortController();
  const kept = store.reindexer.keep(stopping.signal);
  await until("the end of the work", async () => {
    const [state]: { done: boolean }[] = await sql`select sections_listed and started_at is null
      and not exists (select from message_sections_due) as done from dewey_search_language`;
    return state?.done === true;
  });
  stopping.abort();
  await kept;
}

/** Stores a text as a server of the version before does, with the words of its beginning. */
async function storeAsBefore(sql: SQL, content: string): Promise<void> {
  const [conversation]: { id: string }[] = await sql`insert into conversations default values returning id`;
  await sql`select from dewey_append(array[0], array[${conversation?.id}::uuid], array[gen_random_uuid()],
    array[null::integer], array['tool'], array[${content}::text], array[null::text], array[null::text], array[null::text],
    array[null::timestamptz], array[null::text], array[${content.slice(0, 1_000_000)}::text], array[false], null)`;
}

for (const engine of engines) {
  describe(`the sections of long texts on ${engine.name}`, () => {
    const total = async (store: Store, query: string) =>
      (await store.search.find({ query, limit: 1, offset: 0 })).total;
    const large = different(120_000);

    test("are made for those that a store has from before, and for those of servers of the version before", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      const before = migrations.findIndex(({ name }) => name === "0026_sections");
      await sql.begin((within) => applyWithin(within, migrations.slice(0, before)));
      await storeAsBefore(sql, `${large} earlierword`);
      await using store = await testStore(engine, { connection });
      expect([await total(store, "d1x"), await total(store, "earlierword")]).toEqual([1, 0]);
      await makeWords(store, sql);
      expect(await total(store, "earlierword")).toBe(1);
      await storeAsBefore(sql, `${large} laterword`);
      expect([await total(store, "d1x"), await total(store, "laterword")]).toEqual([2, 0]);
      await makeWords(store, sql);
      expect(await total(store, "laterword")).toBe(1);
    });

    test("are made anew in another language, and written only where they differ", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: [{ role: "tool", content: `${large} viele Häuser` }] });
      expect(await total(store, "Haus")).toBe(0);
      await store.reindexer.begin("german");
      await makeWords(store, sql);
      expect(await total(store, "Haus")).toBe(1);
      const versions = () => sql`select section, xmin::text from message_sections order by section`;
      const known = [...(await versions())];
      expect(known.length).toBeGreaterThan(2);
      await store.reindexer.begin(undefined);
      await makeWords(store, sql);
      expect([...(await versions())]).toEqual(known);
    });

    test("follow a text that is changed, and go with one that is no longer long", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: [{ role: "tool", content: `${large} formerword` }] });
      await sql`update messages set content = ${`${large} laterword`}`;
      expect(await total(store, "formerword")).toBe(0);
      await makeWords(store, sql);
      expect([await total(store, "formerword"), await total(store, "laterword")]).toEqual([0, 1]);
      await sql`update messages set content = 'short otters'`;
      await makeWords(store, sql);
      expect([await total(store, "laterword"), await total(store, "d1x"), await total(store, "otter")]).toEqual([
        0, 0, 1,
      ]);
    });

    test("are part of a backup", async () => {
      await using store = await testStore(engine);
      await store.messages.storeBulk({ messages: [{ role: "tool", content: `${large} lastword` }] });
      await using recovered = await testStore(engine);
      await recovered.recover(await store.backup(), { force: false });
      expect(await total(recovered, "lastword")).toBe(1);
    });

    test("are not stored for a message that is not, and once for one that is repeated", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await using store = await testStore(engine, { connection });
      const message = { role: "tool", content: `${large} lastword`, message_id: crypto.randomUUID() };
      const { conversation_id } = await store.messages.storeBulk({ messages: [message] });
      const count = async () => (await sql`select from message_sections`).length;
      const before = await count();
      await store.messages.storeBulk({ conversation_id, messages: [message] });
      const refused = store.messages.storeBulk({
        conversation_id,
        messages: [
          { ...message, message_id: crypto.randomUUID(), turn_number: 2 },
          { ...message, message_id: crypto.randomUUID(), turn_number: 1 },
        ],
      });
      expect(await failure(refused)).toMatchObject({ code: "conflict" });
      expect([await count(), (await sql`select from message_sections_due`).length]).toEqual([before, 0]);
    });
  });
}
