import { join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { Occurrences, begin, conversationId, derivedId, message, timeOf, titled } from "./captured.ts";
import type { Captured, Said } from "./captured.ts";
import { isPersons } from "./client-words.ts";
import { RowReader } from "./row-reader.ts";
import type { Unsaid } from "./codex-events.ts";
import { CodexItems, isKnownItem } from "./codex-items.ts";
import type { SourceKind } from "./source-kind.ts";

export const CODEX = "codex";

const knownRows = new Set([
  "compacted",
  "event_msg",
  "inter_agent_communication",
  "inter_agent_communication_metadata",
  "response_item",
  "security_risk_score",
  "session_meta",
  "token_usage_record",
  "turn_context",
  "world_state",
]);

/**
 * A fork or a sub-agent begins with its parent's rows again, written within moments of its start and with times of their
 * own. Later rows are its own.
 */
const REPLAY_MS = 5000;

/** Events that end a turn. */
const turnEnd = /^(?:task_complete|turn_complete|turn_aborted)$/;

/**
 * Reads sessions of Codex (`rollout-….jsonl`): a row a line, with its content in `payload`; in older ones without; in the
 * oldest one JSON object with all items. Rows have no ids: a row is named by its payload and by how often that was there
 * before. What a fork repeats of its parent is named as the parent's, so that it is recognised.
 */
class CodexReader extends RowReader {
  readonly consulted: readonly string[] = [];
  readonly #file: string;
  readonly #fileTime: string | undefined;
  readonly #items = new CodexItems();
  readonly #same = new Occurrences();
  readonly #formerSame = new Occurrences();
  #formerTime: unknown;
  #conversation: string | undefined;
  #time: string | undefined;
  /** The session whose rows are repeated, while they are. */
  #replayed: string | undefined;
  #parent: string | undefined;
  /** Whether the parent's own first row was repeated. */
  #originBegun = false;
  #startMs = 0;
  /** The messages of each turn that a person began, for those that are rolled back. */
  readonly #turns: string[][] = [];

  /** `file` stands for the session where the rows do not name it, and the time of the file for a row's. */
  constructor(file: string, fileTime: string | undefined) {
    super();
    this.#file = file;
    this.#fileTime = fileTime;
  }

  protected override readRow(row: Json, text: string): Captured[] {
    const { session, items } = row;
    if (!isObject(session) || !Array.isArray(items)) return this.#row(row, text);
    return [...this.#row(session), ...items.filter(isObject).flatMap((item) => this.#row(item))];
  }

  /** What events told and no item repeated; the items of a turn come before its end. */
  override end(): Captured[] {
    return this.#unsaid(this.#items.unsaid());
  }

  #unsaid(left: Unsaid[]): Captured[] {
    const conversation = this.#conversation ?? "";
    return left.map((each) => {
      const { name, printed: _, ...said } = each;
      const id = derivedId(conversation, "event", name);
      return message(conversation, { ...said, id, metadata: { source: CODEX, ...said.metadata } });
    });
  }

  /** `text` is the row's, when it stood in a line of its own. */
  #row(row: Json, text?: string): Captured[] {
    const isBare = !isObject(row["payload"]);
    const payload = isObject(row["payload"]) ? row["payload"] : row;
    const isFirst = this.#conversation === undefined;
    const isMeta = isBare ? row["type"] === undefined && isText(row["id"]) : row["type"] === "session_meta";
    if (isBare && row["record_type"] !== undefined) return [];
    const type = isMeta ? "session_meta" : isBare ? "response_item" : String(row["type"]);
    const beginning = isFirst ? this.#begin(row, isMeta ? payload : {}) : [];
    const time = timeOf(row["timestamp"] ?? (isMeta ? payload["timestamp"] : undefined));
    this.#time = time ?? this.#time;
    const replay = isFirst ? [] : this.#followReplay(row, isMeta, payload, time);
    const former = text === undefined ? undefined : this.#formerId(row, text);
    return [...beginning, ...replay, ...this.#messages(type, payload, time, former)];
  }

  /** Builds before migration 0015 named a row by its text, and by its place among equal ones of one time. */
  #formerId(row: Json, text: string): string {
    if (row["timestamp"] !== this.#formerTime) this.#formerSame.clear();
    this.#formerTime = row["timestamp"];
    const name = derivedId(this.#conversation ?? "", text);
    return derivedId(name, `${this.#formerSame.count(name)}`);
  }

  #messages(type: string, payload: Json, time: string | undefined, former: string | undefined): Captured[] {
    // A copy that kept its time is the parent's for certain.
    const isCopy = this.#originBegun && time !== undefined && Date.parse(time) < this.#startMs;
    const conversation = (isCopy ? this.#replayed : this.#conversation) ?? "";
    const made = this.#items.read(type, payload, this.#time, knownRows.has(type));
    const before = this.#unsaid(this.#items.unsaidBefore(made));
    const name = derivedId(this.#replayed ?? conversation, type, JSON.stringify(payload));
    const id = derivedId(name, `${this.#same.count(name)}`);
    const said = {
      ...made,
      id,
      ...(former && !isCopy ? { former: () => former } : {}),
      time: this.#time,
      metadata: { source: CODEX, ...made.metadata },
    };
    const left = type === "event_msg" ? [...this.#rolledBack(payload), ...this.#named(payload)] : [];
    if (!isCopy && this.#replayed === undefined) this.#noteTurn(id, made);
    const isKnown = knownRows.has(type) && (type !== "response_item" || isKnownItem(payload));
    const unsaid = type === "event_msg" && turnEnd.test(String(payload["type"])) ? this.end() : [];
    return [...before, ...unsaid, message(conversation, said), ...left, ...(isKnown ? [] : [unknown(type, payload)])];
  }

  #noteTurn(id: string, { kind }: Pick<Said, "kind">): void {
    if (isPersons(kind ?? "")) this.#turns.push([]);
    this.#turns.at(-1)?.push(id);
  }

  /** A person went back before some of the latest turns. */
  #rolledBack({ type, num_turns }: Json): Captured[] {
    if (type !== "thread_rolled_back" || typeof num_turns !== "number" || !(num_turns > 0)) return [];
    const abandoned = this.#turns.splice(-num_turns).flat();
    if (abandoned.length === 0) return [];
    return [{ kind: "facts", facts: { conversation_id: this.#conversation ?? "", abandoned } }];
  }

  /** The session's name, as a person or the client gave it; what is repeated of a parent is the parent's name. */
  #named({ type, thread_id, thread_name }: Json): Captured[] {
    const conversation = this.#conversation ?? "";
    const isOwn = !isText(thread_id) || conversationId(CODEX, thread_id) === conversation;
    if (type !== "thread_name_updated" || !isOwn || this.#replayed !== undefined) return [];
    return titled(conversation, CODEX, thread_name, this.#time);
  }

  #begin(row: Json, meta: Json): Captured[] {
    const session = isText(meta["id"]) ? meta["id"] : sessionInName(this.#file);
    this.#conversation = conversationId(CODEX, session);
    const time = timeOf(meta["timestamp"] ?? row["timestamp"]) ?? timeInName(this.#file) ?? this.#fileTime;
    this.#time = time;
    this.#startMs = time === undefined ? 0 : Date.parse(time);
    const forkedFrom = isText(meta["forked_from_id"]) ? meta["forked_from_id"] : undefined;
    const parent = parentOf(meta);
    this.#parent = forkedFrom ?? parent?.thread;
    if (forkedFrom !== undefined) this.#replayed = conversationId(CODEX, forkedFrom);
    return [beginThread(session, meta, time)];
  }

  /** A sub-agent may begin with its parent's rows, the parent's own first row among them, or with a task alone. */
  #followReplay(row: Json, isMeta: boolean, payload: Json, time: string | undefined): Captured[] {
    if (time !== undefined && Date.parse(time) > this.#startMs + REPLAY_MS) {
      this.#replayed = undefined;
      this.#originBegun = false;
    }
    if (!isMeta || !isText(payload["id"]) || payload["id"] !== this.#parent || this.#originBegun) return [];
    this.#replayed = conversationId(CODEX, payload["id"]);
    this.#originBegun = true;
    return [beginThread(payload["id"], payload, timeOf(payload["timestamp"] ?? row["timestamp"]))];
  }
}

/** Begins a thread's conversation from its first row. */
function beginThread(session: string, meta: Json, time: string | undefined): Captured {
  const git = isObject(meta["git"]) ? meta["git"] : {};
  const parent = parentOf(meta);
  const forkedFrom = meta["forked_from_id"];
  return begin({
    conversation: conversationId(CODEX, session),
    source: CODEX,
    session,
    cwd: meta["cwd"],
    branch: git["branch"],
    clientVersion: meta["cli_version"],
    parent: parent && conversationId(CODEX, parent.thread),
    forkedFrom: isText(forkedFrom) ? conversationId(CODEX, forkedFrom) : undefined,
    time,
    more: parent?.more ?? {},
  });
}

/** The thread that started a sub-agent, and what is known of the sub-agent. */
function parentOf(meta: Json): { thread: string; more: Json } | undefined {
  const source = isObject(meta["source"]) ? meta["source"] : {};
  const subagent = isObject(source["subagent"]) ? source["subagent"] : {};
  const spawn = isObject(subagent["thread_spawn"]) ? subagent["thread_spawn"] : {};
  const thread = [spawn["parent_thread_id"], meta["parent_thread_id"]].find(isText);
  if (thread === undefined) return undefined;
  const role = [spawn["agent_role"], meta["agent_role"]].find(isText);
  const nickname = [spawn["agent_nickname"], meta["agent_nickname"]].find(isText);
  const more = { agent_id: meta["id"], agent_type: role, agent_task: nickname };
  return { thread, more: Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)) };
}

/** `rollout-2025-05-07T17-24-21-UUID`: the session, and when it began. */
const rolloutName = /(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-([0-9a-f-]{36})$/;

function sessionInName(stem: string): string {
  return rolloutName.exec(stem)?.[5] ?? stem;
}

function timeInName(stem: string): string | undefined {
  const [, day, hour, minute, second] = rolloutName.exec(stem) ?? [];
  return day === undefined ? undefined : timeOf(`${day}T${hour}:${minute}:${second}Z`);
}

function unknown(type: string, payload: Json): Captured {
  return { kind: "unknown", type: knownRows.has(type) ? `${type}/${String(payload["type"])}` : type };
}

/** Whether a row is Codex's: an item of the Responses API, or an envelope around one of the known types. */
function isCodexRow(row: Json): boolean {
  const { type, payload } = row;
  if (isObject(payload)) return isText(type) && knownRows.has(type);
  if (type === undefined)
    return isText(row["id"]) && isText(row["timestamp"]) && ("instructions" in row || "git" in row);
  return isBareItem(row);
}

/** An item as the first versions wrote it, without an envelope. */
function isBareItem(row: Json): boolean {
  const { type, content, call_id } = row;
  if (row["sessionId"] !== undefined || row["uuid"] !== undefined) return false;
  if (type === "message") {
    const isBlock = (block: unknown) => isObject(block) && /^(?:input|output)_text$/.test(String(block["type"]));
    return Array.isArray(content) && content.some(isBlock);
  }
  return isKnownItem(row) && isText(call_id);
}

export const codex: SourceKind = {
  name: "Codex",
  where: ({ home, env }) => {
    const folder = env["CODEX_HOME"] || join(home, ".codex");
    return [join(folder, "sessions"), join(folder, "archived_sessions")];
  },
  form: ({ rows, cut, text }) => {
    // Grok's rows have the same reasoning among others.
    if (rows.some(isCodexRow) && !rows.some(({ type }) => type === "user" || type === "assistant")) return "lines";
    if (/^\s*\{\s*"timestamp":"[^"]{10,40}","type":"(?:session_meta|response_item|event_msg|compacted)"/.test(cut))
      return "lines";
    const isWhole = /^\s*\{/.test(text) && /"session"\s*:\s*\{/.test(text) && /"items"\s*:\s*\[/.test(text);
    return isWhole ? { depth: 0 } : undefined;
  },
  reader: ({ stem, time }) => new CodexReader(stem, time),
};
