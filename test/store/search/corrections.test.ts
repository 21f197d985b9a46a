import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import { typingErrors } from "../../../src/store/search/corrections.ts";
import type { Store } from "../../../src/store/store.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

test("a typing error is a letter that is added, missing, changed, or swapped with the next", () => {
  const cases: [string, string, number][] = [
    ["penguin", "penguin", 0],
    ["pengiun", "penguin", 1],
    ["pengin", "penguin", 1],
    ["penguinn", "penguin", 1],
    ["pemguin", "penguin", 1],
    ["gramofon", "gramophon", 2],
    ["", "abc", 3],
    ["пингивн", "пингвин", 1],
  ];
  for (const [from, to, errors] of cases) expect([from, typingErrors(from, to)]).toEqual([from, errors]);
});

for (const engine of engines) {
  describe(`mistyped words on ${engine.name}`, () => {
    let store: Store;
    let connection: Awaited<ReturnType<typeof emptyDatabase>>;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());

    const user = (content: string) => ({ role: "user", content });
    const say = (...contents: string[]) => store.messages.storeBulk({ messages: contents.map(user) });
    const find = (query: string, options: object = {}) =>
      store.search.find({ query, limit: 10, offset: 0, ...options });
    const summary = async (query: string, options: object = {}) => {
      const { results, corrected } = await find(query, options);
      return { found: results.map((hit) => hit.content), ...(corrected ? { corrected } : {}) };
    };

    test("are corrected, and the reply reports it on every page", async () => {
      const { conversation_id } = await say("the Gramophones were playing", "a penguin", "another penguin");
      await store.search.vocabulary.refresh();
      expect(await summary("gramofones")).toEqual({
        found: ["the Gramophones were playing"],
        corrected: [{ from: "gramofones", to: "gramophones" }],
      });
      expect(await summary("Where was the Pengiun?", { limit: 1, conversation_id })).toEqual({
        found: [expect.stringContaining("penguin")],
        corrected: [{ from: "pengiun", to: "penguin" }],
      });
      const first = await find("pengiun", { limit: 1 });
      expect(first.results[0]?.snippet).toContain("**penguin**");
      const second = await find("pengiun", { limit: 1, cursor: first.next_cursor });
      expect(second).toMatchObject({ total: 2, corrected: [{ from: "pengiun", to: "penguin" }] });
      expect(new Set([...first.results, ...second.results].map((hit) => hit.content)).size).toBe(2);
    });

    test("are corrected among correct words, and a word that occurs is never changed", async () => {
      await say("the saxophonist of Marrakesh", "saxophonists everywhere", "a lone walrus", "the walrusses");
      await store.search.vocabulary.refresh();
      expect(await summary("saxophonist in Marakesh")).toEqual({
        found: ["the saxophonist of Marrakesh", "saxophonists everywhere"],
        corrected: [{ from: "marakesh", to: "marrakesh" }],
      });
      expect(await summary("walrus")).toEqual({ found: ["a lone walrus"] });
    });

    test("stay unchanged when nothing is similar, when they are no words, and when the correction occurs only elsewhere", async () => {
      const { conversation_id } = await say("nothing to see", "ticket AB1234");
      await store.search.vocabulary.refresh();
      // Short words may have one error only.
      await say("the kiosk");
      await store.search.vocabulary.refresh();
      expect(await summary("kioks")).toMatchObject({ found: ["the kiosk"] });
      expect(await summary("kioxx")).toEqual({ found: [] });
      for (const query of ["qqqqqqqq", "AB1235", "dog", "猫"]) expect(await summary(query)).toEqual({ found: [] });
      expect(await summary("penguin", { conversation_id })).toEqual({ found: [] });
      expect(await summary("saxofonist", { conversation_id })).toEqual({ found: [] });
    });

    test("stay unchanged when a message elsewhere holds them, though the vocabulary is behind", async () => {
      const { conversation_id } = await say("the marimba");
      await store.search.vocabulary.refresh();
      expect(await summary("marimbo", { conversation_id })).toMatchObject({ found: ["the marimba"] });
      await say("a marimbo is no marimba");
      expect(await summary("marimbo", { conversation_id })).toEqual({ found: [] });
    });

    test("are corrected to words of new messages on any server, and not to those of deleted messages", async () => {
      await using other = await testStore(engine, { connection });
      const stopping = new AbortController();
      const keeping = other.search.vocabulary.keep(stopping.signal);
      const { conversation_id } = await say("a zither and a theremin");
      while ((await find("theramin")).total === 0) await Bun.sleep(50);
      stopping.abort();
      await keeping;
      await store.conversations.delete({ conversation_id, force: true });
      expect(await summary("theramin")).toEqual({ found: [] });
      await using sql = connect(connection);
      await sql`update dewey_vocabulary_progress set started_at = now() - interval '25 hours'`;
      await store.search.vocabulary.refresh();
      await sql`update dewey_vocabulary_progress set started_at = now() - interval '25 hours'`;
      await store.search.vocabulary.refresh();
      const words: { word: string }[] =
        await sql`select word from dewey_vocabulary where word in ('theremin', 'penguin')`;
      expect(words.map(({ word }) => word)).toEqual(["penguin"]);
    });

    test("are not corrected when the database refuses pg_trgm, and the log and the health report it", async () => {
      const lines: string[] = [];
      const log = createLog({ level: "warn", format: "text", write: (line) => lines.push(line) });
      const limited = await emptyDatabase(engine);
      await using sql = connect(limited);
      const role = `limited_${limited.database}`;
      await sql.unsafe(`create role ${role} login`);
      await sql.unsafe(`alter schema public owner to ${role}`);
      await using without = await testStore(engine, { connection: { ...limited, user: role }, log });
      await without.messages.storeBulk({ messages: [user("a harpsichord")] });
      await without.search.vocabulary.refresh();
      const reply = await without.search.find({ query: "harpsicord", limit: 1, offset: 0 });
      expect(reply).toMatchObject({ total: 0 });
      expect((await without.search.find({ query: "harpsichord", limit: 1, offset: 0 })).total).toBe(1);
      expect(lines.join("")).toContain("pg_trgm");
      expect((await without.health()).search).toMatchObject({ corrections: false });
      expect((await store.health()).search).toMatchObject({ corrections: true });
    });
  });
}
