import { expect, test } from "bun:test";
import { assert, array, constantFrom, nat, property, string } from "fast-check";
import { Beginnings } from "../../../src/store/search/beginnings.ts";
import { wordsIn } from "../../../src/store/search/text.ts";

/** The same texts every time. */
const SEED = 20_260_101;

const pieces = constantFrom(
  " ",
  "\n",
  ".",
  "-",
  "_",
  "/",
  "\\n",
  "\\t",
  ":",
  "@",
  "(",
  "’",
  "\ufeff",
  "a",
  "b",
  "x",
  "e",
  "v",
  "B",
  "X",
  "V",
  "0",
  "12",
  "3",
  "é",
  "Σ",
  "ß",
  "漢",
  "ไ",
  "👍",
  "fooBar",
  "HTTPServer",
  "v1.2.3",
  "3.14",
  "12e5",
  "./gradlew",
  "\u00ad",
  "\u001b[31m",
  "\\u001b[0m",
  "\\u0041",
  "\\b",
  "%41",
  "%C3%A9",
  "&eacute;",
  "&#65;",
);
const texts = array(pieces, { maxLength: 30 }).map((some) => some.join(""));

/** Words that begin so, once by all of the text, once by the parts that may hold them. */
function both(text: string, beginning: string) {
  const begin = (words: { text: string }[]) => words.filter((word) => word.text.startsWith(beginning));
  return [begin(wordsIn(text)), begin(wordsIn(text, new Beginnings([beginning])))];
}

test("each word is in a part that its beginning may be in", () => {
  assert(
    property(texts, nat(), nat(4), (text, which, characters) => {
      const words = wordsIn(text);
      const beginning = words[which % Math.max(1, words.length)]?.text.slice(0, characters + 1) ?? "";
      const [all, found] = both(text, beginning);
      expect(found).toEqual(all ?? []);
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

test("so is each word of any text, and of one that is cut for its length", () => {
  assert(
    property(string({ unit: "grapheme", maxLength: 40 }), nat(), (text, which) => {
      const words = wordsIn(text);
      const beginning = words[which % Math.max(1, words.length)]?.text.slice(0, 2) ?? "";
      const [all, found] = both(text, beginning);
      expect(found).toEqual(all ?? []);
    }),
    { seed: SEED, numRuns: 1000 },
  );
  const [all, found] = both(`${"a".repeat(500)}bc`, "bc");
  expect(all).toHaveLength(1);
  expect(found).toEqual(all ?? []);
});

test("other parts are not read", () => {
  const text = "the runner ran, and getRun() at run/time";
  expect(wordsIn(text, new Beginnings(["run"])).map((word) => word.text)).toEqual([
    "runner",
    "getrun",
    "get",
    "run",
    "run",
    "time",
    "runtime",
  ]);
});
