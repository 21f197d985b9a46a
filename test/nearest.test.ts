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

test("a beginning of one name stands for it, and so does a name with more behind it", () => {
  const clients = ["claude-code", "codex", "gemini"];
  for (const [word, name] of [
    ["claude", "claude-code"],
    ["Gemini-CLI", "gemini"],
    ["cod", "codex"],
  ] as const)
    expect([word, nearest(word, clients)]).toEqual([word, name]);
  for (const several of ["co", "c", ""]) expect(nearest(several, ["connect", "context", "codex"])).toBeUndefined();
  expect(nearest("conte", ["connect", "context"])).toBe("context");
  expect(nearest("con", ["connect", "context"])).toBeUndefined();
});

test("a word that resembles none has no suggestion, and a long one is not compared", () => {
  for (const word of ["frobnicate", "", "xyz", "search".repeat(100_000)]) expect(didYouMean(word, names)).toBe("");
  expect(didYouMean("serach", names)).toBe(" (did you mean search?)");
});
