import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, readable } from "./blocks.ts";
import { conversationId, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { DocumentReader } from "./document-reader.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const AMP = "amp";

const tokenNames = {
  input: "inputTokens",
  output: "outputTokens",
  cache_read: "cacheReadInputTokens",
  cache_write: "cacheCreationInputTokens",
} as const;

/** Reads a thread of Amp (`threads/T-….json`): one JSON text. Newer threads are on Amp's server alone. */
function threadOf(row: Json, file: SourceFile): Captured[] {
  const { id, title, created, messages, env, mainThreadID, relationships } = row;
  const talk = new Talk(AMP, firstText(id) ?? file.stem);
  const rows = objectsOf(messages);
  const begun = talk.begin({
    title,
    cwd: folderOf(env),
    model: rows.map(({ usage }) => (isObject(usage) ? usage["model"] : undefined)).find(isText),
    parent: isText(mainThreadID) ? conversationId(AMP, mainThreadID) : undefined,
    time: timeOf(created) ?? rows.map(timeOfMessage).find((time) => time !== undefined) ?? file.time,
    more: Array.isArray(relationships) && relationships.length > 0 ? { relationships } : {},
  });
  const queued = objectsOf(row["queuedMessages"]).map(({ queuedMessage, ...own }) =>
    isObject(queuedMessage) ? queuedMessage : own,
  );
  return [
    ...begun,
    ...rows.flatMap((message, index) => messageOf(talk, message, index)),
    // What a person typed and the thread had not taken yet.
    ...queued.map(({ content }) => talk.prompt(content)),
  ];
}

function messageOf(talk: Talk, message: Json, index: number): Captured[] {
  const { role, content, text, messageId, usage, id } = message;
  const name = [id, messageId].find((each) => isText(each) || typeof each === "number") ?? index;
  const given = content ?? text;
  const blocks: unknown[] = Array.isArray(given) ? given : [given];
  const facts: Piece = {
    time: timeOfMessage(message),
    model: isObject(usage) ? usage["model"] : undefined,
    tokens: tokensOf(usage, tokenNames),
  };
  return blocks.map((block, place) => blockOf(talk, role, block, { ...facts, name: `${String(name)} ${place}` }));
}

function blockOf(talk: Talk, role: unknown, block: unknown, piece: Piece): Captured {
  const isUser = role === "user";
  const isNote = role === "info" || role === "system";
  const given = isObject(block) ? block : {};
  const { type, id, name, input, thinking } = given;
  if (type === "thinking") return talk.thinking(firstText(thinking) ?? "", piece);
  if (type === "redacted_thinking") return talk.thinking("", piece);
  if (type === "tool_use") return talk.call(String(name), idOf(id), input ?? {}, piece);
  if (type === "tool_result") return resultOf(talk, given, piece);
  if (isNote) return talk.note(firstText(type) ?? "info", readable([block]), piece);
  return isUser ? talk.prompt([block], piece) : talk.answer([block], piece);
}

/** A tool's result: as Anthropic's API has it, or how its run ended. */
function resultOf(talk: Talk, block: Json, piece: Piece): Captured {
  const callId = firstText(block["tool_use_id"], block["toolUseID"]) ?? "";
  const run = isObject(block["run"]) ? block["run"] : undefined;
  if (run === undefined) return talk.result(callId, block["content"], block["is_error"] === true, piece);
  const { status, result, error, ...rest } = run;
  const failure = isObject(error) ? (error["message"] ?? error) : error;
  const isError = status === "error" || status === "cancelled" || status === "rejected-by-user";
  const said = result ?? failure ?? firstText(status) ?? "";
  return talk.result(callId, outputOf(said), isError, { ...piece, row: { status, ...rest, ...factsOf(said) } });
}

/** The output of a command stands for its result; other results are shown as they are. */
function outputOf(result: unknown): unknown {
  return isObject(result) && isText(result["output"]) ? result["output"] : result;
}

function factsOf(result: unknown): Json {
  if (!isObject(result) || !isText(result["output"])) return {};
  const { output: _, ...facts } = result;
  return { facts };
}

function timeOfMessage({ meta, createdAt, usage, timestamp }: Json): string | undefined {
  const sent = isObject(meta) ? timeOf(meta["sentAt"]) : undefined;
  return sent ?? timeOf(createdAt) ?? timeOf(timestamp) ?? (isObject(usage) ? timeOf(usage["timestamp"]) : undefined);
}

function folderOf(env: unknown): string | undefined {
  const initial = isObject(env) && isObject(env["initial"]) ? env["initial"] : {};
  const [tree] = objectsOf(initial["trees"]);
  const uri = tree?.["uri"];
  if (!isText(uri) || !uri.startsWith("file://")) return firstText(uri, tree?.["displayName"]);
  try {
    return fileURLToPath(uri);
  } catch {
    return uri;
  }
}

export const amp: SourceKind = {
  name: "Amp",
  where: ({ data }) => data.map((folder) => join(folder, "amp/threads")),
  form: ({ text, stem }) => {
    if (!/^\s*\{/.test(text) || !hasKeys(text, "id", "messages", "role")) return undefined;
    const isThread = /"id"\s*:\s*"T-[0-9a-f-]{30,40}"/.test(text) || /^T-[0-9a-f-]{30,40}$/.test(stem);
    return isThread || /"id"\s*:\s*"thread-\d{1,10}"/.test(text) ? { depth: 0 } : undefined;
  },
  reader: (file) => new DocumentReader((row) => threadOf(row, file)),
};
