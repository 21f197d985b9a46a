import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, kept, readable, textOf, toolCall, toolResult } from "./blocks.ts";
import { begin, conversationId, derivedId, message, said, stated, timeOf, titled } from "./captured.ts";
import type { Captured, Said } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceKind } from "./source-kind.ts";
import { ancestorsOf, branchFacts } from "./tree.ts";

const CLAUDE = "claude";

/** The parent of a first message, in exports that state parents. */
const ROOT = "00000000-0000-4000-8000-000000000000";

/**
 * Reads Claude.ai's data export: conversations, a message for each block of their messages; projects with their documents;
 * and memories.
 */
class ClaudeExportReader extends RowReader {
  readonly consulted: readonly string[] = [];
  protected override readRow(row: Json): Captured[] {
    if (Array.isArray(row["chat_messages"])) return conversation(row, row["chat_messages"].filter(isObject));
    if (Array.isArray(row["docs"])) return project(row, row["docs"].filter(isObject));
    return isMemory(row) ? memories(row) : [];
  }
}

function conversation(row: Json, messages: Json[]): Captured[] {
  const { chat_messages: _, uuid, name, created_at, summary, ...rest } = row;
  const id = conversationId(CLAUDE, String(uuid));
  const time = timeOf(created_at);
  const current = currentMessages(messages, row["current_leaf_message_uuid"]);
  const talk = messages.flatMap((each, index) => blockMessages(id, each, index, current, time));
  const summaryText = said(summary);
  const more = { ...stated({ model: undefined }), row: kept({ summary, ...rest }) } as Json;
  return [
    begin({ conversation: id, source: CLAUDE, session: String(uuid), title: name, time, model: rest["model"], more }),
    ...(summaryText === undefined
      ? []
      : [
          note(
            id,
            "summary",
            summaryText,
            timeOf(row["updated_at"]) ?? time,
            derivedId(id, "summary", summaryText),
            true,
          ),
        ]),
    ...talk.map((each) => message(id, each)),
    ...titled(id, CLAUDE, name, time),
    ...branchFacts(id, talk),
  ];
}

/** The ids of the messages that the conversation went on with; undefined when it has no branches. */
function currentMessages(messages: Json[], leaf: unknown): Set<unknown> | undefined {
  const parents = messages.map((each) => each["parent_message_uuid"]).filter(isText);
  const hasBranches = new Set(parents).size < parents.length;
  if (!hasBranches) return undefined;
  const nodes = Object.fromEntries(
    messages.map((each) => [
      String(each["uuid"]),
      { parent: each["parent_message_uuid"] === ROOT ? null : each["parent_message_uuid"] },
    ]),
  );
  return ancestorsOf(nodes, isText(leaf) ? leaf : messages.at(-1)?.["uuid"]);
}

/** A message for each run of text and for each other block: thinking, calls of tools with their artifacts, their results. */
function blockMessages(
  conversation: string,
  given: Json,
  index: number,
  current: Set<unknown> | undefined,
  first: string | undefined,
): Said[] {
  const { uuid, text, content, sender, created_at, attachments, files, files_v2, ...rest } = given;
  const name = isText(uuid) ? uuid : `${index}`;
  const role = sender === "assistant" ? "assistant" : "user";
  const pieces = grouped(Array.isArray(content) ? content.filter(isObject) : [], text);
  const names = fileTexts([attachments, files, files_v2]);
  const common = {
    time: timeOf(created_at) ?? first,
    abandoned: current !== undefined && !current.has(uuid),
  };
  const row = kept({ uuid, attachments, files, files_v2, ...rest });
  // Summaries stand behind the rest, so that the others keep their ids.
  const made = [...pieces.map((piece) => pieceMessage(piece, role)), ...pieces.flatMap(summaryMessage)];
  if (names.length > 0) {
    const last = made.findLast((each) => each.kind === "prompt" || each.kind === "answer");
    const texts = names.join("\n\n");
    if (last) last.content = [last.content, texts].filter(isText).join("\n\n");
    else made.push({ role, kind: "prompt", content: texts, metadata: {} });
  }
  const main = Math.max(
    0,
    made.findLastIndex((each) => each.kind === "prompt" || each.kind === "answer"),
  );
  return made.map((each, place) => ({
    ...common,
    ...each,
    bookkeeping: each.content === "",
    id: place === main ? derivedId(conversation, name) : derivedId(conversation, name, `${place}`),
    metadata: { source: CLAUDE, ...each.metadata, ...(place === main ? { row } : { row_uuid: name }) },
  }));
}

type Piece = Omit<Said, "id" | "time">;

/** Runs of text blocks, and each other block alone. Old exports have a text and no blocks. */
function grouped(blocks: Json[], text: unknown): Json[][] {
  const groups: Json[][] = [];
  for (const block of blocks) {
    const last = groups.at(-1);
    if (textOf(block) !== undefined && last?.[0] && textOf(last[0]) !== undefined) last.push(block);
    else groups.push([block]);
  }
  const hasText = blocks.some((block) => said(textOf(block)) !== undefined);
  const isPlaceholder = blocks.length > 0 && typeof text === "string" && text.includes("This block is not supported");
  if (!hasText && !isPlaceholder && isText(text)) groups.push([{ type: "text", text }]);
  return groups.length > 0 ? groups : [[{ type: "text", text: "" }]];
}

function pieceMessage(blocks: Json[], role: "user" | "assistant"): Piece {
  const [first = {}] = blocks;
  const type = String(first["type"]);
  if (type === "thinking") {
    const text = said(first["thinking"]) ?? summariesOf(first);
    return { role: "assistant", kind: "thinking", content: text || "(thinking)", metadata: {} };
  }
  if (type === "tool_use") {
    const call = toolCall(String(first["name"]), isText(first["id"]) ? first["id"] : "", first["input"]);
    return { role: "assistant", kind: "tool_use", content: call.content, metadata: call.metadata ?? {} };
  }
  if (type === "tool_result") {
    const tool = isText(first["name"]) ? first["name"] : undefined;
    const result = toolResult(tool, first["content"]);
    const outcome = first["is_error"] === true ? "error" : "success";
    const metadata = { ...stated({ tool, tool_use_id: first["tool_use_id"], outcome }), ...result.metadata };
    return { role: "tool", kind: "tool_result", content: result.content, metadata };
  }
  const others = blocks.filter((block) => textOf(block) === undefined);
  return {
    role,
    kind: others.length > 0 ? type : role === "user" ? "prompt" : "answer",
    content: readable(blocks),
    metadata: others.length > 0 ? { blocks: others.map(kept) } : {},
  };
}

/** What Claude.ai shows of thinking until a person opens it. */
function summaryMessage([first = {}]: Json[]): Piece[] {
  const content = first["type"] === "thinking" && said(first["thinking"]) ? summariesOf(first) : "";
  return content === "" ? [] : [{ role: "assistant", kind: "thinking-summary", content, metadata: {} }];
}

function summariesOf({ summaries }: Json): string {
  const texts = Array.isArray(summaries) ? summaries.filter(isObject).map((each) => each["summary"]) : [];
  return texts.filter(isText).join("\n");
}

/** Names of attached files, each with the text that was taken out of it. */
function fileTexts(lists: unknown[]): string[] {
  const texts = lists
    .flatMap((list) => (Array.isArray(list) ? list.filter(isObject) : []))
    .flatMap((file) => {
      const name = [file["file_name"], file["name"]].find(isText);
      const content = said(file["extracted_content"]);
      if (name === undefined && content === undefined) return [];
      return [[`[file ${name ?? "without a name"}]`, content].filter(isText).join("\n")];
    });
  return [...new Set(texts)];
}

/** A project: what it is for, its instructions and its documents. */
function project(row: Json, docs: Json[]): Captured[] {
  const { docs: _, uuid, name, description, prompt_template, created_at, ...rest } = row;
  const id = conversationId(CLAUDE, String(uuid));
  const time = timeOf(created_at);
  const texts: [string, string | undefined][] = [
    ["project", [said(name), said(description)].filter(isText).join("\n\n")],
    ["instructions", said(prompt_template)],
  ];
  return [
    begin({
      conversation: id,
      source: CLAUDE,
      session: String(uuid),
      title: name,
      time,
      more: { project: kept(rest) },
    }),
    ...texts.flatMap(([kind, text]) => (isText(text) ? [note(id, kind, text, time, derivedId(id, kind, text))] : [])),
    ...docs.map((doc, index) => {
      const text = [said(doc["filename"]), said(doc["content"])].filter(isText).join("\n\n");
      const docId = derivedId(id, "document", isText(doc["uuid"]) ? doc["uuid"] : `${index}`);
      return note(id, "document", text, timeOf(doc["created_at"]) ?? time, docId);
    }),
  ];
}

function isMemory(row: Json): boolean {
  return "conversations_memory" in row || "project_memories" in row;
}

/** The account's memories, and those of each project. They change: each text is kept as it was at an export. */
function memories(row: Json): Captured[] {
  const { conversations_memory, project_memories, account_uuid } = row;
  const session = isText(account_uuid) ? `memories ${account_uuid}` : "memories";
  const id = conversationId(CLAUDE, session);
  const projects = isObject(project_memories) ? Object.entries(project_memories) : [];
  const texts = [["", conversations_memory] as const, ...projects].flatMap(([project, value]) => {
    const text = isText(value) ? value : value === undefined || value === null ? "" : readable([value]);
    return text === "" ? [] : [{ project, text }];
  });
  return [
    begin({ conversation: id, source: CLAUDE, session, title: "Memories of Claude" }),
    ...texts.map(({ project, text }) =>
      note(id, "memory", text, undefined, derivedId(id, project, text), false, project),
    ),
  ];
}

function note(
  conversation: string,
  kind: string,
  content: string,
  time: string | undefined,
  id: string,
  bookkeeping = false,
  project = "",
): Captured {
  const metadata = { source: CLAUDE, ...(project === "" ? {} : { project }) };
  return message(conversation, { id, role: "system", kind, content, time, bookkeeping, metadata });
}

export const claudeExport: SourceKind = {
  name: "Claude.ai's data export",
  form: ({ text }) => {
    const isList = /^\s*\[\s*\{/.test(text);
    if (/"chat_messages"\s*:\s*\[/.test(text)) {
      if (isList) return { depth: 1 };
      return /^\s*\{\s*"conversations"\s*:\s*\[/.test(text) ? { depth: 2 } : { depth: 0 };
    }
    const isProject = /"docs"\s*:\s*\[/.test(text) && /"prompt_template"\s*:/.test(text);
    const isMemories = /"(?:conversations_memory|project_memories)"\s*:/.test(text);
    if (!isProject && !isMemories) return undefined;
    return { depth: isList ? 1 : 0 };
  },
  reader: () => new ClaudeExportReader(),
};
