import { DeweyError, asDeweyError } from "../errors.ts";
import { MAX_FRAME_BYTES, isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import type { Captured, CapturedContext, CapturedConversation, CapturedMessage } from "./captured.ts";

/** Messages of one bulk call, and their characters: large enough to be quick, small enough to be sent again. */
const MAX_BATCH_MESSAGES = 500;
const MAX_BATCH_CHARACTERS = 2_000_000;
/** Characters that wait for their conversation's batch to be full, in all conversations together. */
const MAX_WAITING_CHARACTERS = 8_000_000;
/** What a JSON-RPC call adds around a message. */
const CALL_OVERHEAD_CHARACTERS = 1000;

/** Where something stands in its source. */
export interface SourcePlace {
  source: string;
  row: number;
}

export interface ImporterOptions {
  call(tool: string, args: Json): Promise<Json>;
  /** Told of what could not be stored, with the place of what is at fault. */
  onRefused(place: SourcePlace, reason: string): void;
}

interface Waiting {
  message: CapturedMessage;
  place: SourcePlace;
}

/**
 * Brings what readers have made to Dewey. Each conversation's messages stay in their order; what the store has already is
 * recognised by its id. While one batch is under way the next is made.
 */
export class Importer {
  readonly #options: ImporterOptions;
  readonly #begun = new Set<string>();
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #characters = new Map<string, number>();
  #underWay: Promise<void> = Promise.resolve();
  /** Messages that were new, and those that were there. */
  stored = 0;
  known = 0;
  refused = 0;
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
    if (captured.kind === "message") await this.#add(captured.conversation, { message: captured.message, place });
    else if (captured.kind === "conversation") await this.#begin(captured.begin, place);
    else if (captured.kind === "result") await this.#storeResult(captured.result, place);
    else if (captured.kind === "context") await this.#storeContext(captured.context, place);
  }

  /** Resolves when everything that was taken is stored. */
  async flush(): Promise<void> {
    for (const conversation of this.#waiting.keys()) await this.#send(conversation);
    await this.#underWay;
  }

  async #begin(begin: CapturedConversation, place: SourcePlace): Promise<void> {
    if (this.#begun.has(begin.conversation_id)) return;
    const { metadata, ...rest } = begin;
    try {
      await this.#options.call("dewey_begin_conversation", { ...rest, ...(metadata === null ? {} : { metadata }) });
    } catch (thrown) {
      // It is there, begun by a hook or an earlier import that knew other facts; or it is in the trash, where it stays.
      if (asDeweyError(thrown).code !== "conflict") return this.#refuse(thrown, place);
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
    const batch = this.#waiting.get(conversation) ?? [];
    this.#waiting.set(conversation, batch);
    const message = fitting(item.message);
    batch.push({ ...item, message });
    const size = message.content.length + JSON.stringify(message.metadata).length;
    const characters = (this.#characters.get(conversation) ?? 0) + size;
    this.#characters.set(conversation, characters);
    if (batch.length >= MAX_BATCH_MESSAGES || characters >= MAX_BATCH_CHARACTERS) await this.#send(conversation);
    else if (this.#waiting.size > 1) await this.#relieve();
  }

  /** Rows of many conversations may be mixed: none may wait until memory is full. */
  async #relieve(): Promise<void> {
    const waiting = [...this.#characters.values()].reduce((sum, each) => sum + each, 0);
    if (waiting < MAX_WAITING_CHARACTERS) return;
    for (const conversation of this.#waiting.keys()) await this.#send(conversation);
  }

  /** Sends one batch, behind the one that is under way. */
  async #send(conversation: string): Promise<void> {
    const batch = this.#waiting.get(conversation) ?? [];
    this.#waiting.delete(conversation);
    this.#characters.delete(conversation);
    const before = this.#underWay;
    await before;
    this.#underWay = this.#bulk(conversation, batch);
    // It is looked at with the next; until then its failure must not count as nobody's.
    this.#underWay.catch(() => {});
  }

  async #bulk(conversation: string, batch: Waiting[]): Promise<void> {
    const [first] = batch;
    if (first === undefined) return;
    const messages = batch.map(({ message: { metadata, ...rest } }) => ({
      ...rest,
      ...(metadata === null ? {} : { metadata }),
    }));
    try {
      const reply = await this.#options.call("dewey_store_messages_bulk", {
        conversation_id: conversation,
        messages,
        skip_known: true,
        follow_to_trash: true,
      });
      this.stored += Number(reply["stored"]);
      this.known += Number(reply["known"]);
    } catch (thrown) {
      // Of a refused batch only the message at fault is left out.
      if (batch.length === 1) this.#refuse(thrown, first.place);
      else if (asDeweyError(thrown).code === "unavailable") throw thrown;
      else for (const item of batch) await this.#bulk(conversation, [item]);
    }
  }

  #refuse(thrown: unknown, place: SourcePlace): void {
    const error = asDeweyError(thrown);
    if (error.code === "unavailable" || error.code === "unauthorized") throw error;
    this.refused += 1;
    this.#options.onRefused(place, error.message);
  }
}

/** Cuts what would not fit into a call to the store, and says so: nothing larger can be stored. */
function fitting(message: CapturedMessage): CapturedMessage {
  const most = MAX_FRAME_BYTES - CALL_OVERHEAD_CHARACTERS;
  const metadata = JSON.stringify(message.metadata);
  // JSON writes a character in six at most.
  if ((message.content.length + metadata.length) * 6 <= most) return message;
  if (Buffer.byteLength(JSON.stringify(message)) <= most) return message;
  const content = message.content.slice(0, Math.floor(most / 12)).toWellFormed();
  const kept = metadata.length * 6 > most / 2 ? { metadata_characters: metadata.length } : message.metadata;
  return { ...message, content, metadata: { ...kept, cut_from_characters: message.content.length } };
}
