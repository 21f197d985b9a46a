import { basename, dirname, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import type { Beside } from "./beside.ts";
import { isText, wordsOf } from "./blocks.ts";
import { conversationId, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { modelParts, responseContent, userParts } from "./gemini-parts.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, idsOf, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

export const GEMINI = "gemini";
/** The types that the versions of the client, and of what was made from it, give to an answer. */
const answers = new Set<unknown>(["gemini", "model", "qwen", "assistant"]);
/** The first versions of Qwen Code wrote the same files. */
const QWEN = "qwen-code";

const tokenNames = {
  input: "input",
  output: "output",
  cache_read: "cached",
  thinking: "thoughts",
  total: "total",
} as const;

/**
 * Reads chats of Gemini CLI (`chats/session-….jsonl`: the session's facts, then a message a row, changes of the facts, and
 * rewinds; in older versions one JSON text). A message is written again when it has grown.
 */
class GeminiReader extends RowReader {
  readonly #file: SourceFile;
  #talk: Talk | undefined;
  /** The session's beginning, until something is said. */
  #begun: Captured[] = [];
  /** The ids of messages in the store, by the chat's own, and these in their order. */
  readonly #messages = new Map<string, { place: number; ids: string[] }>();
  readonly #names: string[] = [];
  readonly #told = new Set<string>();
  /** The last answer, if its tokens are still unknown: it is written again with them. */
  #held: Json | undefined;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const update = isObject(row["$set"]) ? row["$set"] : {};
    if (isText(row["sessionId"])) this.#begin(row);
    const messages = [row["messages"], update["messages"]].flatMap(objectsOf);
    const title = this.#talk?.title(firstText(row["summary"], update["summary"])) ?? [];
    if (this.#begun.length > 0) this.#begun.push(...title);
    return [
      ...messages.flatMap((each) => this.#next(each)),
      ...(isText(row["type"]) ? this.#next(row) : []),
      ...(isText(row["$rewindTo"]) ? this.#rewind(row["$rewindTo"]) : []),
      ...(this.#begun.length > 0 ? [] : title),
    ];
  }

  override end(): Captured[] {
    const held = this.#held;
    this.#held = undefined;
    return held === undefined ? [] : this.#message(held);
  }

  /** Holds an answer back until its tokens are known, or the next message begins. */
  #next(row: Json): Captured[] {
    const before = this.#held !== undefined && this.#held["id"] === row["id"] && isText(row["id"]) ? [] : this.end();
    this.#held = answers.has(row["type"]) && row["tokens"] === undefined ? row : undefined;
    return this.#held === undefined ? [...before, ...this.#message(row)] : before;
  }

  #begin(row: Json): void {
    if (this.#talk !== undefined) return;
    const session = String(row["sessionId"]);
    const folders: unknown[] = Array.isArray(row["directories"]) ? row["directories"] : [];
    const folder = this.#file.path === undefined ? undefined : dirname(this.#file.path);
    const isSubagent = row["kind"] === "subagent";
    const source = objectsOf(row["messages"]).some(({ type }) => type === "qwen") ? QWEN : GEMINI;
    this.#talk = new Talk(source, session);
    // Sub-agents lie in a folder that is named as the session which started them.
    const parent = isSubagent && folder !== undefined ? conversationId(source, basename(folder)) : undefined;
    this.#begun = this.#talk.begin({
      cwd: projectRoot(folder, this.#file.beside) ?? folders[0],
      parent,
      time: timeOf(row["startTime"]) ?? this.#file.time,
      more: { project_hash: row["projectHash"], ...(isSubagent ? { agent_id: session } : {}) },
    });
  }

  #message(row: Json): Captured[] {
    // A file whose first row is missing is of the session that it is named by.
    this.#begin({ sessionId: this.#file.stem });
    const talk = this.#talk ?? new Talk(GEMINI, this.#file.stem);
    const name = isText(row["id"]) ? row["id"] : undefined;
    const captured = messageOf(talk, row, name).filter((each) => this.#isNew(each));
    if (name !== undefined) this.#note(name, idsOf(captured));
    return [...this.#begun.splice(0), ...captured];
  }

  #isNew(captured: Captured): boolean {
    if (captured.kind !== "message") return true;
    const { message_id, role, content, metadata } = captured.message;
    // A tool's result stands in the message of its call, and in newer versions also in the next message to the model.
    const call = role === "tool" ? metadata?.["tool_use_id"] : undefined;
    const told = `${isText(call) ? call : message_id} ${Bun.hash(content)}`;
    if (this.#told.has(told)) return false;
    this.#told.add(told);
    return true;
  }

  /** Leaves a message behind, with everything after it. */
  #rewind(to: string): Captured[] {
    return [...this.end(), ...this.#leave(to)];
  }

  #leave(to: string): Captured[] {
    const from = this.#messages.get(to)?.place;
    if (from === undefined) return [];
    const left: string[] = [];
    for (const name of this.#names.splice(from)) {
      left.push(...(this.#messages.get(name)?.ids ?? []));
      this.#messages.delete(name);
    }
    return this.#talk?.branch(left) ?? [];
  }

  #note(name: string, ids: string[]): void {
    const known = this.#messages.get(name);
    if (known !== undefined) known.ids.push(...ids);
    else this.#messages.set(name, { place: this.#names.push(name) - 1, ids });
  }
}

function messageOf(talk: Talk, row: Json, name: string | undefined): Captured[] {
  const { type, content, displayContent, thoughts, toolCalls, model, tokens, id: _, timestamp, ...rest } = row;
  const piece: Piece = { name, time: timeOf(timestamp), row: { type, ...rest } };
  if (type === "user") {
    if (displayContent === undefined) return userParts(talk, content, piece);
    // The typed text, and the expanded one that was sent, with the contents of named files.
    const sent = { ...piece, name: name === undefined ? undefined : `${name} sent` };
    return [...userParts(talk, displayContent, piece), talk.note("context", wordsOf(content), sent)];
  }
  if (type === "info" || type === "error" || type === "warning") return [talk.note(type, wordsOf(content), piece)];
  if (!answers.has(type)) return talk.unknown(String(type), wordsOf(content), piece);
  const facts = { ...piece, model, tokens: tokensOf(tokens, tokenNames) };
  const part = (slot: string) => ({ ...facts, name: name === undefined ? undefined : `${name} ${slot}` });
  const said = modelParts(talk, content, facts);
  return [
    ...objectsOf(thoughts).map(({ subject, description, timestamp }, index) =>
      talk.thinking([subject, description].filter(isText).join("\n"), {
        ...part(`thought ${index}`),
        tokens: undefined,
        time: timeOf(timestamp) ?? facts.time,
      }),
    ),
    ...said,
    ...objectsOf(toolCalls).flatMap((call) => toolCallOf(talk, call, part("call"))),
  ];
}

/** A tool's call and, once it is there, its result. */
function toolCallOf(talk: Talk, record: Json, piece: Piece): Captured[] {
  const { id, name, args, result, resultDisplay, status, timestamp, ...rest } = record;
  const [callId, tool] = [idOf(id), String(name)];
  const time = timeOf(timestamp) ?? piece.time;
  const call = talk.call(tool, callId, args ?? {}, { ...piece, time, row: rest });
  const responses = objectsOf(Array.isArray(result) ? result : [result]).map(({ functionResponse, ...part }) =>
    isObject(functionResponse)
      ? responseContent(functionResponse)
      : { content: [part["text"] ?? part], isError: false },
  );
  const shown = resultDisplay === undefined || resultDisplay === null ? [] : [resultDisplay];
  const content = typeof result === "string" ? [result] : responses.flatMap((each) => each.content);
  if (content.length === 0 && shown.length === 0) return [call];
  const failed = status === "error" || status === "cancelled" || responses.some((each) => each.isError);
  const row = content.length > 0 ? { status, resultDisplay } : { status };
  const facts = { ...piece, time };
  const told = talk.result(callId, content.length > 0 ? content : shown, failed, { ...facts, tool, row });
  return [
    call,
    told,
    ...talk.display(resultDisplay, told, { ...facts, name: piece.name && `${piece.name} ${callId}` }),
  ];
}

/** The folder that a chat belongs to, which newer versions note beside the chats. */
function projectRoot(chats: string | undefined, beside: Beside): string | undefined {
  if (chats === undefined) return undefined;
  for (const folder of [dirname(chats), dirname(dirname(chats))]) {
    // Older versions note a hash only.
    const root = beside.text(join(folder, ".project_root"))?.trim();
    if (root !== undefined) return root;
  }
  return undefined;
}

/** Reads `logs.json`, in which Gemini CLI keeps every prompt: of sessions without a chat they are all that is left. */
class GeminiLogReader extends RowReader {
  readonly #talks = new Map<string, Talk>();
  readonly #file: SourceFile;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const { sessionId, messageId, message, timestamp, ...rest } = row;
    const session = String(sessionId);
    const time = timeOf(timestamp);
    const talk = this.#talks.get(session) ?? new Talk(GEMINI, session);
    const folder = this.#file.path === undefined ? undefined : join(dirname(this.#file.path), "chats");
    const begun = this.#talks.has(session)
      ? []
      : talk.beginUnlessKnown({ cwd: projectRoot(folder, this.#file.beside), time, more: { from: "history" } });
    this.#talks.set(session, talk);
    const said = talk.prompt(idOf(message), { name: `log ${String(messageId)}`, time, row: rest });
    return [...begun, said];
  }
}

/** Whether a row begins a chat, or is a whole one. */
function isChat(row: Json): boolean {
  const isSession = isText(row["sessionId"]) && "projectHash" in row && row["uuid"] === undefined;
  return isSession && ("startTime" in row || Array.isArray(row["messages"]));
}

export const gemini: SourceKind = {
  name: "Gemini CLI",
  where: ({ home, env }) => [
    join(env["GEMINI_CLI_HOME"] || home, ".gemini/tmp/*/chats"),
    join(home, ".qwen/tmp/*/chats"),
  ],
  form: ({ rows, text }) => {
    const [first] = rows;
    if (first !== undefined && isChat(first)) return Array.isArray(first["messages"]) ? { depth: 0 } : "lines";
    const isWhole = /^\s*\{/.test(text) && first === undefined;
    return isWhole && hasKeys(text, "sessionId", "projectHash", "messages") ? { depth: 0 } : undefined;
  },
  reader: (file) => new GeminiReader(file),
};

export const geminiLog: SourceKind = {
  name: "Gemini CLI's log of prompts",
  where: ({ home, env }) => [join(env["GEMINI_CLI_HOME"] || home, ".gemini/tmp/*/logs.json")],
  form: ({ text }) =>
    /^\s*\[\s*\{/.test(text) && hasKeys(text.slice(0, LOG_HEAD_CHARACTERS), "sessionId", "messageId", "message")
      ? { depth: 1 }
      : undefined,
  reader: (file) => new GeminiLogReader(file),
};

/** How much of a log tells it: its first row does. */
const LOG_HEAD_CHARACTERS = 100_000;
