import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import {
  blocksOf,
  hasLines,
  isText,
  kept,
  keptBeside,
  readable,
  textOf,
  toolCall,
  toolResult,
  wordsOf,
} from "./blocks.ts";
import { derivedId, message, shallow, stated, timeOf, writtenJson } from "./captured.ts";
import type { Captured, Said } from "./captured.ts";
import { sessionFacts } from "./claude-code-facts.ts";
import type { Named } from "./claude-code-facts.ts";
import { noteRow } from "./claude-code-notes.ts";
import { rowName } from "./claude-code-thread.ts";
import type { RowMessages, Thread } from "./claude-code-thread.ts";
import { isPersons, kindOfUserText } from "./client-words.ts";

/** Facts of the client's own hooks that no transcript holds. */
export interface HookFacts {
  /** How long a tool use took, by the client's clock. */
  durationMs(toolUseId: string): number | undefined;
}

/** Reads a row: prompts, answers, calls and their results, or a note of the client's. */
export function rowMessages(thread: Thread, row: Json, text: string, hooks: HookFacts | undefined): RowMessages {
  const { type } = row;
  const inner = isObject(row["message"]) ? row["message"] : undefined;
  const isTalk =
    (type === "user" || type === "assistant") && inner !== undefined && (inner["content"] ?? null) !== null;
  if (!isTalk) return noteRow(thread, row, text);
  if (type === "user") notePrompt(thread, row, inner);
  const rowId = rowName(thread, row, text);
  const time = timeOf(row["timestamp"]);
  const captured: Captured[] = [];
  const ids: string[] = [];
  let isPrompt = false;
  for (const [index, block] of blocksOf(inner["content"]).entries()) {
    if (isRepeated(thread, `${rowId} ${index}`, block)) continue;
    const made = type === "user" ? userBlock(thread, row, block, hooks) : assistantBlock(thread, inner, row, block);
    const { named = {}, role, kind, content } = made;
    const id = named.id ?? thread.names.row(rowId, index).id;
    const former = named.former ?? (() => thread.names.formerRow(rowId, index));
    ids.push(id);
    isPrompt ||= type === "user" && made.role === "user" && isPersons(made.kind ?? "");
    const metadata = {
      ...sessionFacts(row),
      ...made.metadata,
      ...(index === 0 ? { row: restOf(row, inner, content) } : { row_uuid: rowId }),
    };
    captured.push(message(thread.conversation, { id, former, role, kind, content, time, metadata }));
    const about = { ...sessionFacts(row), row_uuid: rowId };
    for (const each of besideBlock(row, block, made)) {
      const besideId = derivedId(id, each.kind);
      ids.push(besideId);
      captured.push(message(thread.conversation, { ...each, id: besideId, time, metadata: about }));
    }
    if (!knownBlocks.has(String(block["type"])))
      captured.push({ kind: "unknown", type: `${type}/${String(block["type"])}` });
  }
  return { captured: captured.length > 0 ? captured : [{ kind: "repeated" }], ids, isPrompt };
}

/** Tools that set the list of what is to be done, which the client reminds the model of. */
const todoTool = /^(?:Todo|Task)[A-Z]/;

const knownBlocks = new Set([
  "code_execution_tool_result",
  "document",
  "fallback",
  "image",
  "mcp_tool_result",
  "mcp_tool_use",
  "redacted_thinking",
  "search_result",
  "server_tool_use",
  "text",
  "thinking",
  "tool_reference",
  "tool_result",
  "tool_use",
  "web_fetch_tool_result",
  "web_search_tool_result",
]);

/** What a text quotes of its sources, each with its title and address. */
function citedWords({ citations }: Json): string {
  const cited = Array.isArray(citations) ? citations.map(wordsOf) : [];
  return [...new Set(cited)].filter(isText).join("\n\n");
}

/** What stands beside a block and was read as well. */
function besideBlock(row: Json, block: Json, { role, content, metadata }: BlockMessage) {
  const [cited, shown] = [
    citedWords(block),
    metadata["own_result"] === undefined ? shownWords(row, block, content) : "",
  ];
  return [
    ...(cited === "" ? [] : [{ role, kind: "citations", content: cited }]),
    ...(shown === "" ? [] : [{ role: "system" as const, kind: "display", content: shown }]),
  ];
}

/** What the client showed of a result where the model got less, such as the beginning of a long output. */
function shownWords({ toolUseResult: shown }: Json, block: Json, content: string): string {
  if (block["type"] !== "tool_result") return "";
  const words = isObject(shown)
    ? wordsOf([shown["stdout"], shown["stderr"]])
    : isText(shown)
      ? shown.replace(/^Error: /, "")
      : "";
  return hasLines(content, words) ? "" : words;
}

/** Without a name of its own, or a former one, it has that of its row and place there. */
type BlockMessage = Omit<Said, "id" | "time" | "former"> & {
  named?: { [Name in keyof Named]?: Named[Name] | undefined };
};

function userBlock(thread: Thread, row: Json, block: Json, hooks: HookFacts | undefined): BlockMessage {
  if (block["type"] === "tool_result") return resultBlock(thread, row, block, hooks);
  const text = textOf(block);
  const kind = userKind(row, text);
  const role = isPersons(kind) ? "user" : "system";
  if (text === undefined) {
    return { role, kind: String(block["type"]), content: readable([block]), metadata: { block: kept(block) } };
  }
  thread.queued.delete(text);
  const { promptId } = thread;
  const isPrompt = role === "user" && promptId !== "" && thread.answers.count("prompt") === 0;
  // Earlier builds took the client's words for a person's, unless the row said otherwise.
  const wasMeta = row["isMeta"] === true || row["isCompactSummary"] === true;
  const wasPrompt = !wasMeta && promptId !== "" && thread.answers.count("former prompt") === 0;
  const { id, former } = isPrompt || wasPrompt ? thread.names.prompt(promptId) : {};
  return {
    named: { id: isPrompt ? id : undefined, former: wasPrompt ? former : undefined },
    role,
    kind,
    content: text,
    metadata: blockRest(block),
  };
}

/** Texts in the user's name (caveats, summaries of what was compacted) that are not the user's words. */
function userKind(row: Json, text: string | undefined): string {
  if (row["isCompactSummary"] === true) return "compact-summary";
  const kind = text === undefined ? "prompt" : kindOfUserText(text);
  return row["isMeta"] === true && isPersons(kind) ? "meta" : kind;
}

function resultBlock(thread: Thread, row: Json, block: Json, hooks: HookFacts | undefined): BlockMessage {
  const toolUseId = String(block["tool_use_id"]);
  const call = thread.calls.get(toolUseId);
  const result = toolResult(call?.tool, block["content"]);
  return {
    named: thread.names.result(toolUseId),
    role: "tool",
    kind: "tool_result",
    content: result.content,
    metadata: stated({
      tool: call?.tool,
      tool_use_id: toolUseId,
      outcome: block["is_error"] === true ? "error" : "success",
      duration_ms: hooks?.durationMs(toolUseId) ?? between(call?.time, row["timestamp"]),
      ...result.metadata,
    }),
  };
}

function assistantBlock(thread: Thread, inner: Json, row: Json, block: Json): BlockMessage {
  const model = stated({ model: isText(inner["model"]) ? inner["model"] : undefined });
  if (/^(?:server_|mcp_)?tool_use$/.test(String(block["type"]))) return callBlock(thread, row, block, model);
  if (String(block["type"]).endsWith("_tool_result")) return servedResult(thread, block, model);
  if (typeof block["thinking"] === "string") {
    const { thinking, ...rest } = block;
    return {
      role: "assistant",
      kind: "thinking",
      content: thinking || "(thinking)",
      metadata: { ...model, block: rest },
    };
  }
  const text = textOf(block);
  if (text === undefined) {
    const kind = String(block["type"]);
    return { role: "assistant", kind, content: readable([block]), metadata: { ...model, block: kept(block) } };
  }
  thread.lastAnswer = text;
  return {
    named: thread.names.answer(thread.promptId, text, thread.answers.count(derivedId(text))),
    role: "assistant",
    kind: "answer",
    content: text,
    metadata: { ...model, ...blockRest(block) },
  };
}

function callBlock(thread: Thread, row: Json, block: Json, model: Json): BlockMessage {
  const [tool, toolUseId] = [String(block["name"]), String(block["id"])];
  thread.noteCall(toolUseId, { tool, time: timeOf(row["timestamp"]) });
  if (todoTool.test(tool)) thread.noteTodos(wordsOf(block["input"]));
  const call = toolCall(tool, toolUseId, block["input"]);
  const { id, former } = thread.names.call(toolUseId);
  return {
    named: block["type"] === "tool_use" ? { id, former } : { id },
    role: "assistant",
    kind: "tool_use",
    content: call.content,
    metadata: { ...model, ...call.metadata },
  };
}

/** The result of a tool that the model's provider ran, such as a search of the web. */
function servedResult(thread: Thread, block: Json, model: Json): BlockMessage {
  const toolUseId = String(block["tool_use_id"]);
  const call = thread.calls.get(toolUseId);
  const { content } = block;
  const isError = isObject(content) && String(content["type"]).endsWith("_error");
  return {
    named: { id: thread.names.result(toolUseId).id },
    role: "tool",
    kind: "tool_result",
    content: readable(Array.isArray(content) ? content : [content]),
    metadata: {
      ...model,
      ...stated({ tool: call?.tool, tool_use_id: toolUseId, outcome: isError ? "error" : "success" }),
      block: kept(block),
    },
  };
}

/** A new prompt begins when its id changes. Clients that give none get one from the row. */
function notePrompt(thread: Thread, row: Json, inner: Json): void {
  const { promptId, uuid } = row;
  const isResult = blocksOf(inner["content"]).some((block) => block["type"] === "tool_result");
  const id = isText(promptId) ? promptId : isResult ? thread.promptId : String(uuid);
  if (id === thread.promptId) return;
  thread.promptId = id;
  thread.answers.clear();
}

function isRepeated(thread: Thread, name: string, block: Json): boolean {
  const { text, thinking, content } = block;
  const words = [text, thinking, content].find(isText) ?? writtenJson(block);
  const hash = Bun.hash.xxHash3(`${name} ${words}`);
  if (thread.seen.has(hash)) return true;
  thread.seen.add(hash);
  return false;
}

/** The fields of a row beside its content and those that have a name of their own in metadata. */
function restOf(row: Json, inner: Json, said: string): unknown {
  const { cwd: _, gitBranch: __, version: ___, timestamp: ____, ...rest } = row;
  const { content: _____, model: ______, ...about } = inner;
  return keptBeside(said, { ...rest, message: about });
}

function blockRest(block: Json): Json {
  const { type: _, text: __, ...rest } = block;
  return Object.keys(rest).length > 0 ? { block: shallow(rest) } : {};
}

function between(from: string | undefined, to: unknown): number | undefined {
  const end = timeOf(to);
  return from === undefined || end === undefined ? undefined : Math.max(0, Date.parse(end) - Date.parse(from));
}
