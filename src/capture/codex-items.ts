import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, kept, readable, textOf, toolCall, toolResult, wordsOf } from "./blocks.ts";
import { parseRow, said, shallow, stated } from "./captured.ts";
import type { Said } from "./captured.ts";
import { isPersons, kindOfUserText } from "./client-words.ts";
import { CodexEvents } from "./codex-events.ts";
import type { Unsaid } from "./codex-events.ts";

const calls = new Set([
  "custom_tool_call",
  "function_call",
  "image_generation_call",
  "local_shell_call",
  "mcp_tool_call",
  "tool_search_call",
  "web_search_call",
]);
const outputs = new Set([
  "custom_tool_call_output",
  "function_call_output",
  "local_shell_call_output",
  "mcp_tool_call_output",
  "tool_search_output",
]);
const others = new Set([
  "agent_message",
  "compaction",
  "compaction_summary",
  "context_compaction",
  "message",
  "other",
  "reasoning",
]);
/** How the output of a command begins (0.169): how long it took in seconds, and for one that has ended its exit code. */
const outputHead = /^(?:Chunk ID: [^\n]*\n)?Wall time: ([\d.]+) seconds\n(?:Process exited with code (-?\d+)\n)?/;

/** Items that say nothing to a person. */
const silentItems = new Set(["additional_tools", "compaction_trigger", "ghost_snapshot"]);

type Item = Omit<Said, "id" | "time">;

/** An item's type: some versions leave it out of messages. */
function itemType(payload: Json): string {
  return payload["type"] === undefined && isText(payload["role"]) ? "message" : String(payload["type"]);
}

/** Whether an item's type is one that these versions write. */
export function isKnownItem(payload: Json): boolean {
  const type = itemType(payload);
  return calls.has(type) || outputs.has(type) || others.has(type) || silentItems.has(type);
}

/** What a session's rows say, one message a row. */
export class CodexItems {
  readonly #tools = new Map<string, { tool: string; time: string | undefined }>();
  #model: unknown;
  /** The instructions that the first row of an older session has, unless its first messages repeat them. */
  #instructions: Unsaid | undefined;
  readonly #events = new CodexEvents();

  /** What events told and no item repeated, at the end of a turn or of a session. */
  unsaid(): Unsaid[] {
    const early = this.#instructions;
    this.#instructions = undefined;
    return [...(early ? [early] : []), ...this.#events.takeUnsaid()];
  }

  /** What belongs before an item, though its own row was earlier: it was not known then whether the next ones repeat it. */
  unsaidBefore({ kind, bookkeeping }: Item): Unsaid[] {
    const early = this.#instructions;
    if (early === undefined || bookkeeping === true || kind === "instructions" || kind === "environment") return [];
    this.#instructions = undefined;
    return [early];
  }

  /** `isKnown` when the type of the row is one that these versions write. */
  read(type: string, payload: Json, time: string | undefined, isKnown: boolean): Item {
    if (type === "turn_context") this.#model = payload["model"] ?? this.#model;
    if (type === "response_item") return this.#item(payload, time);
    if (type === "event_msg") return this.#events.read(payload, time);
    if (type === "session_meta") this.#holdInstructions(payload["instructions"], time);
    if (type === "compacted")
      return worded("system", "compact-summary", payload["message"] || payload["replacement_history"], payload);
    if (type === "inter_agent_communication") return worded("system", "agent-message", payload, payload);
    return isKnown ? note(type, payload) : worded("system", type, payload, payload);
  }

  #item(payload: Json, time: string | undefined): Item {
    const type = itemType(payload);
    if (type === "message") return this.#message(payload);
    if (type === "reasoning") return this.#reasoning(payload);
    if (calls.has(type)) return this.#call(payload, type, time);
    if (outputs.has(type)) return this.#output(payload, time);
    if (type === "agent_message") return worded("system", "agent-message", payload, payload);
    if (silentItems.has(type)) return note(type, payload);
    return worded("system", others.has(type) ? type : "unknown", payload, payload);
  }

  #holdInstructions(given: unknown, time: string | undefined): void {
    const content = said(given);
    if (content === undefined) return;
    const kind = "instructions";
    this.#instructions = { role: "system", kind, content, name: content, time, metadata: { event: "session_meta" } };
  }

  #message(payload: Json): Item {
    const { role, content, ...rest } = payload;
    const blocks: unknown[] = Array.isArray(content) ? content : [content ?? ""];
    const text = readable(blocks);
    const pictures = blocks.filter((block) => textOf(block) === undefined);
    const isAssistant = role === "assistant";
    const kind = isAssistant ? "answer" : role === "user" ? kindOfUserText(text) : "instructions";
    this.#events.noteSaid(blocks, kind);
    if (this.#instructions && text.includes(this.#instructions.content.trim())) this.#instructions = undefined;
    return {
      role: isAssistant ? "assistant" : isPersons(kind) ? "user" : "system",
      kind,
      // Without text, another's form of a call, say.
      content: text || wordsOf({ ...rest, phase: undefined }),
      metadata: {
        ...(isAssistant ? stated({ model: this.#model }) : {}),
        ...(pictures.length > 0 ? { blocks: pictures.map(kept) } : {}),
        row: kept(rest),
      },
    };
  }

  #reasoning(payload: Json): Item {
    const { summary, content, ...rest } = payload;
    const blocks = [summary, content].flatMap((list): unknown[] => (Array.isArray(list) ? list : []));
    this.#events.noteSaid(blocks);
    const text = readable(blocks);
    return { role: "assistant", kind: "thinking", content: text || "(thinking)", metadata: { row: shallow(rest) } };
  }

  #call(payload: Json, type: string, time: string | undefined): Item {
    const { name, namespace, arguments: args, input, action, revised_prompt: drawn, call_id, id, ...rest } = payload;
    const plain = isText(name) ? name : type.replace(/_call$/, "");
    // The tools of a server stand in a namespace, mcp__SERVER, with which Claude Code names them too.
    const tool = isText(namespace) ? `${namespace}__${plain}` : plain;
    const toolUseId = [call_id, id].find(isText) ?? "";
    if (toolUseId !== "") this.#tools.set(toolUseId, { tool, time });
    this.#events.noteCall(toolUseId, type === "web_search_call" ? wordsOf(action).split("\n") : []);
    const call = toolCall(
      tool,
      toolUseId,
      decoded(args) ?? args ?? input ?? action ?? (isText(drawn) ? { drawn } : undefined),
    );
    return {
      role: "assistant",
      kind: "tool_use",
      content: call.content,
      metadata: { ...stated({ model: this.#model }), ...call.metadata, row: kept(rest) },
    };
  }

  #output(payload: Json, time: string | undefined): Item {
    const { output, call_id, ...rest } = payload;
    const call = this.#tools.get(String(call_id));
    this.#tools.delete(String(call_id));
    const { text, facts } = outputOf(output);
    const result = toolResult(call?.tool, text);
    this.#events.noteOutput(String(call_id), result.content);
    const isObjectOutput = isObject(output) && output["success"] === false;
    const failed = isObjectOutput || (typeof facts["exit_code"] === "number" && facts["exit_code"] !== 0);
    return {
      role: "tool",
      kind: "tool_result",
      content: result.content,
      metadata: {
        ...stated({
          tool: call?.tool,
          tool_use_id: call_id,
          outcome: failed ? "error" : "success",
          duration_ms: durationMs(facts, call?.time, time),
        }),
        ...result.metadata,
        row: kept({ ...rest, ...(Object.keys(facts).length > 0 ? { facts } : {}) }),
      },
    };
  }
}

/** A message of everything that a person can read in a row. */
function worded(role: Item["role"], kind: string, value: unknown, payload: Json): Item {
  const content = wordsOf(value);
  return {
    role,
    kind,
    content: content || `[${isText(payload["type"]) ? payload["type"] : kind}]`,
    bookkeeping: content === "" && kind !== "unknown",
    metadata: { row: kept(payload) },
  };
}

/** A row that a program reads: its type stands for it. */
function note(type: string, payload: Json): Item {
  const inner = isText(payload["type"]) ? ` ${payload["type"]}` : "";
  return {
    role: "system",
    kind: type,
    content: `[${type}${inner}]`,
    bookkeeping: true,
    metadata: { row: kept(payload) },
  };
}

/**
 * The text of an output as it came, and what it says of itself. Older versions wrapped a command's output in JSON of their
 * own, `{"output", "metadata"}`, and all of them answer in text, in blocks, or in an object with `content` and `success`.
 */
function outputOf(output: unknown): { text: unknown; facts: Json } {
  const wrapped = typeof output === "string" ? decoded(output) : output;
  if (isObject(wrapped) && isObject(wrapped["metadata"]) && Object.keys(wrapped).length === 2 && "output" in wrapped) {
    const { metadata } = wrapped;
    if (typeof metadata["exit_code"] === "number") return { text: wrapped["output"], facts: metadata };
  }
  if (typeof output === "string") return { text: output, facts: statedFacts(output) };
  const isResult =
    isObject(output) &&
    "content" in output &&
    Object.keys(output).every((key) => /^(?:content|success|content_items)$/.test(key));
  return { text: isResult ? (output["content_items"] ?? output["content"]) : output, facts: {} };
}

/** What the output of a command says of itself, in the names that older versions gave it. */
function statedFacts(output: string): Json {
  const [, seconds, exitCode] = outputHead.exec(output) ?? [];
  return {
    ...(seconds === undefined ? {} : { duration_seconds: Number(seconds) }),
    ...(exitCode === undefined ? {} : { exit_code: Number(exitCode) }),
  };
}

/** Arguments are JSON in a text. */
function decoded(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*\{/.test(value)) return undefined;
  const parsed = parseRow(value);
  return "row" in parsed ? parsed.row : undefined;
}

function durationMs(facts: Json, from: string | undefined, to: string | undefined): number | undefined {
  if (typeof facts["duration_seconds"] === "number") return Math.round(facts["duration_seconds"] * 1000);
  return from === undefined || to === undefined ? undefined : Math.max(0, Date.parse(to) - Date.parse(from));
}
