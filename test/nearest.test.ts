import { expect, test } from "bun:test";
import { didYouMean, nearest } from "../src/nearest.ts";

const names = ["search", "serve", "show", "list", "rm", "star", "stats"];

test("a misspelt name is recognised by its nearest, with up to an error for every three characters", () => {
  for (const [word, name] of [
    ["serach", "search"],
    ["SEARCH", "search"],
    ["lst", "list"],
    ["lists", "list"],
    ["shwo", "show"],
    ["mr", "rm"],
    ["stat", "star"],
  ] as const)
    expect([word, nearest(word, names)]).toEqual([word, name]);
});

test("a word that resembles none has no suggestion, and a long one is not compared", () => {
  for (const word of ["frobnicate", "", "xyz", "search".repeat(100_000)]) expect(didYouMean(word, names)).toBe("");
  expect(didYouMean("serach", names)).toBe(" (did you mean search?)");
});
