import { asDeweyError } from "../errors.ts";
import { sentHash } from "../sent-hash.ts";
import type { Json } from "../wire/frame.ts";
import { batchOf, secondVersion } from "./batches.ts";
import type { Waiting } from "./batches.ts";
import type { CapturedMessage, SourcePlace } from "./captured.ts";
import type { MessageCounts } from "./message-counts.ts";

export interface MessageSenderOptions {
  counts: MessageCounts;
  call(tool: string, args: Json): Promise<Json>;
  /** Told of a message that was not stored; throws what ends the import. */
  refuse(thrown: unknown, place: SourcePlace): void;
  /** Begins a conversation that was to begin with its first new message; false when there is none. */
  beginNeeded(conversation: string, place: SourcePlace): Promise<boolean>;
  /** Told of the conversations that have messages of a batch already. */
  foundElsewhere(conversation: string, elsewhere: string[], batch: Waiting[]): Promise<void>;
}

/** What is known of a conversation's messages in the store. */
interface Stored {
  /** Whether the last messages that were sent were there: then it is asked before the next are sent. */
  isKnown: boolean;
  /** Whether an earlier build has stored some, under other names. */
  isFormer: boolean;
}

/** Sends batches of messages, those that the store does not have as they are, and counts what has become of them. */
export class MessageSender {
  readonly #options: MessageSenderOptions;
  readonly #stored = new Map<string, Stored>();

  constructor(options: MessageSenderOptions) {
    this.#options = options;
  }

  /** Stores a batch of one conversation. Throws when the server is away. */
  async send(conversation: string, given: Waiting[]): Promise<void> {
    const { missing: batch, known } = await this.#sift(conversation, given);
    this.#options.counts.old(known);
    const [first] = batch;
    if (first === undefined) return;
    try {
      const others = await this.#store(conversation, batch);
      if (others.length === 0) return;
      const { items, repeated } = batchOf(others.map(secondVersion));
      this.#options.counts.old(repeated.map(({ message }) => message));
      await this.send(conversation, items);
    } catch (thrown) {
      const { code } = asDeweyError(thrown);
      if (code === "not_found" && (await this.#options.beginNeeded(conversation, first.place)))
        return this.send(conversation, batch);
      // Of a refused batch only the message at fault is left out.
      if (batch.length === 1) this.#options.refuse(thrown, first.place);
      else if (code === "unavailable") throw thrown;
      else await this.#sendEach(conversation, batch);
    }
  }

  /**
   * Sends the messages of a call that failed, one by one. Calls are stored in parts, so some may be there: the server had been
   * asked for them before, and what it has now is new.
   */
  async #sendEach(conversation: string, batch: Waiting[]): Promise<void> {
    this.#stored.set(conversation, { isFormer: false, ...this.#stored.get(conversation), isKnown: true });
    const { missing, known } = await this.#sift(conversation, batch);
    this.#options.counts.new(known);
    for (const item of missing) await this.send(conversation, [item]);
  }

  /** Sends messages; returns those whose ids are known with another text. */
  async #store(conversation: string, batch: Waiting[]): Promise<Waiting[]> {
    const { isFormer } = this.#stored.get(conversation) ?? {};
    const messages = batch.map(({ message: { metadata, ...rest }, former }) => ({
      ...rest,
      ...(metadata === null ? {} : { metadata }),
      ...(isFormer ? { former_id: former?.() ?? rest.message_id } : {}),
    }));
    const reply = await this.#options.call("dewey_import_messages", { conversation_id: conversation, messages });
    await this.#note(conversation, reply, batch);
    const [known, changed] = [new Set(textsIn(reply["known_ids"])), new Set(textsIn(reply["changed"]))];
    const sent = batch.map(({ message }) => message);
    this.#options.counts.new(sent.filter(({ message_id: id }) => !known.has(id)));
    this.#options.counts.old(sent.filter(({ message_id: id }) => known.has(id) && !changed.has(id)));
    const stored = this.#stored.get(conversation);
    if (stored !== undefined) stored.isKnown ||= Number(reply["known"]) > 0;
    return batch.filter(({ message }) => changed.has(message.message_id));
  }

  /**
   * Parts a batch into the messages that the store does not have as they are, and the others. It is asked by their ids and
   * hashes, which are much shorter, as long as it had some of those before: a source that is imported again is mostly known.
   */
  async #sift(conversation: string, batch: Waiting[]): Promise<{ missing: Waiting[]; known: CapturedMessage[] }> {
    const stored = this.#stored.get(conversation) ?? { isKnown: true, isFormer: false };
    if (batch.length === 0 || !stored.isKnown) return { missing: batch, known: [] };
    const messages = batch.map(({ message: { message_id: id, role, content, metadata } }) => ({
      id,
      hash: sentHash(role, content, metadata ?? undefined),
    }));
    const reply = await this.#options
      .call("dewey_list_known_messages", { conversation_id: conversation, messages })
      .catch((thrown: unknown) => {
        const error = asDeweyError(thrown);
        if (error.code !== "invalid" && error.code !== "internal") throw error;
      });
    // A message that cannot be asked for, as in a changed export, is refused when it is sent; and if the server fails to answer
    // for a fault of its own, it knows a message again all the same.
    if (reply === undefined) return { missing: batch, known: [] };
    const places = new Set(Array.isArray(reply["missing"]) ? reply["missing"] : []);
    const missing = batch.filter((_, place) => places.has(place));
    const known = batch.filter((_, place) => !places.has(place)).map(({ message }) => message);
    this.#stored.set(conversation, {
      isKnown: known.length > 0 || reply["former"] === true,
      isFormer: reply["former"] === true,
    });
    await this.#note(conversation, reply, batch);
    return { missing, known };
  }

  async #note(conversation: string, reply: Json, batch: Waiting[]): Promise<void> {
    const elsewhere = textsIn(reply["elsewhere"]);
    if (elsewhere.length > 0) await this.#options.foundElsewhere(conversation, elsewhere, batch);
  }
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
