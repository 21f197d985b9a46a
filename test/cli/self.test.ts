import { expect, test } from "bun:test";
import { lastingPath } from "../../src/cli/self.ts";

test("the path of Homebrew's version gives way to the link that stays, where there is one", () => {
  const versioned = "/opt/homebrew/Cellar/dewey/0.2.0/bin/dewey";
  const linked = "/opt/homebrew/opt/dewey/bin/dewey";
  expect(lastingPath(versioned, (path) => path === linked)).toBe(linked);
  expect(lastingPath(versioned, () => false)).toBe(versioned);
  expect(lastingPath("/usr/bin/dewey", () => true)).toBe("/usr/bin/dewey");
});
