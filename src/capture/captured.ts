import { hashedUuid } from "../uuid.ts";
import { isDeeperThan, isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

/** A message as the store's bulk tool takes it. */
export interface CapturedMessage {
  message_id: string;
  role: "user" | "assistant" | "system" | "tool";
  content: string;
  /** ISO 8601; absent when the source does not say. */
  created_at?: string;
  /** Only where the source is Dewey's own: other sources have an order and no numbers. */
  turn_number?: number;
  metadata: Json | null;
}

/** Whether a message is a program's note, such as a title: people are told of no such messages. */
export function isBookkeeping({ metadata }: CapturedMessage): boolean {
  return metadata?.["bookkeeping"] === true;
}

/** The beginning of a conversation, as the store's tool takes it. */
export interface CapturedConversation {
  conversation_id: string;
  session_id?: string;
  created_at?: string;
  metadata: Json | null;
}

/** Later knowledge about a conversation, as the store's tool takes it. Absent fields stay as they are. */
export interface CapturedFacts {
  conversation_id?: string;
  /** In place of the id: metadata that one of the conversation's messages contains. */
  of_message?: Json;
  title?: string;
  title_source?: "person" | "client" | "prompt";
  starred?: boolean;
  forked_from?: string;
  parent_id?: string;
  /** Ids of messages on branches that were left, and of those on the current one. */
  abandoned?: string[];
  current?: string[];
  /** Fields to add to its metadata. */
  metadata?: Json;
}

/** A startup context, without its history. */
export interface CapturedContext {
  name: string;
  content: string;
  is_active: boolean;
}

/** The result of reading a piece of a source, in the order of the source. */
export type Captured =
  /**
   * With `unlessKnown`, it and its messages are passed over when the store has it from elsewhere; with `ifNeeded` it begins
   * with the first message that the store does not have.
   */
  | { kind: "conversation"; begin: CapturedConversation; unlessKnown?: true; ifNeeded?: true }
  | {
      kind: "message";
      conversation: string;
      message: CapturedMessage;
      /** The id that builds before migration 0015 gave it, where that is another one. */
      former?: (() => string) | undefined;
    }
  | { kind: "facts"; facts: CapturedFacts }
  /** What stands apart from a conversation that another source begins: it counts once the conversation is there. */
  | { kind: "apart"; conversation: string; captured: Captured[] }
  | { kind: "context"; context: CapturedContext }
  /** An orchestration result, as the store's tool takes it. */
  | { kind: "result"; result: Json }
  /** A repetition of an earlier row. It only counts it. */
  | { kind: "repeated" }
  /** Of a type that the reader does not know. It is kept as a message all the same; this only counts it. */
  | { kind: "unknown"; type: string }
  | { kind: "broken"; reason: string };

/** The result of reading one row, that row's number, and where in the file it ends. */
export interface CapturedRow {
  captured: Captured[];
  number: number;
  end: number;
}

/** Where something stands in its source. */
export interface SourcePlace {
  source: string;
  row: number;
}

/** Understands one kind of source, a row (or a JSON document) at a time. */
export interface SourceReader {
  /**
   * The files beside its own that it has looked at, once everything is read. Absent when what it makes may depend on more than
   * the content of files, or on any.
   */
  readonly consulted?: readonly string[];
  take(row: string): Captured[];
  /** Returns what was held back until more was known. */
  end(): Captured[];
}

/** The facts of a conversation that every source states, under the names that the store knows. */
export interface SourceFacts {
  /** The conversation's id in the store. */
  conversation: string;
  /** The kind of source, such as codex: `client` in lists. */
  source: string;
  /** The source's own name of the session; conversations of one session share it. */
  session: string;
  title?: unknown;
  cwd?: unknown;
  branch?: unknown;
  model?: unknown;
  clientVersion?: unknown;
  /** The conversation that started this one as a sub-agent, and the one that it continues. */
  parent?: string | undefined;
  forkedFrom?: string | undefined;
  /** ISO 8601. */
  time?: string | undefined;
  /** Anything else worth keeping. */
  more?: Json;
}

/** Begins a conversation from a source's facts. */
export function begin(facts: SourceFacts): Captured {
  const { conversation, session, time, more, source, title, cwd, branch, model, clientVersion, parent, forkedFrom } =
    facts;
  const metadata = stated({
    source,
    title: said(title),
    cwd: said(cwd),
    branch: said(branch),
    model: said(model),
    client_version: said(clientVersion),
    parent_conversation_id: parent,
    forked_from: forkedFrom,
    ...more,
  });
  const created_at = time === undefined ? {} : { created_at: time };
  return {
    kind: "conversation",
    begin: { conversation_id: conversation, session_id: session, ...created_at, metadata },
  };
}

/**
 * A title that the client gave: a fact of the conversation, and a note in it, so that a search finds its words like all others
 * that a person read, also after the title was changed.
 */
export function titled(conversation: string, source: string, title: unknown, time: string | undefined): Captured[] {
  const content = said(title);
  if (content === undefined) return [];
  const id = derivedId(conversation, "title", content);
  const note = { id, role: "system", kind: TITLE, content, time, bookkeeping: true, metadata: { source } } as const;
  return [
    message(conversation, note),
    { kind: "facts", facts: { conversation_id: conversation, title: content, title_source: "client" } },
  ];
}

/** The kind of the notes that hold a conversation's titles. */
export const TITLE = "title";

/** One thing that was said, as every source states it. */
export interface Said {
  id: string;
  /** The id that builds before migration 0015 gave it, where that is another one. */
  former?: (() => string) | undefined;
  role: CapturedMessage["role"];
  /** What it is: prompt, answer, thinking, tool_use, tool_result, or the source's own word. */
  kind: string | undefined;
  content: string;
  /** ISO 8601. */
  time: string | undefined;
  /** Noted by a program for itself: kept, and hidden unless asked for. */
  bookkeeping?: boolean;
  abandoned?: boolean;
  metadata: Json;
}

/** A message from what was said. A text that is empty has a name of its kind in its place, because the store takes none. */
export function message(conversation: string, { id, former, role, kind, content, time, ...rest }: Said): Captured {
  const metadata = {
    ...rest.metadata,
    ...(kind === undefined ? {} : { kind }),
    ...(rest.bookkeeping ? { bookkeeping: true } : {}),
    ...(rest.abandoned ? { abandoned: true } : {}),
  };
  return {
    kind: "message",
    conversation,
    message: {
      message_id: id,
      role,
      content: content || "(empty)",
      ...(time === undefined ? {} : { created_at: time }),
      metadata,
    },
    ...(former === undefined ? {} : { former }),
  };
}

/**
 * Numbers that JavaScript may not write with their own digits: long ones, trailing zeros after a point, exponents. Nearly all
 * rows have a time, such as 10:20:30.500Z, which is none of them: a number ends where JSON goes on.
 */
const mayBeInexact = /[:[,]\s{0,20}-?(?:[\d.]{16,}|\d+\.\d*0|\d+(?:\.\d+)?[eE][+-]?\d+)(?:[\s,\]}]|$)/;

/** What is nested deeper takes seconds to write as JSON, or exceeds JavaScript's stack. Clients write a dozen levels. */
const MAX_ROW_LEVELS = 1000;
const TOO_DEEP = "[nested too deeply to be written]";

/**
 * A row as an object, or the reason why it is none. Numbers that JavaScript would write differently keep their digits. Values
 * nested deeper than `MAX_ROW_LEVELS` are named, so that the rest of their row is kept.
 */
export function parseRow(text: string): { row: Json } | { broken: Captured[] } {
  try {
    const row = parsed(text);
    if (!isObject(row)) return { broken: [{ kind: "broken", reason: "not an object" }] };
    // Each level takes two characters.
    if (text.length > 2 * MAX_ROW_LEVELS && isDeeperThan(row, MAX_ROW_LEVELS)) cutDeep(row);
    return { row };
  } catch (error) {
    return { broken: [{ kind: "broken", reason: error instanceof Error ? error.message : "not JSON" }] };
  }
}

function parsed(text: string): unknown {
  if (!mayBeInexact.test(text)) return JSON.parse(text);
  try {
    return JSON.parse(text, exactNumber as Reviver);
  } catch (error) {
    // Nested too deeply for a reviver.
    if (error instanceof RangeError) return JSON.parse(text);
    throw error;
  }
}

/** Names what is nested too deeply in a row, level by level, since a function that calls itself would exceed the stack. */
function cutDeep(row: Json): void {
  const isNested = (value: unknown): value is Json => typeof value === "object" && value !== null;
  let nested = [row];
  for (let level = 1; level < MAX_ROW_LEVELS; level += 1)
    nested = nested.flatMap((each) => Object.values(each).filter(isNested));
  for (const each of nested) {
    for (const [key, value] of Object.entries(each)) if (isNested(value)) each[key] = TOO_DEEP;
  }
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

/** JSON's raw numbers (ES2026), which TypeScript does not know yet. */
const RawJson = JSON as unknown as { rawJSON(text: string): { rawJSON: string }; isRawJSON(value: unknown): boolean };

function exactNumber(_key: string, value: unknown, context: { source?: string }): unknown {
  const { source } = context;
  if (typeof value !== "number" || source === undefined || String(value) === source) return value;
  return RawJson.rawJSON(source);
}

/** The digits of a number that `parseRow` kept; undefined for anything else. */
export function exactDigits(value: unknown): string | undefined {
  return RawJson.isRawJSON(value) ? (value as { rawJSON: string }).rawJSON : undefined;
}

/** Whether a value holds such a number. */
export function hasExactDigits(value: unknown): boolean {
  if (value === null || typeof value !== "object") return false;
  return exactDigits(value) !== undefined || Object.values(value).some(hasExactDigits);
}

/** PostgreSQL and the store take metadata nested to 100 levels; deeper levels are kept as JSON text. */
const MAX_DEPTH = 64;

/**
 * The id of something that a source holds: a UUID of version 8 (RFC 9562: the bits are the maker's own), made from its names
 * there. The same thing gets the same id from a hook, a transcript, and an import that is repeated.
 */
export function derivedId(...names: string[]): string {
  return hashedUuid(names.join("\0"));
}

export function isUuid(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** The source's own id where it is a UUID, so that people find it again; else one that is made from it. */
export function conversationId(source: string, id: string): string {
  return isUuid(id) ? id.toLowerCase() : derivedId(source, id);
}

/** The last moment of the year 9999: later times have years that ISO 8601 writes with a sign. */
const LATEST_MS = 253_402_300_799_999;

/** The last text that was read as a time: all blocks of a row, and often several rows, have the same. */
let lastTime: { text: string; time: string | undefined } = { text: "", time: undefined };

/** ISO 8601 of a time as sources write them: a text, or seconds or milliseconds since 1970. Undefined for anything else. */
export function timeOf(value: unknown): string | undefined {
  if (typeof value !== "string") return readTime(value);
  if (value !== lastTime.text) lastTime = { text: value, time: readTime(value) };
  return lastTime.time;
}

function readTime(value: unknown): string | undefined {
  const given = exactDigits(value) ?? value;
  const number = typeof given === "number" ? given : exactDigits(value) === undefined ? NaN : Number(given);
  // Seconds reach 1e11 in the year 5138, and milliseconds did in 1973.
  const sinceMs = Math.abs(number) < 1e11 ? number * 1000 : number;
  const milliseconds = Number.isNaN(number) && typeof given === "string" ? Date.parse(given) : sinceMs;
  if (!(milliseconds >= 0 && milliseconds <= LATEST_MS)) return undefined;
  return new Date(milliseconds).toISOString();
}

/** A text that says something. */
export function said(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

/** Fields of an object without those that say nothing. */
export function stated(fields: Json): Json {
  const kept: Json = {};
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (value !== undefined && value !== null) kept[key] = value;
  }
  return kept;
}

/**
 * A value that the store's metadata can hold: what is nested too deep becomes text, and so do numbers with exact digits. Parts
 * that stay as they are, and most do, are the given ones and no copies. `onText` may replace texts; it is told whether one is the `data` of a block that names its media type.
 */
export function shallow(value: unknown, depth = 0, onText?: (text: string, isMedia: boolean) => unknown): unknown {
  if (typeof value === "string") return onText ? onText(value, false) : value;
  if (value === null || typeof value !== "object") return value;
  const digits = exactDigits(value);
  if (digits !== undefined) return digits;
  if (depth === MAX_DEPTH) return writtenJson(value);
  if (Array.isArray(value)) {
    const copy = value.map((each) => shallow(each, depth + 1, onText));
    return copy.some((each, index) => each !== value[index]) ? copy : value;
  }
  const isMedia = "media_type" in value || "mimeType" in value || "mime_type" in value;
  let copy: Json | undefined;
  for (const key of Object.keys(value)) {
    const each = (value as Json)[key];
    const isData = isMedia && key === "data" && typeof each === "string" && onText;
    const shown = isData ? isData(each, true) : shallow(each, depth + 1, onText);
    if (shown === each) continue;
    copy ??= { ...value };
    // A plain assignment to __proto__ would set the prototype.
    if (key === "__proto__") Object.defineProperty(copy, key, { value: shown, enumerable: true });
    else copy[key] = shown;
  }
  return copy ?? value;
}

/** A value as JSON. One that is nested too deeply to be written is named, so that the rest of its row is kept. */
export function writtenJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return TOO_DEEP;
  }
}

/** Numbers equal things, so that each gets an id of its own. */
export class Occurrences {
  readonly #seen = new Map<string, number>();

  /** How often this was there before. */
  count(key: string): number {
    const before = this.#seen.get(key) ?? 0;
    this.#seen.set(key, before + 1);
    return before;
  }

  clear(): void {
    this.#seen.clear();
  }
}
