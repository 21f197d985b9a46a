import { expect, test } from "bun:test";
import { markedWords } from "../../src/page/parts/snippet.ts";

test("a snippet's matches are where the search says, whatever asterisks the text has of its own", () => {
  const snippet = "/** 🙂 The **Day** of a ** pickup **date** */";
  const letters = Array.from(snippet);
  const placeOf = (word: string): [number, number] => {
    const start = letters.findIndex((_, index) => letters.slice(index, index + word.length).join("") === word);
    return [start, start + word.length];
  };
  expect(markedWords({ snippet, snippet_matches: [placeOf("Day"), placeOf("date")] })).toEqual(["day", "date"]);
  expect(markedWords({ snippet, snippet_matches: [] })).toEqual([]);
});
