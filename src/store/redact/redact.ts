import { createHash } from "node:crypto";
import type { Metadata } from "../exact.ts";
import { AddedPattern } from "./added-pattern.ts";
import { Cuts } from "./cuts.ts";
import type { Redactions } from "./cuts.ts";
import { redactedObject } from "./metadata.ts";
import { findSecrets } from "./scanner.ts";

export type { Redactions } from "./cuts.ts";

/** Characters of the digest that keeps apart what was cut from two keys: enough to tell them apart, too few to find the secret. */
const KEY_DIGEST_CHARACTERS = 6;

/** Removes secrets from what is about to be stored. */
export interface Redactor {
  text(text: string, found: Redactions): string;
  /** Cuts secrets in all texts and keys, and the whole values of fields that are named like secrets. */
  metadata(metadata: Metadata, found: Redactions): Metadata;
  /** Numbers of texts on which an added pattern was ended because it took too many steps, by the pattern's name. */
  ended(): Record<string, number>;
  /** Counts a text on which a redactor elsewhere ended a pattern. */
  noteEnded(kind: string): void;
  /** The added patterns, by which another redactor does the same; undefined when everything is stored unchanged. */
  readonly added: Record<string, RegExp> | undefined;
}

/**
 * Recognises the common kinds of secrets, and added patterns, which are named by their kind. Throws a SyntaxError for an
 * added pattern that cannot be matched in bounded time. `onEnded` is told when one is ended on a text; what it found there
 * until then is cut.
 */
export function createRedactor(
  added: Record<string, RegExp> = {},
  onEnded: (kind: string) => void = () => {},
): Redactor {
  const own = Object.entries(added).map(([kind, { source }]) => ({ kind, pattern: new AddedPattern(source) }));
  const ended = new Map<string, number>();
  const noteEnded = (kind: string) => {
    ended.set(kind, (ended.get(kind) ?? 0) + 1);
    onEnded(kind);
  };
  const text = (given: string, found: Redactions): string => {
    let result = findSecrets(given).apply(given, found);
    for (const { kind, pattern } of own) {
      const { bounds, isComplete } = pattern.find(result);
      const cuts = new Cuts();
      for (const [start, end] of bounds) cuts.add(start, end, kind);
      result = cuts.apply(result, found);
      if (!isComplete) noteEnded(kind);
    }
    return result;
  };
  return {
    text,
    metadata: (metadata, found) => redactedObject(metadata, text, found),
    ended: () => Object.fromEntries(ended),
    noteEnded,
    added,
  };
}

/** Cuts secrets from a message's text and metadata, and counts them by kind in `metadata.redactions`. */
export function redactMessage<Message extends { content: string; metadata?: Metadata | null | undefined }>(
  redactor: Redactor,
  message: Message,
): Message {
  const found: Redactions = {};
  const content = redactor.text(message.content, found);
  const metadata = message.metadata ? redactor.metadata(message.metadata, found) : message.metadata;
  if (Object.keys(found).length === 0) return message;
  return { ...message, content, metadata: { ...metadata, redactions: found } };
}

/** Cuts secrets from metadata without a message, and counts them there. */
export function redactMetadata(redactor: Redactor, metadata: Metadata | null | undefined): Metadata | undefined {
  return redactMessage(redactor, { content: "", metadata }).metadata ?? undefined;
}

/**
 * Cuts secrets from a text by which rows are found, such as `session_id` and a context's name. The beginning of its digest
 * takes part in the result, so that two keys stay two, and the same key finds its rows again.
 */
export function redactKey<Key extends string | null | undefined>(redactor: Redactor, key: Key): Key {
  if (key === null || key === undefined) return key;
  const stored = redactor.text(key, {});
  if (stored === key) return key;
  const digest = createHash("sha256").update(key).digest("hex").slice(0, KEY_DIGEST_CHARACTERS);
  return `${stored} ${digest}` as Key;
}

/** A web address without a password in it. */
const link = /(https?:\/\/(?![^\s"'<>`/?#]{0,600}@)[^\s"'<>`]+)/;

/** The text without secrets, except that links stay as they are: a person who is to follow one needs all of it. */
export function redactBesideLinks(redactor: Redactor, text: string): string {
  return text
    .split(link)
    .map((piece, index) => (index % 2 === 1 ? piece : redactor.text(piece, {})))
    .join("");
}

/** Stores everything unchanged. */
export const noRedactor: Redactor = {
  text: (text) => text,
  metadata: (metadata) => metadata,
  ended: () => ({}),
  noteEnded: () => {},
  added: undefined,
};
