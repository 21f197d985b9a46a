import { join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { Beside } from "./beside.ts";
import { isText } from "./blocks.ts";
import { Branches } from "./branches.ts";
import { conversationId, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { agentFactsBeside } from "./claude-code-agents.ts";
import { CLAUDE_CODE, beginPlace, isCompacting, placeId, claudeFolders } from "./claude-code-facts.ts";
import type { AgentFacts, Place } from "./claude-code-facts.ts";
import { isKnownNote, queuedPrompts, titleOf } from "./claude-code-notes.ts";
import { rowMessages } from "./claude-code-row.ts";
import type { HookFacts } from "./claude-code-row.ts";
import { Thread } from "./claude-code-thread.ts";
import type { SourceKind } from "./source-kind.ts";

/** Rows that a conversation's own facts (folder, branch, version) are waited for at its beginning. */
const MAX_HELD_ROWS = 50;

interface Conversation {
  thread: Thread;
  branches: Branches;
  begun: boolean;
  held: Captured[];
  heldRows: number;
  /** The first row that states the folder, until there is one the first row. */
  placed: Json | undefined;
  firstTime: string | undefined;
  lastTime: string | undefined;
  /** The rank of the title that was told last. */
  titleRank: number;
  forkedFrom: string | undefined;
}

/** What a reader is told beside the rows. */
export interface ClaudeCodeOptions {
  /** The session of rows that name none: by the file's name. */
  session: string;
  /** The file, beside which facts about sub-agents lie. */
  path?: string | undefined;
  /** What lies beside the file. */
  beside?: Beside | undefined;
  /** The time of rows when none of them has one: the file's. */
  time?: string | undefined;
  agent?: AgentFacts | undefined;
  hooks?: HookFacts | undefined;
}

/**
 * Reads transcripts of Claude Code: a row an event. A session is one conversation, whose id is the session's; each
 * sub-agent is one of its own, linked by `session_id` and `metadata.parent_conversation_id`. Rows that a fork repeats go to
 * the session that they come from.
 */
export class ClaudeCodeReader extends RowReader {
  readonly #options: ClaudeCodeOptions;
  readonly #conversations = new Map<string, Conversation>();
  /** In older transcripts, where sub-agents stand between the rows of their session: the first row of each. */
  readonly #roots = new Map<string, string>();
  /** Titles of sessions by the last row that they had; those of this file are told when the row comes. */
  readonly #summaries = new Map<string, string>();
  readonly #beside: Beside;
  #session: string;
  /** The first rows, until one names the session. */
  #nameless: { row: Json; text: string }[] | undefined = [];

  constructor(options: ClaudeCodeOptions) {
    super();
    this.#options = options;
    this.#session = options.session;
    this.#beside = options.beside ?? new Beside();
  }

  get consulted(): string[] {
    return [...this.#beside.consulted];
  }

  protected override readRow(row: Json, text: string): Captured[] {
    if (this.#nameless === undefined) return this.#row(row, text);
    this.#nameless.push({ row, text });
    const isNamed = isText(row["sessionId"]) || isText(row["session_id"]);
    return isNamed || this.#nameless.length >= MAX_HELD_ROWS ? this.#releaseNameless() : [];
  }

  /** Rows before the first that names the session belong to it too. */
  #releaseNameless(): Captured[] {
    const rows = this.#nameless ?? [];
    this.#nameless = undefined;
    const last = rows.at(-1)?.row ?? {};
    this.#session = [last["sessionId"], last["session_id"]].find(isText) ?? this.#session;
    return rows.flatMap(({ row, text }) => this.#row(row, text));
  }

  #row(row: Json, text: string): Captured[] {
    const origin = originOf(row);
    const place = this.#placeOf(row);
    const conversation = this.#conversation(origin === undefined ? place : { session: origin, agent: undefined });
    const fork = origin === undefined ? [] : this.#fork(place, row, origin);
    const { captured, ids, isPrompt } = rowMessages(conversation.thread, row, text, this.#options.hooks);
    const facts = [...this.#title(conversation, row), ...this.#branch(conversation, row, ids, isPrompt)];
    return [...fork, ...this.#begin(conversation, row, [...timed(conversation, row, captured), ...facts])];
  }

  override end(): Captured[] {
    const nameless = this.#releaseNameless();
    const left = [...this.#conversations.values()].flatMap((conversation) => [
      ...this.#release(conversation, {}),
      ...queuedPrompts(conversation.thread),
    ]);
    const titles = [...this.#summaries].map(([leaf, title]): Captured => ({
      kind: "facts",
      facts: { of_message: { source: CLAUDE_CODE, row: { uuid: leaf } }, title, title_source: "client" },
    }));
    this.#summaries.clear();
    return [...nameless, ...left, ...titles];
  }

  #placeOf(row: Json): Place {
    const named = [row["sessionId"], row["session_id"]].find(isText);
    if (named !== undefined) this.#session = named;
    return { session: this.#session, agent: this.#agentOf(row) };
  }

  #conversation(place: Place): Conversation {
    const id = placeId(place);
    const known = this.#conversations.get(id);
    if (known) return known;
    const conversation: Conversation = {
      thread: new Thread(place),
      branches: new Branches(),
      begun: false,
      held: [],
      heldRows: 0,
      placed: undefined,
      firstTime: undefined,
      lastTime: undefined,
      titleRank: -1,
      forkedFrom: undefined,
    };
    this.#conversations.set(id, conversation);
    return conversation;
  }

  /** The sub-agent that a row belongs to. Before agents had ids, the first row of its chain stands for it. */
  #agentOf(row: Json): string | undefined {
    const { agentId, isSidechain, uuid, parentUuid, parent_tool_use_id } = row;
    if (isText(agentId)) return agentId;
    if (isText(parent_tool_use_id)) return parent_tool_use_id;
    if (isSidechain !== true) return undefined;
    const root = (isText(parentUuid) ? this.#roots.get(parentUuid) : undefined) ?? String(uuid);
    this.#roots.set(String(uuid), root);
    return root;
  }

  /** Notes that a conversation continues another one, whose row this is. */
  #fork(place: Place, row: Json, origin: string): Captured[] {
    const fork = this.#conversation(place);
    if (fork.forkedFrom !== undefined) return [];
    fork.forkedFrom = conversationId(CLAUDE_CODE, origin);
    fork.firstTime ??= timeOf(row["timestamp"]);
    return [
      ...this.#release(fork, row),
      { kind: "facts", facts: { conversation_id: placeId(place), forked_from: fork.forkedFrom } },
    ];
  }

  /** The client's own title: a better kind replaces a lesser one, and a later one of the same kind an earlier one. */
  #title(conversation: Conversation, row: Json): Captured[] {
    const given = titleOf(row);
    const { uuid, leafUuid } = row;
    if (given === undefined) {
      const title = isText(uuid) ? this.#summaries.get(uuid) : undefined;
      if (title === undefined) return [];
      this.#summaries.delete(String(uuid));
      return this.#titled(conversation, { title, rank: 0 });
    }
    if (row["type"] === "summary" && isText(leafUuid) && !conversation.branches.has(leafUuid)) {
      this.#summaries.set(leafUuid, given.title);
      return [];
    }
    return this.#titled(conversation, given);
  }

  #titled(conversation: Conversation, { title, rank }: { title: string; rank: number }): Captured[] {
    if (rank < conversation.titleRank) return [];
    conversation.titleRank = rank;
    const { conversation: conversation_id } = conversation.thread;
    return [{ kind: "facts", facts: { conversation_id, title, title_source: "client" } }];
  }

  #branch(conversation: Conversation, row: Json, ids: string[], isPrompt: boolean): Captured[] {
    const { uuid, parentUuid, logicalParentUuid } = row;
    if (!isText(uuid)) return [];
    const parent = isText(parentUuid) ? parentUuid : isText(logicalParentUuid) ? logicalParentUuid : parentUuid;
    const turned = conversation.branches.add(uuid, parent as string | null | undefined, isPrompt, ids);
    if (turned === undefined) return [];
    return [{ kind: "facts", facts: { conversation_id: conversation.thread.conversation, ...turned } }];
  }

  /** Holds a conversation's first rows back until one of them states its place. */
  #begin(conversation: Conversation, row: Json, captured: Captured[]): Captured[] {
    if (conversation.begun) return captured;
    conversation.held.push(...captured);
    conversation.heldRows += 1;
    if (!isText(conversation.placed?.["cwd"]))
      conversation.placed = isText(row["cwd"]) ? row : (conversation.placed ?? row);
    const isReady = isText(conversation.placed?.["cwd"]) && conversation.firstTime !== undefined;
    return isReady || conversation.heldRows >= MAX_HELD_ROWS ? this.#release(conversation, row) : [];
  }

  #release(conversation: Conversation, row: Json): Captured[] {
    if (conversation.begun) return [];
    conversation.begun = true;
    const { thread, held, placed = row } = conversation;
    const firstTime = conversation.firstTime ?? this.#options.time;
    conversation.lastTime ??= firstTime;
    const { place } = thread;
    const { path, agent } = this.#options;
    const facts = agent ?? this.#agentFacts(place, path);
    const told = isText(placed["parent_tool_use_id"]) ? { toolUseId: placed["parent_tool_use_id"] } : {};
    conversation.held = [];
    const begun = beginPlace(place, placed, firstTalk(held) ?? firstTime, { ...facts, ...told });
    // What a compaction repeats is its session's, and often nothing else is in its file.
    const isCopy = place.agent !== undefined && isCompacting(place.agent);
    return [
      begun.kind === "conversation" && isCopy ? { ...begun, ifNeeded: true } : begun,
      ...held.map((each) => withTime(each, firstTime)),
    ];
  }

  #agentFacts(place: Place, path: string | undefined): AgentFacts {
    return path === undefined || place.agent === undefined ? {} : agentFactsBeside(path, place, this.#beside);
  }
}

/** The session that a row was copied from. */
function originOf(row: Json): string | undefined {
  const from = isObject(row["forkedFrom"]) ? row["forkedFrom"] : {};
  if (!isText(from["sessionId"])) return undefined;
  if (isText(from["messageUuid"])) row["uuid"] = from["messageUuid"];
  return from["sessionId"];
}

/** Gives rows without a time that of the row before; the first ones get theirs when they are released. */
function timed(conversation: Conversation, row: Json, captured: Captured[]): Captured[] {
  const time = timeOf(row["timestamp"]);
  conversation.lastTime = time ?? conversation.lastTime;
  conversation.firstTime ??= time;
  return time === undefined ? captured.map((each) => withTime(each, conversation.lastTime)) : captured;
}

/** The time of the first message that is no bookkeeping. */
function firstTalk(held: Captured[]): string | undefined {
  for (const each of held)
    if (each.kind === "message" && each.message.metadata?.["bookkeeping"] !== true) return each.message.created_at;
  return undefined;
}

function withTime(captured: Captured, time: string | undefined): Captured {
  if (captured.kind !== "message" || time === undefined || captured.message.created_at !== undefined) return captured;
  return { ...captured, message: { ...captured.message, created_at: time } };
}

/** Whether a row is Claude Code's: Qwen Code and others have the same envelope around another kind of message. */
function isClaudeCodeRow(row: Json): boolean {
  const { type, message, uuid, leafUuid } = row;
  if (!isText(type)) return false;
  if (type === "summary") return isText(row["summary"]) && isText(leafUuid);
  const hasSession = isText(row["sessionId"]) || isText(row["session_id"]);
  if (type === "user" || type === "assistant") {
    const content = isObject(message) ? message["content"] : undefined;
    return (
      (hasSession || isText(uuid) || isText(row["timestamp"])) &&
      (typeof content === "string" || Array.isArray(content))
    );
  }
  if (type === "file-history-snapshot") return "snapshot" in row;
  if (type === "result" || type === "stream_event" || type === "rate_limit_event") return isText(row["session_id"]);
  return hasSession && (isKnownNote(type) || ("parentUuid" in row && isText(row["version"])));
}

/**
 * How rows lie in a text that has them otherwise than a line each: in an array, as `--output-format json --verbose` prints them;
 * in an array within an object, as the API of Claude Code on the web answers; or spread over lines.
 */
function spreadForm(text: string, rows: Json[]): { depth: 0 | 1 | 2 } | undefined {
  const beginning = text.slice(0, SPREAD_HEAD_CHARACTERS);
  const hasRow = /"type"\s*:\s*"(?:user|assistant|system)"/.test(beginning);
  // Claude Code on the web writes its rows without ids.
  if (hasRow && /^\s*\{\s*"loglines"\s*:\s*\[\s*\{/.test(beginning)) return { depth: 2 };
  if (!hasRow || !/"(?:sessionId|session_id|uuid)"\s*:/.test(beginning)) return undefined;
  if (/^\s*\{\s*"(?:data|events)"\s*:\s*\[\s*\{/.test(beginning)) return { depth: 2 };
  if (rows.length > 0 || !/"message"\s*:\s*\{/.test(beginning) || !/"content"\s*:/.test(beginning)) return undefined;
  if (/^\s*\[\s*\{/.test(beginning)) return { depth: 1 };
  return /^\s*\{\s*\n/.test(beginning) ? { depth: 0 } : undefined;
}

/** How much of a text tells whether it is a session: its first rows do. */
const SPREAD_HEAD_CHARACTERS = 100_000;

export const claudeCode: SourceKind = {
  name: "Claude Code",
  where: (home) => claudeFolders(home).map((folder) => join(folder, "projects")),
  form: ({ rows, cut, text }) => {
    const spread = spreadForm(text, rows);
    if (spread !== undefined) return spread;
    if (rows.some(isClaudeCodeRow)) return "lines";
    const isCutRow = /^\s*\{/.test(cut) && /"sessionId":"/.test(cut) && !/"parts":\[/.test(cut);
    return isCutRow && /"type":"(?:user|assistant|system|summary)"/.test(cut) ? "lines" : undefined;
  },
  reader: ({ path, stem, time, beside }) => new ClaudeCodeReader({ session: stem, path, time, beside }),
};
