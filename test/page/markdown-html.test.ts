import { describe, expect, test } from "bun:test";
import { markdownHtml } from "../../src/page/parts/markdown-html.ts";

const markers = ["*", "**", "_", "[", "`", "~~", "<", "(", "> ", "1. ", "- ", "| ", "\\", "#", "&", "a@", "www."];
const fillers = ["", "a ", "\n"];
/** How much longer than harmless text of the same length; a parser that looks again from each place takes a hundred times. */
const MOST_TIMES = 50;
const LENGTH = 12_000;

function parseMs(text: string): number {
  const begun = performance.now();
  markdownHtml(text);
  return performance.now() - begun;
}

describe("Markdown", () => {
  test("becomes HTML, and HTML in it text", () => {
    expect(markdownHtml("**bold** <b>not</b>")).toBe("<p><strong>bold</strong> &lt;b&gt;not&lt;/b&gt;</p>\n");
  });

  test("loads no picture: its address is a link", () => {
    expect(markdownHtml("![a](https://x.test/a.png)")).toBe('<p><a href="https://x.test/a.png">a</a></p>\n');
  });

  test("is parsed in moments, whatever is repeated in it, or is left as it stands", () => {
    const harmlessMs = Math.max(...Array.from({ length: 5 }, () => parseMs("word ".repeat(LENGTH / 5))));
    for (const marker of markers) {
      for (const filler of fillers) {
        for (const end of ["", `${marker}a*`]) {
          const piece = marker + filler;
          const ms = parseMs(piece.repeat(Math.floor(LENGTH / piece.length)) + end);
          expect([piece, end, ms < harmlessMs * MOST_TIMES]).toEqual([piece, end, true]);
        }
      }
    }
  });

  test("that nests too deeply, or holds an endless word, is left as it stands", () => {
    expect(markdownHtml(`${"> ".repeat(5000)}deep`)).toBeUndefined();
    expect(markdownHtml(`see ${"a_".repeat(2000)}`)).toBeUndefined();
    expect(markdownHtml(`\`\`\`\n${"a_".repeat(2000)}\n\`\`\``)).toStartWith("<pre><code>");
  });
});
