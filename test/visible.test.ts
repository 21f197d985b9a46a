import { describe, expect, test } from "bun:test";
import { escapedJson, oneLine, visible, visiblePainted } from "../src/visible.ts";

/** Characters that act without being seen, and what stands for them. */
const hidden: Record<string, [text: string, shown: string]> = {
  "an ANSI sequence": ["a\u001b[31mb", "a␛[31mb"],
  "an OSC title": ["\u001b]0;title\u0007", "␛]0;title␇"],
  "an OSC link": ["\u001b]8;;http://x\u001b\\", "␛]8;;http://x␛\\"],
  "a DCS sequence": ["\u001bP1$r\u001b\\", "␛P1$r␛\\"],
  "C1 controls": ["\u009b31m\u0090\u009d\u0085", "<U+009B>31m<U+0090><U+009D><U+0085>"],
  "a lone carriage return, backspace and DEL": ["ok\rno\b\u007f", "ok␍no␈␡"],
  NUL: ["a\0b", "a␀b"],
  "bidi controls": ["a\u202ab\u202ec\u200e\u200f\u061c", "a<U+202A>b<U+202E>c<U+200E><U+200F><U+061C>"],
  "bidi isolates": ["\u2066a\u2067b\u2068c\u2069", "<U+2066>a<U+2067>b<U+2068>c<U+2069>"],
  "zero-width characters": ["pass\u200bword\u2060\ufeff", "pass<U+200B>word<U+2060><U+FEFF>"],
  "joiners between Latin letters": ["a\u200cb\u200dc", "a<U+200C>b<U+200D>c"],
  "rows of joiners": ["می\u200c\u200cخ", "می<U+200C><U+200C>خ"],
  tags: ["x\u{e0001}\u{e0041}\u{e007f}", "x<U+E0001><U+E0041><U+E007F>"],
  "selectors that hold data": ["😀\ufe0f\ufe00\u{e0101}", "😀\ufe0f<U+FE00><U+E0101>"],
  "line separators": ["a\u2028b\u2029c", "a<U+2028>b<U+2029>c"],
  "invisible operators, fillers and soft hyphens": ["\u2063\u3164\u00ad", "<U+2063><U+3164><U+00AD>"],
};

describe("what a person is shown", () => {
  test("is one line where one is needed", () => {
    expect(oneLine("  a\n\t b\u0007 \u2028")).toBe("a b␇ <U+2028>");
  });

  for (const [what, [text, shown]] of Object.entries(hidden)) {
    test(`names ${what}`, () => {
      expect(visible(text)).toBe(shown);
    });
  }

  test("keeps line feeds, tabs and every visible text", () => {
    expect(visible("a\tb\nc\r\nd")).toBe("a\tb\nc\nd");
    for (const text of ["é漢字かな", "שלום", "naïve — “quoted” …", "a\u00a0b", "𝒳🙂"]) expect(visible(text)).toBe(text);
  });

  test("keeps joiners and selectors where they spell something", () => {
    for (const text of ["👩‍👩‍👧‍👦", "👩🏽‍🚀", "❤️‍🔥", "🏳️‍🌈", "1️⃣", "☎︎", "می‌خواهم", "کتاب‌ها", "क्‍ष", "ক্‌ষ", "ශ්‍රී", "葛󠄀"])
      expect(visible(text)).toBe(text);
  });

  test("keeps Dewey's own colours, and no other sequence of a terminal", () => {
    expect(visiblePainted("\u001b[1mhead\u001b[0m \u001b[38;5;215mx\u001b[39m")).toBe(
      "\u001b[1mhead\u001b[0m \u001b[38;5;215mx\u001b[39m",
    );
    expect(visiblePainted("\u001b[2J\u001b[1m\u001b]52;c;eA==\u0007\u202e")).toBe("␛[2J\u001b[1m␛]52;c;eA==␇<U+202E>");
    expect(visiblePainted("\u001b[1;\u001b")).toBe("␛[1;␛");
  });

  test("grows linearly with the text", () => {
    for (const unit of ["\u001b", "\u001b[", "\u001b[1;", "\u200d", "م\u200d", "\u202e", "👩‍"]) {
      const shown = visiblePainted(unit.repeat(1000));
      expect(visiblePainted(unit.repeat(10_000)).length).toBeLessThanOrEqual(shown.length * 10.01);
    }
  });
});

describe("JSON for programs", () => {
  test("has every hidden character as an escape, and parses to the same value", () => {
    for (const [text] of Object.values(hidden)) {
      const value = { [text]: [text, { text }] };
      const json = escapedJson(JSON.stringify(value, null, 2));
      expect(visible(json)).toBe(json);
      expect(JSON.parse(json)).toEqual(value);
    }
  });
});
