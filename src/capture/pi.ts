import { basename, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, wordsOf } from "./blocks.ts";
import { Branches } from "./branches.ts";
import { conversationId, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, idsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const PI = "pi";

const tokenNames = {
  input: "input",
  output: "output",
  cache_read: "cacheRead",
  cache_write: "cacheWrite",
  total: "totalTokens",
} as const;

/**
 * Reads sessions of Pi (`sessions/FOLDER/TIME_SESSION.jsonl`): the session's facts, then an entry a row. Entries name their
 * parents since the second version, so branches that were left are known.
 */
class PiReader extends RowReader {
  readonly consulted: readonly string[] = [];
  readonly #file: SourceFile;
  readonly #branches = new Branches();
  #talk: Talk | undefined;
  /** The session's beginning, until something is said. */
  #begun: Captured[] = [];
  #row = 0;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    this.#begin(row);
    if (row["type"] === "session") return [];
    this.#row += 1;
    const talk = this.#talk ?? new Talk(PI, this.#file.stem);
    const { id, parentId } = row;
    const captured = entryOf(talk, row, firstText(id) ?? `row ${this.#row}`);
    const message = isObject(row["message"]) ? row["message"] : {};
    const turned = isText(id)
      ? this.#branches.add(id, parentId as string | null | undefined, message["role"] === "user", idsOf(captured))
      : undefined;
    return [
      ...this.#begun.splice(0),
      ...captured,
      ...(turned === undefined ? [] : talk.branch(turned.abandoned, turned.current)),
    ];
  }

  #begin(row: Json): void {
    if (this.#talk !== undefined) return;
    const isFacts = row["type"] === "session";
    const session = isFacts && isText(row["id"]) ? row["id"] : sessionIn(this.#file.stem);
    this.#talk = new Talk(PI, session);
    const origin = firstText(row["parentSession"], row["branchedFrom"]);
    this.#begun = this.#talk.begin({
      cwd: isFacts ? row["cwd"] : undefined,
      model: isFacts ? row["modelId"] : undefined,
      forkedFrom: isFacts && origin !== undefined ? conversationId(PI, sessionIn(stemOf(origin))) : undefined,
      time: timeOf(row["timestamp"]) ?? this.#file.time,
    });
  }
}

function stemOf(path: string): string {
  return basename(path.replaceAll("\\", "/")).replace(/\.jsonl$/, "");
}

/** `TIME_SESSION`: the session. */
function sessionIn(stem: string): string {
  return stem.slice(stem.indexOf("_") + 1);
}

function entryOf(talk: Talk, row: Json, name: string): Captured[] {
  const { type, message, timestamp, id: _, parentId: __, ...rest } = row;
  const time = timeOf(timestamp);
  const piece: Piece = { name, time, row: { type, ...rest } };
  if (type === "message" && isObject(message)) return messageOf(talk, message, { name, time });
  if (type === "session_info") return [talk.note("session_info", "", piece), ...talk.title(row["name"])];
  if (type === "compaction" || type === "branch_summary")
    return [talk.note(type === "compaction" ? "compact-summary" : type, firstText(row["summary"]) ?? "", piece)];
  if (type === "custom_message")
    return [talk.note(firstText(row["customType"]) ?? "custom_message", wordsOf(row["content"]), piece)];
  if (type === "label") return [talk.note(type, firstText(row["label"]) ?? "", piece)];
  if (type === "model_change" || type === "thinking_level_change" || type === "custom")
    return [talk.note(type, "", piece)];
  return talk.unknown(String(type), wordsOf(rest), piece);
}

function messageOf(talk: Talk, message: Json, piece: Piece): Captured[] {
  const { role, content, model, usage, stopReason, errorMessage, ...rest } = message;
  const facts = { ...piece, model, tokens: tokensOf(usage, tokenNames) };
  const callId = idOf(message["toolCallId"]);
  if (role === "toolResult") {
    const { toolName: tool, isError, details } = message;
    return [talk.result(callId, content, isError === true, { ...piece, tool: firstText(tool), row: { details } })];
  }
  if (role === "bashExecution") {
    const { command, output, exitCode } = message;
    const call = talk.prompt(`!${firstText(command) ?? ""}`, piece);
    const result = { ...piece, name: `${piece.name} output`, tool: "bash", row: rest };
    return [call, talk.result("", output, typeof exitCode === "number" && exitCode !== 0, result)];
  }
  if (role === "user") return [talk.prompt(content, piece)];
  if (role !== "assistant") {
    const kind =
      { compactionSummary: "compact-summary", branchSummary: "branch_summary" }[String(role)] ?? String(role);
    return [talk.note(kind, wordsOf(content ?? rest["summary"]), { ...piece, row: rest })];
  }
  const blocks: unknown[] = Array.isArray(content) ? content : [content];
  const said = blocks.map((block, index) => blockOf(talk, block, { ...facts, name: `${piece.name} ${index}` }));
  if (!isText(errorMessage)) return said;
  return [...said, talk.note("error", errorMessage, { ...piece, name: `${piece.name} error`, row: { stopReason } })];
}

function blockOf(talk: Talk, block: unknown, piece: Piece): Captured {
  const given = isObject(block) ? block : {};
  const { type, thinking, id, name, arguments: args } = given;
  if (type === "thinking") return talk.thinking(firstText(thinking) ?? "", piece);
  if (type === "toolCall") return talk.call(String(name), idOf(id), args ?? {}, piece);
  return talk.answer([block], piece);
}

export const pi: SourceKind = {
  name: "Pi",
  where: ({ home, env }) => [
    join(env["PI_CODING_AGENT_DIR"] || join(home, ".pi/agent"), "sessions"),
    join(home, ".omp/agent/sessions"),
  ],
  form: ({ rows }) => {
    const isFacts = (row: Json) =>
      row["type"] === "session" && isText(row["id"]) && isText(row["timestamp"]) && row["sessionId"] === undefined;
    const isEntry = ({ type, message, sessionId, uuid }: Json) =>
      type === "message" &&
      isObject(message) &&
      isText(message["role"]) &&
      sessionId === undefined &&
      uuid === undefined;
    return rows.some(isFacts) || rows.some(isEntry) ? "lines" : undefined;
  },
  reader: (file) => new PiReader(file),
};
