import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SearchRequest } from "../../../src/store/search/search.ts";
import type { Store } from "../../../src/store/store.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

/** Words that no query here has; as many as asked for, none twice. */
const filler = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `fill${from + index}er`).join(" ");

for (const engine of engines) {
  describe(`the order of hits on ${engine.name}`, () => {
    let store: Store;
    let connection: Awaited<ReturnType<typeof emptyDatabase>>;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());

    const find = (query: string, more: Partial<SearchRequest> = {}) =>
      store.search.find({ query, limit: 100, offset: 0, ...more });
    const say = (content: string, role = "user", session_id?: string) =>
      store.messages.storeBulk({ session_id, messages: [{ role, content }] });
    const beginnings = async (query: string, more: Partial<SearchRequest> = {}) =>
      (await find(query, more)).results.map((hit) => hit.content.split(" ", 1)[0]);

    test("a short answer comes before a long text that holds its words apart", async () => {
      await say(`Answer the mango grows in Borneo ${filler(20)}`, "assistant");
      await say(`Printed mango mango ${filler(900)} Borneo grows ${filler(900, 900)} Borneo mango`, "tool");
      expect(await beginnings("where does the mango grow in Borneo")).toEqual(["Answer", "Printed"]);
    });

    test("a long text is as good as its best passage, wherever that stands", async () => {
      await say(`Together ${filler(1500)} papaya ripens in Ceylon ${filler(300, 1500)}`, "tool");
      await say(`Apart papaya ${filler(900)} ripens ${filler(900, 900)} in Ceylon`, "tool");
      expect(await beginnings("where does the papaya ripen in Ceylon")).toEqual(["Together", "Apart"]);
    });

    test("of two messages with the same best passage, the shorter comes first", async () => {
      const passage = "loquat blossoms in Chile";
      await say(`Short ${passage} ${filler(200)}`, "tool");
      await say(`Long ${passage} ${filler(3000)}`, "tool");
      expect(await beginnings("loquat blossoms in Chile")).toEqual(["Short", "Long"]);
    });

    test("what a person said comes before what an assistant said, and that before what a tool printed", async () => {
      for (const role of ["user", "assistant", "tool"]) await say(`${role} kiwi`, role);
      expect(await beginnings("kiwi")).toEqual(["user", "assistant", "tool"]);
    });

    test("of one session stays the same, whatever else the store holds", async () => {
      const messages = ["lychee", "lychee juice in a glass", "juice", "a glass of lychee", "glass"].map(
        (text, index) => ({
          role: index % 2 === 0 ? "user" : "assistant",
          content: `${index} ${text} ${filler(index * 30)}`,
        }),
      );
      await store.messages.storeBulk({ session_id: "fruit", messages });
      const order = () => beginnings("lychee juice glass", { session_id: "fruit" });
      const before = await order();
      expect(before).toHaveLength(5);
      for (let each = 0; each < 20; each += 1) await say(`${each} glass juice ${filler(1000, each * 1000)}`, "tool");
      await using sql = connect(connection);
      await sql`analyze messages`;
      expect(await order()).toEqual(before);
    });

    test("a text that was said again and again is one hit, the newest, that says how often and where", async () => {
      const said = [];
      for (let day = 1; day <= 4; day += 1) {
        const messages = [{ role: "user", content: "run the durian tests", created_at: `2024-01-0${day}T00:00:00Z` }];
        said.push(await store.messages.storeBulk({ messages }));
      }
      await say("the durian is ripe");
      const { results, total } = await find("durian");
      expect(total).toBe(5);
      expect(results.map((hit) => hit.content).toSorted()).toEqual(["run the durian tests", "the durian is ripe"]);
      const [newest, ...others] = said.toReversed();
      const hit = results.find((each) => each.repeated);
      expect(hit?.conversation_id).toBe(newest?.conversation_id ?? "");
      expect(hit?.repeated).toEqual({
        times: 4,
        also: others.map(({ conversation_id, message_ids = [] }) => ({
          message_id: message_ids[0] ?? "",
          conversation_id,
          turn: 1,
        })),
      });
      expect(results.filter((each) => each.repeated)).toHaveLength(1);
    });

    test("long texts that show the same lines are one hit, and a page has others in their place", async () => {
      const lines = `${filler(60)}\nfunction guava() { return pomelo }\n${filler(60, 60)}`;
      for (let copy = 0; copy < 6; copy += 1) await say(`${filler(200, copy * 1000)}\n${lines}\n${copy}`, "tool");
      for (let other = 0; other < 3; other += 1)
        await say(`guava number ${other}, ${filler(100, other * 100)}`, "tool");
      const page = await find("guava pomelo", { limit: 4 });
      expect(page.results).toHaveLength(4);
      expect(page.results.map((hit) => hit.repeated?.times)).toEqual([6, undefined, undefined, undefined]);
      expect(page.results[0]?.repeated?.also).toHaveLength(5);
      expect(page).not.toHaveProperty("next_cursor");
    });

    test("pages hold each text once, and count all messages with it", async () => {
      const texts = Array.from({ length: 30 }, (_, index) => `rambutan ${index % 3 === 0 ? "again" : index}`);
      for (const text of texts) await say(text);
      const contents: string[] = [];
      let times = 0;
      for (let cursor: string | undefined, more = true; more;) {
        const page = await find("rambutan", { limit: 4, cursor });
        contents.push(...page.results.map((hit) => hit.content));
        times += page.results.reduce((sum, hit) => sum + (hit.repeated?.times ?? 1), 0);
        cursor = page.next_cursor;
        more = cursor !== undefined;
      }
      expect(contents.toSorted()).toEqual([...new Set(texts)].toSorted());
      expect(times).toBe(30);
    });

    test("pages go on behind texts that show the same lines, however many these are", async () => {
      const messages = Array.from({ length: 150 }, (_, index) => ({
        role: "tool",
        content: `${index} ${filler(60)} §§ longan ${filler(60)} ${index}`,
        // Far from each other, so that each is ranked by itself.
        turn_number: (index + 1) * 10,
      }));
      await store.messages.storeBulk({ messages });
      for (const query of ["§§", "longan"]) {
        let times = 0;
        for (let cursor: string | undefined, more = true; more;) {
          const page = await find(query, { limit: 30, cursor });
          times += page.results.reduce((sum, hit) => sum + (hit.repeated?.times ?? 1), 0);
          cursor = page.next_cursor;
          more = cursor !== undefined;
        }
        expect([query, times]).toEqual([query, 150]);
      }
    });

    test("a page that is full before a text that shows the same lines leaves that to a later page", async () => {
      const text = (from: number) => `${filler(60, from)} ¶¶ ${filler(60, from + 60)}`;
      const same = Array.from({ length: 4 }, (_, copy) => `${copy} ${text(0)} ${copy}`);
      const others = Array.from({ length: 80 }, (_, index) => text(1000 * (index + 1)));
      const contents = [...same.slice(1), ...others, ...same.slice(0, 1)];
      await store.messages.storeBulk({ messages: contents.map((content) => ({ role: "tool", content })) });
      const named: string[] = [];
      for (let cursor: string | undefined, more = true; more;) {
        const page = await find("¶¶", { limit: 100, cursor });
        for (const { message_id, repeated } of page.results)
          named.push(message_id, ...(repeated?.also ?? []).map((copy) => copy.message_id));
        cursor = page.next_cursor;
        more = cursor !== undefined;
      }
      expect([named.length, new Set(named).size]).toEqual([84, 84]);
    });

    test("a text that was said twice is two hits, since calls are often repeated", async () => {
      for (const session_id of ["first", "second"])
        await store.messages.storeBulk({ session_id, messages: [{ role: "user", content: "call jackfruit" }] });
      const { results, total } = await find("jackfruit");
      expect([results.length, total]).toEqual([2, 2]);
    });

    test("the same text of another role is another hit", async () => {
      await say("salak", "user");
      await say("salak", "assistant");
      expect((await find("salak")).results.map((hit) => hit.role)).toEqual(["user", "assistant"]);
    });
  });
}
