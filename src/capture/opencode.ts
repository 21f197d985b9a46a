import { readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, wordsOf } from "./blocks.ts";
import { conversationId, parseRow, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { DocumentReader } from "./document-reader.ts";
import type { DatabaseKind, SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const OPENCODE = "opencode";

const tokenNames = {
  input: "input",
  output: "output",
  cache_read: "cache.read",
  cache_write: "cache.write",
  thinking: "reasoning",
} as const;

/** Parts that a program notes for itself. */
const notes = /^(?:step-start|step-finish|snapshot|patch|compaction)$/;

interface Turn {
  info: Json;
  parts: Json[];
}

/** A session with its messages and their parts, whichever way it is kept: a database, a folder of JSON files, or an export. */
function sessionOf(info: Json, turns: Turn[]): Captured[] {
  const session = String(info["id"]);
  const talk = new Talk(OPENCODE, session);
  const { parentID, title, directory, version, revert } = info;
  const model = turns.map(({ info }) => modelOf(info)).find((each) => each !== undefined);
  const begun = talk.begin({
    title: isGivenTitle(title) ? title : undefined,
    cwd: directory,
    clientVersion: version,
    model,
    parent: isText(parentID) ? conversationId(OPENCODE, parentID) : undefined,
    time: createdAt(info),
  });
  const from = isObject(revert) && isText(revert["messageID"]) ? revert["messageID"] : undefined;
  return [...begun, ...turns.flatMap((turn) => turnOf(talk, turn, from))];
}

/** The client names a session by its time until it has a title. */
function isGivenTitle(title: unknown): boolean {
  return isText(title) && !/^(?:New|Child) session - \d{4}-/.test(title);
}

function turnOf(talk: Talk, { info, parts }: Turn, revertedFrom: string | undefined): Captured[] {
  const { id, role, error, tokens } = info;
  const name = String(id);
  const piece: Piece = {
    time: createdAt(info),
    model: modelOf(info),
    // Ids grow with time; what was reverted stays until the next prompt.
    abandoned: revertedFrom !== undefined && name >= revertedFrom,
  };
  const usage = tokensOf(tokens, tokenNames);
  const said = parts.flatMap((part, index) =>
    partOf(talk, role === "user", part, {
      ...piece,
      name: firstText(part["id"]) ?? `${name} ${index}`,
      tokens: notes.test(String(part["type"])) ? undefined : usage,
    }),
  );
  const failed = isObject(error) ? [talk.note("error", wordsOf(error), { ...piece, name: `${name} error` })] : [];
  return [...said, ...failed, ...summaryOf(talk, info, { ...piece, name: `${name} summary` })];
}

/** The title that the client gave to a prompt, and what it says of the changes that followed. */
function summaryOf(talk: Talk, { summary }: Json, piece: Piece): Captured[] {
  const { title, body } = isObject(summary) ? summary : {};
  const words = [title, body].filter(isText).join("\n");
  return words === "" ? [] : [talk.note("summary", words, { ...piece, bookkeeping: true })];
}

function partOf(talk: Talk, isUser: boolean, part: Json, piece: Piece): Captured[] {
  const { type, text, id: _, messageID: __, sessionID: ___, ...rest } = part;
  const time = isObject(part["time"]) ? timeOf(part["time"]["start"]) : undefined;
  const facts = { ...piece, time: time ?? piece.time };
  if (type === "tool") return toolOf(talk, part, facts);
  if (type === "tool-invocation" && isObject(part["toolInvocation"])) return invocationOf(talk, part, facts);
  if (type === "reasoning") return [talk.thinking(isText(text) ? text : "", facts)];
  if (type === "text" && isText(text)) {
    // Added by the client, such as the contents of files that the prompt names.
    if (isUser && part["synthetic"] === true) return [talk.note("context", text, facts)];
    return [isUser ? talk.prompt(text, facts) : talk.answer(text, facts)];
  }
  if (type === "file") return [fileOf(talk, isUser, rest, facts)];
  const noted = { ...facts, row: rest };
  if (notes.test(String(type))) return [talk.note(String(type), "", noted)];
  if (type === "agent" || type === "subtask" || type === "retry") return [talk.note(type, wordsOf(rest), noted)];
  return talk.unknown(String(type), wordsOf(rest), noted);
}

function fileOf(talk: Talk, isUser: boolean, part: Json, piece: Piece): Captured {
  const { mime, filename, url } = part;
  const isData = isText(url) && url.startsWith("data:");
  const block = isData
    ? { type: "image", mime_type: mime, filename, data: url }
    : { type: "text", text: `[file ${firstText(filename, url) ?? String(mime)}]` };
  const blocks = isData && isText(filename) ? [{ type: "text", text: `[file ${filename}]` }, block] : [block];
  return isUser ? talk.prompt(blocks, piece) : talk.answer(blocks, piece);
}

/** A tool's call and, once it is done, its result. */
function toolOf(talk: Talk, part: Json, piece: Piece): Captured[] {
  const { tool, callID, state } = part;
  const { status, input, output, error, title, metadata, attachments, time } = isObject(state) ? state : {};
  const callId = idOf(callID);
  const call = talk.call(String(tool), callId, input ?? {}, piece);
  const isError = status === "error";
  // What a tool that runs, or was stopped, has printed so far.
  const printed = isObject(metadata) && output === undefined ? firstText(metadata["output"]) : undefined;
  if (output === undefined && error === undefined && printed === undefined) return [call];
  const files = objectsOf(attachments).map(({ mime, url, filename }) => ({
    type: "image",
    mime_type: mime,
    filename,
    data: url,
  }));
  const times = isObject(time) ? time : {};
  const facts = { ...piece, time: timeOf(times["end"]) ?? piece.time, row: { title, metadata } };
  const said = [isError ? error : output, printed].filter((each) => each !== undefined);
  return [call, talk.result(callId, [...said, ...files], isError, facts)];
}

/** A call as the first versions wrote it. */
function invocationOf(talk: Talk, part: Json, piece: Piece): Captured[] {
  const { toolName, toolCallId, args, result } = part["toolInvocation"] as Json;
  const callId = idOf(toolCallId);
  const call = talk.call(String(toolName), callId, args ?? {}, piece);
  return result === undefined ? [call] : [call, talk.result(callId, result, false, piece)];
}

function modelOf({ modelID, model }: Json): string | undefined {
  return firstText(modelID, isObject(model) ? model["modelID"] : undefined);
}

function createdAt({ time, metadata }: Json): string | undefined {
  const times = isObject(time) ? time : isObject(metadata) && isObject(metadata["time"]) ? metadata["time"] : {};
  return timeOf(times["created"]);
}

/** A document: an export of a session, or the file of one, whose messages and parts are files beside it. */
function documentOf(row: Json, { path }: SourceFile): Captured[] {
  const { info, messages } = row;
  if (isObject(info) && Array.isArray(messages)) {
    return sessionOf(
      info,
      objectsOf(messages).map(({ info, parts }) => ({ info: isObject(info) ? info : {}, parts: objectsOf(parts) })),
    );
  }
  if (path === undefined)
    return [{ kind: "broken", reason: "its messages are in other files, and only this one is here" }];
  const session = String(row["id"]);
  const { broken, documents } = jsonFiles(messageFolder(path, session));
  const turns = documents.map((info) => {
    const inside = objectsOf(info["parts"]);
    const beside = inside.length > 0 ? { broken: [], documents: inside } : jsonFiles(partFolder(path, session, info));
    broken.push(...beside.broken);
    return { info, parts: beside.documents };
  });
  return [...sessionOf(row, turns), ...broken];
}

/** `session/info/SESSION.json` in the first versions, `session/PROJECT/SESSION.json` since. */
function isFirstLayout(path: string): boolean {
  return basename(dirname(path)) === "info";
}

function messageFolder(path: string, session: string): string {
  const storage = isFirstLayout(path) ? dirname(dirname(path)) : dirname(dirname(dirname(path)));
  return join(storage, "message", session);
}

function partFolder(path: string, session: string, { id }: Json): string {
  if (isFirstLayout(path)) return join(dirname(dirname(path)), "part", session, String(id));
  return join(dirname(dirname(dirname(path))), "part", String(id));
}

/** The objects in the JSON files of a folder, in the order of their names, which is that of time. */
function jsonFiles(folder: string): { documents: Json[]; broken: Captured[] } {
  const broken: Captured[] = [];
  const documents = namesIn(folder).flatMap((name) => {
    const parsed = parseRow(textOf(join(folder, name)));
    if ("row" in parsed) return [parsed.row];
    broken.push({ kind: "broken", reason: `${join(folder, name)} is no JSON` });
    return [];
  });
  return { documents, broken };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .toSorted();
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export const openCode: SourceKind = {
  name: "OpenCode",
  where: ({ data }) =>
    data.flatMap((folder) => [
      join(folder, "opencode/storage/session"),
      join(folder, "opencode/project/*/storage/session/info"),
    ]),
  form: ({ text, path = "" }) => {
    if (!/^\s*\{/.test(text)) return undefined;
    const beginning = text.slice(0, HEAD_CHARACTERS);
    if (hasKeys(beginning, "info") && /"id"\s*:\s*"ses_/.test(beginning)) return { depth: 0 };
    const isBeside = hasKeys(beginning, "messageID", "type") || hasKeys(beginning, "sessionID", "role");
    if (isBeside && /[/\\](?:message|part)[/\\]/.test(path)) return "beside";
    const isSession = /"id"\s*:\s*"ses_/.test(beginning) && hasKeys(beginning, "time", "title");
    return isSession ? { depth: 0 } : undefined;
  },
  reader: (file) => new DocumentReader((row) => documentOf(row, file)),
};

/** How much of a file tells whether it is a session: the ids come first. */
const HEAD_CHARACTERS = 20_000;

/** The database that newer versions keep. */
export const openCodeDatabase: DatabaseKind = {
  name: "OpenCode's database",
  where: ({ data }) => data.map((folder) => join(folder, "opencode/opencode*.db")),
  tables: { session: ["id", "directory"], message: ["session_id", "data"], part: ["message_id", "data"] },
  rows: (database) => database.query("select * from session order by time_created, id").iterate(),
  read: (row, database) => {
    const { id, parent_id, title, directory, version, revert, time_created } = row as Record<string, unknown>;
    const info = { id, title, directory, version, parentID: parent_id, time: { created: time_created } };
    const messages = database
      .query("select id, data from message where session_id = ? order by time_created, id")
      .all(String(id)) as { id: string; data: string }[];
    const parts = database.query("select id, data from part where message_id = ? order by id");
    return sessionOf(
      { ...info, revert: parsedJson(revert) },
      messages.map((message) => ({
        info: { id: message.id, ...parsedJson(message.data) },
        parts: (parts.all(message.id) as { id: string; data: string }[]).map((part) => ({
          id: part.id,
          ...parsedJson(part.data),
        })),
      })),
    );
  },
};

function parsedJson(text: unknown): Json {
  const parsed = typeof text === "string" ? parseRow(text) : undefined;
  return parsed !== undefined && "row" in parsed ? parsed.row : {};
}
