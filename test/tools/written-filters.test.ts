import { describe, expect, test } from "bun:test";
import { readFilters } from "../../src/tools/written-filters.ts";

describe("a query with filters", () => {
  test("is separated into its filters and its words", () => {
    expect(readFilters("folder:dewey client:codex since:3d errors: error")).toEqual({
      words: "error",
      filters: { folder: "dewey", client: "codex", since: "3d", errors: true },
    });
    expect(readFilters('flaky title:"two words" tests role:user')).toEqual({
      words: "flaky tests",
      filters: { title: "two words", role: "user" },
    });
    expect(readFilters(String.raw`folder:C:\work tool:Bash`)).toEqual({
      words: "",
      filters: { folder: String.raw`C:\work`, tool: "Bash" },
    });
  });

  test("keeps everything else as it was written", () => {
    for (const query of [
      "http://x:80 foo:bar",
      String.raw`C:\x`,
      "kind: of",
      'a "phrase with since:3d in it"',
      '-"since:3d"',
      '"folder:dewey"',
      "-tool:bash",
      "Title:x xtool:y errors:foo 'role:user'",
      'tool:"" tool: title:"a"b',
      '{"tool":"Bash"}',
      "two  spaces",
    ])
      expect(readFilters(query)).toEqual({ words: query, filters: {} });
  });

  test("refuses a filter that stands twice", () => {
    expect(() => readFilters("tool:a x tool:b")).toThrow("tool: stands twice in the query");
  });
});
