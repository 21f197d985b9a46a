import { join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { contentOfResult, isText, wordsOf } from "./blocks.ts";
import { conversationId, parseRow, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { DatabaseKind, SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const GOOSE = "goose";

const totalNames = {
  input: "accumulated_input_tokens",
  output: "accumulated_output_tokens",
  cache_read: "accumulated_cache_read_tokens",
  cache_write: "accumulated_cache_write_tokens",
  total: "accumulated_total_tokens",
} as const;

/** The pieces of one message, block by block. */
function messageOf(talk: Talk, role: unknown, content: unknown, piece: Piece): Captured[] {
  const blocks: unknown[] = Array.isArray(content) ? content : [content];
  const captured: Captured[] = [];
  let spoken: unknown[] = [];
  const close = (index: number) => {
    const facts = { ...piece, name: piece.name && `${piece.name} ${index - spoken.length}` };
    if (spoken.length > 0) captured.push(role === "user" ? talk.prompt(spoken, facts) : talk.answer(spoken, facts));
    spoken = [];
  };
  for (const [index, block] of blocks.entries()) {
    const facts = { ...piece, name: piece.name && `${piece.name} ${index}` };
    const other = isObject(block) ? otherBlock(talk, block, facts) : undefined;
    if (other === undefined) spoken.push(block);
    else {
      close(index);
      captured.push(...other);
    }
  }
  close(blocks.length);
  return captured;
}

/** Blocks in which the client itself speaks. */
const clientBlocks = new Set<unknown>([
  "actionRequired",
  "contextLengthExceeded",
  "summarizationRequested",
  "systemNotification",
  "toolConfirmationRequest",
]);

/** A block that is neither text nor a picture. */
function otherBlock(talk: Talk, block: Json, piece: Piece): Captured[] | undefined {
  const { type, id } = block;
  const callId = idOf(id);
  if (type === "thinking") return [talk.thinking(firstText(block["thinking"]) ?? "", piece)];
  if (type === "redactedThinking") return [talk.thinking("", piece)];
  if (type === "toolRequest" || type === "frontendToolRequest") {
    const { value, error } = outcomeOf(block["toolCall"]);
    const called = isObject(value) ? value : {};
    if (!isText(called["name"])) return [talk.note("error", wordsOf(error ?? block["toolCall"]), piece)];
    return [talk.call(called["name"], callId, called["arguments"] ?? {}, piece)];
  }
  if (type === "toolResponse") {
    const { value, error } = outcomeOf(block["toolResult"]);
    const content = contentOfResult(value);
    const isError = error !== undefined || (isObject(value) && value["isError"] === true);
    return [talk.result(callId, error ?? content, isError, piece)];
  }
  if (type === "text" || type === "image") return undefined;
  const noted = { ...piece, row: block };
  if (clientBlocks.has(type)) return [talk.note(String(type), wordsOf(block), noted)];
  return talk.unknown(String(type), wordsOf(block), noted);
}

/** A call or a result, or why there is none. */
function outcomeOf(given: unknown): { value?: unknown; error?: unknown } {
  if (!isObject(given)) return {};
  return given["status"] === "error" ? { error: given["error"] ?? "error" } : { value: given["value"] };
}

/** Reads a session of the first versions: a line about it, then a message a row. */
class GooseReader extends RowReader {
  readonly #file: SourceFile;
  /** Facts of the session, held until its first message tells when it began. */
  #about: Json = {};
  #talk: Talk | undefined;
  #row = 0;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const { role, content, created, id } = row;
    if (!isText(role) || !Array.isArray(content)) {
      this.#about = { ...this.#about, ...row };
      return [];
    }
    const begun = this.#begin(timeOf(created));
    const talk = this.#talk ?? new Talk(GOOSE, this.#file.stem);
    this.#row += 1;
    const name = firstText(id) ?? `row ${this.#row}`;
    return [...begun, ...messageOf(talk, role, content, { name, time: timeOf(created) })];
  }

  #begin(time: string | undefined): Captured[] {
    if (this.#talk !== undefined) return [];
    this.#talk = new Talk(GOOSE, this.#file.stem);
    const { working_dir: cwd, description: title } = this.#about;
    const tokens = tokensOf(this.#about, totalNames);
    const more = tokens === undefined ? {} : { tokens };
    return this.#talk.begin({ title, cwd, time: time ?? this.#file.time, more });
  }
}

/** The sessions' folder of Goose, which its own variable moves. */
function folders(data: string[], env: Record<string, string | undefined>): string[] {
  const root = env["GOOSE_PATH_ROOT"];
  if (root) return [join(root, "data/sessions")];
  return data.flatMap((folder) => [join(folder, "goose/sessions"), join(folder, "Block/goose/data/sessions")]);
}

export const goose: SourceKind = {
  name: "Goose",
  where: ({ data, env }) => folders(data, env).map((folder) => join(folder, "*.jsonl")),
  form: ({ rows }) => {
    const [first] = rows;
    const isAbout = isText(first?.["working_dir"]) && ("message_count" in first || "description" in first);
    return isAbout ? "lines" : undefined;
  },
  reader: (file) => new GooseReader(file),
};

/** The database that newer versions keep. */
export const gooseDatabase: DatabaseKind = {
  name: "Goose's database",
  where: ({ data, env }) => folders(data, env).map((folder) => join(folder, "sessions.db")),
  tables: { sessions: ["id", "working_dir"], messages: ["session_id", "role", "content_json"] },
  rows: (database) => database.query("select * from sessions order by created_at, id").iterate(),
  read: (row, database) => {
    const session = row as Json;
    const talk = new Talk(GOOSE, String(session["id"]));
    const config = parsedJson(session["model_config_json"]);
    const parent = session["parent_session_id"];
    const tokens = tokensOf(session, totalNames);
    const messages = database
      .query("select * from messages where session_id = ? order by created_timestamp, id")
      .all(String(session["id"])) as Json[];
    const begun = talk.begin({
      title: firstText(session["name"], session["description"]),
      cwd: session["working_dir"],
      model: firstText(config["model_name"], config["model"]),
      parent: isText(parent) ? conversationId(GOOSE, parent) : undefined,
      time: timeOf(messages[0]?.["created_timestamp"]) ?? timeOf(utc(session["created_at"])),
      more: tokens === undefined ? {} : { tokens },
    });
    return [...begun, ...messages.flatMap((message) => storedMessage(talk, message, config))];
  },
};

function storedMessage(talk: Talk, message: Json, config: Json): Captured[] {
  const { id, message_id, role, content_json, created_timestamp, timestamp, metadata_json } = message;
  const metadata = parsedJson(metadata_json);
  const content: unknown = JSON.parse(String(content_json));
  return messageOf(talk, role, content, {
    name: firstText(message_id) ?? String(id),
    time: timeOf(created_timestamp) ?? timeOf(utc(timestamp)),
    model: role === "assistant" ? firstText(config["model_name"], config["model"]) : undefined,
    // Meant for the model only.
    bookkeeping: metadata["userVisible"] === false ? true : undefined,
  });
}

/** SQLite writes times in UTC, and does not say so. */
function utc(time: unknown): unknown {
  return isText(time) && /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.test(time) ? `${time.replace(" ", "T")}Z` : time;
}

function parsedJson(text: unknown): Json {
  const parsed = isText(text) ? parseRow(text) : undefined;
  return parsed !== undefined && "row" in parsed ? parsed.row : {};
}
