import { describe, expect, test } from "bun:test";
import { describeRequest, describeResult } from "../../../src/proxy/delivery/describe.ts";

const sha256 = (data: string) => new Bun.CryptoHasher("sha256").update(data).digest("hex");
const base64 = (data: string) => Buffer.from(data).toString("base64");
const result = (value: unknown) => describeResult({ result: value });
const text = (value: string) => ({ type: "text", text: value });

describe("a request", () => {
  test("of a tool is described by the tool's name and each argument on its own line", () => {
    expect(
      describeRequest("tools/call", "add", {
        name: "add",
        arguments: { a: 1, note: "two\nlines", list: [1, { b: null }] },
      }),
    ).toEqual({
      content: 'add\na: 1\nnote: two\nlines\nlist: [\n 1,\n {\n  "b": null\n }\n]',
      metadata: { arguments: { a: 1, note: "two\nlines", list: [1, { b: null }] } },
    });
  });

  test("of a tool without arguments is described by the name alone", () => {
    expect(describeRequest("tools/call", "now", { name: "now" })).toEqual({ content: "now", metadata: {} });
    expect(describeRequest("tools/call", "now", { arguments: [1] }).content).toBe("now\n[\n 1\n]");
  });

  test("of another method is described by the method and its parameters, with `_meta` separate", () => {
    expect(describeRequest("resources/read", undefined, { uri: "a://1", _meta: { progressToken: 7 } })).toEqual({
      content: "resources/read\nuri: a://1",
      metadata: { arguments: { uri: "a://1" }, meta: { progressToken: 7 } },
    });
    expect(describeRequest("ping", undefined, {})).toEqual({ content: "ping", metadata: {} });
    expect(describeRequest("ping", undefined, { _meta: {} }).content).toBe("ping");
  });

  test("has arguments over a thousand characters in its content only, with length and hash in metadata", () => {
    const short = "s".repeat(1000);
    const long = "l".repeat(1001);
    const { content, metadata } = describeRequest("tools/call", "a", { arguments: { short, deep: [{ long }] } });
    expect(content).toContain(long);
    expect(metadata).toEqual({
      arguments: { short, deep: [{ long: { characters: 1001, sha256: sha256(long) } }] },
    });
  });

  test("nested deeper than 64 levels has JSON text from there on in metadata, and content without indentation", () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    const depthOf = (value: unknown): number => (Array.isArray(value) ? 1 + depthOf(value[0]) : 0);
    const described = (levels: number) => {
      const { content, metadata } = describeRequest("tools/call", "a", { arguments: { v: nested(levels) } });
      return { content, value: (metadata["arguments"] as { v: unknown }).v };
    };
    expect(described(63).value).toEqual(nested(63));
    expect(described(64).content).toContain("\n [\n  [");
    expect(described(65).content).toBe(`a\nv: ${JSON.stringify(nested(65))}`);
    const deep = described(66);
    expect(deep.content).toBe(`a\nv: ${JSON.stringify(nested(66))}`);
    expect(depthOf(deep.value)).toBe(63);
    expect(JSON.stringify(deep.value)).toContain('"[[[1]]]"');
  });
});

test("JSON nested deeper than 10,000 levels is never written", () => {
  const nested = (levels: number) => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`) as unknown;
  expect(describeRequest("tools/call", "a", { arguments: { v: nested(10_000) } }).content).toHaveLength(20_005);
  expect(() => describeRequest("tools/call", "a", { arguments: { v: nested(10_001) } })).toThrow();
  const deep = nested(10_100);
  for (const describe of [
    () => describeRequest("tools/call", "a", { arguments: { deep } }),
    () => describeRequest("tools/call", "a", { _meta: { deep } }),
    () => result({ content: [text("said")], structuredContent: { deep } }),
    () => result({ tools: deep }),
  ])
    expect(describe).toThrow("nested deeper than 10000 levels");
});

describe("a result", () => {
  test("of text blocks is their text, separated by empty lines", () => {
    expect(result({ content: [text("3"), text("three")] })).toEqual({
      content: "3\n\nthree",
      metadata: {},
      outcome: "success",
    });
  });

  test("says whether the tool failed", () => {
    expect(result({ content: [], isError: true }).outcome).toBe("error");
    expect(result({ content: [], isError: "yes" }).outcome).toBe("success");
    expect(result({ tools: [], isError: true }).outcome).toBe("error");
  });

  test("has blocks without text by their type, size and hash, and never their bytes", () => {
    const image = { type: "image", mimeType: "image/png", data: base64("pixels"), size: 7 };
    const blob = { type: "resource", resource: { uri: "a://1", blob: base64("bytes") } };
    const link = { type: "resource_link", uri: "a://2", name: "two" };
    const described = result({ content: [text("see"), image, blob, link] });
    expect(described).toEqual({
      content: "see",
      metadata: {
        blocks: [
          { type: "image", mimeType: "image/png", bytes: 6, sha256: sha256("pixels") },
          { type: "resource", uri: "a://1", bytes: 5, sha256: sha256("bytes") },
          { type: "resource_link", uri: "a://2", name: "two" },
        ],
      },
      outcome: "success",
    });
    expect(result({ content: [image, { mimeType: "x/y" }] }).content).toBe("[image] [unknown]");
    expect(result({ content: [] }).content).toBe("(no content)");
  });

  test("of a resource, prompt or model is read like one of a tool", () => {
    expect(
      result({
        contents: [
          { uri: "a://1", text: "read" },
          { uri: "a://2", blob: base64("b") },
        ],
      }),
    ).toMatchObject({
      content: "read",
      metadata: { blocks: [{ type: "resource", uri: "a://2", bytes: 1, sha256: sha256("b") }] },
    });
    const messages = [
      { role: "user", content: text("one") },
      { role: "assistant", content: [text("two"), "no block", text("three")] },
      { role: "user" },
      "four",
    ];
    expect(result({ messages })).toMatchObject({
      content: "one\n\ntwo\n\nthree\n\nfour",
      metadata: { blocks: [{ type: "unknown", role: "user" }] },
    });
    expect(result({ role: "assistant", content: text("sampled") }).content).toBe("sampled");
    expect(result({ content: [{ type: "resource", resource: { uri: "a://1", text: "embedded" } }] })).toMatchObject({
      content: "embedded",
      metadata: {},
    });
  });

  test("has its structured content in metadata, unless the text is the same", () => {
    const structuredContent = { rows: [1, 2] };
    expect(result({ content: [text(' {"rows": [1, 2]}')], structuredContent }).metadata).toEqual({});
    expect(result({ content: [text("two rows")], structuredContent }).metadata).toEqual({
      structured: structuredContent,
    });
    expect(result({ content: [text('{"rows":[1]}')], structuredContent }).metadata).toHaveProperty("structured");
    expect(result({ content: [], structuredContent })).toEqual({
      content: '{\n "rows": [\n  1,\n  2\n ]\n}',
      metadata: {},
      outcome: "success",
    });
  });

  test("has `_meta` in its metadata", () => {
    expect(result({ content: [], _meta: { trace: "t".repeat(1001) } }).metadata).toEqual({
      meta: { trace: { characters: 1001, sha256: sha256("t".repeat(1001)) } },
    });
  });

  test("of any other form is described by its JSON", () => {
    expect(result({ tools: [] })).toEqual({ content: '{\n "tools": []\n}', metadata: {}, outcome: "success" });
    expect(result("plain")).toEqual({ content: "plain", metadata: {}, outcome: "success" });
    expect(result(7).content).toBe("7");
    expect(describeResult({}).content).toBe("");
  });

  test("that is a JSON-RPC error is described by code, message and data", () => {
    expect(describeResult({ error: { code: -32_602, message: "bad", data: { field: "x" } } })).toEqual({
      content: 'error -32602: bad\n{\n "field": "x"\n}',
      metadata: { error_code: -32_602 },
      outcome: "error",
    });
    expect(describeResult({ error: { code: 1, message: "bad" } }).content).toBe("error 1: bad");
    const unreadable = { toString: 1, valueOf: 1 };
    const text = '{"toString":1,"valueOf":1}';
    expect(describeResult({ error: { code: unreadable, message: unreadable } }).content).toBe(`error ${text}: ${text}`);
    expect(result({ content: [{ type: unreadable }, { type: "tool_use", name: unreadable }] }).content).toBe(text);
    expect(result({ content: [{ type: unreadable }] }).content).toBe("[unknown]");
    expect(describeResult({ error: "nonsense" })).toEqual({ content: "nonsense", metadata: {}, outcome: "error" });
    expect(describeResult({ error: { code: "c".repeat(1001) } }).metadata).toMatchObject({
      error_code: { characters: 1001 },
    });
  });
});
