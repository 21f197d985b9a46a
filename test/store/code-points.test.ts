import { expect, test } from "bun:test";
import { assert, property, string } from "fast-check";
import { lengthInCodePoints } from "../../src/store/code-points.ts";

test("a text's length counts a pair of surrogates once, and a lone one too", () => {
  expect(lengthInCodePoints("a👍\ud83d b")).toBe(5);
  assert(
    property(string({ unit: "binary" }), (text) => {
      expect(lengthInCodePoints(text)).toBe(Array.from(text).length);
    }),
    { seed: 20_261_130, numRuns: 500 },
  );
});
