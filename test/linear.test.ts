import { test } from "bun:test";
import { Branches } from "../src/capture/branches.ts";
import { readable } from "../src/capture/blocks.ts";
import { parseRow } from "../src/capture/captured.ts";
import { kindOfUserText } from "../src/capture/client-words.ts";
import { objectsIn } from "../src/capture/rows.ts";
import { oneLine, visible } from "../src/visible.ts";
import { parseJsonc } from "../src/jsonc.ts";
import { describeResult } from "../src/proxy/delivery/describe.ts";
import { MediaReducer } from "../src/proxy/delivery/media.ts";
import { ansiRuns } from "../src/page/parts/ansi.ts";
import { parseUpstreams } from "../src/proxy/relay/upstreams.ts";
import { sentHash } from "../src/sent-hash.ts";
import { storableMetadata, storableText } from "../src/store/exact.ts";
import { literalMarks } from "../src/store/search/literal.ts";
import { pieceAround, snippetOf } from "../src/store/search/snippet.ts";
import { accentedWords } from "../src/store/search/folding.ts";
import { sectionsOf } from "../src/store/search/sections.ts";
import { searchable, searched, wordsIn } from "../src/store/search/text.ts";
import { viewFrame } from "../src/wire/frame.ts";
import { outlineFrame } from "../src/wire/outline.ts";
import { SseReader } from "../src/wire/sse.ts";
import { withCodexServers } from "../src/clients/codex-config.ts";
import { withoutEnd } from "../src/ends.ts";
import { expectLinear } from "./support/growth.ts";

/** The error of work whose input is mostly wrong: it, too, must come in linear time. */
function errorOf(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

const json = (text: string) => JSON.stringify(text);
const [sought, other] = [
  { lexeme: "a", weight: 1 },
  { lexeme: "b", weight: 2 },
];

/** Marks at every second character, as many as a text can have. */
const dense = (text: string) =>
  Array.from({ length: text.length >> 1 }, (_, index) => ({
    start: 2 * index,
    end: 2 * index + 1,
    sought: index % 3 === 0 ? other : sought,
  }));

/** Everything that reads a text from outside in this process, up to its whole length. */
const works: Record<string, (text: string) => unknown> = {
  "what the parser sees of a content": (text) => searchable(`é_ a${text}`),
  "the sections of a content": (text) => sectionsOf(`é_ a${text}`),
  "what the parser sees of a script without spaces": (text) => searchable(`字${text}`),
  "what the parser sees of a query": searched,
  "the accented words of a query": (text) => accentedWords(`é ${text}`),
  "the words of a content": wordsIn,
  "a snippet": (text) => snippetOf(text, dense(text)),
  "the piece around a match": (text) => pieceAround(text, dense(text), 400),
  "places of a text without words": (text) => literalMarks([text], `${text.slice(0, text.length / 10)}!`),
  "a storable text": storableText,
  "storable metadata": (text) => storableMetadata({ [text]: text }),
  "storable metadata beside U+0000": (text) => storableMetadata({ a: text, b: "\0" }),
  "the hash of a message": (text) => sentHash("user", text, { text }),
  "a frame": (text) => viewFrame(text),
  "a frame's string": (text) => viewFrame(`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":${json(text)}}}`),
  "the outline of a frame": (text) => outlineFrame(`{"jsonrpc":"2.0","id":1,"result":{"a":${json(text)}}}`),
  "the outline of a broken frame": (text) => outlineFrame(`{"jsonrpc":"2.0","id":1,"result":"${text}`),
  "server-sent events": (text) => new SseReader().push(Buffer.from(text)),
  "a described result": (text) => describeResult({ result: { content: [{ type: "text", text }] } }),
  "a described object": (text) => describeResult({ result: { structuredContent: { [text]: text } } }),
  "what kind of words a client sends": (text) => [kindOfUserText(text), kindOfUserText(`<skill ${text}`)],
  "a row of a transcript": (text) => [parseRow(text), parseRow(`{"a":${json(text)},"n":1.10}`)],
  "the objects of a line": objectsIn,
  "the words of a block": (text) => readable([{ type: "x", text, data: text }, text]),
  "a configuration with comments": (text) => errorOf(() => parseJsonc(text)),
  "Base64 in a text": (text) => new MediaReducer().text(text),
  "a text for a terminal": visible,
  "a text as one line": oneLine,
  "Markdown on a terminal": (text) => Bun.markdown.ansi(text, { colors: true, columns: 100 }),
  "Markdown as HTML": (text) => Bun.markdown.html(text, { noHtmlBlocks: true, noHtmlSpans: true }),
  "a terminal's output on the page": ansiRuns,
  "a line that is cut": (text) => Bun.sliceAnsi(text, 0, 80, { ellipsis: "…" }),
  "a text without its end": (text) => withoutEnd(`${text} `, text.slice(0, 2)),
  "a configuration of Codex": (text) =>
    errorOf(() => {
      withCodexServers(`[mcp_servers.a]\nargs = [\n${text}\n[mcp_servers.b]\n`, "x", { a: { command: "b" } });
    }),
  "variables in an upstream": (text) =>
    errorOf(() => {
      const mcpServers = { a: { url: "http://a/", headers: { a: text } } };
      parseUpstreams(JSON.stringify({ mcpServers }), "x", { env: {}, dewey: { url: "http://a/" } });
    }),
};

for (const [name, work] of Object.entries(works)) {
  test(`${name} takes time linear in a text of any shape`, () => expectLinear(name, work));
}

test("many rewinds of a session take time linear in its rows", () => {
  expectLinear(
    "rewinding",
    ({ length }) => {
      const branches = new Branches();
      branches.add("root", null, false, []);
      for (let index = 0; index < length; index += 1) branches.add(`p${index}`, "root", true, [`p${index}`]);
    },
    ["a"],
  );
});

test("Base64 in lines, escapes and lists takes time linear in the text", () => {
  const pieces = ["Aa1+", `${"A".repeat(60)}\n`, "\\/", "A\\", `${"A1b".repeat(20)}\\n`, ",A", ";base64,A"];
  expectLinear("reducing", (text) => new MediaReducer().text(text), pieces);
});

test("a configuration with comments is parsed in time linear in its length", () => {
  const pieces = ["/*", "[1,],", "//", "/*/"];
  expectLinear("parsing", (text) => errorOf(() => parseJsonc(text)), pieces);
});
