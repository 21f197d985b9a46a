import { join } from "node:path";
import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { CODEX } from "./codex.ts";
import type { SourceKind } from "./source-kind.ts";
import { Talk, idOf } from "./talk.ts";

/**
 * Reads `history.jsonl`, where Codex keeps every prompt: of the sessions whose files are gone, the prompts are all that is
 * left. Sessions that are known from elsewhere are passed over.
 */
class CodexHistoryReader extends RowReader {
  readonly #talks = new Map<string, Talk>();

  protected override readRow(given: Json): Captured[] {
    const { session_id, ts, text: prompt, ...row } = given;
    const session = idOf(session_id);
    const time = timeOf(ts);
    const known = this.#talks.get(session);
    const talk = known ?? new Talk(CODEX, session);
    this.#talks.set(session, talk);
    const begun = known === undefined ? talk.beginUnlessKnown({ time, more: { from: "history" } }) : [];
    const said = talk.prompt(idOf(prompt), { time, row });
    return [...begun, said];
  }
}

function isHistoryRow({ session_id, ts, text }: Json): boolean {
  return isText(session_id) && typeof ts === "number" && isText(text);
}

export const codexHistory: SourceKind = {
  name: "Codex's history of prompts",
  where: ({ home, env }) => [join(env["CODEX_HOME"] || join(home, ".codex"), "history.jsonl")],
  form: ({ rows }) => (rows.length > 0 && rows.every(isHistoryRow) ? "lines" : undefined),
  reader: () => new CodexHistoryReader(),
};
