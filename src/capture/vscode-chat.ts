import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, wordsOf } from "./blocks.ts";
import { timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const VSCODE = "vscode-chat";

const tokenNames = { input: "promptTokens", output: "outputTokens" } as const;

/** Parts of an answer that the editor shows as buttons, decorations or progress, or that another part tells again. */
const notes =
  /^(?:prepareToolInvocation|undoStop|codeblockUri|progressTask.*|command|references|codeCitation|mcpServersStarting|clearToPreviousToolInvocation|treeData|hook)$/;

/** Parts that show words or edits of their own. */
const shownParts =
  /^(?:textEditGroup|notebookEditGroup|workspaceEdit|multiDiffData|confirmation|elicitation\w*|questionCarousel|progressMessage|warning|info|extensions|pullRequestContent|pullRequest|externalEdits?|systemNotification|disabledClaudeHooks)$/;

/** Longer arrays are of no chat: a change that names a place beyond is none. */
const MAX_PLACES = 100_000;

/**
 * Reads chats of VS Code (`chatSessions/SESSION.json`), by Copilot or another participant. Newer versions write the changes
 * of that text, a row each (`.jsonl`): the messages are known once all rows are read.
 */
class VsCodeChatReader extends RowReader {
  readonly #file: SourceFile;
  #state: unknown;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    if (Array.isArray(row["requests"])) return sessionOf(row, this.#file);
    if (row["kind"] === 0) this.#state = row["v"];
    else change(this.#state, row);
    return [];
  }

  override end(): Captured[] {
    return isObject(this.#state) ? sessionOf(this.#state, this.#file) : [];
  }
}

/** Applies a change to the text so far: 1 sets a value, 2 appends elements to an array, from a place on, 3 removes. */
function change(state: unknown, { kind, k, v, i }: Json): void {
  if (!Array.isArray(k) || k.length === 0) return;
  const keys: unknown[] = k;
  const last = keys.at(-1);
  let inner = state;
  for (const key of keys.slice(0, -1)) inner = childOf(inner, key);
  if (kind === 2) {
    const list = childOf(inner, last);
    if (Array.isArray(list)) replaceFrom(list, typeof i === "number" ? i : list.length, v);
    else if (list === undefined) setChild(inner, last, v);
  } else if (kind === 3) setChild(inner, last, undefined);
  else if (kind === 1) setChild(inner, last, v);
}

/** Truncates a list at an index, then appends. */
function replaceFrom(list: unknown[], from: number, values: unknown): void {
  list.length = Math.max(0, Math.min(from, list.length));
  if (Array.isArray(values)) for (const value of values as unknown[]) list.push(value);
}

function childOf(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) return typeof key === "number" ? (value as unknown[])[key] : undefined;
  return isObject(value) && Object.hasOwn(value, String(key)) ? value[String(key)] : undefined;
}

function setChild(value: unknown, key: unknown, child: unknown): void {
  if (Array.isArray(value)) {
    if (typeof key === "number" && key >= 0 && key < MAX_PLACES) value[key] = child;
  } else if (isObject(value) && key !== "__proto__") value[String(key)] = child;
}

function sessionOf(row: Json, file: SourceFile): Captured[] {
  const { sessionId, customTitle, creationDate, requests, responderUsername } = row;
  const talk = new Talk(VSCODE, isText(sessionId) ? sessionId : file.stem);
  const turns = objectsOf(requests);
  if (turns.length === 0) return [];
  const begun = talk.begin({
    title: customTitle,
    cwd: workspaceOf(file),
    model: turns.map(modelOf).find((model) => model !== undefined),
    time: timeOf(creationDate) ?? timeOf(turns[0]?.["timestamp"]) ?? file.time,
    more: isText(responderUsername) ? { responder: responderUsername } : {},
  });
  return [...begun, ...turns.flatMap((turn, index) => turnOf(talk, turn, `${index}`))];
}

/** A prompt and everything that came in answer to it. */
function turnOf(talk: Talk, turn: Json, place: string): Captured[] {
  const { requestId, message, variableData, response, result, timestamp, isHidden } = turn;
  const name = firstText(requestId) ?? place;
  const about = isObject(result) ? result : {};
  const metadata = isObject(about["metadata"]) ? about["metadata"] : {};
  const piece: Piece = { time: timeOf(timestamp), abandoned: isHidden === true };
  const said: Piece = { ...piece, model: modelOf(turn), tokens: tokensOf(metadata, tokenNames) };
  const text = isObject(message) ? firstText(message["text"]) : firstText(message);
  const files = namesOfVariables(variableData).map((file) => ({ type: "text", text: `[file ${file}]` }));
  const prompt = [{ type: "text", text: text ?? "" }, ...files];
  const rounds = objectsOf(metadata["toolCallRounds"]);
  const calls = new Map(rounds.flatMap(({ toolCalls }) => objectsOf(toolCalls)).map((call) => [call["id"], call]));
  const results = isObject(metadata["toolCallResults"]) ? metadata["toolCallResults"] : {};
  const answer = new Answer(talk, name, said, { calls, results });
  const error = isObject(about["errorDetails"]) ? firstText(about["errorDetails"]["message"]) : undefined;
  return [
    ...(text === undefined && files.length === 0 ? [] : [talk.prompt(prompt, { ...piece, name: `${name} prompt` })]),
    ...objectsOf(response).flatMap((part) => answer.take(part)),
    ...answer.end(),
    ...(error === undefined ? [] : [talk.note("error", error, { ...piece, name: `${name} error` })]),
  ];
}

/** The parts of an answer, in their order: texts and references between them are one text. */
class Answer {
  readonly #talk: Talk;
  readonly #name: string;
  readonly #piece: Piece;
  readonly #known: { calls: Map<unknown, Json>; results: Json };
  readonly #told = new Set<unknown>();
  #text = "";
  #parts = 0;

  constructor(talk: Talk, name: string, piece: Piece, known: { calls: Map<unknown, Json>; results: Json }) {
    this.#talk = talk;
    this.#name = name;
    this.#piece = piece;
    this.#known = known;
  }

  take(part: Json): Captured[] {
    const { kind, value, content } = part;
    const text = markdown(kind === "markdownContent" ? content : value);
    if (kind === undefined || kind === "markdownContent" || kind === "markdownVuln") {
      this.#text += text;
      return [];
    }
    if (kind === "inlineReference") {
      this.#text += referenceOf(part);
      return [];
    }
    return [...this.#close(), ...this.#other(idOf(kind), part, text)];
  }

  /** The rest of the text, and the calls of which the answer's parts did not tell. */
  end(): Captured[] {
    const untold = [...this.#known.calls.values()].filter((call) => !this.#told.has(call["id"]));
    return [...this.#close(), ...untold.flatMap((call) => this.#call(String(call["name"]), String(call["id"]), {}))];
  }

  #close(): Captured[] {
    const text = this.#text;
    this.#text = "";
    return text.trim() === "" ? [] : [this.#talk.answer(text, this.#next())];
  }

  #next(row?: unknown): Piece {
    this.#parts += 1;
    return { ...this.#piece, name: `${this.#name} ${this.#parts}`, row };
  }

  #other(kind: string, part: Json, text: string): Captured[] {
    if (kind === "thinking") return text.trim() === "" ? [] : [this.#talk.thinking(text, this.#next())];
    if (kind === "toolInvocationSerialized" || kind === "toolInvocation")
      return this.#call(String(part["toolId"]), idOf(part["toolCallId"]), part);
    if (notes.test(kind)) return [];
    const words = wordsOf(wordsIn(part));
    if (shownParts.test(kind)) return [this.#talk.note(kind, words, this.#next(part))];
    return this.#talk.unknown(kind, words, this.#next(part));
  }

  #call(toolId: string, callId: string, part: Json): Captured[] {
    this.#told.add(callId);
    const { invocationMessage, pastTenseMessage, toolSpecificData, resultDetails, ...row } = part;
    const known = this.#known.calls.get(callId);
    const shown = [markdown(pastTenseMessage), markdown(invocationMessage)].find((each) => each !== "");
    const input = known?.["arguments"] ?? { ...(isObject(toolSpecificData) ? toolSpecificData : {}), message: shown };
    const piece = { ...this.#next(row), name: `${this.#name} ${callId || this.#parts}` };
    const call = this.#talk.call(firstText(known?.["name"], toolId) ?? "tool", callId, input, piece);
    const result = this.#known.results[callId] ?? resultDetails;
    if (result === undefined) return [call];
    const { isError, output, content } = isObject(result) ? result : { isError: false };
    const said = content ?? output ?? result;
    return [call, this.#talk.result(callId, Array.isArray(said) ? said.map(block) : said, isError === true, piece)];
  }
}

/** A piece of a tool's result as a block. */
function block(value: unknown): unknown {
  if (!isObject(value) || !isText(value["value"])) return value;
  const isImage = isText(value["mimeType"]) && value["isText"] !== true;
  return isImage
    ? { type: "image", mimeType: value["mimeType"], data: value["value"] }
    : { type: "text", text: value["value"] };
}

/** A text that is plain, in an object with its settings, or in pieces. */
function markdown(value: unknown): string {
  if (Array.isArray(value)) return value.map(markdown).join("");
  if (isObject(value)) return markdown(value["value"]);
  return typeof value === "string" ? value : "";
}

function referenceOf({ inlineReference, name }: Json): string {
  const given = isObject(inlineReference) ? inlineReference : {};
  const { location, uri } = given;
  const place = [given, location, uri, isObject(location) ? location["uri"] : undefined].find(
    (each): each is Json => isObject(each) && (isText(each["fsPath"]) || isText(each["path"])),
  );
  return firstText(name, given["name"], place?.["fsPath"], place?.["path"]) ?? "";
}

/** The fields of a part that may hold words. */
function wordsIn(part: Json): Json {
  return Object.fromEntries(Object.entries(part).filter(([key]) => !placeFields.has(key)));
}

const placeFields = new Set(["uri", "range", "kind"]);

function namesOfVariables(given: unknown): string[] {
  return objectsOf(isObject(given) ? given["variables"] : undefined).flatMap(({ name }) =>
    isText(name) ? [name] : [],
  );
}

function modelOf({ modelId }: Json): string | undefined {
  return isText(modelId) ? modelId : undefined;
}

/** The folder of a window, which the editor notes beside its chats. */
function workspaceOf({ path, beside }: SourceFile): string | undefined {
  if (path === undefined) return undefined;
  try {
    const about = beside.json(join(dirname(dirname(path)), "workspace.json"));
    const place = isObject(about) ? firstText(about["folder"], about["workspace"]) : undefined;
    return place?.startsWith("file://") ? fileURLToPath(place) : place;
  } catch {
    return undefined;
  }
}

export const vsCodeChat: SourceKind = {
  name: "VS Code's chats",
  where: ({ editors }) =>
    editors.flatMap((folder) => [
      join(folder, "workspaceStorage/*/chatSessions"),
      join(folder, "globalStorage/emptyWindowChatSessions"),
      join(folder, "globalStorage/transferredChatSessions"),
    ]),
  form: ({ rows, text }) => {
    const [first] = rows;
    const initial = first !== undefined && first["kind"] === 0 && isObject(first["v"]) ? first["v"] : undefined;
    if (initial !== undefined) return "sessionId" in initial || "requests" in initial ? "changes" : undefined;
    if (/^\s*\{"kind":0,"v":\{/.test(text) && hasKeys(text, "sessionId")) return "changes";
    const isWhole = /^\s*\{/.test(text) && hasKeys(text, "requests") && hasKeys(text, "version");
    return isWhole && /"(?:sessionId|responderUsername|requesterUsername)"\s*:/.test(text) ? { depth: 0 } : undefined;
  },
  reader: (file) => new VsCodeChatReader(file),
};
