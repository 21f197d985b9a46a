import { expect, test } from "bun:test";
import { commandEnd, unescaped } from "../../../src/store/search/escapes.ts";

test("a stretch of escapes and letters is read as what it means, and ends where neither goes on", () => {
  const read = (text: string) => unescaped(text, 0, text.length);
  expect(read(String.raw`\u00e9t\u00e9 x`)).toEqual({ text: "été", end: 13 });
  expect(read(String.raw`\\\\u6771\\\\u4eac"`)).toEqual({ text: "東京", end: 18 });
  expect(read(String.raw`\ud842\udfb7`)?.text).toBe("𠮷");
  expect(read(String.raw`\xc3\xa9\n`)).toEqual({ text: "é", end: 8 });
  expect(read("%E6%9D%B1x%20y/")).toEqual({ text: "東x y", end: 14 });
  expect(read("&eacute;&#233;&#xe9;&AElig;&szlig;")?.text).toBe("eééAEss");
});

test("what is no escape is none, and one that means no character means a sign", () => {
  for (const text of ["", "a", "%", "%g1", "\\", "\\\\", String.raw`\u12`, "&", "&&", "&amp;", "&#;"])
    expect([text, unescaped(text, 0, text.length)]).toEqual([text, undefined]);
  expect(unescaped("&#x110000;", 0, 10)?.text).toBe("\ufffd");
  expect(unescaped("%ff", 0, 3)?.text).toBe("\ufffd");
});

test("a command to a terminal ends with its letter, as itself and as programs print it", () => {
  for (const begin of ["\u001b", String.raw`\u001b`, String.raw`\x1b`, String.raw`\033`, String.raw`\e`]) {
    for (const command of ["[31m", "[1;32m", "[m", "[2K", "[?25l", "(B"])
      expect([begin, command, commandEnd(`${begin}${command}x`, 0)]).toEqual([
        begin,
        command,
        begin.length + command.length,
      ]);
    expect(commandEnd(`${begin}x`, 0)).toBeUndefined();
  }
});
