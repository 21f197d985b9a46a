import { readFileSync } from "node:fs";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { conversationId, parseRow, timeOf } from "./captured.ts";
import type { Captured, SourceReader } from "./captured.ts";
import { CLAUDE_CODE, agentConversationId, agentFacts, sessionFacts } from "./claude-code-facts.ts";
import type { AgentFacts } from "./claude-code-facts.ts";
import { Thread, rowMessages } from "./claude-code-row.ts";
import type { HookFacts } from "./claude-code-row.ts";

/** Rows that a conversation's own facts (folder, branch, version) are waited for at its beginning. */
const MAX_HELD_ROWS = 50;

interface Conversation {
  id: string;
  session: string;
  agent: string | undefined;
  thread: Thread;
  begun: boolean;
  held: Captured[];
  heldRows: number;
  firstTime: string | undefined;
}

/**
 * Reads transcripts of Claude Code: a row an event. A session is one conversation, whose id is the session's; each
 * sub-agent is one of its own, linked by `session_id` and `metadata.parent_conversation_id`.
 */
export class ClaudeCodeReader implements SourceReader {
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
    const captured = rowMessages(conversation.thread, row, text, this.#hooks);
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
      thread: new Thread(id),
      begun: false,
      held: [],
      heldRows: 0,
      firstTime: undefined,
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

/** What Claude Code writes beside a sub-agent's transcript. */
function factsBeside(path: string): AgentFacts {
  try {
    const facts: unknown = JSON.parse(readFileSync(path.replace(/\.jsonl$/, ".meta.json"), "utf8"));
    return isObject(facts) ? facts : {};
  } catch {
    return {};
  }
}
