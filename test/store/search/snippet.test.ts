import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { pieceAround, snippetOf } from "../../../src/store/search/snippet.ts";
import type { Store } from "../../../src/store/store.ts";
import { engines, testStore } from "../../support/postgres.ts";

describe("an excerpt", () => {
  const marksOf = (text: string, word: string, weight = 1) => {
    const sought = { lexeme: word, weight };
    return Array.from(text.matchAll(new RegExp(word, "g")), ({ index }) => ({
      start: index,
      end: index + word.length,
      sought,
    }));
  };

  test("splits no character and no word at its ends", () => {
    for (const shift of ["", "a"]) {
      const seals = `${shift}${"🦭".repeat(400)}`;
      const text = `${seals}heron${seals}`;
      const { text: shown } = snippetOf(text, marksOf(text, "heron"));
      expect(shown).toContain("🦭**heron**");
      expect(shown.isWellFormed()).toBe(true);
    }
    const words = "everything ".repeat(100);
    const text = `${words}heron ${words}`;
    const { text: shown } = snippetOf(text, marksOf(text, "heron"));
    expect(shown).toMatch(/^… (everything )+\*\*heron\*\*( everything)+ …$/);
  });

  test("tells where its matches are, whatever asterisks the text has of its own", () => {
    const text = `**bold** 🦭 \n  heron, \theron. ${"words ".repeat(100)} a **heron** again`;
    const { text: shown, matches } = snippetOf(text, marksOf(text, "heron").slice(0, 2));
    expect(shown).toStartWith("**bold** 🦭 **heron**, **heron**. words");
    const letters = Array.from(shown);
    expect(matches.map(([start, end]) => letters.slice(start - 2, end + 2).join(""))).toEqual([
      "**heron**",
      "**heron**",
    ]);
  });

  test("is around the rarer words when the words of a query are far apart", () => {
    const text = `common here. ${"filler ".repeat(100)}rare there. ${"filler ".repeat(100)}common again.`;
    const marks = [...marksOf(text, "common"), ...marksOf(text, "rare", 5)].toSorted((a, b) => a.start - b.start);
    expect(pieceAround(text, marks, 200).text).toContain("rare there.");
    expect(pieceAround(text, marksOf(text, "common"), 200)).toMatchObject({ start: 0 });
  });
});

for (const engine of engines) {
  describe(`snippets on ${engine.name}`, () => {
    let store: Store;
    beforeAll(async () => {
      store = await testStore(engine);
    });
    afterAll(() => store.close());

    const snippet = async (content: string, query: string) => {
      const { conversation_id } = await store.messages.storeBulk({ messages: [{ role: "user", content }] });
      const { results } = await store.search.find({ query, conversation_id, limit: 1, offset: 0 });
      return results[0]?.snippet;
    };

    test("mark the matching words in any form, case and script", async () => {
      const examples: [string, string, string][] = [
        ["Happy Walruses were swimming", "happiness walrus swims", "**Happy** **Walruses** were **swimming**"],
        ["the RÉSUMÉ of Søren", "resume soren", "the **RÉSUMÉ** of **Søren**"],
        ["e\u0301te\u0301 is over", "été", "**e\u0301te\u0301** is over"],
        ["call dewey_store_message now", "dewey_store_message", "call **dewey_store_message** now"],
        ["call dewey_store_message now", "deweystoremessage", "call **dewey_store_message** now"],
        ["we call renderWidgetTree twice", "widget", "we call render**Widget**Tree twice"],
        ["私は東京で図書館に行った", "図書館", "私は東京で**図書館**に行った"],
        ["私は猫が好き", "猫", "私は**猫**が好き"],
        ["it failed with -32601 twice", "-32601", "it failed with **-32601** twice"],
        ["see /etc/nginx/default.conf", "/etc/nginx/default.conf", "see /**etc/nginx/default.conf**"],
        ["no  such\n\nword", "such", "no **such** word"],
        ["a partial art", "art", "a partial **art**"],
      ];
      for (const [content, query, expected] of examples) {
        expect([query, await snippet(content, query)]).toEqual([query, expected]);
      }
    });

    test("show the most relevant places of a long text, with an ellipsis where it is cut", async () => {
      const filler = "many other words were said about nothing at all ".repeat(40);
      const text = `${filler}here the gondola waits. ${filler}A gondola and a campanile by the lagoon. ${filler}the lagoon`;
      const shown = await snippet(text, "gondola campanile lagoon waits");
      expect(shown).toContain("A **gondola** and a **campanile** by the **lagoon**.");
      expect(shown).toContain("**waits**.");
      expect(shown).toMatch(/^… .+ … .+ …$/);
      expect(shown?.length).toBeLessThan(500);
      expect(await snippet("字".repeat(5000), "字字")).toMatch(/^\*\*字+\*\* …$/);
      expect(await snippet(`${"字".repeat(5000)}鯨鯢`, "鯨鯢")).toMatch(/^… 字+\*\*鯨鯢\*\*$/);
    });
  });
}
