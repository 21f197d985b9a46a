import { DeweyError } from "../errors.ts";
import type { Database } from "./database/database.ts";
import { sentHash } from "../sent-hash.ts";
import type { Metadata } from "./exact.ts";
import { readConversation } from "./page.ts";
import type { ConversationPage, PageRequest } from "./page.ts";
import type { IndexSorter } from "./search/index-sorter.ts";
import type { Reads } from "./database/reads.ts";
import { redactKey } from "./redact/redact.ts";
import { extraMs } from "./append/append.ts";
import type { AppendOptions, StoredMessage } from "./append/append.ts";
import type { NewMessage } from "./append/row.ts";
import { Writer } from "./append/writer.ts";
import type { Workshop } from "./workshop/workshop.ts";

/** Maximum number of ids in a reply; a caller hardly reads more. */
export const MAX_IDS_IN_REPLY = 100;

/** A message that is stored already. */
interface KnownRow {
  id: string;
  conversation_id: string;
  hash: string | null;
}

export interface BulkStored {
  conversation_id: string;
  stored: number;
  /** With `skip_known`: the number of messages skipped. */
  known?: number;
  /** With `skip_copies`: the ids of the messages skipped. */
  known_ids?: string[];
  /** Ids among the known ones whose stored content is another than the one given. */
  changed?: string[];
  /** Other conversations that have some of the known ones. */
  elsewhere?: string[];
  first_turn?: number;
  last_turn?: number;
  message_ids?: string[];
}

/** The messages of conversations: stored singly or in bulk, and read in order. */
export class Messages {
  readonly #database: Database;
  readonly #reads: Reads;
  readonly #workshop: Workshop;
  readonly #writer: Writer;

  constructor(database: Database, reads: Reads, workshop: Workshop, sorter: IndexSorter) {
    this.#database = database;
    this.#reads = reads;
    this.#workshop = workshop;
    this.#writer = new Writer(database, workshop, sorter);
  }

  /** What this server has stored since its start. */
  get stored(): { messages: number; bytes: number } {
    return this.#writer.stored;
  }

  /** Throws `not_found` for the conversation, `conflict` for a turn or an id that is taken. */
  async store(input: NewMessage & { conversation_id: string }): Promise<StoredMessage> {
    const [stored] = await this.#writer.append(input.conversation_id, [input], {
      single: true,
      followToTrash: false,
    });
    if (!stored) throw new DeweyError("internal", "the message was stored but its answer is missing");
    return stored;
  }

  /**
   * Stores all messages or none, into an existing conversation or a new one. Errors name `messages[3].…`. With `skip_known`,
   * messages whose ids the conversation has are skipped even if they differ, so that a source can be imported again. With
   * `skip_copies`, those of other conversations are skipped too, and the reply names these and the messages that differ; a call
   * that fails may then have stored the messages before the one at fault.
   */
  async storeBulk(input: {
    conversation_id?: string | undefined;
    session_id?: string | undefined;
    metadata?: Metadata | undefined;
    messages: NewMessage[];
    follow_to_trash?: boolean | undefined;
    skip_known?: boolean | undefined;
    skip_copies?: boolean | undefined;
  }): Promise<BulkStored> {
    const conversationId = input.conversation_id ?? Bun.randomUUIDv7();
    if (input.conversation_id === undefined) {
      return bulkStored(conversationId, await this.#storeInNew(conversationId, input), {});
    }
    const { messages, ...passedOver } =
      input.skip_known || input.skip_copies
        ? await this.#sift(conversationId, input.messages, input.skip_copies ?? false)
        : { messages: input.messages };
    const options = { single: false, followToTrash: input.follow_to_trash ?? false };
    const stored = await this.#appended(conversationId, messages, options, input.skip_copies === true);
    return bulkStored(conversationId, stored, passedOver);
  }

  /** Messages of an import are stored in parts: its copies are passed over, so that it may be repeated after a failure. */
  async #appended(
    conversationId: string,
    messages: NewMessage[],
    options: AppendOptions,
    inParts: boolean,
  ): Promise<StoredMessage[]> {
    if (messages.length === 0) return [];
    if (inParts) return this.#writer.appendInParts(conversationId, messages, options);
    return this.#writer.append(conversationId, messages, options);
  }

  /** A page of a conversation in the order of its turns. Throws `not_found` for the conversation and the turn. */
  async page(input: PageRequest): Promise<ConversationPage> {
    return this.#reads.lookUp((sql) => readConversation(sql, input));
  }

  /** The messages that are not stored, and what is known of the others. */
  async #sift(
    conversationId: string,
    given: NewMessage[],
    withCopies: boolean,
  ): Promise<{ messages: NewMessage[] } & Pick<BulkStored, "known" | "known_ids" | "changed" | "elsewhere">> {
    const ids = given.flatMap((message) => message.message_id ?? []);
    const rows: KnownRow[] = await this.#database.retried(
      (sql) => sql`select id, conversation_id, encode(sent_hash, 'hex') as hash from messages
        where id = any(${sql.array(ids, "UUID")}::uuid[]) and (${withCopies} or conversation_id = ${conversationId})`,
    );
    const known = new Map(rows.map((row) => [row.id, row]));
    const rowOf = (message: NewMessage) => known.get(message.message_id?.toLowerCase() ?? "");
    const messages = given.filter((message) => rowOf(message) === undefined);
    if (!withCopies) return { messages, known: given.length - messages.length };
    const suspects = given.filter((message) => {
      const row = rowOf(message);
      return row !== undefined && row.hash !== sentHash(message.role, message.content, message.metadata);
    });
    const changed = await this.#changed(suspects);
    const here = conversationId.toLowerCase();
    const elsewhere = [...new Set(rows.map((row) => row.conversation_id))].filter((id) => id !== here);
    return {
      messages,
      known: given.length - messages.length,
      ...(rows.length > 0 ? { known_ids: rows.map((row) => row.id) } : {}),
      ...(changed.length > 0 ? { changed } : {}),
      ...(elsewhere.length > 0 ? { elsewhere: elsewhere.slice(0, MAX_IDS_IN_REPLY) } : {}),
    };
  }

  /**
   * The ids of messages that are stored with another content. Those that were stored as `provisional`, or with secrets cut by
   * patterns that may have changed, cannot be compared.
   */
  async #changed(suspects: NewMessage[]): Promise<string[]> {
    if (suspects.length === 0) return [];
    const ids = suspects.flatMap((message) => message.message_id?.toLowerCase() ?? []);
    // PostgreSQL hashes the contents, so that large ones stay there.
    const rows: { id: string; hash: string }[] = await this.#database.retried(
      (sql) => sql`select id, encode(sha256(convert_to(coalesce(content_exact, content), 'UTF8')), 'hex') as hash
        from messages where id = any(${sql.array(ids, "UUID")}::uuid[])
          and coalesce(metadata -> 'provisional' <> 'true', true) and not coalesce(metadata ? 'redactions', false)`,
    );
    const stored = new Map(rows.map((row) => [row.id, row.hash]));
    const changed: string[] = [];
    for (const message of suspects) {
      const id = message.message_id?.toLowerCase() ?? "";
      const known = stored.get(id);
      if (known === undefined) continue;
      const hashes = await this.#workshop.make("hashes", message);
      if (!hashes.includes(known)) changed.push(id);
    }
    return changed;
  }

  async #storeInNew(
    id: string,
    input: { session_id?: string | undefined; metadata?: Metadata | undefined; messages: NewMessage[] },
  ): Promise<StoredMessage[]> {
    const metadata = await this.#workshop.make("metadata", input.metadata);
    const session = redactKey(this.#workshop.redactor, input.session_id) ?? null;
    const characters = input.messages.reduce((sum, message) => sum + message.content.length, 0);
    const append = await this.#writer.prepare(id, input.messages);
    return this.#database.transaction(async (sql) => {
      await sql`insert into conversations (id, session_id, metadata, metadata_exact)
        values (${id}, ${session}, ${metadata.readable}::text::jsonb, ${metadata.exact})`;
      return this.#writer.appendWithin(sql, append);
    }, extraMs(characters));
  }
}

function bulkStored(
  conversation_id: string,
  stored: StoredMessage[],
  passedOver: Pick<BulkStored, "known" | "known_ids" | "changed" | "elsewhere">,
): BulkStored {
  const turns = stored.map((message) => message.turn_number);
  return {
    conversation_id,
    stored: stored.length,
    ...passedOver,
    ...(stored.length === 0
      ? {}
      : {
          first_turn: turns.reduce((least, turn) => Math.min(least, turn)),
          last_turn: turns.reduce((most, turn) => Math.max(most, turn)),
        }),
    ...(stored.length <= MAX_IDS_IN_REPLY ? { message_ids: stored.map((message) => message.message_id) } : {}),
  };
}
