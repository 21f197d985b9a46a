import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { toolCall, toolResult } from "./blocks.ts";
import { Occurrences, conversationId, derivedId, parseRow, shallow, stated, timeOf } from "./captured.ts";
import type { Captured, CapturedMessage, SourceReader } from "./captured.ts";

const CODEX = "codex";

const knownRows = new Set([
  "session_meta",
  "turn_context",
  "world_state",
  "token_usage_record",
  "event_msg",
  "response_item",
  "compacted",
]);
const calls = new Set(["function_call", "custom_tool_call", "local_shell_call", "web_search_call"]);
const outputs = new Set(["function_call_output", "custom_tool_call_output"]);
/** How the output of a command begins (0.169): how long it took in seconds, and for one that has ended its exit code. */
const outputHead = /^(?:Chunk ID: .*\n)?Wall time: ([\d.]+) seconds\n(?:Process exited with code (-?\d+)\n)?/;
/** What Codex says in the user's name stands in such a tag. */
const machineMade = /^<(environment_context|user_instructions|INSTRUCTIONS|turn_aborted)\b/;

interface PayloadMessage {
  role: CapturedMessage["role"];
  content: string;
  metadata: Json;
}

/** Reads sessions of Codex (`rollout-….jsonl`): a row a line, with what it says in `payload`; in older ones without. */
export class CodexReader implements SourceReader {
  readonly #file: string;
  #conversation: string | undefined;
  #lastTime: unknown;
  readonly #sameTime = new Occurrences();
  readonly #tools = new Map<string, { tool: string; time: string | undefined }>();
  #model: unknown;

  /** `file` stands for the session where the rows do not name it. */
  constructor(file: string) {
    this.#file = file;
  }

  take(text: string): Captured[] {
    const parsed = parseRow(text);
    if ("broken" in parsed) return parsed.broken;
    const { row } = parsed;
    // The first versions began with the session's facts and wrote the items as they are.
    const isBare = !isObject(row["payload"]);
    const payload = isObject(row["payload"]) ? row["payload"] : row;
    const isFirst = this.#conversation === undefined;
    const type = isBare
      ? isFirst && row["type"] === undefined
        ? "session_meta"
        : "response_item"
      : String(row["type"]);
    const beginning = isFirst ? this.#begin(row, type === "session_meta" ? payload : {}) : [];
    if (type === "turn_context") this.#model = payload["model"] ?? this.#model;
    const time = timeOf(row["timestamp"]);
    const made = type === "response_item" ? this.#item(payload, time) : bookkeeping(type, payload);
    const conversation = this.#conversation ?? "";
    const kept: Captured = {
      kind: "message",
      conversation,
      message: {
        message_id: this.#messageId(conversation, row, text),
        role: made.role,
        content: made.content,
        ...(time === undefined ? {} : { created_at: time }),
        metadata: { source: CODEX, ...made.metadata },
      },
    };
    return [
      ...beginning,
      kept,
      ...(made.metadata["kind"] === "unknown" || !knownRows.has(type) ? [unknown(type, payload)] : []),
    ];
  }

  end(): Captured[] {
    return [];
  }

  #begin(row: Json, meta: Json): Captured[] {
    const session = typeof meta["id"] === "string" ? meta["id"] : this.#file;
    this.#conversation = conversationId(CODEX, session);
    const git = isObject(meta["git"]) ? meta["git"] : {};
    const time = timeOf(meta["timestamp"] ?? row["timestamp"]);
    const metadata = stated({
      source: CODEX,
      cwd: meta["cwd"],
      branch: git["branch"],
      client_version: meta["cli_version"],
    });
    return [
      {
        kind: "conversation",
        begin: {
          conversation_id: this.#conversation,
          session_id: session,
          ...(time === undefined ? {} : { created_at: time }),
          metadata,
        },
      },
    ];
  }

  /** Rows have no ids: the text with its time stands for one, and its place among the same of one time. */
  #messageId(conversation: string, row: Json, text: string): string {
    if (row["timestamp"] !== this.#lastTime) this.#sameTime.clear();
    this.#lastTime = row["timestamp"];
    const name = derivedId(conversation, text);
    return derivedId(name, `${this.#sameTime.count(name)}`);
  }

  #item(payload: Json, time: string | undefined): PayloadMessage {
    const type = String(payload["type"]);
    if (type === "message") return message(payload, this.#model);
    if (type === "reasoning") return reasoning(payload);
    if (calls.has(type)) return this.#call(payload, type, time);
    if (outputs.has(type)) return this.#output(payload, time);
    return { role: "system", content: `[${type}]`, metadata: { kind: "unknown", row: shallow(payload) } };
  }

  #call(payload: Json, type: string, time: string | undefined): PayloadMessage {
    const { name, namespace, arguments: args, input, action, call_id, ...rest } = payload;
    const plain = typeof name === "string" ? name : type.replace(/_call$/, "");
    // The tools of a server stand in a namespace, mcp__SERVER, with which Claude Code names them too.
    const tool = typeof namespace === "string" ? `${namespace}__${plain}` : plain;
    if (typeof call_id === "string") this.#tools.set(call_id, { tool, time });
    const call = toolCall(tool, typeof call_id === "string" ? call_id : "", decoded(args) ?? input ?? action);
    return {
      role: "assistant",
      content: call.content,
      metadata: { kind: "tool_use", ...stated({ model: this.#model }), ...call.metadata, row: shallow(rest) },
    };
  }

  #output(payload: Json, time: string | undefined): PayloadMessage {
    const { output, call_id, ...rest } = payload;
    const call = this.#tools.get(String(call_id));
    this.#tools.delete(String(call_id));
    const value = decoded(output) ?? output;
    const facts = isObject(value) && isObject(value["metadata"]) ? value["metadata"] : statedFacts(output);
    const result = isObject(value)
      ? toolResult(call?.tool, value["output"] ?? value["content"] ?? JSON.stringify(value))
      : toolResult(call?.tool, value);
    const failed =
      (isObject(value) && value["success"] === false) ||
      (typeof facts["exit_code"] === "number" && facts["exit_code"] !== 0);
    return {
      role: "tool",
      content: result.content,
      metadata: {
        kind: "tool_result",
        ...stated({
          tool: call?.tool,
          tool_use_id: call_id,
          outcome: failed ? "error" : "success",
          duration_ms: durationMs(facts, call?.time, time),
        }),
        ...result.metadata,
        row: shallow({ ...rest, ...(Object.keys(facts).length > 0 ? { facts } : {}) }),
      },
    };
  }
}

/** What the output of a command says of itself, in the names that older versions gave it. */
function statedFacts(output: unknown): Json {
  const [, seconds, exitCode] = (typeof output === "string" && outputHead.exec(output)) || [];
  return {
    ...(seconds === undefined ? {} : { duration_seconds: Number(seconds) }),
    ...(exitCode === undefined ? {} : { exit_code: Number(exitCode) }),
  };
}

function message(payload: Json, model: unknown): PayloadMessage {
  const { role, content, ...rest } = payload;
  const blocks = Array.isArray(content) ? content.filter(isObject) : [{ text: String(content) }];
  const texts = blocks.flatMap((block) => (typeof block["text"] === "string" ? [block["text"]] : []));
  const others = blocks.filter((block) => typeof block["text"] !== "string");
  const text = texts.join("\n\n") || others.map((block) => `[${String(block["type"])}]`).join(" ") || "(empty)";
  const isPerson = role === "user" && !machineMade.test(text.trimStart());
  return {
    role: role === "assistant" ? "assistant" : isPerson ? "user" : "system",
    content: text,
    metadata: {
      kind: role === "assistant" ? "answer" : isPerson ? "prompt" : "message",
      ...(role === "assistant" ? stated({ model }) : {}),
      ...(others.length > 0 ? { blocks: shallow(others) } : {}),
      row: shallow(rest),
    },
  };
}

function reasoning(payload: Json): PayloadMessage {
  const { summary, content, ...rest } = payload;
  const texts = [summary, content].flatMap((list) =>
    Array.isArray(list)
      ? list.filter(isObject).flatMap((each) => (typeof each["text"] === "string" ? [each["text"]] : []))
      : [],
  );
  return {
    role: "assistant",
    content: texts.join("\n\n") || "(thinking)",
    metadata: { kind: "thinking", row: shallow(rest) },
  };
}

/** Short, so that searches find the talk: events repeat what the items say. */
function bookkeeping(type: string, payload: Json): PayloadMessage {
  const inner = typeof payload["type"] === "string" ? ` ${payload["type"]}` : "";
  return { role: "system", content: `[${type}${inner}]`, metadata: { kind: type, row: shallow(payload) } };
}

function unknown(type: string, payload: Json): Captured {
  return { kind: "unknown", type: knownRows.has(type) ? `${type}/${String(payload["type"])}` : type };
}

/** Arguments and outputs are often JSON in a text. */
function decoded(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[{[]/.test(value)) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

function durationMs(facts: Json, from: string | undefined, to: string | undefined): number | undefined {
  if (typeof facts["duration_seconds"] === "number") return Math.round(facts["duration_seconds"] * 1000);
  return from === undefined || to === undefined ? undefined : Math.max(0, Date.parse(to) - Date.parse(from));
}
