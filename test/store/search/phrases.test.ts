import { expect, test } from "bun:test";
import { engines, testStore } from "../../support/postgres.ts";

/** Different words, more than PostgreSQL has positions for. */
const many = Array.from({ length: 17_000 }, (_, index) => `w${index % 700}`).join(" ");

for (const engine of engines) {
  test(`a phrase on ${engine.name} is found behind any number of words`, async () => {
    await using store = await testStore(engine);
    const contents: [string, string[], string[]][] = [
      [
        `${many} quokka-zephyr end`,
        ["quokka zephyr", "Zephyr end", "w199 quokka"],
        ["zephyr quokka", "quokka end", "kka zephyr"],
      ],
    ];
    for (const count of [254, 255, 256, 1000])
      contents.push([
        `${"error seen: ".repeat(count)} Error -> CODE 77`,
        ["error code", "error code 77", "code 77"],
        ["code error", "error co", "seen code", "rror code"],
      ]);
    for (const [index, [content, held, lacking]] of contents.entries()) {
      const session_id = `phrases ${index}`;
      await store.messages.storeBulk({ session_id, messages: [{ role: "tool", content }] });
      const total = async (query: string) =>
        (await store.search.find({ query, session_id, limit: 1, offset: 0 })).total;
      const of = content.slice(-30);
      for (const phrase of held) {
        expect([of, phrase, await total(`"${phrase}"`)]).toEqual([of, phrase, 1]);
        expect([of, phrase, await total(`-"${phrase}" w1 seen`)]).toEqual([of, phrase, 0]);
      }
      for (const phrase of lacking) {
        expect([of, phrase, await total(`"${phrase}"`)]).toEqual([of, phrase, 0]);
        expect([of, phrase, await total(`-"${phrase}" w1 seen`)]).toEqual([of, phrase, 1]);
      }
    }
  });

  test(`a long phrase on ${engine.name} costs no more than its words`, async () => {
    await using store = await testStore(engine);
    const words = Array.from({ length: 300 }, (_, index) => `${"long".repeat(60)}${index}`);
    await store.messages.storeBulk({ messages: [{ role: "tool", content: `${many} ${words.join("-")}` }] });
    const { total } = await store.search.find({ query: `"${words.slice(0, 60).join(" ")}"`, limit: 1, offset: 0 });
    expect(total).toBe(1);
  });

  test(`a page in quotes on ${engine.name} is found in a script without spaces`, async () => {
    await using store = await testStore(engine);
    const page = Array.from({ length: 19_000 }, (_, index) =>
      String.fromCodePoint(0x4e_00 + ((index * 7) % 5000)),
    ).join("");
    await store.messages.storeBulk({ messages: [{ role: "user", content: `${page}。` }] });
    const { total } = await store.search.find({ query: `"${page}"`, limit: 1, offset: 0 });
    expect(total).toBe(1);
  });
}
