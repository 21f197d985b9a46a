import { DeweyError, asDeweyError } from "../errors.ts";
import { sentHash } from "../sent-hash.ts";
import { MAX_FRAME_BYTES, isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { derivedId } from "./captured.ts";
import type {
  Captured,
  CapturedContext,
  CapturedConversation,
  CapturedFacts,
  CapturedMessage,
  SourcePlace,
} from "./captured.ts";
import { PendingFacts } from "./pending-facts.ts";

/** Messages of one bulk call, and their characters: large enough to be quick, small enough to be sent again. */
const MAX_BATCH_MESSAGES = 500;
const MAX_BATCH_CHARACTERS = 2_000_000;
/** Characters that wait for their conversation's batch to be full, in all conversations together. */
const MAX_WAITING_CHARACTERS = 8_000_000;
/**
 * Calls under way at once, each for another conversation, so that the messages of one stay in their order. The server
 * prepares one while the database stores the other.
 */
const MAX_UNDER_WAY = 2;
/** What a field of metadata takes beside its text. */
const FIELD_CHARACTERS = 4;
/** What a JSON-RPC call adds around a message. */
const CALL_OVERHEAD_CHARACTERS = 1000;

export interface ImporterOptions {
  call(tool: string, args: Json): Promise<Json>;
  /** Told of what could not be stored, with the place of what is at fault. */
  onRefused(place: SourcePlace, reason: string): void;
}

interface Waiting {
  message: CapturedMessage;
  former?: (() => string) | undefined;
  place: SourcePlace;
}

/** Messages to be sent at once, each id once, and the text of each. */
interface Batch {
  items: Waiting[];
  texts: ReadonlyMap<string, string>;
}

/** What is known of a conversation's messages in the store. */
interface Stored {
  /** Whether the last messages that were sent were there: then it is asked before the next are sent. */
  isKnown: boolean;
  /** Whether an earlier build has stored some, under other names. */
  isFormer: boolean;
}

/**
 * Brings what readers have made to Dewey. Each conversation's messages stay in their order; what the store has already is
 * recognised by its id. A message whose id is known with another text is kept as a second version. While batches are under
 * way the next are made.
 */
export class Importer {
  readonly #options: ImporterOptions;
  readonly #begun = new Set<string>();
  /** Conversations begun from a history of prompts, which another source's conversation would replace. */
  readonly #begunByHistory = new Set<string>();
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #characters = new Map<string, number>();
  #waitingCharacters = 0;
  readonly #facts = new PendingFacts();
  /** Conversations that are passed over, that are linked to their origins, and that begin when they are needed. */
  readonly #passedOver = new Set<string>();
  readonly #linked = new Set<string>();
  readonly #needed = new Map<string, CapturedConversation>();
  /** The last batch of each conversation, until it is stored, with the ids in it. */
  readonly #underWay = new Map<string, { stored: Promise<void>; ids: ReadonlyMap<string, unknown> }>();
  /** Batches that wait for others to be stored. */
  readonly #sending = new Set<Promise<void>>();
  readonly #stored = new Map<string, Stored>();
  /** What a batch threw that nobody has waited for yet. */
  #failure: { error: unknown } | undefined;
  /** Messages that were new, and those that were there. */
  stored = 0;
  known = 0;
  refused = 0;
  /** Messages among the stored ones whose ids were known with another text. */
  versions = 0;
  /** Orchestration results and startup contexts that are in the store now, whether they were new or not. */
  results = 0;
  contexts = 0;

  constructor(options: ImporterOptions) {
    this.#options = options;
  }

  get conversations(): number {
    return this.#begun.size;
  }

  /** Takes what a row has become, and sends what is enough to be sent. Throws when the server is away. */
  async take(captured: Captured, place: SourcePlace): Promise<void> {
    if (captured.kind === "message")
      await this.#add(captured.conversation, { message: captured.message, former: captured.former, place });
    else if (captured.kind === "conversation" && captured.ifNeeded)
      this.#needed.set(captured.begin.conversation_id, captured.begin);
    else if (captured.kind === "conversation") await this.#begin(captured.begin, place, captured.unlessKnown === true);
    else if (captured.kind === "facts") await this.#note(captured.facts, place);
    else if (captured.kind === "repeated") this.known += 1;
    else if (captured.kind === "result") await this.#storeResult(captured.result, place);
    else if (captured.kind === "context") await this.#storeContext(captured.context, place);
  }

  /** Resolves when everything that was taken is stored. */
  async flush(): Promise<void> {
    for (const conversation of this.#waiting.keys()) await this.#send(conversation);
    // Of another file, too, which is read at the same time.
    while (this.#sending.size > 0) await Promise.allSettled(this.#sending);
    await Promise.all([...this.#underWay.values()].map(({ stored }) => stored));
    this.#throwFailure();
    for (const { facts, place } of this.#facts.take()) await this.#update(facts, place);
  }

  /** Stores everything, and what is known of conversations that are named by their messages alone: these may come last. */
  async finish(): Promise<void> {
    await this.flush();
    for (const { facts, place } of this.#facts.takeUnplaced()) await this.#update(facts, place);
  }

  /** Facts wait for the messages that they speak of. */
  async #note(facts: CapturedFacts, place: SourcePlace): Promise<void> {
    this.#facts.add(facts, place);
    if (this.#facts.isFull) await this.flush();
  }

  async #update(facts: CapturedFacts, place: SourcePlace): Promise<void> {
    if (this.#passedOver.has(facts.conversation_id ?? "")) return;
    try {
      await this.#options.call("dewey_update_conversation", { ...facts });
    } catch (thrown) {
      // A title of a session that is not here, as in a summary of one that was deleted.
      if (asDeweyError(thrown).code !== "not_found") this.#refuse(thrown, place);
    }
  }

  async #begin(begin: CapturedConversation, place: SourcePlace, unlessKnown: boolean): Promise<void> {
    if (this.#begun.has(begin.conversation_id)) {
      if (unlessKnown && !this.#begunByHistory.has(begin.conversation_id)) this.#passedOver.add(begin.conversation_id);
      return;
    }
    if (unlessKnown) this.#begunByHistory.add(begin.conversation_id);
    const { metadata, ...rest } = begin;
    try {
      await this.#options.call("dewey_begin_conversation", { ...rest, ...(metadata === null ? {} : { metadata }) });
    } catch (thrown) {
      // It is there, begun by a hook or an earlier import that knew other facts; or it is in the trash, where it stays.
      if (asDeweyError(thrown).code !== "conflict") return this.#refuse(thrown, place);
      if (unlessKnown) this.#passedOver.add(begin.conversation_id);
    }
    this.#begun.add(begin.conversation_id);
  }

  async #storeResult(result: Json, place: SourcePlace): Promise<void> {
    await this.flush();
    try {
      await this.#options.call("dewey_store_fiedler_result", result);
    } catch (thrown) {
      // The id is there, stored by a call that left the time to the store: ids are UUIDs, so it is this result.
      if (asDeweyError(thrown).code !== "conflict") return this.#refuse(thrown, place);
    }
    this.results += 1;
  }

  /** What people have written here since stays as it is, and so does the choice of the active context. */
  async #storeContext({ name, content, is_active }: CapturedContext, place: SourcePlace): Promise<void> {
    try {
      const known = await this.#context({ name });
      if (known !== null && known["content"] !== content)
        throw new DeweyError(
          "conflict",
          `the startup context ${JSON.stringify(name)} has another text here, and keeps it`,
        );
      const set_active = is_active && (await this.#context({})) === null;
      if (known === null || set_active) {
        await this.#options.call("dewey_set_startup_context", { name, content, set_active });
      }
      this.contexts += 1;
    } catch (thrown) {
      this.#refuse(thrown, place);
    }
  }

  async #context(which: { name?: string }): Promise<Json | null> {
    const { context } = await this.#options.call("dewey_get_startup_context", which);
    return isObject(context) ? context : null;
  }

  async #add(conversation: string, item: Waiting): Promise<void> {
    if (this.#passedOver.has(conversation)) {
      this.known += 1;
      return;
    }
    const batch = this.#waiting.get(conversation) ?? [];
    this.#waiting.set(conversation, batch);
    const message = fitting(item.message);
    batch.push({ ...item, message });
    const size = message.content.length + sizeOf(message.metadata);
    const characters = (this.#characters.get(conversation) ?? 0) + size;
    this.#characters.set(conversation, characters);
    this.#waitingCharacters += size;
    if (batch.length >= MAX_BATCH_MESSAGES || characters >= MAX_BATCH_CHARACTERS) await this.#send(conversation);
    else if (this.#waiting.size > 1) await this.#relieve();
  }

  /** Rows of many conversations may be mixed: none may wait until memory is full. */
  async #relieve(): Promise<void> {
    if (this.#waitingCharacters < MAX_WAITING_CHARACTERS) return;
    for (const conversation of this.#waiting.keys()) await this.#send(conversation);
  }

  /**
   * Sends one batch, behind those under way that are of its conversation or have a message of it, of which it may hold a copy,
   * and when there is room for it.
   */
  async #send(conversation: string): Promise<void> {
    const batch = this.#told(this.#waiting.get(conversation) ?? []);
    this.#waiting.delete(conversation);
    this.#waitingCharacters -= this.#characters.get(conversation) ?? 0;
    this.#characters.delete(conversation);
    const sending = this.#sendBehind(conversation, batch);
    this.#sending.add(sending);
    try {
      await sending;
    } finally {
      this.#sending.delete(sending);
    }
  }

  async #sendBehind(conversation: string, batch: Batch): Promise<void> {
    const before = () => this.#before(conversation, batch.texts);
    for (let next = before(); next !== undefined; next = before()) await next;
    this.#throwFailure();
    const stored = this.#bulk(conversation, batch.items)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#underWay.delete(conversation));
    this.#underWay.set(conversation, { stored, ids: batch.texts });
  }

  /** What must end before a batch of a conversation is sent. */
  #before(conversation: string, texts: ReadonlyMap<string, unknown>): Promise<void> | undefined {
    const others = [...this.#underWay];
    if (others.length >= MAX_UNDER_WAY) return Promise.race(others.map(([, { stored }]) => stored));
    const shares = (ids: ReadonlyMap<string, unknown>) => {
      for (const id of texts.keys()) if (ids.has(id)) return true;
      return false;
    };
    return others.find(([id, { ids }]) => id === conversation || shares(ids))?.[1].stored;
  }

  #throwFailure(): void {
    if (this.#failure === undefined) return;
    const { error } = this.#failure;
    this.#failure = undefined;
    throw error;
  }

  async #bulk(conversation: string, given: Waiting[]): Promise<void> {
    const batch = await this.#missing(conversation, given);
    const [first] = batch;
    if (first === undefined) return;
    const { isFormer } = this.#stored.get(conversation) ?? {};
    const messages = batch.map(({ message: { metadata, ...rest }, former }) => ({
      ...rest,
      ...(metadata === null ? {} : { metadata }),
      ...(isFormer ? { former_id: former?.() ?? rest.message_id } : {}),
    }));
    try {
      const reply = await this.#options.call("dewey_import_messages", { conversation_id: conversation, messages });
      this.stored += Number(reply["stored"]);
      const versions = batch.filter(({ message }) => message.metadata?.["version_of"] !== undefined).length;
      this.versions += Math.min(versions, Number(reply["stored"]));
      await this.#linkOrigins(conversation, reply["elsewhere"], first.place);
      const changed = new Set(Array.isArray(reply["changed"]) ? reply["changed"] : []);
      this.known += Number(reply["known"]) - changed.size;
      const stored = this.#stored.get(conversation);
      if (stored !== undefined) stored.isKnown ||= Number(reply["known"]) > 0;
      const others = batch.filter(({ message }) => changed.has(message.message_id));
      if (others.length > 0) await this.#bulk(conversation, this.#told(others.map(secondVersion)).items);
    } catch (thrown) {
      const needed = this.#needed.get(conversation);
      if (needed !== undefined && asDeweyError(thrown).code === "not_found") {
        this.#needed.delete(conversation);
        await this.#begin(needed, first.place, false);
        return this.#bulk(conversation, batch);
      }
      // Of a refused batch only the message at fault is left out.
      if (batch.length === 1) this.#refuse(thrown, first.place);
      else if (asDeweyError(thrown).code === "unavailable") throw thrown;
      else for (const item of batch) await this.#bulk(conversation, [item]);
    }
  }

  /**
   * The messages of a batch that the store does not have as they are. It is asked by their ids and hashes, which are much
   * shorter, as long as it had some of those before: a source that is imported again is mostly known.
   */
  async #missing(conversation: string, batch: Waiting[]): Promise<Waiting[]> {
    const [first] = batch;
    const stored = this.#stored.get(conversation) ?? { isKnown: true, isFormer: false };
    if (first === undefined || !stored.isKnown) return batch;
    const messages = batch.map(({ message: { message_id: id, role, content, metadata } }) => ({
      id,
      hash: sentHash(role, content, metadata ?? undefined),
    }));
    const reply = await this.#options
      .call("dewey_list_known_messages", { conversation_id: conversation, messages })
      .catch((thrown: unknown) => {
        const error = asDeweyError(thrown);
        if (error.code !== "invalid") throw error;
      });
    // A message that cannot be asked for, as in a changed export, is refused when it is sent.
    if (reply === undefined) return batch;
    const missing = new Set(Array.isArray(reply["missing"]) ? reply["missing"] : []);
    const known = batch.length - missing.size;
    this.known += known;
    this.#stored.set(conversation, {
      isKnown: known > 0 || reply["former"] === true,
      isFormer: reply["former"] === true,
    });
    await this.#linkOrigins(conversation, reply["elsewhere"], first.place);
    return missing.size === 0 ? [] : batch.filter((_, index) => missing.has(index));
  }

  /** A batch in which each id is told once: a repetition is left out, and another text becomes a second version. */
  #told(batch: Waiting[]): Batch {
    const texts = new Map<string, string>();
    const items: Waiting[] = [];
    for (const item of batch) {
      const { message_id: id, content } = item.message;
      const known = texts.get(id);
      if (known === content) this.known += 1;
      if (known === content) continue;
      const told = known === undefined ? item : secondVersion(item);
      if (texts.has(told.message.message_id)) continue;
      texts.set(told.message.message_id, told.message.content);
      items.push(told);
    }
    return { items, texts };
  }

  /** Links a conversation to the one that has some of its messages already: it was forked or resumed from that. */
  async #linkOrigins(conversation: string, elsewhere: unknown, place: SourcePlace): Promise<void> {
    const origin: unknown = Array.isArray(elsewhere) ? elsewhere[0] : undefined;
    if (typeof origin !== "string" || this.#linked.has(conversation)) return;
    this.#linked.add(conversation);
    await this.#update({ conversation_id: conversation, forked_from: origin }, place);
  }

  #refuse(thrown: unknown, place: SourcePlace): void {
    const error = asDeweyError(thrown);
    if (error.code === "unavailable" || error.code === "unauthorized") throw error;
    this.refused += 1;
    this.#options.onRefused(place, error.message);
  }
}

/** The same message under an id of its own: that of the first version, with its text. No earlier build had it. */
function secondVersion({ message, place }: Waiting): Waiting {
  const { message_id, content, metadata, turn_number: _, ...rest } = message;
  const id = derivedId(message_id, "version", content);
  return { place, message: { ...rest, content, message_id: id, metadata: { ...metadata, version_of: message_id } } };
}

/** Cuts what would not fit into a call to the store, and says so: nothing larger can be stored. */
function fitting(message: CapturedMessage): CapturedMessage {
  const most = MAX_FRAME_BYTES - CALL_OVERHEAD_CHARACTERS;
  // JSON writes a character in six at most, and a field of metadata needs its quotes and signs besides.
  if ((message.content.length + sizeOf(message.metadata)) * 6 <= most / 2) return message;
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
