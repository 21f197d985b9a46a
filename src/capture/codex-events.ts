import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { areAmong, isText, kept, linesOf, readable, textOf, wordsOf } from "./blocks.ts";
import type { Said } from "./captured.ts";
import { isPersons, kindOfUserText } from "./client-words.ts";

/** Events that report progress or carry numbers. */
const silentEvents =
  /^(?:.*_delta|.*_begin|task_started|task_complete|turn_started|turn_complete|token_count|turn_diff|raw_response_item|session_configured|thread_settings_applied|thread_name_updated|context_compacted|shutdown_complete|item_started|sub_agent_activity|hook_started|agent_reasoning_section_break|ContextCompaction|Sleep|SubAgentActivity)$/;
/** Events that say what an item says, too, by the kind of its message. */
const talkEvents: Readonly<Record<string, string>> = {
  user_message: "prompt",
  UserMessage: "prompt",
  agent_message: "answer",
  AgentMessage: "answer",
  agent_reasoning: "thinking",
  agent_reasoning_raw_content: "thinking",
  Reasoning: "thinking",
  HookPrompt: "hook",
};
/** Events that tell the end of a tool's call, which most times has items: the call, and its output. */
const callEvents =
  /^(?:.*_end|view_image_tool_call|dynamic_tool_call_response|CommandExecution|FileChange|McpToolCall|DynamicToolCall|CollabAgentToolCall|ImageView|ImageGeneration|WebSearch)$/;
const commandEvents = /^(?:exec_command_end|CommandExecution)$/;
const searchEvents = /^(?:web_search_end|WebSearch)$/;
/** What a call's end adds to the call: where its item is known, the rest is said there. */
const outcomes = ["result", "error", "stdout", "stderr", "content_items", "message", "agents_states", "statuses"];

/** Texts that wait for their item, and texts of items that an event may repeat; both stay near each other. */
const MAX_UNSAID = 1000;
const MAX_SAID_LATELY = 200;
const MAX_CALLS = 10_000;
/** Characters of the latest outputs, in which the whole output of a command is looked for at the end of its turn. */
const MAX_OUTPUT_CHARACTERS = 8_000_000;

type Item = Omit<Said, "id" | "time">;

/** What an event told, and no item has said yet. */
export interface Unsaid extends Item {
  /** What tells it from others of the same words. */
  name: string;
  time: string | undefined;
  /** What a command printed. The model may have got less of it, or in pieces. */
  printed?: string;
}

/**
 * What events of Codex tell. Most repeat an item, before it or behind it, and are notes. Those that no item repeats until their
 * turn ends are said then; others that a person saw, such as a plan, a review or an error, are said at once.
 */
export class CodexEvents {
  /** Texts of the latest items, for events that come after theirs. */
  readonly #saidLately = new Set<string>();
  /** By their words, or by the id of their call. */
  readonly #unsaid = new Map<string, Unsaid>();
  readonly #calls = new Set<string>();
  readonly #answered = new Set<string>();
  /** The latest outputs of this turn. */
  readonly #outputs: string[] = [];
  #outputCharacters = 0;
  #lastPrompt = "";
  #lastAnswer = "";

  /** What nothing has repeated until the end of a turn or of the session. */
  takeUnsaid(): Unsaid[] {
    const lines = this.#unsaid.size > 0 ? linesOf(this.#outputs) : new Set<string>();
    const left = [...this.#unsaid.values()].filter(({ printed }) => printed === undefined || !areAmong(printed, lines));
    this.#unsaid.clear();
    this.#outputs.length = 0;
    this.#outputCharacters = 0;
    this.#lastPrompt = "";
    return left;
  }

  /** Notes that an item has said texts. */
  noteSaid(blocks: readonly unknown[], kind = ""): void {
    const whole = readable([...blocks]);
    for (const text of [whole, ...blocks.map(textOf)]) {
      if (text === undefined) continue;
      this.#unsaid.delete(text);
      remember(this.#saidLately, text, MAX_SAID_LATELY);
    }
    if (kind === "answer") this.#lastAnswer = whole;
    if (kind === "prompt") this.#lastPrompt = whole;
    // Items frame what a person typed, what a hook says and what a person's own command printed.
    const isFramed: Record<string, (told: Unsaid) => boolean> = {
      prompt: (told) => told.kind === kind && endsWith(whole, told.content),
      hook: (told) => told.kind === kind && whole.includes(told.content),
      "command-output": ({ printed }) => printed !== undefined && whole.includes(printed.trim()),
    };
    const isRepeated = isFramed[kind];
    if (isRepeated) for (const [key, told] of this.#unsaid) if (isRepeated(told)) this.#unsaid.delete(key);
  }

  /** Notes a call, as an item tells it; the words of a search stand for its id. */
  noteCall(id: string, words: readonly unknown[]): void {
    if (id !== "") remember(this.#calls, id, MAX_CALLS);
    this.noteSaid(words);
  }

  /** Notes the output of a call, as an item tells it. */
  noteOutput(id: string, text: string): void {
    remember(this.#answered, id, MAX_CALLS);
    this.#outputs.push(text);
    this.#outputCharacters += text.length;
    while (this.#outputCharacters > MAX_OUTPUT_CHARACTERS && this.#outputs.length > 1)
      this.#outputCharacters -= this.#outputs.shift()?.length ?? 0;
    const { printed } = this.#unsaid.get(callKey(id)) ?? {};
    if (printed === undefined || areAmong(printed, linesOf([text]))) this.#unsaid.delete(callKey(id));
  }

  /** An event: a note when an item says the same, or may say it yet; else what a person saw. */
  read(payload: Json, time: string | undefined): Item {
    const item = payload["item"];
    const isItem = payload["type"] === "item_completed" && isObject(item);
    const { type: given, ...told } = isItem ? item : payload;
    const type = String(given);
    const kind = talkEvents[type];
    if (kind !== undefined) this.#holdTalk(kind, type, told, time);
    if (kind !== undefined || silentEvents.test(type)) return note(payload);
    if (callEvents.test(type)) return this.#call(type, told, payload, time);
    // The call has an item, and so will its result.
    if (isText(told["call_id"]) && this.#calls.has(told["call_id"])) return note(payload);
    const words = wordsOf(told);
    if (words === "" || words === this.#lastAnswer) return note(payload);
    const shown = type === "turn_aborted" ? "interrupted" : isItem ? "item_completed" : type;
    return { role: "system", kind: shown, content: words, metadata: { row: kept(payload) } };
  }

  /** Keeps what the talk's own events say, until an item says it. */
  #holdTalk(given: string, event: string, told: Json, time: string | undefined): void {
    for (const content of textsOf(told)) {
      if (this.#saidLately.has(content)) continue;
      if (given === "prompt" && this.#lastPrompt !== "" && endsWith(this.#lastPrompt, content)) continue;
      const kind = given === "prompt" ? kindOfUserText(content) : given;
      const speaker = given === "hook" ? "system" : "assistant";
      const role = given !== "prompt" ? speaker : isPersons(kind) ? "user" : "system";
      this.#hold(content, { name: content, role, kind, content, time, metadata: { event } });
    }
  }

  #hold(key: string, told: Unsaid): void {
    if (this.#unsaid.size < MAX_UNSAID) this.#unsaid.set(key, told);
  }

  /** The end of a call. Without its items, everything that it tells was seen. */
  #call(type: string, told: Json, payload: Json, time: string | undefined): Item {
    const { id: itemId, call_id, ...rest } = told;
    const id = [call_id, itemId].find(isText) ?? "";
    const isKnown = this.#calls.has(id);
    if (commandEvents.test(type)) this.#holdCommand(id, isKnown, rest, time);
    else if (searchEvents.test(type)) this.#holdSearch(id, rest, time);
    else if (!this.#answered.has(id)) {
      const paths = isObject(rest["changes"]) ? Object.keys(rest["changes"]) : [];
      const content = wordsOf(isKnown ? outcomes.map((name) => rest[name]) : [paths, rest]);
      if (content !== "" && !isKnown) return { role: "tool", kind: type, content, metadata: { row: kept(payload) } };
      const result = { role: "tool", kind: "tool_result", content, name: id, time } as const;
      if (content !== "") this.#hold(callKey(id), { ...result, metadata: { tool_use_id: id } });
    }
    return note(payload);
  }

  #holdCommand(id: string, isKnown: boolean, told: Json, time: string | undefined): void {
    const { aggregated_output: whole, formatted_output: formatted, stdout, stderr, command, exit_code } = told;
    const printed = [whole, [stdout, stderr].filter(isText).join("\n"), formatted].find(isText) ?? "";
    const line = Array.isArray(command) ? command.join(" ") : command;
    const content = [isKnown ? "" : line, printed].filter(isText).join("\n");
    if (content === "" || (isKnown && printed.trim() === "")) return;
    const outcome = exit_code === undefined || exit_code === 0 ? "success" : "error";
    const metadata = { ...(id === "" ? {} : { tool_use_id: id }), outcome };
    const name = id || content;
    this.#hold(callKey(name), { role: "tool", kind: "tool_result", content, name, time, printed, metadata });
  }

  /** A search of the web: its item has the same words. */
  #holdSearch(id: string, { query, action }: Json, time: string | undefined): void {
    const content = isText(query) ? query : wordsOf(action);
    if (content === "" || this.#saidLately.has(content)) return;
    const metadata = { tool: "web_search", ...(id === "" ? {} : { tool_use_id: id }) };
    this.#hold(content, { role: "assistant", kind: "tool_use", content, name: content, time, metadata });
  }
}

const callKey = (id: string) => `call ${id}`;

/** The texts of an event of the talk: of older ones in a field, of newer ones in lists. */
function textsOf({ message, text, ...told }: Json): string[] {
  const lists = [told["content"], told["fragments"], told["summary_text"], told["raw_content"]];
  const parts = lists.flatMap((list): unknown[] => (Array.isArray(list) ? list : []));
  return [message, text, ...parts.map((part) => (isObject(part) ? part["text"] : part))].filter(isText);
}

/** Whether a text ends with another, which a client put behind its own. */
function endsWith(text: string, end: string): boolean {
  return text.trimEnd().endsWith(end.trim());
}

/** Adds to a set that keeps the latest. */
function remember(set: Set<string>, text: string, most: number): void {
  set.delete(text);
  set.add(text);
  const [oldest] = set;
  if (set.size > most && oldest !== undefined) set.delete(oldest);
}

/** An event that a program reads, or that repeats an item: its type stands for it. */
function note(payload: Json): Item {
  const type = isText(payload["type"]) ? ` ${payload["type"]}` : "";
  const content = `[event_msg${type}]`;
  return { role: "system", kind: "event_msg", content, bookkeeping: true, metadata: { row: kept(payload) } };
}
