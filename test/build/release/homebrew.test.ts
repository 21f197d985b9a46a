import { expect, test } from "bun:test";
import { targets } from "../../../src/build/engine.ts";
import { formula } from "../../../src/build/release/homebrew.ts";

test("the formula names each platform's archive with its own sum", () => {
  const release = { version: "1.2.3", repository: "https://example.org/dewey", seconds: 0, folder: "/nowhere" };
  const text = formula(release, new Map(targets.map((target) => [target, `sum-of-${target}`])));
  for (const target of targets) {
    const url = `https://example.org/dewey/releases/download/v1.2.3/dewey-1.2.3-${target}.tar.gz`;
    expect(text).toContain(`      url "${url}"\n      sha256 "sum-of-${target}"\n`);
  }
  // Each block is closed: "do", "def" and "class" begin one.
  const begun = text.match(/\bdo$|^\s*(?:def|class)\b/gm) ?? [];
  expect(text.match(/^\s*end$/gm)).toHaveLength(begun.length);
});
