import { expect, test } from "bun:test";
import { sectionsOf, writtenWords } from "../../../src/store/search/sections.ts";
import type { Section } from "../../../src/store/search/sections.ts";

const prose = Array.from({ length: 60_000 }, (_, index) => `word${index % 5000}`).join(" ");

/** The piece of a text that a section stands for. */
function pieceOf(text: string, { from, characters }: Section): string {
  return Array.from(text)
    .slice(from, from + characters)
    .join("");
}

test("a text of up to 100,000 bytes has no sections, and a longer one has all its words in them", () => {
  expect(writtenWords(`${"x ".repeat(49_990)}é_ end`).sections).toBeNull();
  expect(writtenWords("otherwords ".repeat(9100)).sections).toEqual([]);
  const { searchable, sections } = writtenWords(`${prose} storeMessage`);
  expect(sections).toEqual(sectionsOf(`${prose} storeMessage`));
  if (sections === null) return;
  expect(searchable).toBe(sections[0]?.words ?? "");
  expect(sections.at(-1)?.words).toEndWith("storemessage\nstore message");
  const words = new Set(sections.flatMap((section) => section.words.split(/\s/)));
  for (let index = 0; index < 5000; index += 1) expect(words.has(`word${index}`)).toBe(true);
});

test("a section fits into a vector and has a position for each of its words, whatever the text holds", () => {
  const shapes = {
    prose,
    bytes: "я".repeat(400).concat(" ").repeat(3000),
    "no spaces": "x".repeat(1_000_000),
    humps: "aBc".repeat(200_000),
    path: "aa/".repeat(200_000),
    base64: Buffer.from(Array.from({ length: 400_000 }, (_, index) => (index * 7919) % 251)).toString("base64"),
    chinese: "字典里的词".repeat(40_000),
    escapes: "\\u00e9\\ntext".repeat(40_000),
    hidden: "soft\u00adhyphen ".repeat(40_000),
    astral: "𝒳𝒴 😀 ".repeat(60_000),
    signs: `${"-".repeat(900_000)} word ${"=".repeat(300_000)} end`,
  };
  for (const [shape, text] of Object.entries(shapes)) {
    for (const { words, characters } of sectionsOf(text)) {
      expect([shape, Buffer.byteLength(words) <= 200_000]).toEqual([shape, true]);
      expect([shape, words.split(/\s+/).length <= 16_001]).toEqual([shape, true]);
      expect([shape, characters <= 200_000]).toEqual([shape, true]);
    }
  }
});

test("a section tells in code points which piece of the text it stands for", () => {
  const text = `${"😀".repeat(100)} ${Array.from({ length: 40_000 }, (_, index) => `w${index}😀`).join(" ")}`;
  const sections = sectionsOf(text);
  expect(sections.length).toBeGreaterThan(2);
  for (const [index, section] of sections.entries()) {
    const piece = pieceOf(text, section);
    expect(piece).toStartWith(index === 0 ? "😀" : (section.words.split(" ")[0] ?? "-"));
    expect(piece).toEndWith(section.words.split(" ").at(-1) ?? "-");
  }
});

test("a section begins with the last words of the one before it, but not with what is far away", () => {
  const sections = sectionsOf(prose).map(({ words }) => words.split(" "));
  for (const [index, words] of sections.entries()) {
    const before = sections[index - 1];
    if (before) expect(words.slice(0, 2000)).toEqual(before.slice(-2000));
  }
  const [first, second] = sectionsOf(`first ${"-".repeat(300_000)} second`);
  expect([first?.words, second?.words]).toEqual(["first", "second"]);
});

test("a name that goes on over sections keeps its forms, and a long text its label", () => {
  const path = `${"folder/".repeat(30_000)}lastName.test.ts`;
  const words = new Set(sectionsOf(`Zoë: ${path}`).flatMap((section) => section.words.split(/\s/)));
  for (const word of ["zoe:", "lastname", "last", "name", "lastnametestts", "lastnametest"])
    expect([word, words.has(word)]).toEqual([word, true]);
  expect(sectionsOf(`A line\nZoë: ${prose}`)[0]?.words).toStartWith("a line zoe word0");
});
