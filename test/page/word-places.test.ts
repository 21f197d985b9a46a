import { expect, test } from "bun:test";
import { placesOf } from "../../src/page/parts/word-places.ts";

const MOST = 5;
/** What is marked of a text. */
const marked = (text: string, ...words: string[]) =>
  placesOf(text, new Set(words), MOST).map(([start, end]) => text.slice(start, end));

test("words are marked in any case, and only where they stand alone", () => {
  expect(marked("The Tab, a table, TAB", "tab")).toEqual(["Tab", "TAB"]);
  expect(marked("検索する", "検索")).toEqual(["検索"]);
  expect(marked("", "tab")).toEqual([]);
  expect(marked("text", "")).toEqual([]);
});

test("a word is marked in its place behind a letter whose small form is longer", () => {
  expect(marked("İİİ tab", "tab")).toEqual(["tab"]);
  expect(marked("In İstanbul: tab", "tab")).toEqual(["tab"]);
  expect(marked("İSTANBUL", "İSTANBUL".toLowerCase())).toEqual(["İSTANBUL"]);
  expect(marked("𝒜 İ 𐐀 tab İ", "tab", "İ".toLowerCase(), "𐐨")).toEqual(["tab", "İ", "İ", "𐐀"]);
});

test("no more places are told than are wanted", () => {
  expect(marked("a ".repeat(100), "a", "b")).toHaveLength(MOST);
});

test("of a letter with a mark, its first part is no word", () => {
  expect(marked("İ", "i")).toEqual([]);
  expect(marked("हिन्दी", "हिन्द")).toEqual([]);
});

test("no place is outside of the text, whatever letter stands before", () => {
  for (let code = 1; code <= 0x10ffff; code += 1) {
    const letter = String.fromCodePoint(code);
    if (letter.toLowerCase().length === letter.length) continue;
    expect(marked(`${letter} tab`, "tab")).toEqual(["tab"]);
  }
});
