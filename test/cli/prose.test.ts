import { describe, expect, test } from "bun:test";
import { explained, wrapped } from "../../src/cli/prose.ts";

describe("a text on a terminal", () => {
  test("is broken between words, and goes on under its beginning", () => {
    expect(wrapped("  one two three\n\nfour five six", 11)).toBe("  one two\n  three\n\nfour five\nsix");
    expect(wrapped("server  runs  at home", 12)).toBe("server  runs\nat home");
    expect(wrapped("日本語 日本語 x", 13)).toBe("日本語 日本語\nx");
    expect(wrapped("a /very/long/path/that/stays/whole b", 10)).toBe("a\n/very/long/path/that/stays/whole\nb");
  });

  test("keeps a command to copy on one line where it fits", () => {
    expect(wrapped("To undo it: dewey disconnect claude-code", 30)).toBe("To undo it:\ndewey disconnect claude-code");
    expect(wrapped("do: ./own/dewey list now; or: dewey show last (x)", 26)).toBe(
      "do: ./own/dewey list now;\nor: dewey show last (x)",
    );
    expect(wrapped("with: dewey list. It shows all", 18)).toBe("with: dewey list.\nIt shows all");
    expect(wrapped("no such; see: dewey help list", 12)).toBe("no such;\nsee: dewey\nhelp list");
  });
});

describe("terms and their explanations", () => {
  const rows = [
    ["list", "shows all of them, one a line"],
    ["a-rather-long-term", "explained below"],
  ] as const;

  test("stand side by side, and below each other where there is no room", () => {
    expect(explained(rows, 32, 8)).toEqual([
      "  list  shows all of them, one a",
      "        line",
      "  a-rather-long-term",
      "        explained below",
    ]);
    expect(explained(rows, 24, 8)).toEqual([
      "  list",
      "    shows all of them,",
      "    one a line",
      "  a-rather-long-term",
      "    explained below",
    ]);
  });

  test("stay on one line each for programs", () => {
    expect(explained(rows, Infinity, 8)).toEqual([
      "  list  shows all of them, one a line",
      "  a-rather-long-term  explained below",
    ]);
  });
});
