import { contextLine, html, jsonl, markdown, resultLine } from "../../capture/export.ts";
import type { ExportFormat } from "../../capture/export.ts";
import { DeweyError } from "../../errors.ts";
import type { StartupContext } from "../../store/contexts.ts";
import type { ConversationList } from "../../store/conversations.ts";
import type { ResultList } from "../../store/results.ts";
import { choiceFlag, clientCommand, textFlag } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { usageError } from "../command.ts";
import { pagesOf } from "../conversation.ts";
import { conversationIdOf } from "../conversation-id.ts";
import { MOMENT_FORMS } from "../../moment.ts";
import { sinceMoment } from "../moment.ts";

const formats = { jsonl, markdown, html };
const formatNames = ["jsonl", "markdown", "html"] as const;

/** Maximum number of list entries per reply of the server. */
const PAGE_LIMIT = 100;
/** Messages per request. */
const PAGE_MESSAGES = 500;

export const exportCommand = clientCommand({
  name: "export",
  summary: "exports conversations as JSON lines, Markdown or a web page",
  usage: ["dewey export [--session S] [--conversation ID] [--since DATE] [--format jsonl|markdown|html]"],
  about: [
    "Writes to stdout, oldest conversation first, each with all of its messages. Importing JSON lines restores the same ids,",
    "times, turns and metadata. A full export as JSON lines also contains the orchestration results and the startup contexts.",
    "The trash is not exported, nor are the contexts' history and ties to folders: to copy the whole store, use dewey backup.",
    "--json is the same as --format jsonl.",
  ].join(" "),
  examples: ["dewey export > dewey.jsonl", "dewey export --conversation last --format markdown"],
  flags: {
    session: { value: "S", summary: "only conversations with this session_id" },
    conversation: { value: "ID", summary: "only this conversation" },
    since: { value: "DATE", summary: `only conversations with a message since then: ${MOMENT_FORMS}` },
    format: { value: "FORMAT", choices: formatNames, summary: "jsonl (the default), markdown or html" },
  },
  operands: 0,
  async work(talk) {
    const { invocation, out } = talk;
    const format = formats[choiceFlag(exportCommand, invocation, "format", formatNames) ?? "jsonl"];
    if (talk.json && format !== jsonl) throw usageError(exportCommand, "takes --json or --format, not both");
    const ids = await wanted(talk);
    await out.write(format.begin());
    for (const id of ids) await write(talk, format, id);
    await out.write(format.end());
    const isAll = ["session", "conversation", "since"].every((name) => invocation.flags[name] === undefined);
    if (isAll && format === jsonl) await writeOthers(talk);
  },
});

async function write(talk: Talk, format: ExportFormat, id: string): Promise<void> {
  const { out } = talk;
  let begun = false;
  try {
    // For reading, what a person saw is written; to be imported again, everything.
    const everything = format === jsonl ? { everything: true } : {};
    for await (const page of pagesOf(talk, { conversation_id: id, full: true, limit: PAGE_MESSAGES, ...everything })) {
      if (!begun) await out.write(format.conversation(page));
      begun = true;
      await out.write(page.messages.map((message) => format.message(page, message)).join(""));
    }
  } catch (error) {
    // Skip a conversation that was deleted after it was listed; fail for one that was named by its id.
    const isGone = error instanceof DeweyError && error.code === "not_found" && !begun;
    if (!isGone || textFlag(talk.invocation, "conversation") !== undefined) throw error;
    return;
  }
  await out.write(format.endConversation());
}

/** Writes the orchestration results, latest first, and the startup contexts by name. */
async function writeOthers({ call, out }: Talk): Promise<void> {
  let cursor: string | undefined;
  // The number of results still to be read one by one, because together they exceed one reply.
  let alone = 0;
  for (;;) {
    const limit = alone > 0 ? 1 : PAGE_LIMIT;
    const args = { full: true, limit, ...(cursor === undefined ? {} : { cursor }) };
    const page = await call<ResultList>("dewey_get_fiedler_results", args);
    if (limit > 1 && page.results.some((result) => result.cut_bytes !== undefined)) {
      alone = page.results.length;
      continue;
    }
    await out.write(page.results.map(resultLine).join(""));
    alone = Math.max(0, alone - limit);
    cursor = page.next_cursor;
    if (cursor === undefined) break;
  }
  // A list of contexts cuts long texts.
  const { contexts } = await call<{ contexts: { name: string }[] }>("dewey_list_startup_contexts", {});
  for (const { name } of contexts) {
    const { context } = await call<{ context: StartupContext | null }>("dewey_get_startup_context", { name });
    if (context !== null) await out.write(contextLine(context));
  }
}

/** The ids of the conversations to export, oldest first, so that repeated exports are identical. */
async function wanted(talk: Talk): Promise<string[]> {
  const { invocation } = talk;
  const conversation = textFlag(invocation, "conversation");
  const session = textFlag(invocation, "session");
  const sinceText = textFlag(invocation, "since");
  const since = sinceText === undefined ? undefined : sinceMoment("--since", sinceText);
  if (conversation !== undefined) {
    if (session !== undefined || since !== undefined)
      throw usageError(exportCommand, "takes --conversation only without --session and --since");
    return [await conversationIdOf(talk, conversation)];
  }
  const found = new Map<string, string>();
  let cursor: string | undefined;
  do {
    // Sorted by creation, which never changes, so that none is missed while others are stored.
    const args = {
      sort_by: "created_at",
      limit: PAGE_LIMIT,
      ...(session === undefined ? {} : { session_id: session }),
      ...(since === undefined ? {} : { start_date: since }),
      ...(cursor === undefined ? {} : { cursor }),
    };
    const page = await talk.call<ConversationList>("dewey_list_conversations", args, { "--session": "session_id" });
    for (const { id, created_at } of page.conversations) found.set(id, created_at);
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return [...found]
    .toSorted(([idA, timeA], [idB, timeB]) => Date.parse(timeA) - Date.parse(timeB) || (idA < idB ? -1 : 1))
    .map(([id]) => id);
}
