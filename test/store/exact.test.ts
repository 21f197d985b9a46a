import { describe, expect, test } from "bun:test";
import { sentHash } from "../../src/sent-hash.ts";
import { exactMetadata, exactText, storableMetadata, storableText } from "../../src/store/exact.ts";

describe("what PostgreSQL cannot hold", () => {
  const odd = ["\0", "a\0b", "\ud800", "\udc00\ud800", "🙂\ud83d", "\\\0", '"\0"'];
  const plain = ["", "a", "🙂", "\\u0000", "\\ud800", "\\\\u0000", "\uFFFD", "\n\t\u0001"];

  test("is returned unchanged, as text and as a key or value of metadata", () => {
    for (const text of [...odd, ...plain]) {
      const stored = storableText(text);
      expect(exactText(stored.readable, stored.exact)).toBe(text);
      const metadata = { [text]: [text, { deep: text }] };
      const both = storableMetadata(metadata);
      expect(exactMetadata(JSON.parse(both.readable ?? ""), both.exact)).toEqual(metadata);
    }
  });

  test("is not in the readable form", () => {
    for (const text of odd) {
      const { readable } = storableMetadata({ [text]: text });
      const [[key, value] = []] = Object.entries(JSON.parse(readable ?? "") as Record<string, string>);
      for (const each of [storableText(text).readable, key ?? "", value ?? ""]) {
        expect(each.isWellFormed() && !each.includes("\0")).toBe(true);
      }
    }
  });

  test("is stored a second time only where it occurs", () => {
    for (const text of plain) {
      expect(storableText(text).exact).toBeNull();
      expect(storableMetadata({ [text]: text }).exact).toBeNull();
    }
  });
});

test("the hash of a call depends on values and the order of lists, but not on the order of keys", () => {
  const hash = sentHash("user", "x", { a: 1, b: { c: [1, 2], d: null } });
  expect(sentHash("user", "x", { b: { d: null, c: [1, 2] }, a: 1 })).toBe(hash);
  const others = [{ a: 1, b: { c: [2, 1], d: null } }, { a: "1", b: { c: [1, 2], d: null } }, null];
  for (const other of others) expect(sentHash("user", "x", other)).not.toBe(hash);
  expect(sentHash("\ud800")).not.toBe(sentHash("\ud801"));
});
