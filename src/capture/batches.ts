import { MAX_FRAME_BYTES } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { derivedId } from "./captured.ts";
import type { CapturedMessage, SourcePlace } from "./captured.ts";

/** Messages of one bulk call, and their characters: large enough to be quick, small enough to be sent again. */
const MAX_BATCH_MESSAGES = 500;
const MAX_BATCH_CHARACTERS = 2_000_000;
/** Characters that wait for their conversation's batch to be full, in all conversations together. */
const MAX_WAITING_CHARACTERS = 8_000_000;
/** What a field of metadata takes beside its text. */
const FIELD_CHARACTERS = 4;
/** What a JSON-RPC call adds around a message. */
const CALL_OVERHEAD_CHARACTERS = 1000;

/** A message that is to be sent, and where it comes from. */
export interface Waiting {
  message: CapturedMessage;
  /** The id that builds before migration 0015 gave it. */
  former?: (() => string) | undefined;
  place: SourcePlace;
}

/** Messages to be sent at once, each id once, and the text of each. */
export interface Batch {
  items: Waiting[];
  texts: ReadonlyMap<string, string>;
  /** Those that were left out, because they are there already with the same text. */
  repeated: Waiting[];
}

/** Messages that wait for the batches of their conversations to be full. */
export class Batches {
  readonly #waiting = new Map<string, { items: Waiting[]; characters: number }>();
  #characters = 0;

  /** The conversations of which messages wait. */
  get conversations(): string[] {
    return [...this.#waiting.keys()];
  }

  /** Rows of many conversations may be mixed: none may wait until memory is full. */
  get isTooMuch(): boolean {
    return this.#waiting.size > 1 && this.#characters >= MAX_WAITING_CHARACTERS;
  }

  /** Returns whether the conversation's batch is full. */
  add(conversation: string, item: Waiting): boolean {
    const batch = this.#waiting.get(conversation) ?? { items: [], characters: 0 };
    this.#waiting.set(conversation, batch);
    const size = item.message.content.length + sizeOf(item.message.metadata);
    batch.items.push({ ...item, message: fitting(item.message, size) });
    batch.characters += size;
    this.#characters += size;
    return batch.items.length >= MAX_BATCH_MESSAGES || batch.characters >= MAX_BATCH_CHARACTERS;
  }

  /** Takes what waits of a conversation. */
  take(conversation: string): Batch {
    const { items, characters } = this.#waiting.get(conversation) ?? { items: [], characters: 0 };
    this.#waiting.delete(conversation);
    this.#characters -= characters;
    return batchOf(items);
  }
}

/** A batch in which each id is told once: a repetition is left out, and another text becomes a second version. */
export function batchOf(given: Waiting[]): Batch {
  const texts = new Map<string, string>();
  const items: Waiting[] = [];
  const repeated: Waiting[] = [];
  for (const item of given) {
    const { message_id: id, content } = item.message;
    const known = texts.get(id);
    if (known === content) {
      repeated.push(item);
      continue;
    }
    const told = known === undefined ? item : secondVersion(item);
    if (texts.has(told.message.message_id)) continue;
    texts.set(told.message.message_id, told.message.content);
    items.push(told);
  }
  return { items, texts, repeated };
}

/** The same message under an id of its own: that of the first version, with its text. No earlier build had it. */
export function secondVersion({ message, place }: Waiting): Waiting {
  const { message_id, content, metadata, turn_number: _, ...rest } = message;
  const id = derivedId(message_id, "version", content);
  return { place, message: { ...rest, content, message_id: id, metadata: { ...metadata, version_of: message_id } } };
}

/** Cuts what would not fit into a call to the store, and says so: nothing larger can be stored. */
function fitting(message: CapturedMessage, characters: number): CapturedMessage {
  const most = MAX_FRAME_BYTES - CALL_OVERHEAD_CHARACTERS;
  // JSON writes a character in six at most, and a field of metadata needs its quotes and signs besides.
  if (characters * 6 <= most / 2) return message;
  if (Buffer.byteLength(JSON.stringify(message)) <= most) return message;
  const content = message.content.slice(0, Math.floor(most / 12)).toWellFormed();
  const metadata = JSON.stringify(message.metadata);
  const kept = metadata.length * 6 > most / 2 ? { metadata_characters: metadata.length } : message.metadata;
  return { ...message, content, metadata: { ...kept, cut_from_characters: message.content.length } };
}

/** About how many characters a value takes as JSON. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + FIELD_CHARACTERS;
  if (value === null || typeof value !== "object") return FIELD_CHARACTERS;
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + sizeOf(each), FIELD_CHARACTERS);
  let size = FIELD_CHARACTERS;
  for (const key of Object.keys(value)) size += key.length + FIELD_CHARACTERS + sizeOf((value as Json)[key]);
  return size;
}
