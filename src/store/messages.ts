import { DeweyError } from "../errors.ts";
import type { Database } from "./database/database.ts";
import { storableMetadata } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { readConversation } from "./page.ts";
import type { ConversationPage, PageRequest } from "./page.ts";
import type { IndexSorter } from "./search/index-sorter.ts";
import type { Reads } from "./database/reads.ts";
import { redactKey, redactMetadata } from "./redact/redact.ts";
import type { Redactor } from "./redact/redact.ts";
import { extraMs } from "./append/append.ts";
import type { NewMessage, StoredMessage } from "./append/append.ts";
import { Writer } from "./append/writer.ts";

/** Maximum number of ids in a reply; a caller hardly reads more. */
const MAX_IDS_IN_REPLY = 100;

interface BulkStored {
  conversation_id: string;
  stored: number;
  /** With `skip_known`: the number of messages skipped. */
  known?: number;
  first_turn?: number;
  last_turn?: number;
  message_ids?: string[];
}

/** The messages of conversations: stored singly or in bulk, and read in order. */
export class Messages {
  readonly #database: Database;
  readonly #reads: Reads;
  readonly #redactor: Redactor;
  readonly #writer: Writer;

  constructor(database: Database, reads: Reads, redactor: Redactor, sorter: IndexSorter) {
    this.#database = database;
    this.#reads = reads;
    this.#redactor = redactor;
    this.#writer = new Writer(database, redactor, sorter);
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
   * messages whose ids the conversation has are skipped even if they differ, so that a source can be imported again.
   */
  async storeBulk(input: {
    conversation_id?: string | undefined;
    session_id?: string | undefined;
    metadata?: Metadata | undefined;
    messages: NewMessage[];
    follow_to_trash?: boolean | undefined;
    skip_known?: boolean | undefined;
  }): Promise<BulkStored> {
    const conversationId = input.conversation_id ?? Bun.randomUUIDv7();
    if (input.conversation_id === undefined) {
      return bulkStored(conversationId, await this.#storeInNew(conversationId, input), {});
    }
    const messages = input.skip_known ? await this.#unknown(conversationId, input.messages) : input.messages;
    const passedOver = input.skip_known ? { known: input.messages.length - messages.length } : {};
    const options = { single: false, followToTrash: input.follow_to_trash ?? false };
    const stored = messages.length === 0 ? [] : await this.#writer.append(conversationId, messages, options);
    return bulkStored(conversationId, stored, passedOver);
  }

  /** A page of a conversation in the order of its turns. Throws `not_found` for the conversation and the turn. */
  async page(input: PageRequest): Promise<ConversationPage> {
    return this.#reads.lookUp((sql) => readConversation(sql, input));
  }

  async #unknown(conversationId: string, messages: NewMessage[]): Promise<NewMessage[]> {
    const ids = messages.flatMap((message) => message.message_id ?? []);
    const rows: { id: string }[] = await this.#database.retried(
      (sql) => sql`select id from messages
        where id = any(${sql.array(ids, "UUID")}::uuid[]) and conversation_id = ${conversationId}`,
    );
    const known = new Set(rows.map((row) => row.id));
    return messages.filter((message) => !known.has(message.message_id?.toLowerCase() ?? ""));
  }

  async #storeInNew(
    id: string,
    input: { session_id?: string | undefined; metadata?: Metadata | undefined; messages: NewMessage[] },
  ): Promise<StoredMessage[]> {
    const metadata = storableMetadata(redactMetadata(this.#redactor, input.metadata));
    const session = redactKey(this.#redactor, input.session_id) ?? null;
    const characters = input.messages.reduce((sum, message) => sum + message.content.length, 0);
    return this.#database.transaction(async (sql) => {
      await sql`insert into conversations (id, session_id, metadata, metadata_exact)
        values (${id}, ${session}, ${metadata.readable}::text::jsonb, ${metadata.exact})`;
      return this.#writer.appendWithin(sql, id, input.messages);
    }, extraMs(characters));
  }
}

function bulkStored(conversation_id: string, stored: StoredMessage[], passedOver: { known?: number }): BulkStored {
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
