import { describe, expect, test } from "bun:test";
import { array, assert, constantFrom, property } from "fast-check";
import { PRINTED_CHARACTERS, SAID_CHARACTERS, passagesOf } from "../../../src/store/meaning/passages.ts";

const shown = (text: string, role = "user") => passagesOf(text, role).map(({ start, end }) => text.slice(start, end));
const sentence = (n: number) => `Sentence number ${n} says something about the weather of that day.`;

describe("the passages of a message", () => {
  test("a short text is one, without the space around it", () => {
    expect(shown("  the lamp is broken\n")).toEqual(["the lamp is broken"]);
  });

  test("a blank text has none", () => {
    expect([shown(""), shown(" \n\t ")]).toEqual([[], []]);
  });

  test("a text is cut between paragraphs, where there are some", () => {
    const paragraph = Array.from({ length: 7 }, (_, n) => sentence(n)).join(" ");
    const last = `${sentence(6)}\n\n`;
    expect(shown(`${paragraph}\n\n${paragraph}\n\n${paragraph}`)).toEqual([
      paragraph,
      `${last}${paragraph}`,
      `${last}${paragraph}`,
    ]);
  });

  test("a long paragraph is cut between sentences, and the last one begins the next passage", () => {
    const passages = shown(Array.from({ length: 30 }, (_, n) => sentence(n)).join(" "));
    expect(passages.length).toBeGreaterThan(2);
    for (const [index, passage] of passages.entries()) {
      expect(passage).toStartWith("Sentence number ");
      expect(passage).toEndWith("of that day.");
      const next = passages[index + 1];
      if (next !== undefined) expect(passage).toEndWith(next.slice(0, sentence(10).length).trimEnd());
    }
  });

  test("code is cut between lines", () => {
    const code = Array.from({ length: 60 }, (_, n) => `  const value${n} = compute(${n});`).join("\n");
    for (const passage of shown(code)) expect(passage).toMatch(/^(?:  )?const .*;$/s);
  });

  test("of what a tool printed the beginning is embedded, of what was said more", () => {
    const text = "word ".repeat(20_000);
    expect(passagesOf(text, "tool").at(-1)?.end).toBeLessThanOrEqual(PRINTED_CHARACTERS);
    expect(passagesOf(text, "tool").at(-1)?.end).toBeGreaterThan(PRINTED_CHARACTERS - 20);
    expect(passagesOf(text, "assistant").at(-1)?.end).toBeGreaterThan(SAID_CHARACTERS - 20);
    expect(passagesOf(text, "assistant").length).toBeLessThan(64);
  });

  test("a sentence that ends a passage is no passage of its own where only space is behind it", () => {
    const text = `${"x".repeat(600)}。${" ".repeat(90)}。${" ".repeat(90)}`;
    expect(passagesOf(text, "user")).toEqual([{ start: 0, end: 692 }]);
  });

  test("whatever the text: passages are short, in order, without gaps but for spaces, and split no character", () => {
    const pieces = constantFrom("a", "word ", ". ", "\n", "\n\n", "😀", "。", "é", "x".repeat(300), " ".repeat(90));
    assert(
      property(array(pieces, { maxLength: 80 }), (parts) => {
        const text = parts.join("");
        let covered = 0;
        for (const { start, end } of passagesOf(text, "user")) {
          expect(end).toBeGreaterThan(start);
          expect(end - start).toBeLessThanOrEqual(700);
          expect(text.slice(covered, Math.max(covered, start)).trim()).toBe("");
          expect(end).toBeGreaterThan(covered);
          expect(text.slice(start, end).isWellFormed()).toBe(true);
          covered = end;
        }
        expect(text.slice(covered).trim()).toBe("");
      }),
    );
  });
});
