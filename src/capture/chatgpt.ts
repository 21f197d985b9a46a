import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, kept, wordsOf } from "./blocks.ts";
import { begin, conversationId, derivedId, message, shallow, stated, timeOf, titled } from "./captured.ts";
import type { Captured, Said } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceKind } from "./source-kind.ts";
import { ancestorsOf, branchFacts, inTreeOrder } from "./tree.ts";

const CHATGPT = "chatgpt";

/**
 * Reads ChatGPT's data export: a conversation an object, whose messages are a tree. Answers that were regenerated and prompts
 * that were edited stand beside each other; all are kept, in the tree's order, and those that were left are marked.
 */
class ChatGptReader extends RowReader {
  readonly consulted: readonly string[] = [];
  protected override readRow(row: Json): Captured[] {
    const { mapping, id, conversation_id, title, create_time, current_node, ...rest } = row;
    if (!isObject(mapping)) return [];
    const session = String(conversation_id ?? id);
    const conversation = conversationId(CHATGPT, session);
    const order = inTreeOrder(mapping);
    const current = ancestorsOf(mapping, current_node);
    const messages = order.flatMap((node) => nodeMessage(conversation, node, current));
    const time = timeOf(create_time);
    const more = { row: kept({ current_node, ...rest }) } as Json;
    return [
      begin({ conversation, source: CHATGPT, session, title, time, model: rest["default_model_slug"], more }),
      ...withNeighboursTimes(messages, time).map((each) => message(conversation, each)),
      ...titled(conversation, CHATGPT, title, time),
      ...branchFacts(conversation, messages),
    ];
  }
}

function nodeMessage(conversation: string, node: Json, current: Set<unknown>): Said[] {
  const given = node["message"];
  if (!isObject(given)) return [];
  const { author, content, create_time, metadata, ...rest } = given;
  const about = isObject(metadata) ? metadata : {};
  const named = isObject(author) ? author["role"] : undefined;
  const text = [contentText(content), ...attachmentNames(about)].filter((part) => part !== "").join("\n\n");
  const isHidden = about["is_visually_hidden_from_conversation"] === true;
  const role = named === "user" || named === "assistant" || named === "tool" ? named : "system";
  const kind = kindOf(content, role, isHidden);
  return [
    {
      id: derivedId(conversation, String(node["id"])),
      role: kind === "instructions" ? "system" : role,
      kind,
      content: text,
      time: timeOf(create_time),
      bookkeeping: text === "",
      // What was regenerated and left behind is told from the path on which the conversation went on.
      abandoned: current.size > 0 && !current.has(node["id"]),
      metadata: {
        source: CHATGPT,
        ...stated({ model: about["model_slug"], tool: toolName(role, author) }),
        row: shallow({ parent: node["parent"], author, content: contentRest(content), metadata: kept(about), ...rest }),
      },
    },
  ];
}

function toolName(role: string, author: unknown): string | undefined {
  return role === "tool" && isObject(author) && isText(author["name"]) ? author["name"] : undefined;
}

function kindOf(content: unknown, role: string, isHidden: boolean): string {
  const type = isObject(content) ? String(content["content_type"]) : "text";
  if (type === "user_editable_context" || type === "model_editable_context") return "instructions";
  if (type === "thoughts" || type === "reasoning_recap") return "thinking";
  if (isHidden || role === "system") return "instructions";
  return { user: "prompt", assistant: type === "code" ? "tool_use" : "answer", tool: "tool_result" }[role] ?? "message";
}

/** Everything in a content that a person can read. */
function contentText(content: unknown): string {
  if (!isObject(content)) return typeof content === "string" ? content : "";
  const { parts, content_type: _, language: __, ...rest } = content;
  if (!Array.isArray(parts)) return wordsOf(rest);
  const texts = parts.map((part: unknown) => (typeof part === "string" ? part : partText(part)));
  return [...texts, wordsOf(rest)].filter((part) => part !== "").join("\n\n");
}

/** A picture, a recording, or text in a part of its own. */
function partText(part: unknown): string {
  if (!isObject(part)) return "";
  const words = [part["text"], part["transcription"], part["alt_text"]].filter(isText).join("\n");
  return words || wordsOf(part) || `[${String(part["content_type"])}]`;
}

function attachmentNames(about: Json): string[] {
  const { attachments } = about;
  if (!Array.isArray(attachments)) return [];
  return attachments.filter(isObject).flatMap(({ name }) => (isText(name) ? [`[file ${name}]`] : []));
}

/** The content without the texts that are the message's own. */
function contentRest(content: unknown): unknown {
  if (!isObject(content)) return undefined;
  const { parts, text: _, result: __, ...rest } = content;
  const others = Array.isArray(parts) ? parts.filter((part: unknown) => typeof part !== "string") : [];
  return kept(others.length > 0 ? { ...rest, parts: others } : rest);
}

/** Messages without a time get that of the one before, else the next one's, else the conversation's. */
function withNeighboursTimes(messages: Said[], first: string | undefined): Said[] {
  let last = messages.find((each) => each.time !== undefined)?.time ?? first;
  return messages.map((each) => {
    last = each.time ?? last;
    return { ...each, time: last };
  });
}

export const chatGpt: SourceKind = {
  name: "ChatGPT's data export",
  form: ({ text }) => {
    if (!/"mapping"\s*:\s*\{/.test(text)) return undefined;
    if (/^\s*\[\s*\{/.test(text)) return { depth: 1 };
    return /^\s*\{\s*"conversations"\s*:\s*\[/.test(text) ? { depth: 2 } : { depth: 0 };
  },
  reader: () => new ChatGptReader(),
};
