import { describe, expect, test } from "bun:test";
import { BOUNDS, chooseParts, partsStatement } from "../../../src/store/search/parts.ts";

const MILLION = 1_000_000;
const filterOfAll = { sieve: "true", scope: undefined };
const words = (...counts: number[]) => counts.map((count, index) => ({ lexeme: "abcdefghijkl"[index] ?? "", count }));

describe("the candidates of a search", () => {
  test("are all matches when the words are rare", () => {
    expect(chooseParts(words(3, 50), MILLION, 1, BOUNDS)).toEqual([
      { match: "('a') | ('b')", share: 1, most: 2000, matching: expect.closeTo(53, 1) },
    ]);
  });

  test("are messages with a rare word or several common ones, and the newest with any", () => {
    const [chosen, newest, ...more] = chooseParts(words(100, 20_000, 30_000), MILLION, 1, BOUNDS);
    expect(chosen).toMatchObject({ match: "('a') | ('b' & 'c')", share: 1, most: 2000 });
    expect(newest?.match).toBe("('a' | 'b' | 'c') & !(('a') | ('b' & 'c'))");
    expect(newest?.share).toBeCloseTo(BOUNDS.newest / 50_100);
    expect(more).toEqual([]);
  });

  test("are all matches when these are few, whatever the words", () => {
    const many = words(10, 20, 30, 40, 50, 2000);
    const [, others] = chooseParts(many, 2500, 1, BOUNDS);
    expect(others).toMatchObject({ share: 1, isWhole: true });
    expect(others?.match).toStartWith("('a' | 'b' | 'c' | 'd' | 'e' | 'f') & !(");
    const statement = (isLong: boolean) =>
      partsStatement(() => "m.id", chooseParts(many, 2500, 1, BOUNDS, isLong), [0, 0], filterOfAll, {
        gathered: BOUNDS.gathered,
        isLong,
      });
    expect(statement(false)).toEndWith("and true limit 6000)");
    // Many long vectors would be read.
    expect(statement(true)).toEndWith("limit 200) as m)");
    const [, newest] = chooseParts(words(10, 20, 30, 40, 50, 4000), 5000, 1, BOUNDS);
    expect(newest?.share).toBeCloseTo(BOUNDS.newest / 4000);
  });

  test("are the newest when even the rarest combination has too many", () => {
    expect(chooseParts(words(100_000), MILLION, 1, BOUNDS)).toEqual([
      { match: "('a')", share: BOUNDS.candidates / 100_000, most: 2000, matching: 100_000 },
    ]);
    const [pair] = chooseParts(words(100_000, 100_000), MILLION, 1, BOUNDS);
    expect(pair).toEqual({
      match: "('a' & 'b')",
      share: BOUNDS.candidates / 10_000,
      most: 2000,
      matching: expect.closeTo(10_000),
    });
  });

  test("are a larger share of the matches when a filter passes few of them", () => {
    expect(chooseParts(words(100_000), MILLION, 0.01, BOUNDS)).toEqual([
      { match: "('a')", share: 1, most: 2000, matching: 100_000 },
    ]);
  });

  test("are, of long texts, late behind many with the rarest combinations, whatever the lengths", () => {
    const long = chooseParts(words(600, 900), MILLION, 1, BOUNDS, true);
    expect(long).toMatchObject([{ match: "('a')" }, { match: "(('b')) & !(('a'))", isLate: true }]);
    expect(chooseParts(words(600, 900), MILLION, 1, BOUNDS, false)).toHaveLength(1);
  });

  test("are found by the conversations of a scope unless it holds many messages for each match", () => {
    const parts = chooseParts(words(100_000), MILLION, 0.1, BOUNDS);
    const statement = (messages: number) => {
      const scope = { conversations: "select id from conversations where client = 'a'", messages };
      const filter = { sieve: "true", scope };
      return (isLong: boolean) =>
        partsStatement(() => "m.id", parts, [1000], filter, { gathered: BOUNDS.gathered, isLong });
    };
    expect(statement(100_000)(false)).toContain("where client = 'a' and updated_at >= to_timestamp(1)");
    expect(statement(10_000_000)(false)).not.toContain("updated_at");
    // Every vector of the conversations would be read.
    expect(statement(100_000)(true)).not.toContain("updated_at");
  });

  test("are chosen by a short condition for a query of many words", () => {
    const [chosen] = chooseParts(words(...Array.from({ length: 12 }, () => 90_000)), MILLION, 1, BOUNDS);
    expect(chosen?.match.length).toBeLessThan(5000);
  });
});
