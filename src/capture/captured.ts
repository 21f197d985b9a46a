import { hashedUuid } from "../uuid.ts";
import { isObject } from "../wire/frame.ts";
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

/** What a conversation begins with, as the store's tool takes it. */
export interface CapturedConversation {
  conversation_id: string;
  session_id?: string;
  created_at?: string;
  metadata: Json | null;
}

/** A startup context, without its history. */
export interface CapturedContext {
  name: string;
  content: string;
  is_active: boolean;
}

/** What a reader has made of a piece of a source, in the order of the source. */
export type Captured =
  | { kind: "conversation"; begin: CapturedConversation }
  | { kind: "message"; conversation: string; message: CapturedMessage }
  | { kind: "context"; context: CapturedContext }
  /** An orchestration result, as the store's tool takes it. */
  | { kind: "result"; result: Json }
  /** Of a type that the reader does not know. It is kept as a message all the same; this only counts it. */
  | { kind: "unknown"; type: string }
  | { kind: "broken"; reason: string };

/** What a reader has made of one row, which row that was, and where in the file it ends. */
export interface CapturedRow {
  captured: Captured[];
  number: number;
  end: number;
}

/** Understands one kind of source, a row (or an element of an array) at a time. */
export interface SourceReader {
  take(row: string): Captured[];
  /** What was held back until more was known. */
  end(): Captured[];
}

/** A row as an object, or why it is none. */
export function parseRow(text: string): { row: Json } | { broken: Captured[] } {
  try {
    const row: unknown = JSON.parse(text);
    return isObject(row) ? { row } : { broken: [{ kind: "broken", reason: "not an object" }] };
  } catch (error) {
    return { broken: [{ kind: "broken", reason: error instanceof Error ? error.message : "not JSON" }] };
  }
}

/** PostgreSQL and the store take metadata nested to 100 levels; what is deeper than this is kept as JSON text. */
const MAX_DEPTH = 64;

/**
 * The id of something that a source holds: a UUID of version 8 (RFC 9562: the bits are the maker's own), made from what
 * names it there. The same thing gets the same id from whoever meets it: a hook, a transcript, an import made again.
 */
export function derivedId(...names: string[]): string {
  return hashedUuid(names.join("\0"));
}

/** The source's own id where it is a UUID, so that people find it again; else one that is made from it. */
export function conversationId(source: string, id: string): string {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id) ? id.toLowerCase() : derivedId(source, id);
}

/** ISO 8601 of a time as sources write them: a text, or seconds since 1970. Undefined for what is no time. */
export function timeOf(value: unknown): string | undefined {
  const milliseconds = typeof value === "string" ? Date.parse(value) : typeof value === "number" ? value * 1000 : NaN;
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

/** Fields of an object without those that say nothing. */
export function stated(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}

/** A value that the store's metadata can hold: what is nested too deep becomes text. */
export function shallow(value: unknown, depth = 0): unknown {
  if (value === null || typeof value !== "object") return value;
  if (depth === MAX_DEPTH) return JSON.stringify(value);
  if (Array.isArray(value)) return value.map((each) => shallow(each, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shallow(each, depth + 1)]));
}

/** Numbers what is said more than once in the same words, so that each gets an id of its own. */
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
