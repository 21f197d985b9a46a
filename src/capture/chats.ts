import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { conversationId, derivedId, parseRow, shallow, stated, timeOf } from "./captured.ts";
import type { Captured, CapturedMessage, SourceReader } from "./captured.ts";

// The data exports of the two large chats: `conversations.json`, an array with a conversation an element.

/** Reads Claude's data export. */
export class ClaudeExportReader implements SourceReader {
  take(text: string): Captured[] {
    const parsed = parseRow(text);
    if ("broken" in parsed) return parsed.broken;
    const { chat_messages, uuid, name, created_at, ...rest } = parsed.row;
    const id = conversationId("claude", String(uuid));
    const messages = Array.isArray(chat_messages) ? chat_messages.filter(isObject) : [];
    return [
      beginning(id, String(uuid), timeOf(created_at), {
        source: "claude",
        ...stated({ title: name }),
        row: shallow(rest),
      }),
      ...messages.map((message, index) => claudeMessage(id, message, index)),
    ];
  }

  end(): Captured[] {
    return [];
  }
}

function claudeMessage(conversation: string, message: Json, index: number): Captured {
  const { uuid, text, content, sender, created_at, ...rest } = message;
  const blocks = Array.isArray(content) ? content.filter(isObject) : [];
  const said = blocks.flatMap((block) =>
    block["type"] === "text" && typeof block["text"] === "string" ? [block["text"]] : [],
  );
  const others = blocks.filter((block) => block["type"] !== "text");
  return kept(conversation, {
    message_id: derivedId(conversation, typeof uuid === "string" ? uuid : `${index}`),
    role: sender === "assistant" ? "assistant" : "user",
    content:
      said.join("\n\n") ||
      (typeof text === "string" && text) ||
      others.map((block) => `[${String(block["type"])}]`).join(" ") ||
      "(empty)",
    created_at: timeOf(created_at),
    metadata: {
      source: "claude",
      ...(others.length > 0 ? { blocks: shallow(others) } : {}),
      row: shallow({ uuid, ...rest }),
    },
  });
}

/** Reads ChatGPT's data export. Answers that were made anew stand beside each other; all are kept, in the tree's order. */
export class ChatGptReader implements SourceReader {
  take(text: string): Captured[] {
    const parsed = parseRow(text);
    if ("broken" in parsed) return parsed.broken;
    const { mapping, id, conversation_id, title, create_time, current_node, ...rest } = parsed.row;
    const source = String(conversation_id ?? id);
    const conversation = conversationId("chatgpt", source);
    const nodes = isObject(mapping) ? mapping : {};
    const current = ancestors(nodes, current_node);
    const metadata = { source: "chatgpt", ...stated({ title }), row: shallow({ current_node, ...rest }) };
    return [
      beginning(conversation, source, timeOf(create_time), metadata),
      ...inOrder(nodes).flatMap((node) => chatGptMessage(conversation, node, current)),
    ];
  }

  end(): Captured[] {
    return [];
  }
}

function chatGptMessage(conversation: string, node: Json, current: Set<unknown>): Captured[] {
  const { message } = node;
  if (!isObject(message)) return [];
  const { author, content, create_time, metadata, ...rest } = message;
  const about = isObject(metadata) ? metadata : {};
  const role = isObject(author) ? author["role"] : undefined;
  return [
    kept(conversation, {
      message_id: derivedId(conversation, String(node["id"])),
      role: role === "user" || role === "assistant" || role === "tool" ? role : "system",
      content: contentText(content) || "(empty)",
      created_at: timeOf(create_time),
      metadata: {
        source: "chatgpt",
        ...stated({ model: about["model_slug"] }),
        // What was made anew and left behind is told from what the conversation went on with.
        ...(current.size > 0 && !current.has(node["id"]) ? { abandoned: true } : {}),
        row: shallow({ parent: node["parent"], author, content: contentRest(content), metadata: about, ...rest }),
      },
    }),
  ];
}

function contentText(content: unknown): string {
  if (!isObject(content)) return typeof content === "string" ? content : "";
  const { parts, text, result } = content;
  if (Array.isArray(parts)) {
    return parts
      .map((part: unknown) => (typeof part === "string" ? part : partText(part)))
      .filter((part) => part !== "")
      .join("\n\n");
  }
  return [text, result].find((each) => typeof each === "string") ?? "";
}

function partText(part: unknown): string {
  if (!isObject(part)) return "";
  return typeof part["text"] === "string" ? part["text"] : `[${String(part["content_type"])}]`;
}

/** The content without the texts that are the message's own. */
function contentRest(content: unknown): unknown {
  if (!isObject(content)) return undefined;
  const { parts, text: _, result: __, ...rest } = content;
  const others = Array.isArray(parts) ? parts.filter((part: unknown) => typeof part !== "string") : [];
  return others.length > 0 ? { ...rest, parts: others } : rest;
}

/** Parents before their children, children in their order; a node whose parent is missing begins a tree of its own. */
function inOrder(nodes: Record<string, unknown>): Json[] {
  const all = Object.values(nodes).filter(isObject);
  const waiting = all.filter((node) => !isObject(nodes[String(node["parent"])])).toReversed();
  const ordered = new Set<Json>();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (ordered.has(node)) continue;
    ordered.add(node);
    const children = Array.isArray(node["children"]) ? node["children"] : [];
    waiting.push(
      ...children
        .map((id: unknown) => nodes[String(id)])
        .filter(isObject)
        .toReversed(),
    );
  }
  return [...ordered];
}

function ancestors(nodes: Record<string, unknown>, from: unknown): Set<unknown> {
  const path = new Set<unknown>();
  for (let id = from; typeof id === "string" && !path.has(id);) {
    path.add(id);
    const node = nodes[id];
    id = isObject(node) ? node["parent"] : undefined;
  }
  return path;
}

function beginning(id: string, session: string, time: string | undefined, metadata: Json): Captured {
  return {
    kind: "conversation",
    begin: { conversation_id: id, session_id: session, ...(time === undefined ? {} : { created_at: time }), metadata },
  };
}

function kept(
  conversation: string,
  message: Omit<CapturedMessage, "created_at"> & { created_at: string | undefined },
): Captured {
  const { created_at, ...rest } = message;
  return { kind: "message", conversation, message: { ...rest, ...(created_at === undefined ? {} : { created_at }) } };
}
