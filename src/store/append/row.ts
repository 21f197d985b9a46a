import { sentHash } from "../../sent-hash.ts";
import { storableMetadata, storableText } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { redactMessage } from "../redact/redact.ts";
import type { Redactor } from "../redact/redact.ts";
import { writtenWords } from "../search/sections.ts";
import type { WrittenWords } from "../search/sections.ts";

/** A message as a caller sends it. */
export interface NewMessage {
  role: string;
  content: string;
  metadata?: Metadata | null | undefined;
  /** A UUID chosen by the caller. Repeating a message with its id returns the stored one and stores nothing. */
  message_id?: string | undefined;
  /** ISO 8601; the time of storing when absent. */
  created_at?: string | undefined;
  /** A free turn number chosen by the caller. In one call, either every message has one or none has. */
  turn_number?: number | undefined;
}

/** A message as the database takes it. */
export interface AppendRow extends WrittenWords {
  conversation: string;
  id: string;
  turn: number | null;
  role: string;
  content: string;
  contentExact: string | null;
  metadata: string | null;
  metadataExact: string | null;
  time: string | null;
  hash: string | null;
  followToTrash: boolean;
}

/** The row of a message, without its secrets. */
export function newRow(
  redactor: Redactor,
  conversation: string,
  message: NewMessage,
  followToTrash: boolean,
): AppendRow {
  const kept = redactMessage(redactor, message);
  const content = storableText(kept.content);
  const metadata = storableMetadata(kept.metadata);
  return {
    conversation,
    id: message.message_id?.toLowerCase() ?? Bun.randomUUIDv7(),
    turn: message.turn_number ?? null,
    role: message.role,
    content: content.readable,
    contentExact: content.exact,
    metadata: metadata.readable,
    metadataExact: metadata.exact,
    time: message.created_at ?? null,
    // Hashes the text as sent, so that a redaction pattern added later does not turn a repetition into a conflict.
    hash: message.message_id === undefined ? null : sentHash(message.role, message.content, message.metadata),
    ...writtenWords(content.readable),
    followToTrash,
  };
}
