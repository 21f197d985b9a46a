import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Heights } from "../../src/page/parts/heights.ts";

const heightsOf = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 200 });

describe("the heights of rows", () => {
  test("say where each row begins, and which row is at a place, whatever is measured", () => {
    fc.assert(
      fc.property(heightsOf, fc.array(fc.tuple(fc.nat(199), fc.integer({ min: 1, max: 900 }))), (given, measured) => {
        const heights = new Heights(given.length, (index) => given[index] ?? 0);
        const known = [...given];
        for (const [index, height] of measured) {
          if (index >= known.length) continue;
          heights.measure(index, height);
          known[index] = height;
        }
        let start = 0;
        for (const [index, height] of known.entries()) {
          expect(heights.startOf(index)).toBe(start);
          expect(heights.rowAt(start)).toBe(index);
          expect(heights.rowAt(start + height - 0.5)).toBe(index);
          start += height;
        }
        expect(heights.total).toBe(start);
        expect(heights.rowAt(start + 1000)).toBe(known.length - 1);
      }),
    );
  });

  test("keep what was measured when rows are added", () => {
    const heights = new Heights(2, () => 50);
    expect(heights.measure(1, 80)).toBe(true);
    expect(heights.measure(1, 80.2)).toBe(false);
    const more = heights.resized(
      4,
      (index) => (index < 2 ? index : undefined),
      () => 60,
    );
    expect([0, 1, 2, 3].map((index) => more.heightOf(index))).toEqual([60, 80, 60, 60]);
  });
});
