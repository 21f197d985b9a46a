import { expect, test } from "bun:test";
import { parseJsonc } from "../src/jsonc.ts";

test("comments, trailing commas and a byte order mark are no part of the value", () => {
  const text = `\uFEFF{ // one
    /* two, } ] */ "a": [1, 2, /* three */ ], "b": { "c": null, },
    // "d": 1,
  }`;
  expect(parseJsonc(text)).toEqual({ a: [1, 2], b: { c: null } });
});

test("strings keep what looks like a comment or a trailing comma", () => {
  const value = { url: "http://x/y", "a//b": "/* , } */", quoted: 'say "hi", // please', slash: "\\" };
  expect(parseJsonc(JSON.stringify(value))).toEqual(value);
  expect(parseJsonc('{"__proto__": 1}')).toEqual(JSON.parse('{"__proto__": 1}'));
});

test("anything else is refused", () => {
  for (const text of ["", "{,}", "[,]", "[1,,]", "[1] 2", '{"a":"x', "/* no end", "{a: 1}", "/", "[1,"])
    expect(() => parseJsonc(text)).toThrow(SyntaxError);
});
