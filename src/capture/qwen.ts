import { join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, wordsOf } from "./blocks.ts";
import { Branches } from "./branches.ts";
import { timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { modelParts, userParts } from "./gemini-parts.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, idsOf, tokensOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const QWEN = "qwen-code";

const tokenNames = {
  input: "promptTokenCount",
  output: "candidatesTokenCount",
  cache_read: "cachedContentTokenCount",
  thinking: "thoughtsTokenCount",
  total: "totalTokenCount",
} as const;

/**
 * Reads chats of Qwen Code (`chats/SESSION.jsonl`): Claude Code's envelope around the messages of Gemini's API. Rows name
 * their parents, so branches that were left are known.
 */
class QwenReader extends RowReader {
  readonly consulted: readonly string[] = [];
  readonly #file: SourceFile;
  readonly #branches = new Branches();
  #talk: Talk | undefined;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const begun = this.#begin(row);
    const talk = this.#talk ?? new Talk(QWEN, this.#file.stem);
    const captured = rowOf(talk, row);
    const isPrompt = captured.some((each) => each.kind === "message" && each.message.role === "user");
    const { uuid, parentUuid } = row;
    const turned = isText(uuid)
      ? this.#branches.add(uuid, parentUuid as string | null | undefined, isPrompt, idsOf(captured))
      : undefined;
    return [...begun, ...captured, ...(turned === undefined ? [] : talk.branch(turned.abandoned, turned.current))];
  }

  #begin(row: Json): Captured[] {
    if (this.#talk !== undefined) return [];
    this.#talk = new Talk(QWEN, isText(row["sessionId"]) ? row["sessionId"] : this.#file.stem);
    const { cwd, gitBranch: branch, version: clientVersion, model } = row;
    return this.#talk.begin({ cwd, branch, clientVersion, model, time: timeOf(row["timestamp"]) ?? this.#file.time });
  }
}

function rowOf(talk: Talk, row: Json): Captured[] {
  const { type, uuid, message, timestamp, model, usageMetadata, subtype, systemPayload, ...rest } = row;
  const { sessionId: _, cwd: __, version: ___, gitBranch: ____, ...more } = rest;
  const name = isText(uuid) ? uuid : undefined;
  const piece: Piece = { name, time: timeOf(timestamp), row: more };
  const parts = isObject(message) ? message["parts"] : undefined;
  if (type === "assistant")
    return modelParts(talk, parts, { ...piece, model, tokens: tokensOf(usageMetadata, tokenNames) });
  if (type === "user" || type === "tool_result") return shownParts(talk, userParts(talk, parts, piece), row, piece);
  const payload = isObject(systemPayload) ? systemPayload : {};
  const kind = firstText(subtype, type) ?? "note";
  const noted = { ...piece, row: { ...more, systemPayload } };
  const command = payload["rawCommand"];
  if (isText(command) && payload["phase"] === "invocation") return [talk.prompt(command, noted)];
  const title = kind === "custom_title" ? talk.title(payload["customTitle"] ?? payload["title"]) : [];
  const bookkeeping = kind === "ui_telemetry" || title.length > 0;
  return [talk.note(kind, bookkeeping ? "" : wordsOf(systemPayload ?? message), noted), ...title];
}

/** The parts of a result, and what the client showed of it in their place. */
function shownParts(talk: Talk, captured: Captured[], { toolCallResult }: Json, piece: Piece): Captured[] {
  const [result] = captured;
  if (!isObject(toolCallResult) || result === undefined) return captured;
  return [...captured, ...talk.display(toolCallResult["resultDisplay"], result, piece)];
}

/** Whether a row is Qwen Code's: the message of Gemini's API in an envelope with a session. */
function isQwenRow({ sessionId, uuid, message, systemPayload, type }: Json): boolean {
  if (!isText(sessionId) || !isText(uuid)) return false;
  if (type === "system" && isObject(systemPayload)) return true;
  return isObject(message) && Array.isArray(message["parts"]);
}

export const qwen: SourceKind = {
  name: "Qwen Code",
  where: ({ home, env }) => [join(env["QWEN_HOME"] || join(home, ".qwen"), "projects/*/chats")],
  form: ({ rows, cut }) =>
    rows.some(isQwenRow) || (/^\s*\{[^[]{0,2000}"sessionId":"/.test(cut) && /"parts":\[/.test(cut.slice(0, 4000)))
      ? "lines"
      : undefined,
  reader: (file) => new QwenReader(file),
};
