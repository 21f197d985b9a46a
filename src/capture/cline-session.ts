import { join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, textOf } from "./blocks.ts";
import { conversationId, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { messagesOf } from "./cline-sent.ts";
import { CLINE } from "./cline.ts";
import type { Head, SourceFile, SourceKind } from "./source-kind.ts";
import { Talk, firstText, hasKeys, objectsOf } from "./talk.ts";

/** Reads a session of Cline's command line (`sessions/SESSION/SESSION.messages.json`). */
class SessionReader extends RowReader {
  readonly #file: SourceFile;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
  }

  protected override readRow(row: Json): Captured[] {
    const { sessionId, messages, agent } = row;
    const talk = new Talk(CLINE, firstText(sessionId) ?? this.#file.stem);
    const rows = objectsOf(messages);
    const { path, beside } = this.#file;
    const about = path === undefined ? undefined : beside.json(path.replace(/\.messages\.json$/, ".json"));
    const facts = isObject(about) ? about : {};
    const metadata = isObject(facts["metadata"]) ? facts["metadata"] : {};
    const parent = firstText(facts["parentSessionId"], facts["parent_session_id"]);
    const begun = talk.begin({
      title: firstText(facts["title"], metadata["title"]),
      cwd: firstText(facts["cwd"], facts["workspaceRoot"], facts["workspace_root"]),
      model: facts["model"],
      parent: parent === undefined ? undefined : conversationId(CLINE, parent),
      time:
        timeOf(facts["started_at"] ?? facts["startedAt"]) ??
        rows.map(({ ts }) => timeOf(ts)).find((time) => time !== undefined) ??
        this.#file.time,
      more: isText(agent) ? { agent } : {},
    });
    const said = rows.flatMap((row, index) => messagesOf(talk, row, firstText(row["id"]) ?? `${index}`));
    const compacted =
      path === undefined ? undefined : beside.json(path.replace(/\.messages\.json$/, ".compaction.json"));
    return [...begun, ...said, ...summariesOf(talk, rows, compacted)];
  }
}

/** The texts that a compaction put in place of earlier messages. */
function summariesOf(talk: Talk, rows: Json[], compacted: unknown): Captured[] {
  const textsOf = (messages: Json[]) =>
    messages.flatMap(({ content }) => (Array.isArray(content) ? content.map(textOf) : [content])).filter(isText);
  const known = new Set(textsOf(rows));
  const texts = textsOf(objectsOf(isObject(compacted) ? compacted["messages"] : undefined));
  return texts.filter((text) => !known.has(text)).map((text) => talk.note("compact-summary", text));
}

export const clineSession: SourceKind = {
  name: "Cline's command line",
  where: ({ home, env }) => [join(env["CLINE_DIR"] || join(home, ".cline"), "data/sessions")],
  form: ({ text, name }: Head) =>
    name.endsWith(".messages.json") && /^\s*\{/.test(text) && hasKeys(text, "sessionId", "messages", "role")
      ? { depth: 0 }
      : undefined,
  reader: (file) => new SessionReader(file),
};
