import { describe, expect, test } from "bun:test";
import { JOINED_WORDS, fused, joined } from "../../../src/store/meaning/join.ts";
import type { Meant } from "../../../src/store/meaning/nearest.ts";
import type { Ranked } from "../../../src/store/search/ranked.ts";

const words = (names: string[], held = 1): Ranked[] => names.map((id, index) => ({ id, score: 9 - index, held }));
const meant = (names: string[]): Meant[] =>
  names.map((id, index) => ({
    id,
    likeness: 0.9 - index / 100,
    start: 0,
    end: 5,
    conversation: "c",
    turn: 1,
    role: "user",
    time: 0,
    bytes: 5,
  }));
const ids = (ranked: Ranked[]) => ranked.map(({ id }) => id).join("");
const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `w${n + from}`);

describe("joining what words and meaning find", () => {
  test("keeps the best by words first where they hold the whole query", () => {
    expect(ids(fused(words(["a", "b", "c"]), meant(["x", "y"]), 1)).slice(0, 2)).toBe("ab");
  });

  test("puts among the first what only meaning finds, where the best hits hold little of the query, or the query's words are unknown", () => {
    const few = fused(words(["a", "b", "c"], 0.1), meant(["x", "y"]), 1);
    expect(ids(few)).toBe("xyabc");
    expect(ids(fused(words(["a", "b", "c"]), meant(["x", "y"]), 0.1))).toBe(ids(few));
  });

  test("lifts what both find, and says what found each", () => {
    const order = fused(words(["a", "b", "c", "d"]), meant(["d", "x"]), 1);
    expect(order.map(({ id, found_by }) => `${id} ${found_by}`)).toEqual([
      "a words",
      "d both",
      "b words",
      "c words",
      "x meaning",
    ]);
  });

  test("takes a copy of a hit that words have joined for that hit", () => {
    const copies = { times: 3, also: [{ message_id: "copy", conversation_id: "c", turn: 2 }] };
    const [hit = { id: "", score: 0 }] = words(["a"]);
    const order = fused([{ ...hit, repeated: copies }], meant(["copy", "x"]), 1);
    expect(order.map(({ id, found_by }) => `${id} ${found_by}`)).toEqual(["a both", "x meaning"]);
    expect(order[0]?.repeated).toEqual(copies);
  });

  test("either list may be empty", () => {
    expect(ids(fused([], meant(["x", "y"]), 0))).toBe("xy");
    expect(ids(fused(words(["a"]), [], 1))).toBe("a");
  });

  test("shows all hits by words behind the joined ones, each once, whatever the pages", async () => {
    const all = words(numbered(150), 0.5);
    const byWords = async ({ offset, limit }: { offset: number; limit: number }) =>
      all.slice(offset, offset + limit + 3);
    const byMeaning = meant(["x", "w120", "w3", "y"]);
    const order = await joined(byWords, byMeaning, 1);
    expect(order.added).toBe(3);
    const whole = (await order.page({ offset: 0, limit: 200 })).map(({ id }) => id);
    expect([whole.length, new Set(whole).size]).toEqual([152, 152]);
    expect(whole.slice(-3)).toEqual(numbered(3, 147));
    for (const limit of [1, 7, 40]) {
      const paged: string[] = [];
      for (let offset = 0; offset < whole.length; offset += limit)
        paged.push(...(await order.page({ offset, limit })).slice(0, limit).map(({ id }) => id));
      expect(paged).toEqual(whole);
    }
  });

  test("ends with the joined ones when words find no more", async () => {
    const all = words(numbered(JOINED_WORDS - 1));
    const order = await joined(async ({ offset, limit }) => all.slice(offset, offset + limit), meant(["x"]), 1);
    expect(await order.page({ offset: JOINED_WORDS, limit: 5 })).toEqual([]);
  });
});
