import { join } from "node:path";
import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { conversationId, timeOf, titled } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { CODEX } from "./codex.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceKind } from "./source-kind.ts";

/** Reads `session_index.jsonl`, where Codex keeps the names of its sessions: the last one of each counts. */
class CodexTitlesReader extends RowReader {
  protected override readRow({ id, thread_name: title, updated_at }: Json): Captured[] {
    if (!isText(id)) return [];
    const conversation = conversationId(CODEX, id);
    return [{ kind: "apart", conversation, captured: titled(conversation, CODEX, title, timeOf(updated_at)) }];
  }
}

export const codexTitles: SourceKind = {
  name: "Codex's names of sessions",
  where: ({ home, env }) => [join(env["CODEX_HOME"] || join(home, ".codex"), "session_index.jsonl")],
  form: ({ rows }) =>
    rows.length > 0 && rows.every(({ id, thread_name }) => isText(id) && isText(thread_name)) ? "lines" : undefined,
  reader: () => new CodexTitlesReader(),
};
