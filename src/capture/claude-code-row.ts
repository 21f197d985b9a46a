import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { blockName, blocksOf, isText, textOf, toolCall, toolResult } from "./blocks.ts";
import { Occurrences, derivedId, shallow, stated, timeOf } from "./captured.ts";
import type { Captured, CapturedMessage } from "./captured.ts";
import { CLAUDE_CODE, sessionFacts, sharedIds } from "./claude-code-facts.ts";

/**
 * Types of rows that hold no talk and are known (Claude Code 1.0 to 2.1). They become short system messages, so that they
 * are kept and do not stand in the way of searching; others do too, and are counted by name besides.
 */
const bookkeeping = new Set([
  "agent-name",
  "ai-title",
  "attachment",
  "custom-title",
  "file-history-snapshot",
  "last-prompt",
  "mode",
  "permission-mode",
  "pr-link",
  "progress",
  "queue-operation",
  "summary",
  "system",
  "tag",
]);

const knownBlocks = new Set(["text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document"]);

/** Facts of the client's own hooks that no transcript holds. */
export interface HookFacts {
  /** How long a tool use took, by the client's clock. */
  durationMs(toolUseId: string): number | undefined;
}

/** A conversation's rows so far, as far as those that follow hang together with them. */
export class Thread {
  readonly conversation: string;
  promptId = "";
  /** What was said in answer to the current prompt. */
  readonly answers = new Occurrences();
  /** The last row that had an id, and the rows behind it that have none. */
  lastNamed = "";
  readonly nameless = new Occurrences();
  /** Tool uses without a result yet. */
  readonly calls = new Map<string, { tool: string; time: string | undefined }>();

  constructor(conversation: string) {
    this.conversation = conversation;
  }
}

/** What a row has become: a message for each block of its content. */
export function rowMessages(thread: Thread, row: Json, text: string, hooks: HookFacts | undefined): Captured[] {
  const type = typeof row["type"] === "string" ? row["type"] : "(no type)";
  const message = isObject(row["message"]) ? row["message"] : undefined;
  if ((type !== "user" && type !== "assistant") || message === undefined) {
    const kept: Captured = {
      kind: "message",
      conversation: thread.conversation,
      message: otherRow(thread, row, type, text),
    };
    return bookkeeping.has(type) ? [kept] : [kept, { kind: "unknown", type }];
  }
  if (type === "user") notePrompt(thread, row);
  const blocks = blocksOf(message["content"]);
  const rowId = rowName(thread, row, text);
  return blocks.flatMap((block, index): Captured[] => {
    const made = type === "user" ? userBlock(thread, row, block, hooks) : assistantBlock(thread, row, block);
    const metadata = {
      ...sessionFacts(row),
      ...made.metadata,
      ...(index === 0 ? { row: restOf(row, message) } : { row_uuid: rowId }),
    };
    const time = timeOf(row["timestamp"]);
    const kept: Captured = {
      kind: "message",
      conversation: thread.conversation,
      message: {
        message_id: made.id ?? derivedId(thread.conversation, rowId, `${index}`),
        role: made.role,
        content: made.content,
        ...(time === undefined ? {} : { created_at: time }),
        metadata,
      },
    };
    const blockType = String(block["type"]);
    return knownBlocks.has(blockType) ? [kept] : [kept, { kind: "unknown", type: `${type}/${blockType}` }];
  });
}

interface RowMessage {
  id?: string | undefined;
  role: CapturedMessage["role"];
  content: string;
  metadata: Json;
}

function userBlock(thread: Thread, row: Json, block: Json, hooks: HookFacts | undefined): RowMessage {
  if (block["type"] === "tool_result") return resultBlock(thread, row, block, hooks);
  const text = textOf(block);
  // What the client says in the user's name (caveats, summaries of what was compacted) is not the user's word.
  const role = row["isMeta"] === true || row["isCompactSummary"] === true ? "system" : "user";
  if (text === undefined) return { role, content: blockName(block), metadata: { block: shallow(block) } };
  const { promptId } = thread;
  const isPrompt = role === "user" && promptId !== "" && thread.answers.count("prompt") === 0;
  return {
    id: isPrompt ? sharedIds.prompt(thread.conversation, promptId) : undefined,
    role,
    content: text || "(empty)",
    metadata: stated({ kind: isPrompt ? "prompt" : undefined, ...blockRest(block) }),
  };
}

function resultBlock(thread: Thread, row: Json, block: Json, hooks: HookFacts | undefined): RowMessage {
  const toolUseId = String(block["tool_use_id"]);
  const call = thread.calls.get(toolUseId);
  thread.calls.delete(toolUseId);
  const result = toolResult(call?.tool, block["content"]);
  return {
    id: sharedIds.result(thread.conversation, toolUseId),
    role: "tool",
    content: result.content,
    metadata: stated({
      kind: "tool_result",
      tool: call?.tool,
      tool_use_id: toolUseId,
      outcome: block["is_error"] === true ? "error" : "success",
      duration_ms: hooks?.durationMs(toolUseId) ?? between(call?.time, row["timestamp"]),
      ...result.metadata,
    }),
  };
}

function assistantBlock(thread: Thread, row: Json, block: Json): RowMessage {
  const message = isObject(row["message"]) ? row["message"] : {};
  const model = typeof message["model"] === "string" ? { model: message["model"] } : {};
  if (block["type"] === "tool_use") {
    const [tool, toolUseId] = [String(block["name"]), String(block["id"])];
    thread.calls.set(toolUseId, { tool, time: timeOf(row["timestamp"]) });
    const call = toolCall(tool, toolUseId, block["input"]);
    return {
      id: sharedIds.call(thread.conversation, toolUseId),
      role: "assistant",
      content: call.content,
      metadata: { kind: "tool_use", ...model, ...call.metadata },
    };
  }
  if (typeof block["thinking"] === "string") {
    const { thinking, ...rest } = block;
    return {
      role: "assistant",
      content: thinking || "(thinking)",
      metadata: { kind: "thinking", ...model, block: rest },
    };
  }
  const text = textOf(block);
  if (text === undefined)
    return { role: "assistant", content: blockName(block), metadata: { ...model, block: shallow(block) } };
  const { promptId } = thread;
  return {
    id: sharedIds.answer(thread.conversation, promptId, text, thread.answers.count(derivedId(text))),
    role: "assistant",
    content: text || "(empty)",
    metadata: { kind: "answer", ...model, ...blockRest(block) },
  };
}

/** A new prompt begins when its id changes. Clients that give none get one from the row. */
function notePrompt(thread: Thread, row: Json): void {
  const message = isObject(row["message"]) ? row["message"] : {};
  const { promptId, uuid } = row;
  const isResult = blocksOf(message["content"]).some((block) => block["type"] === "tool_result");
  const id = typeof promptId === "string" ? promptId : isResult ? thread.promptId : String(uuid);
  if (id === thread.promptId) return;
  thread.promptId = id;
  thread.answers.clear();
}

/** A row without talk: short, so that searches find the talk, with all of it in metadata. */
function otherRow(thread: Thread, row: Json, type: string, text: string): CapturedMessage {
  const time = timeOf(row["timestamp"]);
  // What waits in a queue is told again when it is said.
  const said = [row["summary"], row["customTitle"], row["aiTitle"], type === "system" ? row["content"] : ""].find(
    isText,
  );
  const attachment = isObject(row["attachment"]) ? row["attachment"]["type"] : undefined;
  const name = [
    "[",
    type,
    ...[row["subtype"], row["operation"], attachment].filter(isText).map((part) => ` ${part}`),
    "]",
  ];
  return {
    message_id: derivedId(thread.conversation, rowName(thread, row, text), "0"),
    role: "system",
    content: said ? `${name.join("")} ${said}` : name.join(""),
    ...(time === undefined ? {} : { created_at: time }),
    metadata: { source: CLAUDE_CODE, kind: type, row: shallow(row) },
  };
}

/** What a row says beside its content and what has a name of its own in metadata. */
function restOf(row: Json, message: Json): unknown {
  const { cwd: _, gitBranch: __, version: ___, timestamp: ____, ...rest } = row;
  const { content: _____, model: ______, ...about } = message;
  return shallow({ ...rest, message: about });
}

function blockRest(block: Json): Json {
  const { type: _, text: __, ...rest } = block;
  return Object.keys(rest).length > 0 ? { block: shallow(rest) } : {};
}

/** What a row is called: by its own id, or by its text and place behind the last row that has one. */
function rowName(thread: Thread, row: Json, text: string): string {
  const { uuid } = row;
  if (typeof uuid === "string") {
    thread.lastNamed = uuid;
    thread.nameless.clear();
    return uuid;
  }
  const name = derivedId(thread.lastNamed, text);
  return `${name} ${thread.nameless.count(name)}`;
}

function between(from: string | undefined, to: unknown): number | undefined {
  const end = timeOf(to);
  return from === undefined || end === undefined ? undefined : Math.max(0, Date.parse(end) - Date.parse(from));
}
