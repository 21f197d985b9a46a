import { readFileSync } from "node:fs";
import { describeRequest } from "../proxy/describe.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { Occurrences, conversationId, derivedId, parseRow, shallow, stated, timeOf } from "./captured.ts";
import type { Captured, CapturedMessage, Reader } from "./captured.ts";

export const CLAUDE_CODE = "claude-code";

/** What Claude Code writes beside an agent's transcript, and what its file's name says. */
export interface AgentFacts {
  agentType?: unknown;
  description?: unknown;
  toolUseId?: unknown;
}

/** Rows that a conversation's own facts (folder, branch, version) are waited for at its beginning. */
const MAX_HELD_ROWS = 50;

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

/**
 * Of Dewey's own tools the words stay in metadata, where nothing is searched: or every search would find the searches
 * before it, and what they had found.
 */
const OWN_TOOL = /^mcp__dewey__/;

const knownBlocks = new Set(["text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document"]);

interface Conversation {
  id: string;
  session: string;
  agent: string | undefined;
  begun: boolean;
  held: Captured[];
  heldRows: number;
  firstTime: string | undefined;
  promptId: string;
  /** What was said in answer to the current prompt. */
  answers: Occurrences;
  /** The last row that had an id, and the rows behind it that have none. */
  lastNamed: string;
  nameless: Occurrences;
  /** Tool uses without a result yet. */
  calls: Map<string, { tool: string; time: string | undefined }>;
}

/** Facts of the client's own hooks that no transcript holds. */
export interface HookFacts {
  /** How long a tool use took, by the client's clock. */
  durationMs(toolUseId: string): number | undefined;
}

/**
 * Reads transcripts of Claude Code: a row an event. A session is one conversation, whose id is the session's; each
 * sub-agent is one of its own, linked by `session_id` and `metadata.parent_conversation_id`.
 */
export class ClaudeCodeReader implements Reader {
  readonly #conversations = new Map<string, Conversation>();
  /** Of older transcripts, where sub-agents stand between the rows of their session: the first row of each. */
  readonly #roots = new Map<string, string>();
  readonly #agent: AgentFacts | undefined;
  readonly #hooks: HookFacts | undefined;
  #session: string;

  /** `session` is what rows belong to that do not name one: by the file's name. */
  constructor(session: string, agent?: AgentFacts, hooks?: HookFacts) {
    this.#session = session;
    this.#agent = agent;
    this.#hooks = hooks;
  }

  /** A reader for a file, with what Claude Code has written beside it. Rows that name no session belong to `session`. */
  static ofFile(path: string, session: string, hooks?: HookFacts): ClaudeCodeReader {
    return new ClaudeCodeReader(session, factsBeside(path), hooks);
  }

  take(text: string): Captured[] {
    const parsed = parseRow(text);
    if ("broken" in parsed) return parsed.broken;
    const { row } = parsed;
    const conversation = this.#conversationOf(row);
    const captured = rowMessages(conversation, row, text, this.#hooks);
    return this.#begin(conversation, row, captured);
  }

  end(): Captured[] {
    return [...this.#conversations.values()].flatMap((conversation) => this.#release(conversation, {}));
  }

  #conversationOf(row: Json): Conversation {
    const { sessionId } = row;
    if (typeof sessionId === "string" && sessionId !== "") this.#session = sessionId;
    const agent = this.#agentOf(row);
    const session = conversationId(CLAUDE_CODE, this.#session);
    const id = agent === undefined ? session : agentConversationId(this.#session, agent);
    const known = this.#conversations.get(id);
    if (known) return known;
    const conversation: Conversation = {
      id,
      session: this.#session,
      agent,
      begun: false,
      held: [],
      heldRows: 0,
      firstTime: undefined,
      promptId: "",
      answers: new Occurrences(),
      lastNamed: "",
      nameless: new Occurrences(),
      calls: new Map(),
    };
    this.#conversations.set(id, conversation);
    return conversation;
  }

  /** The sub-agent that a row belongs to. Before agents had ids, the first row of its chain stands for it. */
  #agentOf(row: Json): string | undefined {
    if (typeof row["agentId"] === "string") return row["agentId"];
    if (row["isSidechain"] !== true) return undefined;
    const { uuid, parentUuid } = row;
    const root = (typeof parentUuid === "string" ? this.#roots.get(parentUuid) : undefined) ?? String(uuid);
    this.#roots.set(String(uuid), root);
    return root;
  }

  /** Holds a conversation's first rows back until one of them says where and with what it is held. */
  #begin(conversation: Conversation, row: Json, captured: Captured[]): Captured[] {
    if (conversation.begun) return captured;
    conversation.held.push(...captured);
    conversation.heldRows += 1;
    conversation.firstTime ??= timeOf(row["timestamp"]);
    if (typeof row["cwd"] !== "string" && conversation.heldRows < MAX_HELD_ROWS) return [];
    return this.#release(conversation, row);
  }

  #release(conversation: Conversation, row: Json): Captured[] {
    if (conversation.begun) return [];
    conversation.begun = true;
    const held = conversation.held.splice(0);
    return [
      {
        kind: "conversation",
        begin: {
          conversation_id: conversation.id,
          session_id: conversation.session,
          ...(conversation.firstTime === undefined ? {} : { created_at: conversation.firstTime }),
          metadata: { ...sessionFacts(row), ...agentFacts(conversation.session, conversation.agent, this.#agent) },
        },
      },
      ...held,
    ];
  }
}

/** The conversation of a sub-agent. */
export function agentConversationId(session: string, agent: string): string {
  return derivedId(CLAUDE_CODE, session, "agent", agent);
}

/** Where and with what a session is held; hooks say it in other words. */
export function sessionFacts(row: Json): Json {
  return stated({
    source: CLAUDE_CODE,
    cwd: row["cwd"],
    branch: row["gitBranch"] === "" ? undefined : row["gitBranch"],
    client_version: row["version"],
  });
}

/** The ids of what both hooks and transcripts tell of: from whoever they come, it is stored once. */
export const sharedIds = {
  prompt: (conversation: string, promptId: string) => derivedId(conversation, "prompt", promptId),
  call: (conversation: string, toolUseId: string) => derivedId(conversation, "call", toolUseId),
  result: (conversation: string, toolUseId: string) => derivedId(conversation, "result", toolUseId),
  answer: (conversation: string, promptId: string, text: string, before: number) =>
    derivedId(conversation, "answer", promptId, text, `${before}`),
};

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

/** What tells a sub-agent's conversation from its session's, and ties it to it. */
export function agentFacts(session: string, agent: string | undefined, facts: AgentFacts = {}): Json {
  if (agent === undefined) return {};
  return stated({
    agent_id: agent,
    agent_type: facts.agentType,
    agent_task: facts.description,
    parent_conversation_id: conversationId(CLAUDE_CODE, session),
    parent_tool_use_id: facts.toolUseId,
  });
}

function rowMessages(conversation: Conversation, row: Json, text: string, hooks: HookFacts | undefined): Captured[] {
  const type = typeof row["type"] === "string" ? row["type"] : "(no type)";
  const message = isObject(row["message"]) ? row["message"] : undefined;
  if ((type !== "user" && type !== "assistant") || message === undefined) {
    const kept: Captured = {
      kind: "message",
      conversation: conversation.id,
      message: otherRow(conversation, row, type, text),
    };
    return bookkeeping.has(type) ? [kept] : [kept, { kind: "unknown", type }];
  }
  if (type === "user") notePrompt(conversation, row);
  const blocks = blocksOf(message["content"]);
  const rowId = rowName(conversation, row, text);
  return blocks.flatMap((block, index): Captured[] => {
    const made =
      type === "user" ? userBlock(conversation, row, block, hooks) : assistantBlock(conversation, row, block);
    const metadata = {
      ...sessionFacts(row),
      ...made.metadata,
      ...(index === 0 ? { row: restOf(row, message) } : { row_uuid: rowId }),
    };
    const time = timeOf(row["timestamp"]);
    const kept: Captured = {
      kind: "message",
      conversation: conversation.id,
      message: {
        message_id: made.id ?? derivedId(conversation.id, rowId, `${index}`),
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

interface Made {
  id?: string | undefined;
  role: CapturedMessage["role"];
  content: string;
  metadata: Json;
}

function userBlock(conversation: Conversation, row: Json, block: Json, hooks: HookFacts | undefined): Made {
  if (block["type"] === "tool_result") return resultBlock(conversation, row, block, hooks);
  const text = textOf(block);
  // What the client says in the user's name (caveats, summaries of what was compacted) is not the user's word.
  const role = row["isMeta"] === true || row["isCompactSummary"] === true ? "system" : "user";
  if (text === undefined) return { role, content: blockName(block), metadata: { block: shallow(block) } };
  const { promptId } = conversation;
  const isPrompt = role === "user" && promptId !== "" && conversation.answers.count("prompt") === 0;
  return {
    id: isPrompt ? sharedIds.prompt(conversation.id, promptId) : undefined,
    role,
    content: text || "(empty)",
    metadata: stated({ kind: isPrompt ? "prompt" : undefined, ...blockRest(block) }),
  };
}

function resultBlock(conversation: Conversation, row: Json, block: Json, hooks: HookFacts | undefined): Made {
  const toolUseId = String(block["tool_use_id"]);
  const call = conversation.calls.get(toolUseId);
  conversation.calls.delete(toolUseId);
  const result = toolResult(call?.tool, block["content"]);
  return {
    id: sharedIds.result(conversation.id, toolUseId),
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

function assistantBlock(conversation: Conversation, row: Json, block: Json): Made {
  const message = isObject(row["message"]) ? row["message"] : {};
  const model = typeof message["model"] === "string" ? { model: message["model"] } : {};
  if (block["type"] === "tool_use") {
    const [tool, toolUseId] = [String(block["name"]), String(block["id"])];
    conversation.calls.set(toolUseId, { tool, time: timeOf(row["timestamp"]) });
    const call = toolCall(tool, toolUseId, block["input"]);
    return {
      id: sharedIds.call(conversation.id, toolUseId),
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
  const { promptId } = conversation;
  return {
    id: sharedIds.answer(conversation.id, promptId, text, conversation.answers.count(derivedId(text))),
    role: "assistant",
    content: text || "(empty)",
    metadata: { kind: "answer", ...model, ...blockRest(block) },
  };
}

/** A new prompt begins when its id changes. Clients that give none get one from the row. */
function notePrompt(conversation: Conversation, row: Json): void {
  const message = isObject(row["message"]) ? row["message"] : {};
  const { promptId, uuid } = row;
  const isResult = blocksOf(message["content"]).some((block) => block["type"] === "tool_result");
  const id = typeof promptId === "string" ? promptId : isResult ? conversation.promptId : String(uuid);
  if (id === conversation.promptId) return;
  conversation.promptId = id;
  conversation.answers.clear();
}

/** A row without talk: short, so that searches find the talk, with all of it in metadata. */
function otherRow(conversation: Conversation, row: Json, type: string, text: string): CapturedMessage {
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
    message_id: derivedId(conversation.id, rowName(conversation, row, text), "0"),
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
function rowName(conversation: Conversation, row: Json, text: string): string {
  const { uuid } = row;
  if (typeof uuid === "string") {
    conversation.lastNamed = uuid;
    conversation.nameless.clear();
    return uuid;
  }
  const name = derivedId(conversation.lastNamed, text);
  return `${name} ${conversation.nameless.count(name)}`;
}

function blocksOf(content: unknown): Json[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) return [{ type: "text", text: content === undefined ? "" : JSON.stringify(content) }];
  const blocks = content.map((block: unknown) => (isObject(block) ? block : { type: "text", text: String(block) }));
  return blocks.length > 0 ? blocks : [{ type: "text", text: "" }];
}

function textOf(block: unknown): string | undefined {
  if (typeof block === "string") return block;
  return isObject(block) && block["type"] === "text" && typeof block["text"] === "string" ? block["text"] : undefined;
}

function blockName(block: unknown): string {
  const type = isObject(block) ? String(block["type"]) : typeof block;
  const source = isObject(block) && isObject(block["source"]) ? block["source"]["media_type"] : undefined;
  return `[${[type, source].filter(isText).join(" ")}]`;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function between(from: string | undefined, to: unknown): number | undefined {
  const end = timeOf(to);
  return from === undefined || end === undefined ? undefined : Math.max(0, Date.parse(end) - Date.parse(from));
}

/** What Claude Code writes beside a sub-agent's transcript. */
function factsBeside(path: string): AgentFacts {
  try {
    const facts: unknown = JSON.parse(readFileSync(path.replace(/\.jsonl$/, ".meta.json"), "utf8"));
    return isObject(facts) ? facts : {};
  } catch {
    return {};
  }
}
