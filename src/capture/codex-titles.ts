import { join } from "node:path";
import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { conversationId } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { CODEX } from "./codex.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceKind } from "./source-kind.ts";

/** Reads `session_index.jsonl`, where Codex keeps the names of its sessions: the last one of each counts. */
class CodexTitlesReader extends RowReader {
  protected override readRow({ id, thread_name: title }: Json): Captured[] {
    if (!isText(id) || !isText(title)) return [];
    const facts = { conversation_id: conversationId(CODEX, id), title, title_source: "client" } as const;
    return [{ kind: "facts", facts }];
  }
}

export const codexTitles: SourceKind = {
  name: "Codex's names of sessions",
  where: ({ home, env }) => [join(env["CODEX_HOME"] || join(home, ".codex"), "session_index.jsonl")],
  form: ({ rows }) =>
    rows.length > 0 && rows.every(({ id, thread_name }) => isText(id) && isText(thread_name)) ? "lines" : undefined,
  reader: () => new CodexTitlesReader(),
};
