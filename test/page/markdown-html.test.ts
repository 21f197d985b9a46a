import { describe, expect, test } from "bun:test";
import { markdownHtml } from "../../src/page/parts/markdown-html.ts";

/** How much longer than harmless text of the same length; a parser that looks again from each place takes hundreds of times. */
const MOST_TIMES = 60;
const LENGTH = 12_000;

/** The shortest of a few, so that another process's turn does not count. */
function parseMs(text: string): number {
  const times = Array.from({ length: 3 }, () => {
    const begun = performance.now();
    markdownHtml(text);
    return performance.now() - begun;
  });
  return Math.min(...times);
}

describe("Markdown", () => {
  test("becomes HTML, and HTML in it text", () => {
    expect(markdownHtml("**bold** <b>not</b>")).toBe("<p><strong>bold</strong> &lt;b&gt;not&lt;/b&gt;</p>\n");
  });

  test("shows hidden characters by name, in text, in code and in addresses, and lets joiners do their work", () => {
    expect(markdownHtml("a\u202Eb `c\u200Bd`")).toBe("<p>a&lt;U+202E&gt;b <code>c&lt;U+200B&gt;d</code></p>\n");
    expect(markdownHtml("\u202Eat the beginning")).toContain("&lt;U+202E&gt;at");
    expect(markdownHtml("```\n\u001b[31mred\n```")).toContain("␛[31mred");
    expect(markdownHtml("[a](https://x.test/\u202Eb)")).not.toContain("\u202E");
    expect(markdownHtml("می‌خواهم 👩‍💻")).toBe("<p>می‌خواهم 👩‍💻</p>\n");
  });

  test("loads no picture: its address is a link", () => {
    expect(markdownHtml("![a](https://x.test/a.png)")).toBe('<p><a href="https://x.test/a.png">a</a></p>\n');
  });

  for (const piece of ["**a ", "_a ", "[a ", "|a|\n"]) {
    test(`is parsed in moments when it repeats ${JSON.stringify(piece)}`, () => {
      const harmlessMs = parseMs("word ".repeat(LENGTH / 5));
      const text = `${piece.repeat(Math.floor(LENGTH / piece.length))}**a*`;
      expect(parseMs(text)).toBeLessThan(Math.max(harmlessMs, 1) * MOST_TIMES);
    });
  }

  test("in a paragraph of ordinary length is emphasized, in an endless one not", () => {
    expect(markdownHtml(`${"word ".repeat(300)}**bold**`)).toContain("<strong>");
    expect(markdownHtml(`${"word ".repeat(500)}**bold**`)).not.toContain("<strong>");
  });

  test("that nests too deeply, or holds an endless word, is left as it stands", () => {
    expect(markdownHtml(`${"> ".repeat(5000)}deep`)).toBeUndefined();
    expect(markdownHtml(`see ${"a_".repeat(2000)}`)).toBeUndefined();
    expect(markdownHtml(`\`\`\`\n${"a_".repeat(2000)}\n\`\`\``)).toStartWith("<pre><code>");
  });
});
