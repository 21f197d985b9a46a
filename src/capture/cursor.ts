import type { Database } from "bun:sqlite";
import { dirname, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, textOf, wordsOf } from "./blocks.ts";
import { Occurrences, derivedId, parseRow, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { DatabaseKind, SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const CURSOR = "cursor";

const tokenNames = { input: "inputTokens", output: "outputTokens" } as const;

/**
 * Names prompts and answers by their words: the editor's database and an agent's transcript tell of the same session, with
 * other ids.
 */
class Words {
  readonly #same = new Occurrences();

  name(side: string, text: string): string {
    const slot = derivedId(side, text);
    return `${slot} ${this.#same.count(slot)}`;
  }
}

/** Reads the transcript of an agent (`agent-transcripts/SESSION.jsonl`): a message a row, without ids and times. */
class CursorTranscriptReader extends RowReader {
  readonly #file: SourceFile;
  readonly #words = new Words();
  #talk: Talk | undefined;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const { role, message } = row;
    const begun = this.#begin();
    const talk = this.#talk ?? new Talk(CURSOR, this.#file.stem);
    const content = isObject(message) ? message["content"] : message;
    const blocks: unknown[] = Array.isArray(content) ? content : [content];
    return [...begun, ...blocks.map((block) => blockOf(talk, this.#words, role === "user", block))];
  }

  #begin(): Captured[] {
    if (this.#talk !== undefined) return [];
    const { stem, path, time } = this.#file;
    this.#talk = new Talk(CURSOR, stem);
    const folder = path === undefined ? undefined : projectOf(path);
    return this.#talk.begin({ time, more: folder === undefined ? {} : { project: folder } });
  }
}

function blockOf(talk: Talk, words: Words, isUser: boolean, block: unknown): Captured {
  const text = textOf(block);
  if (text !== undefined) {
    const said = isUser ? queryOf(text) : text;
    const piece = { name: words.name(isUser ? "user" : "assistant", said) };
    return isUser ? talk.prompt(said, piece) : talk.answer(said, piece);
  }
  const given = isObject(block) ? block : {};
  const { type, name, id, input, tool_use_id, content, is_error } = given;
  if (type === "tool_use") return talk.call(String(name), firstText(id) ?? "", input ?? {});
  if (type === "tool_result") return talk.result(idOf(tool_use_id), content, is_error === true);
  if (type === "thinking") return talk.thinking(firstText(given["thinking"], given["text"]) ?? "");
  return isUser ? talk.prompt([block]) : talk.answer([block]);
}

/** The person's own text, without the tags that the client puts around it. */
function queryOf(text: string): string {
  const start = text.indexOf("<user_query>");
  const end = text.lastIndexOf("</user_query>");
  if (start === -1 || end < start) return text;
  return text.slice(start + "<user_query>".length, end).replace(/^\n|\n$/g, "");
}

/** The name of a project's folder, in which Cursor has a hyphen for every separator. */
function projectOf(path: string): string | undefined {
  const parts = dirname(path).split(/[/\\]/);
  const index = parts.lastIndexOf("agent-transcripts");
  return index > 0 ? parts[index - 1] : undefined;
}

export const cursorTranscript: SourceKind = {
  name: "Cursor's agents",
  where: ({ home }) => [join(home, ".cursor/projects/*/agent-transcripts")],
  form: ({ rows }) => {
    const isRow = (row: Json) =>
      (row["role"] === "user" || row["role"] === "assistant") &&
      isObject(row["message"]) &&
      Object.keys(row).length <= MAX_ROW_FIELDS &&
      "content" in row["message"];
    return rows.length > 0 && rows.every((row) => isRow(row) || row["type"] === "turn_ended") ? "lines" : undefined;
  },
  reader: (file) => new CursorTranscriptReader(file),
};

/** A row of a transcript has a role and a message, and little else: other clients put them into an envelope. */
const MAX_ROW_FIELDS = 3;

/** The database of the editor, in which a chat is a value with the order of its messages, and each message one more. */
export const cursorDatabase: DatabaseKind = {
  name: "Cursor",
  where: ({ config }) => config.map((folder) => join(folder, "Cursor/User/globalStorage/state.vscdb")),
  tables: { cursorDiskKV: ["key", "value"] },
  rows: (database) =>
    database
      .query("select key, value from cursorDiskKV where key >= 'composerData:' and key < 'composerData;'")
      .iterate(),
  read: (row, database) => {
    const { key, value } = row as { key: string; value: unknown };
    // A deleted chat may leave its key behind.
    if (value === null) return [];
    const composer = parsedValue(value);
    if (composer === undefined) return [{ kind: "broken", reason: `${key} is no JSON` }];
    return composerOf(key.slice("composerData:".length), composer, database);
  },
};

function composerOf(session: string, composer: Json, database: Database): Captured[] {
  const bubbles = bubblesOf(session, composer, database);
  if (bubbles.length === 0) return [];
  const talk = new Talk(CURSOR, session);
  const words = new Words();
  const config = isObject(composer["modelConfig"]) ? composer["modelConfig"] : {};
  const begun = talk.begin({
    title: composer["name"],
    cwd: folderOf(session, composer, bubbles, database),
    model: config["modelName"],
    time: timeOf(composer["createdAt"]) ?? bubbles.map(timeOfBubble).find((time) => time !== undefined),
  });
  return [...begun, ...bubbles.flatMap((bubble, index) => bubbleOf(talk, words, bubble, index, config))];
}

/** The messages of a chat in their order: named by its headers, or in itself in older versions. */
function bubblesOf(session: string, composer: Json, database: Database): Json[] {
  const inside = objectsOf(composer["conversation"]);
  if (inside.length > 0) return inside;
  const one = database.query("select value from cursorDiskKV where key = ?");
  return objectsOf(composer["fullConversationHeadersOnly"]).flatMap(({ bubbleId }) => {
    const row = one.get(`bubbleId:${session}:${String(bubbleId)}`) as { value: unknown } | null;
    const bubble = parsedValue(row?.value);
    return bubble === undefined ? [] : [{ bubbleId, ...bubble }];
  });
}

function bubbleOf(talk: Talk, words: Words, bubble: Json, index: number, config: Json): Captured[] {
  const { type, bubbleId, thinking, toolFormerData, tokenCount, modelInfo, errorDetails, images } = bubble;
  const name = firstText(bubbleId) ?? `${index}`;
  const info = isObject(modelInfo) ? modelInfo : config;
  const piece: Piece = { time: timeOfBubble(bubble) };
  const said: Piece = { ...piece, model: info["modelName"], tokens: tokensOf(tokenCount, tokenNames) };
  const text = firstText(bubble["text"], bubble["rawText"], bubble["content"], bubble["message"]);
  const thought = isObject(thinking) ? firstText(thinking["text"]) : firstText(thinking);
  const notes = [errorDetails, bubble["serviceStatusUpdate"]].map(wordsOf).filter(isText);
  const isUser = type === 1 || type === "user";
  const spoken = isUser
    ? promptOf(talk, words, text, [...contextOf(bubble["context"]), ...objectsOf(images)], piece)
    : text === undefined
      ? []
      : [talk.answer(text, { ...said, name: words.name("assistant", text) })];
  return [
    ...(thought === undefined ? [] : [talk.thinking(thought, { ...said, name })]),
    ...spoken,
    ...(isObject(toolFormerData) ? toolOf(talk, toolFormerData, { ...said, name }) : []),
    ...notes.map((note) => talk.note("error", note, { ...piece, name })),
    ...(spoken.length > 0 ? [] : codeOf(talk, bubble, { ...said, name })),
  ];
}

/** The files, folders and selections that a person added to a prompt. */
function contextOf(given: unknown): Json[] {
  const context = isObject(given) ? given : {};
  const places = ["fileSelections", "folderSelections", "selections"].flatMap((name) => objectsOf(context[name]));
  return places.flatMap(({ uri, relativePath, rawText, text }) => {
    const path = isObject(uri) ? firstText(uri["fsPath"], uri["_fsPath"], uri["path"]) : uri;
    const place = firstText(path, relativePath);
    const words = [place === undefined ? undefined : `[file ${place}]`, firstText(text, rawText)].filter(isText);
    return words.length === 0 ? [] : [{ type: "text", text: words.join("\n") }];
  });
}

function promptOf(talk: Talk, words: Words, text: string | undefined, added: Json[], piece: Piece): Captured[] {
  if (text === undefined && added.length === 0) return [];
  const blocks = added.map((each) => ({ type: "image", ...each }));
  return [
    talk.prompt(
      [text ?? "", ...blocks].filter((each) => each !== ""),
      { ...piece, name: words.name("user", text ?? "") },
    ),
  ];
}

/** A tool's call with its result, which the editor keeps as JSON in texts. */
function toolOf(talk: Talk, data: Json, piece: Piece): Captured[] {
  const { name, toolCallId, rawArgs, params, result, error, status, additionalData } = data;
  const outcome = isObject(additionalData) ? firstText(additionalData["status"], status) : status;
  const callId = firstText(toolCallId) ?? piece.name ?? "";
  const input = [rawArgs, params].find((each) => isText(each) || isObject(each)) ?? {};
  const call = talk.call(firstText(name) ?? "tool", callId, input, piece);
  const failed = outcome === "error" || outcome === "cancelled" || outcome === "rejected";
  const said = firstText(result, error) ?? (isObject(result) ? result : undefined);
  if (said === undefined && !failed) return [call];
  return [call, talk.result(callId, said ?? String(outcome), failed, { ...piece, row: { status, additionalData } })];
}

/** Code of which the text says nothing. */
function codeOf(talk: Talk, { codeBlocks }: Json, piece: Piece): Captured[] {
  const texts = objectsOf(codeBlocks).flatMap(({ content, uri }) => {
    const path = isObject(uri) ? firstText(uri["_fsPath"], uri["fsPath"], uri["path"]) : undefined;
    return isText(content) ? [[path, content].filter(isText).join("\n")] : [];
  });
  return texts.length === 0 ? [] : [talk.answer(texts.join("\n\n"), { ...piece, name: `${piece.name} code` })];
}

function timeOfBubble(bubble: Json): string | undefined {
  const timing = isObject(bubble["timingInfo"]) ? bubble["timingInfo"] : {};
  return timeOf(bubble["createdAt"]) ?? timeOf(bubble["timestamp"]) ?? timeOf(timing["clientStartTime"]);
}

/** The folder of a chat: of its header, or of its own messages. */
function folderOf(session: string, composer: Json, bubbles: Json[], database: Database): string | undefined {
  const bubble = bubbles.find((each) => isText(each["workspaceProjectDir"]) || Array.isArray(each["workspaceUris"]));
  const uris: unknown[] = Array.isArray(bubble?.["workspaceUris"]) ? bubble["workspaceUris"] : [];
  const place = isObject(composer["workspaceIdentifier"])
    ? composer["workspaceIdentifier"]
    : workspaceInHeader(session, database);
  const uri = isObject(place["uri"]) ? firstText(place["uri"]["fsPath"], place["uri"]["path"]) : undefined;
  return firstText(uri, bubble?.["workspaceProjectDir"], pathOfUri(uris[0]));
}

function workspaceInHeader(session: string, database: Database): Json {
  try {
    const row = database.query("select value from composerHeaders where composerId = ?").get(session);
    const header = parsedValue((row as { value: unknown } | null)?.value);
    return isObject(header?.["workspaceIdentifier"]) ? header["workspaceIdentifier"] : {};
  } catch {
    // Older versions have no such table.
    return {};
  }
}

function pathOfUri(uri: unknown): string | undefined {
  if (!isText(uri)) return undefined;
  try {
    return decodeURIComponent(new URL(uri).pathname);
  } catch {
    return uri;
  }
}

/** A value is JSON in a text, or in bytes. */
function parsedValue(value: unknown): Json | undefined {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString() : value;
  const parsed = isText(text) ? parseRow(text) : undefined;
  return parsed !== undefined && "row" in parsed ? parsed.row : undefined;
}
