import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { textOf } from "./blocks.ts";
import { timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { firstText, tokensOf } from "./talk.ts";
import type { Piece, Talk } from "./talk.ts";

// The messages that Cline and its like send to the model, which tasks and sessions of the command line keep alike.

const metricNames = {
  input: "inputTokens",
  output: "outputTokens",
  cache_read: "cacheReadTokens",
  cache_write: "cacheWriteTokens",
} as const;

/** Results in texts, as models are sent them that have no tools of their own: a line about the call, and the result after it. */
export function namedResults(blocks: unknown[]): Map<number, { tool: string; text: string }> {
  const results = new Map<number, { tool: string; text: string }>();
  for (const [place, block] of blocks.entries()) {
    const text = textOf(block) ?? "";
    const [head, tool] = resultHead.exec(text) ?? [];
    if (tool === undefined || head === undefined) continue;
    const following = textOf(blocks[place + 1]);
    const isAlone = text.trimEnd() === head && following !== undefined;
    const hasResult = isAlone && !resultHead.test(following) && !following.startsWith("<environment_details>");
    results.set(hasResult ? place + 1 : place, { tool, text: hasResult ? following : text });
  }
  return results;
}

const resultHead = /^\[(\w{1,60})(?: [^\n]{0,1000})?\] Result:/;

/** A message of Anthropic's API with an envelope. */
export function messagesOf(talk: Talk, row: Json, name: string): Captured[] {
  const { role, content, ts, modelInfo, metrics } = row;
  const blocks: unknown[] = Array.isArray(content) ? content : [content];
  const info = isObject(modelInfo) ? modelInfo : {};
  const facts: Piece = {
    time: timeOf(ts),
    model: firstText(info["id"], info["modelId"]),
    tokens: tokensOf(metrics, metricNames),
  };
  const named = role === "user" ? namedResults(blocks) : new Map<number, never>();
  return blocks.flatMap((block, index) => {
    const piece = { ...facts, name: `${name} ${index}` };
    const given = isObject(block) ? block : {};
    const result = named.get(index);
    if (result !== undefined) return [talk.result("", result.text, false, { ...piece, tool: result.tool })];
    // The line that announces the result in the next text.
    if (role === "user" && named.has(index + 1) && resultHead.test(textOf(block) ?? "")) return [];
    return [blockOf(talk, role === "user", given, block, piece)];
  });
}

function blockOf(talk: Talk, isUser: boolean, given: Json, block: unknown, piece: Piece): Captured {
  if (given["type"] === "tool_use") return talk.call(String(given["name"]), String(given["id"]), given["input"], piece);
  if (given["type"] === "tool_result")
    return talk.result(String(given["tool_use_id"]), given["content"], given["is_error"] === true, piece);
  if (given["type"] === "thinking") return talk.thinking(firstText(given["thinking"]) ?? "", piece);
  return isUser ? talk.prompt([block], piece) : talk.answer([block], piece);
}
