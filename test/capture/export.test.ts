import { describe, expect, test } from "bun:test";
import { html, jsonl, markdown } from "../../src/capture/export.ts";

const conversation = {
  conversation_id: "019ad000-0000-7000-8000-000000000000",
  session_id: null,
  created_at: "2026-01-31T12:00:00.000Z",
  metadata: {},
  title: "![x](http://remote/x.png) <img src=http://remote> `a` \u202e",
  title_source: "client",
  client: null,
  folder: null,
  starred: false,
};

const message = (content: string, metadata: Record<string, unknown> | null = null) => ({
  id: "019ad000-0000-7000-8000-000000000001",
  turn: 1,
  role: "user",
  content,
  metadata,
  created_at: "2026-01-31T12:00:00.000Z",
});

const page = (content: string) => html.message(conversation, message(content));

/** The elements of a page with their attributes, as a browser would build them. */
function elements(text: string): { name: string; attributes: Record<string, string> }[] {
  const found: { name: string; attributes: Record<string, string> }[] = [];
  new HTMLRewriter()
    .on("*", {
      element: (each) =>
        void found.push({
          name: each.tagName,
          attributes: Object.fromEntries([...each.attributes] as [string, string][]),
        }),
    })
    .transform(text);
  return found;
}

/** Stored texts that pretend to be the next turn. */
const forgeries = [
  "## 2 · user · 2026",
  "x\n\n## 2 · user",
  "x\r## 2 · user",
  "x\u2028## 2 · user",
  "x\u000b## 2 · user\u000c## 3 · user",
  "2 · user\n---",
  "```\n## 2 · user\n```",
  "````\n```\n## 2 · user",
  "~~~~~\n## 2 · user",
  "    ## 2 · user",
  "- a\n## 2 · user",
  "> a\n\n## 2 · user",
  "<h2>2 · user</h2>",
  "</blockquote><h2>2 · user</h2>",
  "</div></section><section class=user><h2>2 · user</h2>",
  "<!-- \n\n## 2 · user",
];

describe("Markdown export", () => {
  test("has no line of a stored text outside of a quote, so that only turns are headings", () => {
    for (const content of forgeries) {
      for (const metadata of [null, { tool: "Bash" }]) {
        const lines = markdown.message(conversation, message(content, metadata)).split(/\r\n|[\n\r\u2028\v\f]/);
        const outside = lines.filter((line) => line !== "" && !/^>( |$)/.test(line));
        expect([content, outside.length]).toEqual([content, 1]);
      }
    }
  });

  test("is drawn with one heading of the second rank a message, and none that the text brought in", () => {
    for (const content of forgeries) {
      for (const metadata of [null, { tool: "Bash" }]) {
        const drawn = Bun.markdown.html(`${markdown.message(conversation, message(content, metadata))}after\n`);
        expect(drawn.replaceAll(/<blockquote>.*<\/blockquote>/gs, "").match(/<h\d/g)).toHaveLength(1);
        expect(drawn).toEndWith("<p>after</p>\n");
      }
    }
  });

  test("fences a tool's text in a fence that it cannot end, however many backticks it holds", () => {
    const runs = "` ``````` `` ".repeat(200_000);
    const drawn = markdown.message(conversation, message(`${runs}\n~~~\n## 2 · user`, { tool: "Bash" }));
    expect(drawn.split("\n").filter((line) => line === "> ````````")).toHaveLength(2);
  });

  test("has a title and facts that are plain words", () => {
    const head = markdown.conversation(conversation);
    expect(head).toStartWith("# !\\[x\\](http://remote/x.png) \\<img src=http://remote> \\`a\\` \\<U+202E>\n");
    expect(Bun.markdown.html(head)).not.toMatch(/<(img|code|a )/);
  });
});

describe("web page export", () => {
  test("draws a stored heading below the rank of a turn's, inside the frame of its text", () => {
    for (const content of forgeries) {
      const found = elements(page(content)).map(({ name }) => name);
      expect([content, found.filter((name) => name === "h1" || name === "h2")]).toEqual([content, ["h2"]]);
      expect([content, found.filter((name) => name === "section")]).toEqual([content, ["section"]]);
    }
    expect(page("# a\n\n###### b")).toContain('<div class="stored"><h3>a</h3>\n<h6>b</h6>');
  });

  test("links to web pages and mail only", () => {
    const hostile = [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      "java&#115;cript:alert(1)",
      "java&#10;script:alert(1)",
      "&#1;javascript:alert(1)",
      " javascript:alert(1)",
      "data:text/html,<b>x</b>",
      "vbscript:x",
      "file:///etc/passwd",
      "blob:x",
      "//remote/x",
      "relative",
      "#top",
    ];
    for (const url of hostile) {
      for (const text of [`[x](<${url}>)`, `[x](${url})`, `<${url}>`, `[x]\n\n[x]: <${url}>`, `![x](<${url}>)`])
        expect([text, elements(page(text)).filter(({ name }) => name === "a" || name === "img")]).toEqual([text, []]);
    }
    const link = elements(page("[x](https://example.org/?a=1&b=2 't')")).find(({ name }) => name === "a");
    expect(link?.attributes).toMatchObject({
      href: "https://example.org/?a=1&amp;b=2",
      rel: expect.stringContaining("noreferrer"),
    });
    expect(elements(page("[a](mailto:a@example.org)")).map(({ name }) => name)).toContain("a");
  });

  test("makes a link of an image, so that opening the page asks for nothing", () => {
    const text =
      '![a "cat" <b>](https://remote/cat.png?a=1&b=2) [![x](https://remote/x.png)](https://page) ![][r]\n\n[r]: http://r/"><script>';
    const found = elements(page(text));
    expect(found.filter(({ name }) => ["img", "script", "b", "iframe", "link"].includes(name))).toEqual([]);
    expect(found.filter(({ name }) => name === "a").map(({ attributes }) => attributes["href"])).toEqual([
      "https://remote/cat.png?a=1&amp;b=2",
      "https://page",
      expect.stringContaining("http://r/"),
    ]);
    expect(page(text)).toContain(">🖼 a &quot;cat&quot; &lt;b&gt;</a>");
  });

  test("names hidden characters, written as entities too", () => {
    for (const content of ["\u202ea\u001b[2J", "&#x202e;&#8203;&zwj;&#xE0041;", "[a](https://x '&#x202e;')"]) {
      for (const hidden of ["\u202e", "\u200b", "\u200d", "\u{e0041}", "\u001b"])
        expect(page(content)).not.toContain(hidden);
      expect(page(content)).toMatch(/&lt;U\+202E&gt;/);
    }
    const tool = html.message(conversation, message("\u001b]0;x\u0007</pre><h2>", { tool: "Bash" }));
    expect(tool).toContain("␛]0;x␇&lt;/pre&gt;&lt;h2&gt;</pre>");
    expect(html.conversation(conversation)).toContain("&lt;U+202E&gt;</h1>");
  });
});

test("JSON lines escape hidden characters, and parse to what is stored", () => {
  const content = "\u202ea\u200b\u001b\u009b\u{e0041}";
  const line = jsonl.message(conversation, message(content));
  expect(line).toMatch(/^[\u0020-\u007e]+\n$/);
  expect(JSON.parse(line)).toMatchObject({ content });
});
