import { expect, test } from "bun:test";
import { assert, property, string } from "fast-check";
import { lengthInCodePoints, positionBehind } from "../../src/store/code-points.ts";

test("a text's length counts a pair of surrogates once, and a lone one too", () => {
  expect(lengthInCodePoints("a👍\ud83d b")).toBe(5);
  assert(
    property(string({ unit: "binary" }), (text) => {
      expect(lengthInCodePoints(text)).toBe(Array.from(text).length);
    }),
    { seed: 20_261_130, numRuns: 500 },
  );
});

test("the position behind some code points is that in UTF-16, and the end of a shorter text", () => {
  const text = "a😀b\ud83d";
  expect([0, 1, 2, 3, 4, 9].map((characters) => positionBehind(text, characters))).toEqual([0, 1, 3, 4, 5, 5]);
});
