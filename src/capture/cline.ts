import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { conversationId, parseRow, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { messagesOf, namedResults } from "./cline-sent.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, objectsOf, tokensOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

/** The name of the source in lists. */
export const CLINE = "cline";
const ROO = "roo-code";

const SHOWN = "ui_messages.json";
const SENT = "api_conversation_history.json";

/** The extensions that keep tasks in this form, and the name of each in lists. */
const extensions = {
  "saoudrizwan.claude-dev": CLINE,
  "rooveterinaryinc.roo-cline": ROO,
  "kilocode.kilo-code": "kilo-code",
} as const;

const tokenNames = {
  input: "tokensIn",
  output: "tokensOut",
  cache_read: "cacheReads",
  cache_write: "cacheWrites",
} as const;
/** Rows that the program notes for itself, and questions whose text another row has. */
const notes =
  /^(?:api_req_(?:finished|retried|deleted|retry_delayed)|deleted_api_reqs|checkpoint_(?:created|saved)|resume_(?:completed_)?task|mcp_server_request_started|hook_status|subagent_usage|command_output_end)$/;
const prompts = new Set(["task", "user_feedback", "user_feedback_diff"]);
const answers = new Set([
  "text",
  "completion_result",
  "plan_completion_result",
  "followup",
  "plan_mode_respond",
  "act_mode_respond",
]);
const callKinds = new Set([
  "tool",
  "command",
  "browser_action",
  "browser_action_launch",
  "use_mcp_server",
  "use_subagents",
  "new_task",
]);
const resultKinds = new Set(["command_output", "browser_action_result", "mcp_server_response", "subtask_result"]);

/**
 * Reads tasks of Cline and of extensions made from it: a folder a task, with what the person saw (`ui_messages.json`, with
 * times) and what the model was sent (`api_conversation_history.json`, with the full results of tools). The first is the
 * conversation, and results that only the second has are put in their places.
 */
class TaskReader extends RowReader {
  readonly #file: SourceFile;
  readonly #rows: Json[] = [];

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    this.#rows.push(row);
    return [];
  }

  override end(): Captured[] {
    const rows = this.#rows.splice(0);
    if (rows.length === 0) return [];
    const task = taskOf(this.#file);
    const isShown = rows.some(isShownRow);
    const shown = isShown ? rows : [];
    const sent = isShown ? sentBeside(this.#file) : rows;
    const talk = new Talk(task.source, task.id);
    const { history } = task;
    const begun = talk.begin({
      cwd: firstText(history["workspace"], history["cwdOnTaskInitialization"]),
      model: firstText(history["modelId"], history["apiConfigName"]),
      parent: isText(history["parentTaskId"]) ? conversationId(task.source, history["parentTaskId"]) : undefined,
      time: timeOf(rows[0]?.["ts"]) ?? timeOf(history["ts"]) ?? this.#file.time,
      more: isObject(task.totals) ? { tokens: task.totals } : {},
    });
    return [...begun, ...(isShown ? shownTask(talk, shown, sent) : sentTask(talk, sent))];
  }
}

interface Task {
  source: string;
  id: string;
  history: Json;
  totals: Json | undefined;
}

/** The task's own facts, in its folder or in the list of all tasks. */
function taskOf({ path, stem, beside }: SourceFile): Task {
  if (path === undefined) return { source: CLINE, id: stem, history: {}, totals: undefined };
  const folder = dirname(path);
  const id = basename(folder);
  const extension = Object.entries(extensions).find(([name]) => path.includes(name));
  const own = beside.json(join(folder, "history_item.json"));
  const source = extension?.[1] ?? (isObject(own) ? ROO : CLINE);
  const all = beside.json(join(dirname(dirname(folder)), "state", "taskHistory.json"));
  const listed = objectsOf(all).find((each) => each["id"] === id);
  const history = isObject(own) ? own : (listed ?? {});
  return { source, id, history, totals: tokensOf(history, tokenNames) };
}

function sentBeside({ path, beside }: SourceFile): Json[] {
  return path === undefined ? [] : objectsOf(beside.json(join(dirname(path), SENT)));
}

function isShownRow(row: Json): boolean {
  return typeof row["ts"] === "number" && (row["type"] === "say" || row["type"] === "ask");
}

/** One piece and where it belongs: rows that were sent have no times of their own in Cline. */
interface Placed {
  timeMs: number;
  captured: () => Captured[];
}

function shownTask(talk: Talk, rows: Json[], sent: Json[]): Captured[] {
  const seen = new Set(rows.map(({ text }) => text).filter(isText));
  const shown: Placed[] = rows
    .filter((row) => row["partial"] !== true)
    .map((row, index) => ({ timeMs: Number(row["ts"]), captured: () => shownRow(talk, row, index, rows) }));
  const marks = rows.filter((row) => typeof row["conversationHistoryIndex"] === "number");
  let after = 0;
  const results: Placed[] = sent.flatMap((message, index) => {
    // The message of a place was sent when a row of that place, or of a later one, was shown.
    while (after < marks.length && Number(marks[after]?.["conversationHistoryIndex"]) < index - 1) after += 1;
    const timeMs = Number(message["ts"] ?? marks[after]?.["ts"] ?? rows.at(-1)?.["ts"]);
    const captured = () => untoldResults(talk, message, index, seen, timeMs);
    return message["role"] === "user" ? [{ timeMs, captured }] : [];
  });
  return [...shown, ...results].toSorted((a, b) => a.timeMs - b.timeMs).flatMap(({ captured }) => captured());
}

function shownRow(talk: Talk, row: Json, index: number, rows: Json[]): Captured[] {
  const { ts, type, say, ask, text, reasoning, images, modelInfo, conversationHistoryIndex: _, ...rest } = row;
  const kind = firstText(say, ask) ?? "note";
  const model = isObject(modelInfo) ? firstText(modelInfo["modelId"], modelInfo["model"]) : undefined;
  const piece: Piece = {
    name: `${String(ts)} ${kind}`,
    time: timeOf(ts),
    model,
    row: { type, [String(type)]: kind, ...rest },
  };
  const words = firstText(text) ?? "";
  const pictures = listOf(images).map((data) => ({ type: "image", data }));
  const thought = isText(reasoning) ? [talk.thinking(reasoning, { ...piece, name: `${piece.name} thinking` })] : [];
  const isOwn = index === 0 && kind === "text" && type === "say";
  if (prompts.has(kind) || isOwn)
    return [
      ...thought,
      talk.prompt(
        [words, ...pictures].filter((each) => each !== ""),
        piece,
      ),
    ];
  if (kind === "reasoning") return [talk.thinking(words || (firstText(reasoning) ?? ""), piece)];
  if (kind === "api_req_started") return [requestNote(talk, words, piece)];
  // A question that only asks for leave has the text of the row before.
  if (type === "ask" && (words === "" || rows[index - 1]?.["text"] === words)) return [talk.note(kind, "", piece)];
  if (answers.has(kind)) return [...thought, ...answerOf(talk, words, pictures, piece)];
  if (callKinds.has(kind)) return [...thought, ...callOf(talk, kind, words, piece)];
  if (resultKinds.has(kind))
    return [
      talk.result(
        "",
        [words, ...pictures].filter((each) => each !== ""),
        false,
        piece,
      ),
    ];
  return [talk.note(kind, notes.test(kind) ? "" : words, piece)];
}

/** A request to the model: its tokens, and not the words that were sent, which other rows have. */
function requestNote(talk: Talk, words: string, piece: Piece): Captured {
  const { request: _, ...facts } = decoded(words) ?? {};
  const failure = firstText(facts["streamingFailedMessage"]) ?? "";
  return talk.note("api_req_started", failure, { ...piece, tokens: tokensOf(facts, tokenNames), row: facts });
}

/** An answer, or a question with its options, which is JSON in a text. */
function answerOf(talk: Talk, words: string, pictures: unknown[], piece: Piece): Captured[] {
  const asked = decoded(words);
  const text = firstText(asked?.["question"], asked?.["response"]);
  if (text === undefined && words === "" && pictures.length === 0) return [talk.note("answer", "", piece)];
  const options = [...listOf(asked?.["options"]), ...listOf(asked?.["suggest"])];
  const lines = options
    .map((option) => (isObject(option) ? firstText(option["answer"], option["label"]) : option))
    .filter(isText);
  if (text === undefined) return [talk.answer([words, ...pictures], piece)];
  return [talk.answer([text, ...lines].join("\n"), { ...piece, row: { ...(piece.row as Json), asked } })];
}

function callOf(talk: Talk, kind: string, words: string, piece: Piece): Captured[] {
  const given = decoded(words);
  if (given === undefined) return [talk.call(kind, "", kind === "command" ? { command: words } : words, piece)];
  const { tool, toolName, ...input } = given;
  return [talk.call(firstText(tool, toolName) ?? kind, "", input, piece)];
}

/** Results of tools that were sent and not shown. */
function untoldResults(talk: Talk, message: Json, index: number, seen: Set<string>, timeMs: number): Captured[] {
  const blocks = listOf(message["content"]);
  const named = namedResults(blocks);
  return blocks.flatMap((block, place) => {
    const piece: Piece = { name: `sent ${index} ${place}`, time: timeOf(timeMs) };
    if (isObject(block) && block["type"] === "tool_result")
      return [talk.result(String(block["tool_use_id"]), block["content"], block["is_error"] === true, piece)];
    const result = named.get(place);
    return result === undefined || seen.has(result.text)
      ? []
      : [talk.result("", result.text, false, { ...piece, tool: result.tool })];
  });
}

/** Reads a task from the messages that were sent to the model, when nothing else of it is left. */
function sentTask(talk: Talk, rows: Json[]): Captured[] {
  return rows.flatMap((row, index) => messagesOf(talk, row, `sent ${index}`));
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function decoded(text: string): Json | undefined {
  const parsed = /^\s*\{/.test(text) ? parseRow(text) : undefined;
  return parsed !== undefined && "row" in parsed ? parsed.row : undefined;
}

export const cline: SourceKind = {
  name: "Cline, Roo Code and Kilo Code",
  where: ({ home, editors }) => [
    ...editors.flatMap((folder) => Object.keys(extensions).map((name) => join(folder, "globalStorage", name, "tasks"))),
    join(home, ".cline/data/tasks"),
  ],
  form: ({ text, name, path }) => {
    if (name === "history_item.json" || name === "task_metadata.json" || name === "context_history.json")
      return path !== undefined && existsSync(join(dirname(path), SHOWN)) ? "beside" : undefined;
    if (!/^\s*\[\s*\{/.test(text)) return undefined;
    const beginning = text.slice(0, HEAD_CHARACTERS);
    if (/"type"\s*:\s*"(?:say|ask)"/.test(beginning) && hasKeys(beginning, "ts")) return { depth: 1 };
    if (name !== SENT || !hasKeys(beginning, "role", "content")) return undefined;
    return path !== undefined && existsSync(join(dirname(path), SHOWN)) ? "beside" : { depth: 1 };
  },
  reader: (file) => new TaskReader(file),
};

/** How much of a file tells whether it is a task: its first rows do. */
const HEAD_CHARACTERS = 100_000;
