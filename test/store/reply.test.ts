import { expect, test } from "bun:test";
import { EXACT_TOTAL_LIMIT, beginning, boundedTotal, largestWhole } from "../../src/store/reply.ts";

test("a beginning is cut by bytes, between characters", () => {
  expect(beginning("aé漢🙂", 10)).toEqual({ text: "aé漢🙂", characters: 4 });
  expect(beginning("aé漢🙂", 9)).toEqual({ text: "aé漢", characters: 3 });
  expect(beginning("🙂", 3)).toEqual({ text: "", characters: 0 });
});

test("a beginning counts each character with its bytes in UTF-8", () => {
  const characters = ["\u007f", "\u0080", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}"];
  for (const character of characters) {
    const bytes = Buffer.byteLength(character);
    expect(beginning(character, bytes)).toEqual({ text: character, characters: 1 });
    expect(beginning(character, bytes - 1)).toEqual({ text: "", characters: 0 });
  }
});

test("small values stay whole and large ones share the rest evenly", () => {
  expect(largestWhole([10, 20, 30], 100)).toBeGreaterThanOrEqual(30);
  expect(largestWhole([10, 500, 90, 700], 300)).toBe(100);
  expect(largestWhole([], 100)).toBe(100);
  expect(largestWhole([5, 5], 0)).toBe(0);
});

test("a total is exact up to the limit, and a lower bound above it", () => {
  expect(boundedTotal(EXACT_TOTAL_LIMIT)).toEqual({ total: EXACT_TOTAL_LIMIT });
  expect(boundedTotal(EXACT_TOTAL_LIMIT + 1)).toEqual({ total: EXACT_TOTAL_LIMIT, total_is_lower_bound: true });
});
