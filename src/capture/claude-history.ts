import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { Occurrences, begin, conversationId, derivedId, message, shallow, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { CLAUDE_CODE, claudeFolders } from "./claude-code-facts.ts";
import { kindOfUserText } from "./client-words.ts";
import type { SourceKind } from "./source-kind.ts";

/**
 * Reads `history.jsonl`, where Claude Code keeps every prompt: of the sessions whose transcripts are gone, the prompts are
 * all that is left. Sessions that have a transcript, or are stored already, are passed over.
 */
class ClaudeHistoryReader extends RowReader {
  readonly #transcripts: Set<string>;
  readonly #begun = new Set<string>();
  readonly #same = new Occurrences();

  constructor(path: string | undefined) {
    super();
    this.#transcripts = path === undefined ? new Set() : transcriptsBeside(path);
  }

  protected override readRow(row: Json): Captured[] {
    const { display, project, sessionId, timestamp, ...rest } = row;
    if (!isText(display)) return [];
    if (isText(sessionId) && this.#transcripts.has(sessionId)) return [{ kind: "repeated" }];
    const session = isText(sessionId) ? sessionId : `history ${String(project)}`;
    const conversation = conversationId(CLAUDE_CODE, session);
    const time = timeOf(timestamp);
    const name = derivedId(conversation, "history", display);
    const said = message(conversation, {
      id: derivedId(name, `${this.#same.count(name)}`),
      role: "user",
      kind: display.startsWith("/") ? "command" : kindOfUserText(display),
      content: [display, ...pastedTexts(rest)].join("\n\n"),
      time,
      metadata: { source: CLAUDE_CODE, row: shallow(rest) },
    });
    if (this.#begun.has(conversation)) return [said];
    this.#begun.add(conversation);
    const begun = begin({ conversation, source: CLAUDE_CODE, session, cwd: project, time, more: { from: "history" } });
    return [begun.kind === "conversation" ? { ...begun, unlessKnown: true } : begun, said];
  }
}

/** Texts that were pasted: a prompt shows only a mark for each. */
function pastedTexts({ pastedContents }: Json): string[] {
  if (typeof pastedContents !== "object" || pastedContents === null) return [];
  return Object.values(pastedContents as Json).flatMap((each) => {
    const content = typeof each === "object" && each !== null ? (each as Json)["content"] : undefined;
    return isText(content) ? [content] : [];
  });
}

/** The sessions that have a transcript in `projects` beside the file. */
function transcriptsBeside(path: string): Set<string> {
  const projects = join(dirname(path), "projects");
  const names = filesIn(projects).flatMap((project) => filesIn(join(projects, project)));
  return new Set(names.filter((name) => name.endsWith(".jsonl")).map((name) => name.slice(0, -".jsonl".length)));
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export const claudeHistory: SourceKind = {
  name: "Claude Code's history of prompts",
  where: (home) => claudeFolders(home).map((folder) => join(folder, "history.jsonl")),
  form: ({ rows }) =>
    rows.length > 0 && rows.every((row) => isText(row["display"]) && "project" in row && "timestamp" in row)
      ? "lines"
      : undefined,
  reader: ({ path }) => new ClaudeHistoryReader(path),
};
