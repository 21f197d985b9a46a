import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import { openStore } from "../../../src/store/store.ts";
import type { Store } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import {
  connect,
  debian,
  emptyDatabase,
  engines,
  privateCluster,
  storeOptions,
  testStore,
} from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";
import { startStandby } from "../../support/replica.ts";
import { until } from "../../support/rpc.ts";

setDefaultTimeout(60_000);

const user = (content: string) => ({ role: "user", content });

async function find(store: Store, query: string, options: object = {}): Promise<string[]> {
  const { results } = await store.search.find({ query, limit: 100, offset: 0, ...options });
  return results.map((hit) => hit.content);
}

/** Runs the background's walk until there is nothing more to do. */
async function walk(...stores: Store[]): Promise<void> {
  const stopping = new AbortController();
  const kept = stores.map((store) => store.reindexer.keep(stopping.signal));
  await until("the end of the walk", async () => !(await stores[0]?.reindexer.state())?.under_way);
  stopping.abort();
  await Promise.all(kept);
}

/** Enough for several steps, some of them not for PostgreSQL's parser as they stand. */
const many = (count: number) =>
  Array.from({ length: count }, (_, n) => user(`Nachricht ${n}: viele Häuser, storeMessage und 日本語`));

for (const engine of engines) {
  describe(`the language of searches on ${engine.name}`, () => {
    test("changes for all messages, and their word forms are known afterwards", async () => {
      await using store = await testStore(engine);
      await store.messages.storeBulk({ messages: [user("Die Häuser standen am Fluss"), ...many(450)] });
      expect(await find(store, "Haus")).toEqual([]);
      await store.reindexer.begin("german");
      await walk(store);
      expect(await store.reindexer.state()).toEqual({
        language: "german",
        earlier: [],
        under_way: false,
        walked: 451,
        total: 451,
      });
      expect(await find(store, "Haus Flüsse")).toContain("Die Häuser standen am Fluss");
      for (const query of ["store_message", "message", "日本", "HAUSES"]) {
        expect((await store.search.find({ query, limit: 1, offset: 0 })).total).toBeGreaterThanOrEqual(450);
      }
    });

    test("is that of snippets, of phrases and of stop words too, with and without accents", async () => {
      await using store = await testStore(engine, { searchLanguage: "german" });
      await walk(store);
      await store.messages.storeBulk({ messages: [user("Neue Häuser für Berlin"), user("Nichts für ungut")] });
      const { results, total } = await store.search.find({ query: "für das Haus", limit: 9, offset: 0 });
      expect([results.map((hit) => hit.snippet), total]).toEqual([["Neue **Häuser** für Berlin"], 1]);
      expect(await find(store, '"neues Haus"')).toEqual(["Neue Häuser für Berlin"]);
      expect(await find(store, "Berlin -hauses")).toEqual([]);
      // Nothing but stop words is looked for as it stands.
      expect((await store.search.find({ query: "für ungut", limit: 9, offset: 0 })).total).toBe(1);
      expect((await find(store, "für")).toSorted()).toEqual(["Neue Häuser für Berlin", "Nichts für ungut"]);
      expect(await find(store, "das")).toEqual([]);
    });

    test("marks words whose stem is not their beginning", async () => {
      await using store = await testStore(engine, { searchLanguage: "indonesian" });
      await store.messages.storeBulk({ messages: [user("dia membaca surat")] });
      const { results } = await store.search.find({ query: "dibaca", limit: 1, offset: 0 });
      expect(results[0]?.snippet).toBe("dia **membaca** surat");
    });

    test("hides nothing while it changes: old messages are found by their old words, new ones by the new", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.messages.storeBulk({
        messages: [user("we are running to the houses"), user("die Brücken, und wir"), user("it is hard to die")],
      });
      await store.reindexer.begin("german");
      await store.messages.storeBulk({ conversation_id, messages: [user("und alle Häuser"), user("the dog runs")] });
      expect(await store.reindexer.state()).toMatchObject({
        language: "german",
        earlier: ["english"],
        under_way: true,
      });
      expect(await store.health()).toMatchObject({ search: { reindexing: { earlier: ["english"], walked: 0 } } });
      const mixed = async (query: string) => (await find(store, query)).toSorted();
      // Of the same connections, planned before the change and after it.
      expect(await mixed("run")).toEqual(["the dog runs", "we are running to the houses"]);
      expect(await mixed("Haus house")).toEqual(["und alle Häuser", "we are running to the houses"]);
      // A word that one language passes over is none to pass over in the other.
      expect(await mixed("die")).toEqual(["die Brücken, und wir", "it is hard to die"]);
      expect(await mixed('"running houses"')).toEqual([]);
      expect(await mixed('"the houses" or "alle Haus"')).toEqual(["und alle Häuser", "we are running to the houses"]);
      expect(await mixed("dogs Hauses -run")).toEqual(["und alle Häuser"]);
      await walk(store);
      expect(await mixed("Haus")).toEqual(["und alle Häuser"]);
      expect(await mixed("Brücke")).toEqual(["die Brücken, und wir"]);
    });

    test("changes while others store, search, follow and delete, and nothing of that fails or is missed", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await using other = await testStore(engine, { connection });
      const { conversation_id } = await store.messages.storeBulk({ messages: many(900) });
      const doomed = await Promise.all(
        Array.from({ length: 10 }, () => store.messages.storeBulk({ messages: many(50) })),
      );
      const { cursor } = await store.tail.read({ limit: 10 });
      let stored = 0;
      const ended = new AbortController();
      const storing = async (at: Store, tag: string) => {
        while (!ended.signal.aborted) {
          const word = `${tag}${stored}`;
          const content = `${word} und Häuser`;
          stored += 1;
          await at.messages.store({ conversation_id, ...user(content) });
          expect(await find(at, word, { conversation_id })).toContain(content);
        }
      };
      const [mine, theirs] = [storing(store, "hier"), storing(other, "dort")];
      const deleting = (async () => {
        for (const each of doomed)
          await store.conversations.delete({ conversation_id: each.conversation_id, force: true });
      })();
      const begun = await store.reindexer.begin("german");
      expect(begun.total).toBeGreaterThanOrEqual(900);
      // Both servers walk, a step at a time; the wish is the same on both, and begins nothing anew.
      const walking = walk(store, other);
      await until("a first step", async () => (await other.reindexer.begin("german")).walked > 0);
      await Promise.all([walking, deleting]);
      ended.abort();
      await Promise.all([mine, theirs]);
      const houses = await store.search.find({ query: "Haus", limit: 1, offset: 0 });
      expect(houses.total).toBe(900 + stored);
      const told = new Set<string>();
      for (let from = cursor, more = true; more;) {
        const page = await store.tail.read({ cursor: from, limit: 100 });
        for (const message of page.messages) told.add(message.content);
        [from, more] = [page.cursor, page.more];
      }
      // What is written anew is not told anew.
      expect([...told].filter((content) => content.startsWith("Nachricht"))).toEqual([]);
      expect(told.size).toBe(stored);
    });

    test("waits for those who were storing when it changed, since they store in the earlier one", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.messages.storeBulk({ messages: [user("first")] });
      await using sql = connect(connection);
      const stopping = new AbortController();
      let kept: Promise<void> | undefined;
      await sql.begin(async (slow) => {
        await slow`insert into messages (id, conversation_id, turn_number, role, content, search)
          values ('00000000-0000-0000-0000-000000000000', ${conversation_id}, 7, 'user', 'die Häuser', dewey_search_vector('die Hauser'))`;
        await store.reindexer.begin("german");
        kept = store.reindexer.keep(stopping.signal);
        // Whoever comes later need not wait.
        await store.messages.store({ conversation_id, ...user("neue Häuser") });
        await until("its waiting", () => store.reindexer.isWalking);
        expect(await store.reindexer.state()).toMatchObject({ under_way: true, walked: 0 });
      });
      await until("the end", async () => !(await store.reindexer.state()).under_way);
      stopping.abort();
      await kept;
      expect((await find(store, "Haus")).toSorted()).toEqual(["die Häuser", "neue Häuser"]);
    });

    test("is gone on with where it was left, by whoever runs next, and may change again meanwhile", async () => {
      const connection = await emptyDatabase(engine);
      {
        await using store = await testStore(engine, { connection });
        await store.messages.storeBulk({ messages: many(900) });
        await store.reindexer.begin("german");
        const stopping = new AbortController();
        const kept = store.reindexer.keep(stopping.signal);
        await until("a first step", async () => (await store.reindexer.state()).walked > 0);
        stopping.abort();
        await kept;
      }
      await using store = await testStore(engine, { connection, searchLanguage: "german" });
      const left = await store.reindexer.begin(undefined);
      expect(left.walked).toBeGreaterThan(0);
      expect(left).toMatchObject({ language: "german", earlier: ["english"], under_way: true, total: 900 });
      expect((await store.search.find({ query: "Häuser", limit: 1, offset: 0 })).total).toBe(900);
      const changed = await store.reindexer.begin("simple");
      expect(changed.earlier.toSorted()).toEqual(["english", "german"]);
      expect(changed).toMatchObject({ language: "simple", walked: 0 });
      expect((await store.search.find({ query: "Häuser", limit: 1, offset: 0 })).total).toBe(900);
      await walk(store);
      expect((await store.search.find({ query: "Häuser", limit: 1, offset: 0 })).total).toBe(900);
      expect((await store.search.find({ query: "Haus", limit: 1, offset: 0 })).total).toBe(0);
    });

    test("keeps the place of a cursor", async () => {
      await using store = await testStore(engine);
      await store.messages.storeBulk({ messages: many(450) });
      const seen = new Set<string>();
      const read = async (cursor?: string) => {
        const page = await store.search.find({ query: "Häuser", limit: 100, offset: 0, cursor });
        for (const hit of page.results) seen.add(hit.message_id);
        return page.next_cursor;
      };
      const second = await read();
      await store.reindexer.begin("german");
      await store.messages.storeBulk({ messages: many(3) });
      const third = await read(second);
      await walk(store);
      for (let next = third; next !== undefined;) next = await read(next);
      expect(seen.size).toBe(450);
    });

    test("makes words anew that something else has made, also in the same language", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await store.messages.storeBulk({ messages: [user("tall houses"), user("old bridges"), user("calm lakes")] });
      await using sql = connect(connection);
      await sql`update messages set search = case when content like 'tall%' then 'zzz'::tsvector end
        where content not like 'calm%'`;
      expect(await find(store, "house bridge")).toEqual([]);
      const versionOf = async (content: string) => {
        const [row]: { version: string }[] = await sql`
          select concat(ctid, ' ', xmin) as version from messages where content = ${content}`;
        return row?.version;
      };
      const before = await versionOf("calm lakes");
      await store.reindexer.begin(undefined);
      await walk(store);
      expect((await find(store, "house bridge")).length).toBe(2);
      expect(await versionOf("calm lakes")).toBe(before);
    });

    test("is taken at once by a database without messages, and only warned of by one with some", async () => {
      const connection = await emptyDatabase(engine);
      {
        await using fresh = await testStore(engine, { connection, searchLanguage: "german" });
        await fresh.messages.storeBulk({ messages: [user("viele Häuser")] });
        expect(await find(fresh, "Haus")).toEqual(["viele Häuser"]);
      }
      const lines: string[] = [];
      const log = createLog({ level: "warn", format: "text", write: (line) => lines.push(line) });
      await using _same = await testStore(engine, { connection, searchLanguage: "german", log });
      await using _any = await testStore(engine, { connection, log });
      expect(lines).toEqual([]);
      await using other = await testStore(engine, { connection, searchLanguage: "french", log });
      expect(lines.join("")).toMatch(/dewey reindex.*DEWEY_SEARCH_LANGUAGE=german/);
      expect(await find(other, "Haus")).toEqual(["viele Häuser"]);
    });

    test("is refused when the database does not know it, with those that it knows", async () => {
      const connection = await emptyDatabase(engine);
      const error = await failure(openStore(storeOptions(connection, { searchLanguage: "klingon" })));
      expect(error).toMatchObject({
        code: "invalid",
        message: expect.stringMatching(/should be .*\barabic, .*\bsimple\b.*, not "klingon"; .*DEWEY_SEARCH_LANGUAGE/),
      });
      await using store = await testStore(engine, { connection });
      const before = await store.reindexer.state();
      expect(await failure(store.reindexer.begin("klingon"))).toMatchObject({ code: "invalid", field: "language" });
      expect(await store.reindexer.state()).toEqual(before);
    });

    test("comes along with a backup, also from the midst of a change", async () => {
      await using store = await testStore(engine, { searchLanguage: "french" });
      await store.messages.storeBulk({ messages: [user("les maisons"), ...many(3)] });
      await store.reindexer.begin("german");
      await store.messages.storeBulk({ messages: [user("ein paar Häuser")] });
      await using recovered = await testStore(engine);
      await recovered.recover(await store.backup(), { force: false });
      expect(await recovered.reindexer.state()).toEqual(await store.reindexer.state());
      expect(await find(recovered, "maison")).toEqual(["les maisons"]);
      expect(await find(recovered, "paar")).toEqual(["ein paar Häuser"]);
      await recovered.messages.storeBulk({ messages: [user("zwei Häuser")] });
      await walk(recovered);
      expect((await find(recovered, "Haus")).length).toBe(5);
    });

    test("gives way to english when a backup's own is one that the database does not know", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      await sql`create text search configuration houseish (copy = simple)`;
      await using store = await testStore(engine, { connection, searchLanguage: "houseish" });
      await store.messages.storeBulk({ messages: [user("many houses")] });
      await using recovered = await testStore(engine);
      await recovered.recover(await store.backup(), { force: false });
      expect(await recovered.reindexer.state()).toMatchObject({ language: "english", earlier: [], under_way: true });
      await walk(recovered);
      expect(await find(recovered, "house")).toEqual(["many houses"]);
    });
  });
}

// Without Debian's PostgreSQL 15 there is no replica; `reads.test.ts` says so.
describe.skipIf(!debian)("the language of searches on a replica", () => {
  const engine = debian as Engine;

  test("changes while searches run there: none fails or misses anything, and they know the word forms then", async () => {
    await using primary = await privateCluster(engine);
    // What a search there stands in the way of is replayed at once, so that the search is what gives way.
    await using standby = await startStandby(primary, ["max_standby_streaming_delay=0"]);
    const addresses = { connection: primary.connection, readConnection: standby.connection };
    await using store = await testStore(engine, { ...addresses, maxConnections: 10 });
    await until("the replica", async () => (await store.health()).replica?.status === "ok");
    const { conversation_id } = await store.messages.storeBulk({ messages: many(2000) });
    const total = async (query: string) => (await store.search.find({ query, limit: 1, offset: 0 })).total;
    const readThere = () => store.reads()?.replica ?? 0;
    // Planned there before the change.
    expect([await total("Häuser"), await total("Haus")]).toEqual([2000, 0]);

    const ended = new AbortController();
    const again = async (work: () => Promise<void>) => {
      while (!ended.signal.aborted) await work();
    };
    let houses = 0;
    let stored = 0;
    const busy = [
      again(async () => expect(await total("Nachricht")).toBe(2000)),
      again(async () => expect(await total('"viele Häuser" -fluss')).toBe(2000)),
      // What has come to be found is found by whoever asks next, wherever that is answered.
      again(async () => {
        const found = await total("Haus");
        expect(found).toBeGreaterThanOrEqual(houses);
        houses = found;
      }),
      again(async () => {
        stored += 1;
        await store.messages.store({ conversation_id, ...user(`neu${stored} und Häuser`) });
        expect(await find(store, `neu${stored}`)).toEqual([`neu${stored} und Häuser`]);
      }),
      // What the walk leaves behind goes meanwhile, on the replica too, where searches may still see it.
      again(async () => {
        await using sql = connect(primary.connection);
        await sql`vacuum messages`;
      }),
    ];
    const before = readThere();
    await store.reindexer.begin("german");
    await until("a search there between the change and the walk", () => readThere() > before);
    const walking = walk(store);
    await until("some of the words", () => houses > 200 && houses < 2000);
    const midst = readThere();
    await walking;
    expect(readThere()).toBeGreaterThan(midst);
    ended.abort();
    await Promise.all(busy);

    const after = readThere();
    expect(await total("Haus")).toBe(2000 + stored);
    expect(await total("Hauses")).toBe(2000 + stored);
    await until("a search there after the walk", async () => (await total("Haus")) > 0 && readThere() > after);
  });
});
