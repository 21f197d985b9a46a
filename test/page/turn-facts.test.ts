import { expect, test } from "bun:test";
import { about, summary } from "../../src/page/parts/turn-facts.ts";

const message = (role: string, content: string, metadata: Record<string, unknown>, kind?: string) => ({
  id: "1",
  turn: 1,
  role,
  content,
  metadata,
  created_at: "2026-11-29T12:00:00.000Z",
  ...(kind === undefined ? {} : { kind }),
});

test("a recorded call and its answer are told apart, whoever gave it", () => {
  const call = message("user", "get_order\nid: 7", { tool: "get_order", arguments: { id: 7 } });
  const answer = message("assistant", '{"id":7}', { tool: "get_order", outcome: "success", duration_ms: 12 });
  const failure = message("tool", "no such order", { tool: "get_order", outcome: "error" });
  expect([call, answer, failure].map((each) => about(each).who)).toEqual([
    "get_order",
    "get_order result",
    "get_order result",
  ]);
  expect(about(failure).isFailed).toBe(true);
  expect(about(answer)).toMatchObject({ form: "result", isFolded: true, durationMs: 12 });
  expect([call, answer].map(summary)).toEqual(["id: 7", '{"id":7}']);
});

test("a message is what its kind says, whatever it is called", () => {
  expect(about(message("assistant", "hm", {}, "thinking")).form).toBe("thinking");
  expect(about(message("assistant", "Bash", { tool: "Bash", outcome: "success" }, "tool_use")).form).toBe("tool");
  expect(about(message("user", "Why?", {}, "prompt"))).toMatchObject({ form: "prompt", who: "You", isFolded: false });
  expect(about(message("system", "x", {}, "rate-limit")).who).toBe("rate limit");
});

test("names and summaries show hidden characters by name, on one line", () => {
  const call = message(
    "assistant",
    "x",
    { tool: "mcp__shop__get\u202E", arguments: { command: "a\nb\u200B" } },
    "tool_use",
  );
  expect(about(call).who).toBe("shop · get<U+202E>");
  expect(summary(call)).toBe("a b<U+200B>");
  expect(summary(message("tool", "\u001b[31mred\u001b[0m\n again", {}))).toBe("red again");
});
