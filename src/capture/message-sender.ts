import { asDeweyError } from "../errors.ts";
import { sentHash } from "../sent-hash.ts";
import type { Json } from "../wire/frame.ts";
import { batchOf, secondVersion } from "./batches.ts";
import type { Waiting } from "./batches.ts";
import type { SourcePlace } from "./captured.ts";

export interface MessageSenderOptions {
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
  /** Messages that were new, and those that were there. */
  stored = 0;
  known = 0;
  /** Messages among the stored ones whose ids were known with another text. */
  versions = 0;

  constructor(options: MessageSenderOptions) {
    this.#options = options;
  }

  /** Stores a batch of one conversation. Throws when the server is away. */
  async send(conversation: string, given: Waiting[]): Promise<void> {
    const batch = await this.#missing(conversation, given);
    const [first] = batch;
    if (first === undefined) return;
    try {
      const others = await this.#store(conversation, batch);
      if (others.length === 0) return;
      const { items, repeated } = batchOf(others.map(secondVersion));
      this.known += repeated;
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
    const known = this.known;
    this.#stored.set(conversation, { isFormer: false, ...this.#stored.get(conversation), isKnown: true });
    const left = await this.#missing(conversation, batch);
    this.stored += this.known - known;
    this.known = known;
    for (const item of left) await this.send(conversation, [item]);
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
    this.stored += Number(reply["stored"]);
    const versions = batch.filter(({ message }) => message.metadata?.["version_of"] !== undefined).length;
    this.versions += Math.min(versions, Number(reply["stored"]));
    await this.#note(conversation, reply, batch);
    const changed = new Set(textsIn(reply["changed"]));
    this.known += Number(reply["known"]) - changed.size;
    const stored = this.#stored.get(conversation);
    if (stored !== undefined) stored.isKnown ||= Number(reply["known"]) > 0;
    return batch.filter(({ message }) => changed.has(message.message_id));
  }

  /**
   * The messages of a batch that the store does not have as they are. It is asked by their ids and hashes, which are much
   * shorter, as long as it had some of those before: a source that is imported again is mostly known.
   */
  async #missing(conversation: string, batch: Waiting[]): Promise<Waiting[]> {
    const stored = this.#stored.get(conversation) ?? { isKnown: true, isFormer: false };
    if (batch.length === 0 || !stored.isKnown) return batch;
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
    if (reply === undefined) return batch;
    const missing = new Set(Array.isArray(reply["missing"]) ? reply["missing"] : []);
    const known = batch.length - missing.size;
    this.known += known;
    this.#stored.set(conversation, {
      isKnown: known > 0 || reply["former"] === true,
      isFormer: reply["former"] === true,
    });
    await this.#note(conversation, reply, batch);
    return missing.size === 0 ? [] : batch.filter((_, index) => missing.has(index));
  }

  async #note(conversation: string, reply: Json, batch: Waiting[]): Promise<void> {
    const elsewhere = textsIn(reply["elsewhere"]);
    if (elsewhere.length > 0) await this.#options.foundElsewhere(conversation, elsewhere, batch);
  }
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
