import { describe, expect, test } from "bun:test";
import { TestEndpoint } from "../../support/embeddings-endpoint.ts";
import { failure } from "../../support/failure.ts";
import { foundBy, meaningStore } from "../../support/meaning.ts";
import { engines, testStore } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

const user = (content: string) => ({ role: "user", content });

for (const engine of engines) {
  describe(`asking by meaning on ${engine.name}`, () => {
    test("finds what no word finds, and says what found each hit", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      await it.store.messages.storeBulk({
        messages: [user("my automobile needs a repair"), user("the car is red"), user("lunch was fine")],
      });
      await it.embed();
      const reply = await it.find("repair the car");
      expect(new Map(foundBy(reply).slice(0, 2))).toEqual(
        new Map([
          ["my automobile needs a repair", "both"],
          ["the car is red", "both"],
        ]),
      );
      expect(foundBy(await it.find("vehicle"))[0]?.[1]).toBe("meaning");
      expect(foundBy(await it.find("the vehicle", { mode: "meaning", limit: 2 }))).toEqual([
        ["the car is red", "meaning"],
        ["my automobile needs a repair", "meaning"],
      ]);
      expect((await it.find("vehicle", { mode: "words" })).results).toEqual([]);
      const words = await it.find("repair the car", { mode: "words" });
      expect(foundBy(words).every(([, by]) => by === undefined)).toBe(true);
    });

    test("a query that means itself is answered by words alone", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      await it.store.messages.storeBulk({ messages: [user("see src/car.ts"), user("the automobile"), user("my car")] });
      await it.embed();
      const before = endpoint.requests.length;
      for (const query of ["src/car.ts", '"my car"', "ca*", "parseQuery"]) {
        const { results } = await it.find(query);
        expect(results.every((hit) => hit.found_by === undefined)).toBe(true);
        expect(results.map((hit) => hit.content)).not.toContain("the automobile");
      }
      // A word that words find is asked of the endpoint, but its order is that of words.
      expect((await it.find("car")).results.map((hit) => hit.content)).not.toContain("the automobile");
      expect(endpoint.requests.slice(before).map(({ input }) => input)).toEqual([["car"]]);
      expect(foundBy(await it.find("", { role: "user" }))).toHaveLength(3);
    });

    test("filters, unwanted words, sessions and the trash hold for what meaning finds", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const { conversation_id } = await it.store.messages.storeBulk({
        session_id: "one",
        messages: [user("an automobile in the yard"), { role: "assistant", content: "a vehicle stands there" }],
      });
      await it.store.messages.storeBulk({ session_id: "two", messages: [user("an automobile elsewhere")] });
      await it.embed();
      const contents = async (query: string, request: object = {}) =>
        (await it.find(query, request)).results.map((hit) => hit.content).toSorted();
      expect(await contents("where was the car", { session_id: "two" })).toEqual(["an automobile elsewhere"]);
      expect(await contents("where was the car", { role: "assistant" })).toEqual(["a vehicle stands there"]);
      expect(await contents("where was the car -yard", { session_id: "one" })).toEqual(["a vehicle stands there"]);
      expect(await contents("where was the car", { conversation_id, role: "user" })).toEqual([
        "an automobile in the yard",
      ]);
      expect(await contents("where was the car", { session_id: "three" })).toEqual([]);
      await it.store.conversations.delete({ conversation_id, force: false });
      expect(await contents("where was the car")).toEqual(["an automobile elsewhere"]);
    });

    test("what was said around a message says what it means, but for what a tool printed", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const talks = [
        [user("which doctor was it"), { role: "assistant", content: "the one downstairs" }],
        [user("where is the guitar"), { role: "tool", content: "the one downstairs" }],
        [user("where is the guitar"), { role: "assistant", content: "the one downstairs" }, user("which guitar now")],
      ];
      for (const [index, messages] of talks.entries())
        await it.store.messages.storeBulk({ session_id: `talk ${index}`, messages });
      await it.embed();
      const { results } = await it.find("some instrument", { mode: "meaning" });
      const answers = results.filter(({ content }) => content === "the one downstairs");
      expect(answers.map(({ session_id, role }) => `${session_id} ${role}`)).toEqual([
        "talk 2 assistant",
        "talk 1 tool",
        "talk 0 assistant",
      ]);
    });

    test("what a person said is before what others said alike", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      for (const role of ["assistant", "user", "tool"])
        await it.store.messages.storeBulk({ messages: [{ role, content: "a car downstairs" }] });
      await it.embed();
      const { results } = await it.find("some automobile", { mode: "meaning" });
      expect(results[0]?.role).toBe("user");
    });

    test("a deleted message's vectors are gone at once, and a message that changes gets others", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      await it.store.messages.storeBulk({ messages: [user("an automobile"), user("a physician")] });
      await it.embed();
      await it.sql`delete from messages where content = 'an automobile'`;
      const [left]: { count: number }[] = await it.sql`select count(*)::integer as count from dewey_meaning_passages`;
      expect(left?.count).toBe(1);
      expect((await it.find("the car")).results.map((hit) => hit.content)).toEqual(["a physician"]);
      await it.sql`update messages set content = 'an automobile again'`;
      const [none]: { count: number }[] = await it.sql`select count(*)::integer as count from dewey_meaning_passages`;
      expect(none?.count).toBe(0);
      await it.embed();
      expect(foundBy(await it.find("the car"))).toEqual([["an automobile again", "meaning"]]);
    });

    test("the same text is one hit, from three copies on", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      for (const session_id of ["one", "two", "three"])
        await it.store.messages.storeBulk({ session_id, messages: [user("an automobile in the yard")] });
      await it.store.messages.storeBulk({
        messages: [user("a physician in the yard"), user("a physician in the yard")],
      });
      await it.embed();
      const { results } = await it.find("the vehicle", { mode: "meaning" });
      expect(results.map(({ content, repeated }) => [content, repeated?.times, repeated?.also.length])).toEqual([
        ["an automobile in the yard", 3, 2],
        ["a physician in the yard", undefined, undefined],
        ["a physician in the yard", undefined, undefined],
      ]);
      const [hit] = (await it.find("an automobile of mine")).results;
      expect([hit?.content, hit?.found_by, hit?.repeated?.times]).toEqual(["an automobile in the yard", "both", 3]);
    });

    test("a hit by meaning shows the passage that is meant", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const filler = "Nothing of interest was said about the weather on that long and quiet day. ".repeat(40);
      await it.store.messages.storeBulk({
        messages: [user(`${filler}\n\nThen an automobile broke down near the physician.\n\n${filler}`)],
      });
      await it.embed();
      const [hit] = (await it.find("doctor vehicle")).results;
      expect(hit?.found_by).toBe("meaning");
      expect(hit?.snippet).toContain("an automobile broke down near the physician");
      expect(hit?.snippet.length).toBeLessThan(800);
    });

    test("pages are stable, while messages are embedded and the endpoint goes away", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const messages = Array.from({ length: 60 }, (_, n) =>
        user(n % 2 === 0 ? `automobile number ${n} of the yard` : `the car ${n} was sold`),
      );
      await it.store.messages.storeBulk({ messages });
      await it.embed();
      const whole = (await it.find("which car was it", { limit: 60 })).results.map((hit) => hit.message_id);
      // All cars by their word, and those of the automobiles that are among the nearest.
      expect(new Set(whole).size).toBe(50);
      const paged: string[] = [];
      let cursor: string | undefined;
      do {
        const reply = await it.find("which car was it", { limit: 7, cursor });
        paged.push(...reply.results.map((hit) => hit.message_id));
        cursor = reply.next_cursor;
        if (paged.length === 7) {
          await it.store.messages.storeBulk({
            messages: [user("a vehicle that came later"), user("the car of today")],
          });
          await it.embed();
          endpoint.behaviour = "busy";
        }
      } while (cursor !== undefined);
      expect(paged).toEqual(whole);
    });

    test("behind the joined hits follow all others that words find, each once", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const messages = Array.from({ length: 230 }, (_, n) => user(`the car ${n} ${"was sold ".repeat(1 + (n % 7))}`));
      await it.store.messages.storeBulk({ messages });
      await it.store.messages.storeBulk({ messages: [user("an automobile")] });
      await it.embed();
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const reply = await it.find("that car", { limit: 50, cursor });
        seen.push(...reply.results.map((hit) => hit.message_id));
        cursor = reply.next_cursor;
      } while (cursor !== undefined);
      expect([seen.length, new Set(seen).size]).toEqual([231, 231]);
    });
  });
}

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

describe("without the endpoint", () => {
  test("words answer, the reply says so, and meaning is back when the endpoint is", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({ messages: [user("an automobile"), user("my car")] });
    await it.embed();
    endpoint.behaviour = "busy";
    const reply = await it.find("where is my car");
    expect([reply.meaning, reply.results.map((hit) => hit.content)]).toEqual(["away", ["my car"]]);
    expect((await failure(it.find("where is my car", { mode: "meaning" }))).message).toContain("endpoint is away");
    endpoint.behaviour = "answer";
    await until("meaning is back", async () => (await it.find("where is the car")).meaning === undefined);
  });

  test("one that is slow delays no search beyond the limit, and only the first", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({ messages: [user("my car")] });
    await it.embed();
    endpoint.behaviour = "hang";
    const before = endpoint.requests.length;
    const replies = [];
    for (let n = 0; n < 20; n += 1) replies.push((await it.find(`question ${n} about the car`)).meaning);
    expect(replies.every((each) => each === "away")).toBe(true);
    // Twenty that waited would each have asked.
    expect(endpoint.requests.length - before).toBe(1);
  });

  test("vectors of recent queries are remembered", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({ messages: [user("an automobile")] });
    await it.embed();
    await it.find("where is the car");
    endpoint.behaviour = "busy";
    expect(foundBy(await it.find("where is the car"))).toEqual([["an automobile", "meaning"]]);
  });

  test("a store without an endpoint refuses mode meaning, and answers both by words", async () => {
    await using store = await testStore(engine);
    await store.messages.storeBulk({ messages: [user("my car")] });
    const request = { query: "the car of mine", limit: 5, offset: 0 };
    const reply = await store.search.find({ ...request, mode: "both" });
    expect([reply.meaning, reply.results[0]?.found_by]).toEqual([undefined, undefined]);
    const error = await failure(store.search.find({ ...request, mode: "meaning" }));
    expect([error.code, error.field]).toEqual(["invalid", "mode"]);
  });

  test("nothing is embedded yet: words answer, and the reply says so", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({ messages: [user("my car")] });
    await it.meaning.look();
    expect((await it.find("where is my car")).meaning).toBe("none");
  });
});
