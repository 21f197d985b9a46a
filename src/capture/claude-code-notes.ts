import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, kept, readable, textOf, wordsOf } from "./blocks.ts";
import { derivedId, message, timeOf } from "./captured.ts";
import type { Captured, Said } from "./captured.ts";
import { sessionFacts } from "./claude-code-facts.ts";
import { rowName } from "./claude-code-thread.ts";
import type { RowMessages, Thread } from "./claude-code-thread.ts";
import { isPersons, kindOfUserText } from "./client-words.ts";

// Rows of Claude Code's transcripts (1.0 to 2.1) and of its `stream-json` output that are no message of the talk.

/** Types of rows that the client notes for itself. */
const bookkeeping = new Set([
  "agent-name",
  "file-history-delta",
  "file-history-snapshot",
  "last-prompt",
  "mode",
  "permission-mode",
  "pr-link",
  "progress",
  "queue-operation",
  "rate_limit_event",
  "stream_event",
  "tag",
  "worktree-state",
]);
/** Rows that name a session, with the field that holds the title. */
const titles: Readonly<Record<string, string>> = {
  "ai-title": "aiTitle",
  "custom-title": "customTitle",
  summary: "summary",
};
/** Attachments that remind the model of something and show a person nothing. */
const wordlessAttachment =
  /reminder|delta|listing|mode|budget|usage|critical|style|date_change|verify|token|skill_discovery/;

/** Whether the type of a row is one that these versions write. */
export function isKnownNote(type: string): boolean {
  return bookkeeping.has(type) || type in titles || ["system", "attachment", "result"].includes(type);
}

type Note = Omit<Said, "id" | "time">;

/** Reads a row without talk. */
export function noteRow(thread: Thread, row: Json, text: string): RowMessages {
  const type = isText(row["type"]) ? row["type"] : "(no type)";
  const rowId = rowName(thread, row, text);
  const named = thread.names.row(rowId, 0);
  const { id } = named;
  const note = noteOf(thread, row, type);
  const time = timeOf(row["timestamp"]);
  const said: Said = { ...note, ...named, time, metadata: { ...sessionFacts(row), ...note.metadata, row: kept(row) } };
  if (type === "queue-operation") noteQueue(thread, row, said);
  const captured: Captured[] = [message(thread.conversation, said)];
  if (!isKnownNote(type)) captured.push({ kind: "unknown", type });
  return { captured, ids: [id], isPrompt: note.role === "user" };
}

/** The title that a row gives a session, and the rank of its kind: a person's own words count most. */
export function titleOf(row: Json): { title: string; rank: number } | undefined {
  const type = String(row["type"]);
  const title = Object.hasOwn(titles, type) ? row[titles[type] ?? ""] : undefined;
  if (!isText(title)) return undefined;
  return { title, rank: ["summary", "ai-title", "custom-title"].indexOf(type) };
}

function noteOf(thread: Thread, row: Json, type: string): Note {
  const title = titleOf(row);
  if (title) return { role: "system", kind: "title", content: title.title, bookkeeping: true, metadata: {} };
  if (type === "attachment" && isObject(row["attachment"])) return attachment(thread, row["attachment"]);
  if (type === "system") return systemRow(row);
  if (type === "result") return resultRow(thread, row);
  if (bookkeeping.has(type)) {
    const name = [type, row["subtype"], row["operation"]].filter(isText).join(" ");
    return { role: "system", kind: type, content: `[${name}]`, bookkeeping: true, metadata: {} };
  }
  return { role: "system", kind: type, content: unknownWords(row) || `[${type}]`, metadata: {} };
}

/** The words of a row of a type that is not known, without the fields that every row has. */
function unknownWords(row: Json): string {
  const { cwd: _, gitBranch: __, version: ___, timestamp: ____, entrypoint: _____, userType: ______, ...rest } = row;
  return wordsOf(withoutEnvelope(rest));
}

function withoutEnvelope(row: Json): Json {
  return Object.fromEntries(Object.entries(row).filter(([key]) => !/Uuid$|^slug$|^requestId$|^sessionId$/.test(key)));
}

/** What was typed while Claude worked is a prompt at its place; files and the like are shown as the client's words. */
function attachment(thread: Thread, given: Json): Note {
  const type = String(given["type"]);
  if (type !== "queued_command") {
    const words = wordlessAttachment.test(type) ? remindedWords(thread, type, given) : wordsOf(given);
    const content = words === "" ? `[attachment ${type}]` : words;
    return { role: "system", kind: `attachment/${type}`, content, bookkeeping: words === "", metadata: {} };
  }
  const prompt = given["prompt"];
  const blocks: unknown[] = Array.isArray(prompt) ? prompt : [prompt ?? ""];
  const content = readable(blocks);
  for (const block of blocks) thread.queued.delete(textOf(block) ?? "");
  const mode = given["commandMode"];
  const kind = isText(mode) && mode !== "prompt" && mode !== "bash" ? mode : kindOfUserText(content);
  return { role: isPersons(kind) ? "user" : "system", kind, content, metadata: { queued: true } };
}

/** What a person can have read of a reminder: a plan, and what is to be done, unless a call told it. */
function remindedWords(thread: Thread, type: string, { planContent, content }: Json): string {
  const todos = /^(?:todo|task)_reminder/.test(type) ? wordsOf(content) : "";
  return [wordsOf(planContent), thread.noteTodos(todos) ? "" : todos].filter(isText).join("\n");
}

/** The client's own lines: what a person saw is shown, and the rest are notes. */
function systemRow(row: Json): Note {
  const subtype = isText(row["subtype"]) ? row["subtype"] : "system";
  const { content, message: said, error, hookErrors, stopReason } = row;
  const told = isObject(said) ? said["content"] : said;
  const words = isText(content) ? content : wordsOf([content, told, error, hookErrors, stopReason]);
  if (words === "")
    return { role: "system", kind: subtype, content: `[system ${subtype}]`, bookkeeping: true, metadata: {} };
  const kind = kindOfUserText(words);
  const isCommand = kind === "command";
  return {
    role: isCommand ? "user" : "system",
    kind: kind === "prompt" ? subtype : kind,
    content: words,
    metadata: {},
  };
}

/** The end of a run with `stream-json`: its text is the last answer again, unless something went wrong. */
function resultRow(thread: Thread, row: Json): Note {
  const words = [row["result"], row["error"], row["errors"]].map(wordsOf).filter(isText).join("\n");
  const isSaid = words === "" || words === thread.lastAnswer.trim() || words === thread.lastAnswer;
  const content = words || `[result ${String(row["subtype"])}]`;
  return { role: "system", kind: "result", content, bookkeeping: isSaid, metadata: {} };
}

/** Keeps what waits in the client's queue, since a session that ends takes it along. */
function noteQueue(thread: Thread, row: Json, said: Said): void {
  const { operation, content } = row;
  if (operation === "enqueue" && isText(content) && isPersons(kindOfUserText(content))) {
    const prompt: Said = {
      ...said,
      id: derivedId(said.id, "queued"),
      former: undefined,
      role: "user",
      kind: "prompt",
      content,
      bookkeeping: false,
    };
    thread.queued.set(content, { ...prompt, metadata: { ...said.metadata, queued: true } });
    return;
  }
  if (operation === "enqueue") return;
  // The text that leaves the queue, or the first one that came, is said next or was taken back into the input.
  const leaving = isText(content) ? content : thread.queued.keys().next().value;
  if (leaving !== undefined) thread.queued.delete(leaving);
}

/** Prompts that were never taken from the queue. */
export function queuedPrompts(thread: Thread): Captured[] {
  const left = [...thread.queued.values()].map((said) => message(thread.conversation, said));
  thread.queued.clear();
  return left;
}
