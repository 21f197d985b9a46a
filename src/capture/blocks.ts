import { describeRequest } from "../proxy/delivery/describe.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { shallow } from "./captured.ts";
import type { CapturedMessage } from "./captured.ts";

// Content blocks, as the models' APIs and MCP have them, and what tools are called with and answer in them.

/**
 * Of Dewey's own tools the words stay in metadata, where nothing is searched: or every search would find the searches
 * before it, and what they had found.
 */
const OWN_TOOL = /^mcp__dewey__/;

/** The call of a tool: its name, and each argument on a line of its own, as the proxy records calls. */
export function toolCall(
  tool: string,
  toolUseId: string,
  input: unknown,
): Pick<CapturedMessage, "content" | "metadata"> {
  const described = describeRequest("tools/call", tool, { arguments: input });
  return {
    content: OWN_TOOL.test(tool) ? tool : described.content,
    metadata: { tool, tool_use_id: toolUseId, ...described.metadata },
  };
}

/** A tool's answer: its text, and in metadata what else it is made of. */
export function toolResult(tool: string | undefined, content: unknown): { content: string; metadata: Json } {
  const blocks = Array.isArray(content) ? content : content === undefined ? [] : [content];
  const text = blocks.flatMap((block: unknown) => textOf(block) ?? []).join("\n\n");
  const others = blocks.filter((block: unknown) => textOf(block) === undefined);
  if (tool !== undefined && OWN_TOOL.test(tool)) {
    return { content: `(${text.length} characters of Dewey's own)`, metadata: { own_result: shallow(content) } };
  }
  return {
    content: text || others.map(blockName).join(" ") || "(no content)",
    metadata: others.length > 0 ? { blocks: shallow(others) } : {},
  };
}

export function blocksOf(content: unknown): Json[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) return [{ type: "text", text: content === undefined ? "" : JSON.stringify(content) }];
  const blocks = content.map((block: unknown) => (isObject(block) ? block : { type: "text", text: String(block) }));
  return blocks.length > 0 ? blocks : [{ type: "text", text: "" }];
}

export function textOf(block: unknown): string | undefined {
  if (typeof block === "string") return block;
  return isObject(block) && block["type"] === "text" && typeof block["text"] === "string" ? block["text"] : undefined;
}

export function blockName(block: unknown): string {
  const type = isObject(block) ? String(block["type"]) : typeof block;
  const source = isObject(block) && isObject(block["source"]) ? block["source"]["media_type"] : undefined;
  return `[${[type, source].filter(isText).join(" ")}]`;
}

export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
