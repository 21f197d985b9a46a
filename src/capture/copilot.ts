import { basename, dirname, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, wordsOf } from "./blocks.ts";
import { timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const COPILOT = "copilot";

const tokenNames = {
  input: "inputTokens",
  output: "outputTokens",
  cache_read: "cacheReadTokens",
  cache_write: "cacheWriteTokens",
} as const;

/** Events that a program notes for itself, and those that tell what others tell as well. */
const notes =
  /^(?:assistant\.(?:turn_.*|intent|streaming_delta|message_delta|reasoning_delta|usage)|hook\..*|tool\.execution_(?:partial_result|progress)|tool\.user_requested|permission\..*|session\.(?:resume|truncation|usage_info|idle|context_changed|mode_changed|model_change|shutdown|snapshot_rewind|compaction_start|workspace_file_changed))$/;

/** Events about which other parts of the client tell. */
const families =
  /^(?:session|user|assistant|tool|system|subagent|skill|command|external_tool|elicitation|exit_plan_mode|mcp|sampling|user_input)\./;

/**
 * Reads sessions of Copilot's command line (`session-state/SESSION/events.jsonl`): an event a row, with its content in
 * `data`; the earliest rows have it in themselves.
 */
class CopilotReader extends RowReader {
  readonly #file: SourceFile;
  readonly #called = new Set<string>();
  readonly #thoughts = new Set<string>();
  #talk: Talk | undefined;
  #model: unknown;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    if (isText(row["sessionId"]) && Array.isArray(row["chatMessages"])) return legacySession(row);
    const data = isObject(row["data"]) ? row["data"] : row;
    const begun = this.#begin(row, data);
    const talk = this.#talk ?? new Talk(COPILOT, this.#file.stem);
    if (row["type"] === "session.model_change") this.#model = data["newModel"] ?? this.#model;
    const time = timeOf(row["timestamp"]);
    return [...begun, ...this.#event(talk, String(row["type"]), data, { name: firstText(row["id"]), time })];
  }

  #begin(row: Json, data: Json): Captured[] {
    if (this.#talk !== undefined) return [];
    const session = firstText(data["sessionId"], row["session_id"], sessionInPath(this.#file)) ?? this.#file.stem;
    const context = isObject(data["context"]) ? data["context"] : row;
    this.#talk = new Talk(COPILOT, session);
    this.#model = data["selectedModel"] ?? data["model"];
    return this.#talk.begin({
      title: titleBeside(this.#file),
      cwd: context["cwd"],
      branch: context["branch"],
      clientVersion: data["copilotVersion"],
      model: this.#model,
      time: timeOf(data["startTime"] ?? row["timestamp"]) ?? this.#file.time,
    });
  }

  #event(talk: Talk, type: string, data: Json, piece: Piece): Captured[] {
    const noted = { ...piece, row: { type, ...data } };
    if (type === "user.message" || type === "userpromptsubmitted") return [userMessage(talk, data, piece)];
    if (type === "assistant.message" || type === "assistantresponse") return this.#answer(talk, data, piece);
    if (type === "assistant.reasoning") return this.#thought(talk, data["content"], { ...piece, model: this.#model });
    if (type === "tool.execution_start") return this.#call(talk, data["toolName"], data, piece);
    if (type === "tool.execution_complete") return resultOf(talk, data, piece);
    if (type === "system.message") return [talk.note("instructions", wordsOf(data["content"]), noted)];
    if (type === "session.title_changed") return [talk.note(type, "", noted), ...talk.title(data["title"])];
    if (type === "session.compaction_complete")
      return [talk.note("compact-summary", firstText(data["summaryContent"]) ?? "", noted)];
    if (type === "session.start" || notes.test(type)) return [talk.note(type, "", noted)];
    if (type === "abort") return [talk.note("interrupted", wordsOf(wordsIn(data)), noted)];
    const words = wordsOf(wordsIn(data));
    return families.test(type) ? [talk.note(type, words, noted)] : talk.unknown(type, words, noted);
  }

  #answer(talk: Talk, data: Json, piece: Piece): Captured[] {
    const model = data["model"] ?? this.#model;
    const tokens = tokensOf(data, tokenNames);
    const text = firstText(data["content"], data["output"], data["result"]);
    const { content: _, reasoningText, toolRequests, output: __, result: ___, ...rest } = data;
    const facts = { ...piece, model, tokens };
    const name = firstText(data["messageId"]) ?? piece.name;
    return [
      ...this.#thought(talk, reasoningText, { ...facts, name: name && `${name} thinking` }),
      ...(text === undefined ? [] : [talk.answer(text, { ...facts, name, row: rest })]),
      ...objectsOf(toolRequests).flatMap((call) => this.#call(talk, call["name"], call, facts)),
    ];
  }

  /** Reasoning is told by an event of its own, by the answer, or by both. */
  #thought(talk: Talk, text: unknown, piece: Piece): Captured[] {
    if (!isText(text) || this.#thoughts.has(text)) return [];
    this.#thoughts.add(text);
    return [talk.thinking(text, piece)];
  }

  /** A call is told by the answer that asks for it and by the tool that begins. */
  #call(talk: Talk, tool: unknown, data: Json, piece: Piece): Captured[] {
    const callId = idOf(data["toolCallId"]);
    if (!isText(tool) || this.#called.has(callId)) return [];
    if (callId !== "") this.#called.add(callId);
    return [talk.call(tool, callId, data["arguments"] ?? {}, { ...piece, name: undefined })];
  }
}

function userMessage(talk: Talk, data: Json, piece: Piece): Captured {
  const { content, prompt, transformedContent: _, attachments, ...rest } = data;
  const files = objectsOf(attachments).flatMap(({ displayName, path, filePath, text }) => {
    const file = firstText(path, filePath, displayName);
    return file === undefined ? [] : [{ type: "text", text: [`[file ${file}]`, text].filter(isText).join("\n") }];
  });
  const text = firstText(content, prompt) ?? "";
  return talk.prompt([{ type: "text", text }, ...files], { ...piece, row: { ...rest, attachments } });
}

function resultOf(talk: Talk, data: Json, piece: Piece): Captured[] {
  const { toolCallId, result, error, success, model, ...rest } = data;
  const failure = isObject(error) ? error["message"] : error;
  const { content, contents, detailedContent } = isObject(result) ? result : { content: undefined };
  const said = isObject(result) ? (contents ?? content ?? detailedContent ?? result) : result;
  const isError = success === false || error !== undefined;
  const facts = { ...piece, name: undefined, model, row: { ...rest, detailedContent } };
  const told = talk.result(idOf(toolCallId), said ?? failure, isError, facts);
  return [told, ...talk.display(detailedContent, told, piece)];
}

/** The fields of an event that may hold words; of the earliest rows its place is among them. */
function wordsIn(data: Json): Json {
  return Object.fromEntries(Object.entries(data).filter(([key]) => !placeFields.has(key)));
}

const placeFields = new Set(["session_id", "cwd", "timestamp"]);

/** A session of the first versions, which kept what they sent to the model. */
function legacySession(row: Json): Captured[] {
  const { sessionId, chatMessages, startTime, timeline: _, ...more } = row;
  const talk = new Talk(COPILOT, String(sessionId));
  const begun = talk.begin({ cwd: more["cwd"], model: more["selectedModel"], time: timeOf(startTime) });
  const said = objectsOf(chatMessages).flatMap(({ role, content, tool_calls, tool_call_id }, index) => {
    const piece = { name: `${index}` };
    if (role === "user") return [talk.prompt(content, piece)];
    if (role === "tool") return [talk.result(String(tool_call_id), content, false, piece)];
    if (role !== "assistant") return [talk.note("instructions", wordsOf(content), piece)];
    const calls = objectsOf(tool_calls).map(({ id, function: called }) => {
      const { name, arguments: args } = isObject(called) ? called : {};
      return talk.call(String(name), idOf(id), args ?? {}, piece);
    });
    return [...(isText(content) || Array.isArray(content) ? [talk.answer(content, piece)] : []), ...calls];
  });
  return [...begun, ...said];
}

function sessionInPath({ path, stem }: SourceFile): string | undefined {
  return stem === "events" && path !== undefined ? basename(dirname(path)) : undefined;
}

/** The title of a session, from the few lines about it that Copilot keeps beside its events. */
function titleBeside({ path, stem, beside }: SourceFile): string | undefined {
  if (path === undefined || stem !== "events") return undefined;
  try {
    const about: unknown = Bun.YAML.parse(beside.text(join(dirname(path), "workspace.yaml")) ?? "");
    return isObject(about) ? firstText(about["name"], about["summary"]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a row is an event of Copilot's. */
function isCopilotRow({ type, data, session_id, timestamp, prompt, result, output }: Json): boolean {
  if (!isText(type) || timestamp === undefined) return false;
  const isEvent = /^(?:session|user|assistant|tool|system|hook|subagent|skill|permission)\.[a-z_]+$/.test(type);
  if (isEvent && isObject(data)) return true;
  return isText(session_id) && /^(?:user\.message|userpromptsubmitted|assistant\.message|assistantresponse)$/.test(type)
    ? [prompt, result, output].some(isText)
    : false;
}

export const copilot: SourceKind = {
  name: "Copilot CLI",
  where: ({ home, env }) => {
    const folder = env["COPILOT_HOME"] || join(home, ".copilot");
    return [join(folder, "session-state"), join(folder, "history-session-state")];
  },
  form: ({ rows, text, cut }) => {
    if (rows.some(isCopilotRow)) return "lines";
    if (/^\s*\{"type":"(?:session|user|assistant|tool)\.[a-z_]{1,40}","data":\{/.test(cut)) return "lines";
    return /^\s*\{/.test(text) && hasKeys(text, "sessionId", "chatMessages") ? { depth: 0 } : undefined;
  },
  reader: (file) => new CopilotReader(file),
};
