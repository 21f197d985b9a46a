import { hasLines, isText, kept, readable, textOf, toolCall, toolResult, wordsOf } from "./blocks.ts";
import {
  Occurrences,
  TITLE,
  begin,
  conversationId,
  derivedId,
  message,
  parseRow,
  said,
  stated,
  titled,
} from "./captured.ts";
import type { Captured, Said, SourceFacts } from "./captured.ts";
import { isPersons, kindOfUserText } from "./client-words.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

/** Facts that a source knows of one piece of a conversation, beside its words. */
export interface Piece {
  /** The source's own name of it, unique in its conversation. Without one it is named by its kind, its words and their order. */
  name?: string | undefined;
  /** ISO 8601. Without one the piece has the time of the piece before. */
  time?: string | undefined;
  model?: unknown;
  /** The tokens of the answer that it belongs to: the first piece that is given them tells them. */
  tokens?: Json | undefined;
  bookkeeping?: boolean | undefined;
  abandoned?: boolean | undefined;
  /** The rest of the row, for metadata; bytes in it become their type, size and hash. */
  row?: unknown;
}

/**
 * The messages of one conversation in the shape that all sources share: prompts, answers, thinking, calls and their
 * results, and notes of the client. Texts stay as they came.
 */
export class Talk {
  readonly conversation: string;
  readonly #source: string;
  readonly #session: string;
  readonly #same = new Occurrences();
  readonly #tools = new Map<string, string>();
  /** Counts of tokens that a piece has already told: pieces of one answer share theirs. */
  readonly #counted = new WeakSet<Json>();
  #lastTime: string | undefined;

  constructor(source: string, session: string) {
    this.#source = source;
    this.#session = session;
    this.conversation = conversationId(source, session);
  }

  /** Begins the conversation; a title that the client gave is told once more as a fact, because it may change later. */
  begin(facts: Omit<SourceFacts, "conversation" | "source" | "session">): Captured[] {
    this.#lastTime ??= facts.time;
    const { conversation } = this;
    return [
      begin({ ...facts, conversation, source: this.#source, session: this.#session }),
      ...this.title(facts.title),
    ];
  }

  /** The same for a history: its conversations count only when no other source has them. */
  beginUnlessKnown(facts: Parameters<Talk["begin"]>[0]): Captured[] {
    return this.begin(facts).map((each) => (each.kind === "conversation" ? { ...each, unlessKnown: true } : each));
  }

  title(title: unknown): Captured[] {
    return titled(this.conversation, this.#source, title, this.#lastTime);
  }

  /** Marks messages as left behind, or as current again. */
  branch(abandoned: string[], current: string[] = []): Captured[] {
    if (abandoned.length === 0 && current.length === 0) return [];
    return [{ kind: "facts", facts: { conversation_id: this.conversation, abandoned, current } }];
  }

  /** A message in the user's name: a person's words or the client's own, told apart by how they begin. */
  prompt(content: unknown, piece: Piece = {}): Captured {
    const blocks = Array.isArray(content) ? content : [content ?? ""];
    const text = readable(blocks);
    const kind = kindOfUserText(text);
    return this.#said(isPersons(kind) ? "user" : "system", kind, text, piece, pictures(blocks));
  }

  answer(content: unknown, piece: Piece = {}): Captured {
    const blocks = Array.isArray(content) ? content : [content ?? ""];
    return this.#said("assistant", "answer", readable(blocks), piece, pictures(blocks));
  }

  thinking(text: string, piece: Piece = {}): Captured {
    return this.#said("assistant", "thinking", text || "(thinking)", piece);
  }

  /** A tool's call. Arguments that are JSON in a text are shown as arguments. */
  call(tool: string, callId: string, input: unknown, piece: Piece = {}): Captured {
    if (callId !== "") this.#tools.set(callId, tool);
    const { content, metadata } = toolCall(tool, callId, decoded(input));
    return this.#said("assistant", "tool_use", content, { ...piece, name: scoped(piece, callId) }, metadata ?? {});
  }

  /** A tool's result. The tool is that of the call with this id, unless it is told. */
  result(
    callId: string,
    content: unknown,
    isError: boolean,
    { tool = this.#tools.get(callId), ...piece }: Piece & { tool?: string | undefined } = {},
  ): Captured {
    const { content: text, metadata } = toolResult(tool, content);
    const outcome = isError ? "error" : "success";
    const facts = stated({ tool, tool_use_id: callId || undefined, outcome, ...metadata });
    return this.#said("tool", "tool_result", text, { ...piece, name: scoped(piece, callId) }, facts);
  }

  /** What the client showed of a result in other words than the model got; a change of a file is told by its call. */
  display(shown: unknown, result: Captured, { name, time }: Piece): Captured[] {
    const isChange = isObject(shown) && "fileDiff" in shown;
    const words = typeof shown === "string" ? shown : isChange ? "" : wordsOf(shown);
    if (words.trim() === "" || (result.kind === "message" && hasLines(result.message.content, words))) return [];
    return [this.note("display", words, { name: name && `${name} display`, time })];
  }

  /** A message or note of the client itself. Without words it is bookkeeping, and its kind stands for it. */
  note(kind: string, text: string, piece: Piece = {}): Captured {
    const bookkeeping = piece.bookkeeping ?? text === "";
    return this.#said("system", kind, text || `[${kind}]`, { ...piece, bookkeeping });
  }

  /** A piece of a type that the reader does not know: its words are kept, and the type is counted. */
  unknown(type: string, text: string, piece: Piece = {}): Captured[] {
    return [this.note(type, text, piece), { kind: "unknown", type: `${this.#source}/${type}` }];
  }

  #said(role: Said["role"], kind: string, content: string, piece: Piece, more: Json = {}): Captured {
    const { name, model, row } = piece;
    const tokens = piece.tokens === undefined || this.#counted.has(piece.tokens) ? undefined : piece.tokens;
    if (tokens !== undefined) this.#counted.add(tokens);
    this.#lastTime = piece.time ?? this.#lastTime;
    const slot = derivedId(this.conversation, kind, name ?? content);
    const id = name === undefined ? derivedId(slot, `${this.#same.count(slot)}`) : slot;
    const metadata = {
      source: this.#source,
      ...stated({ model: said(model), tokens, row: row === undefined ? undefined : kept(row) }),
      ...more,
    };
    const { bookkeeping = false, abandoned = false } = piece;
    return message(this.conversation, {
      id,
      role,
      kind,
      content,
      time: this.#lastTime,
      bookkeeping,
      abandoned,
      metadata,
    });
  }
}

/** The ids of messages among captured pieces. */
export function idsOf(captured: Captured[]): string[] {
  return captured.flatMap((each) => (each.kind === "message" ? [each.message.message_id] : []));
}

/** Captured pieces without conversations in which nothing was said, as clients leave them that were opened and closed. */
export function withMessages(captured: Captured[]): Captured[] {
  const isTitle = (each: Captured) => each.kind === "message" && each.message.metadata?.["kind"] === TITLE;
  if (captured.some((each) => each.kind === "message" && !isTitle(each))) return captured;
  return captured.filter((each) => each.kind !== "conversation" && each.kind !== "facts" && !isTitle(each));
}

/** A call's id counts within the row that names it: some models count their calls from the beginning in each answer. */
function scoped({ name }: Piece, callId: string): string | undefined {
  if (name === undefined) return callId === "" ? undefined : callId;
  return `${name} ${callId}`;
}

function pictures(blocks: unknown[]): Json {
  const others = blocks.filter((block) => textOf(block) === undefined);
  return others.length > 0 ? { blocks: others.map(kept) } : {};
}

function decoded(input: unknown): unknown {
  if (typeof input !== "string" || !/^\s*\{/.test(input)) return input;
  const parsed = parseRow(input);
  return "row" in parsed ? parsed.row : input;
}

/** The tokens of an answer under the names that all sources share; undefined when the source tells none. */
export function tokensOf(
  usage: unknown,
  names: Partial<Record<"input" | "output" | "cache_read" | "cache_write" | "thinking" | "total", string>>,
): Json | undefined {
  if (typeof usage !== "object" || usage === null) return undefined;
  const found = Object.entries(names).flatMap(([name, path]) => {
    const value = path.split(".").reduce<unknown>((inner, key) => fieldOf(inner, key), usage);
    return typeof value === "number" ? [[name, value]] : [];
  });
  return found.length > 0 ? (Object.fromEntries(found) as Json) : undefined;
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Json)[key] : undefined;
}

/** Whether a JSON text names all these keys somewhere in what was read of it. */
export function hasKeys(text: string, ...keys: string[]): boolean {
  return keys.every((key) => new RegExp(`"${key}"\\s{0,20}:`).test(text));
}

/** The first of some values that is a text with something in it. */
export function firstText(...values: unknown[]): string | undefined {
  return values.find(isText);
}

/** The elements of a value that are objects, when it is an array. */
export function objectsOf(value: unknown): Json[] {
  return Array.isArray(value)
    ? value.filter((each): each is Json => typeof each === "object" && each !== null && !Array.isArray(each))
    : [];
}

/** An id as a text; empty when there is none. */
export function idOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? `${value}` : "";
}
