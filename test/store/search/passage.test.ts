import { describe, expect, test } from "bun:test";
import { PASSAGE_WORDS, bestPassage } from "../../../src/store/search/passage.ts";

const places = (...of: [position: number, word: number][]) => of.map(([position, word]) => ({ position, word }));
/** Values each different word by its index + 1. */
const different = (word: number, count: number) => (count > 0 ? word + 1 : 0);

describe("the best passage of a text", () => {
  test("is the one with the most valuable words together", () => {
    const text = places([1, 0], [300, 1], [330, 0], [350, 1], [900, 2]);
    expect(bestPassage(text, 3, different)).toEqual([1, 2, 0]);
    const close = places([1, 2], [300, 1], [330, 2], [900, 0]);
    expect(bestPassage(close, 3, different)).toEqual([0, 1, 1]);
  });

  test("has no word beyond its length", () => {
    expect(bestPassage(places([1, 0], [PASSAGE_WORDS, 1]), 2, different)).toEqual([1, 1]);
    expect(bestPassage(places([1, 0], [PASSAGE_WORDS + 1, 1]), 2, different)).toEqual([0, 1]);
  });

  test("may be the last of a text, and counts each place of a word", () => {
    const often = (_: number, count: number) => count;
    expect(bestPassage(places([1, 0], [500, 0], [501, 0], [502, 0]), 1, often)).toEqual([3]);
    expect(bestPassage([], 2, often)).toEqual([0, 0]);
  });
});
