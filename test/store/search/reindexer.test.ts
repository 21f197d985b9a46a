import { describe, expect, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import { applyWithin, migrations } from "../../../src/store/database/migrations.ts";
import { openStore } from "../../../src/store/store.ts";
import type { Store } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { partsAhead, textsOfTwoParts } from "../../support/parts-ahead.ts";
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

const user = (content: string) => ({ role: "user", content });

async function find(store: Store, query: string, options: object = {}): Promise<string[]> {
  const { results } = await store.search.find({ query, limit: 100, offset: 0, ...options });
  return results.map((hit) => hit.content);
}

/** Runs the background rebuild to its end. */
async function walk(...stores: Store[]): Promise<void> {
  const stopping = new AbortController();
  const kept = stores.map((store) => store.reindexer.keep(stopping.signal));
  await until("the end of the walk", async () => !(await stores[0]?.reindexer.state())?.under_way);
  stopping.abort();
  await Promise.all(kept);
}

/** Messages with identifiers and unspaced scripts, which are expanded for PostgreSQL's parser. */
const many = (count: number) =>
  Array.from({ length: count }, (_, n) => user(`Nachricht ${n}: viele Häuser, storeMessage und 日本語`));

for (const engine of engines) {
  describe(`the language of searches on ${engine.name}`, () => {
    test("changes for all messages, which are then found by their word forms", async () => {
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

    test("also applies to snippets, phrases and stop words, with and without accents", async () => {
      await using store = await testStore(engine, { searchLanguage: "german" });
      await walk(store);
      await store.messages.storeBulk({ messages: [user("Neue Häuser für Berlin"), user("Nichts für ungut")] });
      const { results, total } = await store.search.find({ query: "für das Haus", limit: 9, offset: 0 });
      expect([results.map((hit) => hit.snippet), total]).toEqual([["Neue **Häuser** für Berlin"], 1]);
      expect(await find(store, '"neues Haus"')).toEqual(["Neue Häuser für Berlin"]);
      expect(await find(store, "Berlin -hauses")).toEqual([]);
      // A query of stop words only is searched verbatim.
      expect((await store.search.find({ query: "für ungut", limit: 9, offset: 0 })).total).toBe(1);
      expect((await find(store, "für")).toSorted()).toEqual(["Neue Häuser für Berlin", "Nichts für ungut"]);
      expect(await find(store, "das")).toEqual([]);
    });

    test("has its words marked when their stem is not a prefix", async () => {
      await using store = await testStore(engine, { searchLanguage: "indonesian" });
      await store.messages.storeBulk({ messages: [user("dia membaca surat")] });
      const { results } = await store.search.find({ query: "dibaca", limit: 1, offset: 0 });
      expect(results[0]?.snippet).toBe("dia **membaca** surat");
    });

    test("hides nothing during a change: old messages are found by the old stems, new ones by the new", async () => {
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
      // On the same connections, planned before the change and after it.
      expect(await mixed("run")).toEqual(["the dog runs", "we are running to the houses"]);
      expect(await mixed("Haus house")).toEqual(["und alle Häuser", "we are running to the houses"]);
      // A stop word of one language is still a word in the other.
      expect(await mixed("die")).toEqual(["die Brücken, und wir", "it is hard to die"]);
      expect(await mixed('"running houses"')).toEqual([]);
      expect(await mixed('"the houses" or "alle Haus"')).toEqual(["und alle Häuser", "we are running to the houses"]);
      expect(await mixed("dogs Hauses -run")).toEqual(["und alle Häuser"]);
      await walk(store);
      expect(await mixed("Haus")).toEqual(["und alle Häuser"]);
      expect(await mixed("Brücke")).toEqual(["die Brücken, und wir"]);
    });

    test("changes while callers store, search, follow and delete, without failures or missed messages", async () => {
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
      // Both servers take steps in turn; a second request for the same language does not restart the rebuild.
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
      // Followers do not receive rebuilt messages again.
      expect([...told].filter((content) => content.startsWith("Nachricht"))).toEqual([]);
      expect(told.size).toBe(stored);
    });

    test("is rebuilt only after transactions in flight at the change, which store in the earlier one", async () => {
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
        // Later transactions are not waited for and do not wait.
        await store.messages.store({ conversation_id, ...user("neue Häuser") });
        await until("its waiting", () => store.reindexer.isWalking);
        expect(await store.reindexer.state()).toMatchObject({ under_way: true, walked: 0 });
      });
      await until("the end", async () => !(await store.reindexer.state()).under_way);
      stopping.abort();
      await kept;
      expect((await find(store, "Haus")).toSorted()).toEqual(["die Häuser", "neue Häuser"]);
    });

    test("is also that of messages whose words were made ahead of the change, and which are stored after it", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const { conversation_id } = await store.messages.storeBulk({ messages: [user("first")] });
      const texts = textsOfTwoParts((index) => `${index} Häuser`);
      const parts = await partsAhead(store, connection, conversation_id, texts);
      await store.reindexer.begin("german");
      const walking = walk(store);
      await until("its waiting", () => store.reindexer.isWalking);
      await parts.letGo();
      await Promise.all([parts.storing, walking]);
      expect(await find(store, "Haus")).toHaveLength(texts.length);
    });

    test("resumes a rebuild on the next server, and may change again during it", async () => {
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

    test("keeps a cursor's place when it changes", async () => {
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

    test("may stay the same in a rebuild, which repairs foreign vectors and writes no others", async () => {
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

    test("is adopted at once by an empty database, and causes a warning in one with messages", async () => {
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

    test("is refused when the database does not know it, with a list of those it knows", async () => {
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

    test("is part of a backup, even during a change", async () => {
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

    test("falls back to english when the database does not know a backup's language", async () => {
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

for (const engine of engines) {
  test(`words of the earlier form are found until they are rebuilt, on ${engine.name}`, async () => {
    const connection = await emptyDatabase(engine);
    await using sql = connect(connection);
    const before = migrations.findIndex(({ name }) => name === "0016_search_form");
    await sql.begin((within) => applyWithin(within, migrations.slice(0, before)));
    // Contents, and what an earlier Dewey gave to PostgreSQL's parser where that differed.
    const said: [string, string | null][] = [
      ["edit http2.go, it took 3.14 s", null],
      ["error -32601 of a well-known kind", null],
      ["the storeMessage failed again", "the storemessage store Message failed again"],
      ["in src/utf8.rs please", "in srcutf8rs src utf8 rs please"],
    ];
    await sql`insert into conversations (id) values ('00000000-0000-0000-0000-000000000001')`;
    for (const [index, [content, written]] of said.entries())
      await sql`insert into messages (conversation_id, turn_number, role, content, search)
        values ('00000000-0000-0000-0000-000000000001', ${index + 1}, 'user', ${content}, dewey_search_vector(${written ?? content}))`;
    await sql`update conversations set message_count = 4, last_turn = 4`;

    await using store = await testStore(engine, { connection });
    expect(await store.reindexer.state()).toMatchObject({ earlier: [], under_way: true, walked: 0, total: 4 });
    await store.messages.storeBulk({ messages: [user("new: http2.go in 3.14 s"), user("new: storeMessage failed")] });
    const first = async (query: string) => (await find(store, query)).toSorted().slice(0, 2);
    const both = ["edit http2.go, it took 3.14 s", "new: http2.go in 3.14 s"];
    const failed = ["new: storeMessage failed", "the storeMessage failed again"];
    const known: [string, string[]][] = [
      ["3.14", both],
      ["http2.go", both],
      ['"3.14 s"', both],
      ["store_message", failed],
      ['"storeMessage failed"', failed],
      ["-32601", ["error -32601 of a well-known kind"]],
      ['"a well-known kind"', ["error -32601 of a well-known kind"]],
      ["utf8.rs", ["in src/utf8.rs please"]],
    ];
    for (const [query, contents] of known) expect([query, await first(query)]).toEqual([query, contents]);
    expect(await first("http2")).toEqual(both.slice(1));
    await walk(store);
    for (const [query, contents] of known) expect([query, await first(query)]).toEqual([query, contents]);
    expect(await first("http2")).toEqual(both);
    const [row]: { earlier_form: boolean }[] = await sql`select earlier_form from dewey_search_language`;
    expect(row?.earlier_form).toBe(false);
  });
}

// Without Debian's PostgreSQL 15 there is no replica; `reads.test.ts` says so.
describe.skipIf(!debian)("the language of searches on a replica", () => {
  const engine = debian as Engine;

  test("changes while searches run there: none fails or misses anything, and they find the new word forms afterwards", async () => {
    await using primary = await privateCluster(engine);
    // Replay does not wait for conflicting searches but cancels them.
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
      // A later search never finds less, whichever server answers it.
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
      // Removes the rebuild's dead rows, on the replica too, where running searches may still see them.
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
