import type { Json } from "../wire/frame.ts";
import { isObject } from "../wire/frame.ts";
import { contentOfResult, isText, wordsOf } from "./blocks.ts";
import { CODEX } from "./codex.ts";
import { RowReader } from "./row-reader.ts";
import type { Captured } from "./captured.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, idOf, tokensOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

/** Rows of `codex exec --json`, besides those of items, that tell where a turn is. */
const turns = /^(?:thread|turn)\.(?:started|completed)$/;

/**
 * Reads the output of `codex exec --json`. A thread that the store has from its own file, which says more, is passed over. Items
 * are told when they are complete; no row has a time.
 */
class CodexExecReader extends RowReader {
  readonly #file: SourceFile;
  #talk: Talk | undefined;
  #begun: Captured[] = [];

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const talk = this.#talkOf(row);
    const { type, item, usage, error, message, ...rest } = row;
    const begun = this.#begun.splice(0);
    const piece: Piece = { row: { type, ...rest } };
    if (type === "item.completed" && isObject(item)) return [...begun, ...itemMessages(talk, item)];
    if (type === "turn.failed" || type === "error")
      return [...begun, talk.note("error", wordsOf(isObject(error) ? error["message"] : (error ?? message)), piece)];
    const tokens = tokensOf(usage, {
      input: "input_tokens",
      output: "output_tokens",
      cache_read: "cached_input_tokens",
    });
    const isNote = turns.test(String(type)) || String(type).startsWith("item.");
    if (isNote) return [...begun, talk.note(String(type), "", { ...piece, tokens, bookkeeping: true })];
    return [...begun, ...talk.unknown(String(type), wordsOf(row), piece)];
  }

  #talkOf(row: Json): Talk {
    if (row["type"] === "thread.started" || this.#talk === undefined) {
      this.#talk = new Talk(CODEX, firstText(row["thread_id"]) ?? this.#file.stem);
      this.#begun = this.#talk.beginUnlessKnown({ time: this.#file.time, more: { from: "exec" } });
    }
    return this.#talk;
  }
}

function itemMessages(talk: Talk, item: Json): Captured[] {
  const { id, type, text, ...rest } = item;
  const piece: Piece = { name: idOf(id), row: rest };
  const failed = item["status"] === "failed" || item["status"] === "declined";
  switch (type) {
    case "agent_message":
      return [talk.answer(text, piece)];
    case "reasoning":
      return [talk.thinking(firstText(text) ?? "", piece)];
    case "command_execution": {
      const { command, aggregated_output: output, ...facts } = rest;
      const named = { ...piece, row: facts };
      const isError = failed || (typeof item["exit_code"] === "number" && item["exit_code"] !== 0);
      return [talk.call("shell", idOf(id), { command }, named), talk.result(idOf(id), output, isError, named)];
    }
    case "mcp_tool_call": {
      const { server, tool, arguments: args, result, error, ...facts } = rest;
      const named = { ...piece, row: facts };
      const name = `mcp__${String(server)}__${String(tool)}`;
      const content = contentOfResult(result ?? error);
      return [
        talk.call(name, idOf(id), args ?? {}, named),
        talk.result(idOf(id), content, failed || isObject(error), named),
      ];
    }
    case "file_change":
    case "web_search":
    case "todo_list":
    case "error":
      return [talk.note(type, wordsOf(rest), piece)];
    default:
      return talk.unknown(String(type), wordsOf({ text, ...rest }), piece);
  }
}

function isExecRow({ type, thread_id, item }: Json): boolean {
  if (type === "thread.started") return isText(thread_id);
  return /^item\.(?:started|updated|completed)$/.test(String(type)) && isObject(item) && isText(item["type"]);
}

export const codexExec: SourceKind = {
  name: "Codex's output with exec --json",
  form: ({ rows }) => (rows.some(isExecRow) ? "lines" : undefined),
  reader: (file) => new CodexExecReader(file),
};
