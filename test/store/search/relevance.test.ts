import { describe, expect, test } from "bun:test";
import { ownScore, ownScoreIn, scoreTurns } from "../../../src/store/search/relevance.ts";
import type { Turn } from "../../../src/store/search/relevance.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";

const words = { lexemes: ["rare", "common"], weights: [3, 1] };
const turnOf = (given: Partial<Turn>): Turn => ({
  id: "a",
  conversation: "c",
  turn: 1,
  time: 0,
  bytes: 120,
  role: "assistant",
  asks: false,
  label: 0,
  is_hit: true,
  frequencies: [1, 0],
  ...given,
});
const scoreOf = (...turns: Partial<Turn>[]) =>
  scoreTurns(
    turns.map((each, index) => turnOf({ id: `${index}`, turn: index + 1, ...each })),
    words,
    new Map(),
  )[0]?.score ?? 0;

describe("the score of a turn", () => {
  test("falls with its length, also beyond a passage", () => {
    const scores = [60, 600, 6000, 60_000].map((bytes) => ownScore(turnOf({ bytes }), words));
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(new Set(scores).size).toBe(4);
    expect((scores[2] ?? 0) / (scores[3] ?? 0)).toBeGreaterThan(2);
  });

  test("is lower of a few words than of a sentence; what a tool printed may be shorter", () => {
    const scoreOfWords = (count: number, role: string) => {
      const sentence = { turn: 50, bytes: 180, role };
      const scored = scoreTurns([turnOf(sentence), turnOf({ bytes: 6 * count, role })], words, new Map());
      return scored.find(({ turn }) => turn.turn === 1)?.score ?? 0;
    };
    for (const role of ["user", "assistant"]) {
      expect(scoreOfWords(20, role)).toBeLessThan(scoreOfWords(30, role));
      expect(scoreOfWords(5, role)).toBeLessThan(scoreOfWords(20, role));
    }
    expect(scoreOfWords(20, "tool")).toBeGreaterThan(scoreOfWords(30, "tool"));
    expect(scoreOfWords(5, "tool")).toBeLessThan(scoreOfWords(20, "tool"));
  });

  test("grows with a word before the first colon, less in what a tool printed, which nobody said", () => {
    const gain = (role: string) => scoreOf({ role, label: 1 }) - scoreOf({ role });
    expect(gain("assistant")).toBe(gain("user"));
    expect(gain("tool")).toBeLessThan(gain("assistant"));
    expect(gain("tool")).toBeGreaterThan(0);
  });

  test("is lower when it is a short question, which asks for an answer and is none", () => {
    const lost = (bytes: number) => scoreOf({ bytes }) - scoreOf({ bytes, asks: true });
    expect(lost(60)).toBeGreaterThan(lost(120));
    expect(lost(120)).toBeGreaterThan(0);
    expect(lost(240)).toBe(0);
  });

  test("grows with a short question before it that holds the words, and not with a long one", () => {
    const question = { asks: true, frequencies: [1, 1], bytes: 100 };
    const answer = (before: Partial<Turn>) =>
      scoreTurns([turnOf({ ...before, id: "q" }), turnOf({ turn: 2 })], words, new Map()).find(
        ({ turn }) => turn.turn === 2,
      )?.score ?? 0;
    const gain = answer(question) - answer({ ...question, asks: false });
    expect(gain).toBeGreaterThan(1);
    expect(answer({ ...question, bytes: 2000 }) - answer({ ...question, bytes: 2000, asks: false })).toBe(0);
  });

  test("grows with the words of a turn near it, unless that is long", () => {
    const near = (bytes: number, turn: number) => scoreOf({}, { turn, bytes, frequencies: [0, 2], is_hit: false });
    expect(near(300, 2)).toBeGreaterThan(near(300, 50));
    expect(near(50_000, 2)).toBe(near(50_000, 50));
  });

  test("grows with what other turns of the conversation hold, however far away", () => {
    const near = scoreOf({}, { turn: 50, frequencies: [0, 2] });
    expect(near).toBeGreaterThan(scoreOf({}));
    expect(scoreOf({}, { turn: 50, frequencies: [0, 2], conversation: "other" })).toBe(scoreOf({}));
  });
});

for (const engine of engines) {
  test(`the score of a turn by itself is the same in SQL and in TypeScript on ${engine.name}`, async () => {
    await using sql = connect(await emptyDatabase(engine));
    for (const role of ["user", "assistant", "tool", "system"]) {
      for (const bytes of [10, 700, 50_000]) {
        const turn = turnOf({ role, bytes, frequencies: [1.25, 0.5] });
        const rows = await sql.unsafe(
          `select ${ownScoreIn(words)} as own from (values (0), (1)) as labels (label),
            (values (${bytes}, '${role}', 1.25::float8, 0.5::float8)) as turns (bytes, role, f0, f1) order by label`,
        );
        const [plain, labelled] = rows.map(({ own }: { own: number }) => own);
        expect(plain).toBeCloseTo(ownScore(turn, words), 9);
        expect(labelled - plain).toBeCloseTo(scoreOf({ role, label: 1 }) - scoreOf({ role }), 9);
      }
    }
  });
}
