import { DeweyError, asDeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { ApartFromConversations } from "./apart.ts";
import type { Apart } from "./apart.ts";
import { Batches } from "./batches.ts";
import type { Batch, Waiting } from "./batches.ts";
import type { Captured, CapturedContext, CapturedConversation, CapturedFacts, SourcePlace } from "./captured.ts";
import { MessageCounts } from "./message-counts.ts";
import { MessageSender } from "./message-sender.ts";
import { PendingFacts } from "./pending-facts.ts";

/**
 * Calls under way at once, each for another conversation, so that the messages of one stay in their order. The server
 * prepares one while the database stores the other.
 */
const MAX_UNDER_WAY = 2;
/** So many conversations, of those that have messages of a batch already, are named in a reply at most. */
const MAX_NAMED_ELSEWHERE = 100;

export interface ImporterOptions {
  call(tool: string, args: Json): Promise<Json>;
  /** Told of what could not be stored, with the place of what is at fault. */
  onRefused(place: SourcePlace, error: DeweyError): void;
  /** Told of what depends on what else the store has: another import of the same source may store more. */
  onDependent?(source: string): void;
  /** Told of conversations that have messages of a source already; undefined when there are more than the store names. */
  onElsewhere?(source: string, conversations: string[] | undefined): void;
}

/**
 * Brings what readers have made to Dewey. Each conversation's messages stay in their order; what the store has already is
 * recognised by its id. A message whose id is known with another text is kept as a second version. While batches are under
 * way the next are made.
 */
export class Importer {
  readonly #options: ImporterOptions;
  /** What has become of the messages that were taken. */
  readonly counts = new MessageCounts();
  readonly #begun = new Set<string>();
  /** Conversations begun from a history of prompts, which another source's conversation would replace. */
  readonly #begunByHistory = new Set<string>();
  readonly #batches = new Batches();
  readonly #sender: MessageSender;
  readonly #facts = new PendingFacts();
  readonly #apart = new ApartFromConversations();
  /** Conversations that are passed over, each in the source that would have begun it: others may tell more of it. */
  readonly #passedOver = new Set<string>();
  /** Conversations that are linked to their origins, and that begin when they are needed. */
  readonly #linked = new Set<string>();
  readonly #needed = new Map<string, CapturedConversation>();
  /** The last batch of each conversation, until it is stored, with the ids in it. */
  readonly #underWay = new Map<string, { stored: Promise<void>; ids: ReadonlyMap<string, unknown> }>();
  /** Batches that wait for others to be stored. */
  readonly #sending = new Set<Promise<void>>();
  /** What a batch threw that nobody has waited for yet. */
  #failure: { error: unknown } | undefined;
  refused = 0;
  /** Those among what was refused that the server failed to store for a fault of its own. */
  failed = 0;
  /** Orchestration results and startup contexts that are in the store now, whether they were new or not. */
  results = 0;
  contexts = 0;

  constructor(options: ImporterOptions) {
    this.#options = options;
    this.#sender = new MessageSender({
      counts: this.counts,
      call: (tool, args) => options.call(tool, args),
      refuse: (thrown, place) => this.#refuse(thrown, place),
      beginNeeded: (conversation, place) => this.#beginNeeded(conversation, place),
      foundElsewhere: (conversation, elsewhere, batch) => this.#foundElsewhere(conversation, elsewhere, batch),
    });
  }

  get conversations(): number {
    return this.#begun.size;
  }

  /** Counts what a source holds that is in the store as it is, and so is not read. */
  pass(conversations: string[], messages: number): void {
    for (const conversation of conversations) this.#begun.add(conversation);
    this.counts.known += messages;
  }

  /** Whether a conversation has not begun, because the store has all its messages from elsewhere. */
  isAbsent(conversation: string): boolean {
    return this.#needed.has(conversation);
  }

  /** Takes what a row has become, and sends what is enough to be sent. Throws when the server is away. */
  async take(captured: Captured, place: SourcePlace): Promise<void> {
    if (captured.kind === "message")
      await this.#add(captured.conversation, { message: captured.message, former: captured.former, place });
    else if (captured.kind === "conversation" && captured.ifNeeded)
      this.#needed.set(captured.begin.conversation_id, captured.begin);
    else if (captured.kind === "conversation") await this.#begin(captured.begin, place, captured.unlessKnown === true);
    else if (captured.kind === "facts") await this.#note(captured.facts, place);
    else if (captured.kind === "apart") this.#apart.add(captured, place);
    else if (captured.kind === "repeated") this.counts.known += 1;
    else if (captured.kind === "result") await this.#storeResult(captured.result, place);
    else if (captured.kind === "context") await this.#storeContext(captured.context, place);
  }

  /** Resolves when everything that was taken is stored. */
  async flush(): Promise<void> {
    for (const conversation of this.#batches.conversations) await this.#send(conversation);
    // Of another file, too, which is read at the same time.
    while (this.#sending.size > 0) await Promise.allSettled(this.#sending);
    await Promise.all([...this.#underWay.values()].map(({ stored }) => stored));
    this.#throwFailure();
    for (const { facts, place } of this.#facts.take()) await this.#update(facts, place);
  }

  /**
   * Stores everything, and what is known of conversations that are named by their messages alone, or begun by another source:
   * these may come last.
   */
  async finish(): Promise<void> {
    await this.flush();
    for (const { facts, place } of this.#facts.takeUnplaced()) await this.#update(facts, place);
    for (const each of this.#apart.ready(this.#begun)) await this.#storeApart(each);
    await this.flush();
  }

  /** What stands apart from a conversation that is not here waits for it; a later import of its source may find it. */
  async #storeApart(apart: Apart): Promise<void> {
    const { conversation, told } = apart;
    const [first] = told;
    if (first === undefined) return;
    const isThere =
      this.#begun.has(conversation) || (await this.#update({ conversation_id: conversation }, first.place));
    if (!isThere) this.#apart.wait(apart);
    else for (const { captured, place } of told) await this.take(captured, place);
  }

  /** Facts wait for the messages that they speak of. */
  async #note(facts: CapturedFacts, place: SourcePlace): Promise<void> {
    this.#facts.add(facts, place);
    if (this.#facts.isFull) await this.flush();
  }

  /** Returns whether the conversation is there. */
  async #update(facts: CapturedFacts, place: SourcePlace): Promise<boolean> {
    if (this.#isPassedOver(facts.conversation_id ?? "", place)) return true;
    try {
      await this.#options.call("dewey_update_conversation", { ...facts });
      return true;
    } catch (thrown) {
      if (asDeweyError(thrown).code !== "not_found") {
        this.#refuse(thrown, place);
        return true;
      }
      // A title of a session that is not here, as in a summary of one that was deleted.
      this.#options.onDependent?.(place.source);
      return false;
    }
  }

  async #begin(begin: CapturedConversation, place: SourcePlace, unlessKnown: boolean): Promise<void> {
    if (this.#begun.has(begin.conversation_id)) {
      if (unlessKnown && !this.#begunByHistory.has(begin.conversation_id)) this.#passOver(begin.conversation_id, place);
      return;
    }
    if (unlessKnown) this.#begunByHistory.add(begin.conversation_id);
    const { metadata, ...rest } = begin;
    try {
      await this.#options.call("dewey_begin_conversation", { ...rest, ...(metadata === null ? {} : { metadata }) });
    } catch (thrown) {
      // It is there, begun by a hook or an earlier import that knew other facts; or it is in the trash, where it stays.
      if (asDeweyError(thrown).code !== "conflict") return this.#refuse(thrown, place);
      if (unlessKnown) this.#passOver(begin.conversation_id, place);
    }
    this.#begun.add(begin.conversation_id);
  }

  #passOver(conversation: string, { source }: SourcePlace): void {
    this.#passedOver.add(JSON.stringify([source, conversation]));
  }

  #isPassedOver(conversation: string, { source }: SourcePlace): boolean {
    return this.#passedOver.size > 0 && this.#passedOver.has(JSON.stringify([source, conversation]));
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
    if (this.#isPassedOver(conversation, item.place)) {
      this.counts.old([item.message]);
      return;
    }
    if (this.#batches.add(conversation, item)) await this.#send(conversation);
    else if (this.#batches.isTooMuch) for (const each of this.#batches.conversations) await this.#send(each);
  }

  /**
   * Sends one batch, behind those under way that are of its conversation or have a message of it, of which it may hold a copy,
   * and when there is room for it.
   */
  async #send(conversation: string): Promise<void> {
    const batch = this.#batches.take(conversation);
    this.counts.old(batch.repeated.map(({ message }) => message));
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
    const stored = this.#sender
      .send(conversation, batch.items)
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

  async #beginNeeded(conversation: string, place: SourcePlace): Promise<boolean> {
    const needed = this.#needed.get(conversation);
    if (needed === undefined) return false;
    this.#needed.delete(conversation);
    await this.#begin(needed, place, false);
    return true;
  }

  /** Links a conversation to the one that has some of its messages already: it was forked or resumed from that. */
  async #foundElsewhere(conversation: string, elsewhere: string[], batch: Waiting[]): Promise<void> {
    for (const source of new Set(batch.map(({ place }) => place.source)))
      this.#options.onElsewhere?.(source, elsewhere.length < MAX_NAMED_ELSEWHERE ? elsewhere : undefined);
    const [origin] = elsewhere;
    const [first] = batch;
    if (origin === undefined || first === undefined || this.#linked.has(conversation)) return;
    this.#linked.add(conversation);
    await this.#update({ conversation_id: conversation, forked_from: origin }, first.place);
  }

  #refuse(thrown: unknown, place: SourcePlace): void {
    const error = asDeweyError(thrown);
    if (error.code === "unavailable" || error.code === "unauthorized") throw error;
    this.refused += 1;
    if (error.code === "internal") this.failed += 1;
    this.#options.onRefused(place, error);
  }
}
