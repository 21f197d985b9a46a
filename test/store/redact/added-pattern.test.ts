import { describe, expect, test } from "bun:test";
import { AddedPattern } from "../../../src/store/redact/added-pattern.ts";
import { createRedactor } from "../../../src/store/redact/redact.ts";
import { Draw } from "../../support/secret-shapes.ts";

/** As the language's own expressions find them. */
function native(source: string, text: string): number[][] {
  return [...text.matchAll(new RegExp(source, "g"))]
    .filter(([match]) => match !== "")
    .map((match) => [match.index, match.index + match[0].length]);
}

describe("an added pattern", () => {
  test("matches where the language's own expression does", () => {
    const sources = [
      String.raw`T-\d{6}`,
      "(a|ab)(c|bcd)(d*)",
      String.raw`\bfoo\b|\Bo`,
      "^x+$",
      String.raw`[^\s,]+@[a-z]+\.com`,
      "a+?b",
      "(?:ab)*c",
      "x{2,4}?",
      "colou?r|gr[ae]y",
      String.raw`\w+-\d{2,}`,
      String.raw`(?<year>\d{4})-\d\d`,
      String.raw`\.|\\`,
      "é+",
      "a|",
      String.raw`[a-c\-z]+`,
      "(a*)*b",
      String.raw`\x41\u0042`,
      "[^]",
      "a{,3}",
      String.raw`\$\{x\}`,
      "(|a)+",
      String.raw`[\D]x|\S\W`,
    ];
    const draw = new Draw(3);
    for (const source of sources) {
      const pattern = new AddedPattern(source);
      for (let round = 0; round < 200; round++) {
        const text = draw.from("aabcdxyT-0123456789 foo,@.comgrey é$\\{}AB\n", draw.below(40));
        expect({ source, text, found: pattern.find(text).bounds }).toEqual({
          source,
          text,
          found: native(source, text) as [number, number][],
        });
      }
    }
  });

  test("is refused with the reason when it could take time without limit", () => {
    for (const [source, reason] of [
      ["(?=a)b", "look-ahead"],
      ["(?<!a)b", "look-behind"],
      [String.raw`(a)\1`, "back reference"],
      [String.raw`(?<x>a)\k<x>`, "back reference"],
      ["(?i:a)", "modifier"],
      ["a{501}", "too large"],
      ["(?:){1000000000}", "too large"],
      ["((a{30}){30}){30}", "too large"],
      ["(", "Invalid regular expression"],
    ] as const)
      expect(() => new AddedPattern(source), source).toThrow(reason);
  });

  test("that nests repetitions ends on a text that would hold another matcher for ever", () => {
    for (const source of ["(a+)+b", "(a|aa)+$", "(.*)(.*)(.*)x"]) {
      const { bounds, isComplete } = new AddedPattern(source).find("a".repeat(30_000));
      expect([bounds.length <= 1, isComplete]).toEqual([true, true]);
    }
  });

  test("is ended after its steps, told, and keeps what it found until then", () => {
    const ended: string[] = [];
    const redactor = createRedactor({ slow: /a(?:.*b)?/, ticket: /T-\d{6}/ }, (kind) => ended.push(kind));
    const found = {};
    const stored = redactor.text(`T-123456 ${"a".repeat(100_000)} T-654321`, found);
    expect(ended).toEqual(["slow"]);
    expect(redactor.ended()).toEqual({ slow: 1 });
    expect(stored).toStartWith("[redacted: ticket] [redacted: slow]");
    expect(stored).toEndWith("a [redacted: ticket]");
    expect(found).toMatchObject({ ticket: 2 });
  });
});
