import { describe, expect, test } from "bun:test";
import { Turns } from "../../src/page/client/turns.ts";

describe("the turns of a conversation", () => {
  const turns = new Turns([
    [1, 3],
    [7, 7],
    [10, 12],
  ]);

  test("are rows without gaps, and rows are turns", () => {
    expect(turns.count).toBe(7);
    expect(turns.last).toBe(12);
    const all = [1, 2, 3, 7, 10, 11, 12];
    expect(all.map((_, row) => turns.turnAt(row))).toEqual(all);
    expect(all.map((turn) => turns.rowOf(turn))).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(turns.turnAt(7)).toBeUndefined();
  });

  test("that are not shown are found at the nearest one before them", () => {
    expect([0, 5, 9, 13].map((turn) => turns.rowOf(turn))).toEqual([0, 2, 3, 6]);
    expect(new Turns([]).rowOf(3)).toBe(0);
  });

  test("are made of turns that are known one by one", () => {
    const few = Turns.of([4, 5, 6, 9, 11, 12]);
    expect([0, 1, 2, 3, 4, 5].map((row) => few.turnAt(row))).toEqual([4, 5, 6, 9, 11, 12]);
    expect(few.count).toBe(6);
    expect(Turns.of([]).count).toBe(0);
  });
});
