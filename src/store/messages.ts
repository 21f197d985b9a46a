import { DeweyError } from "../errors.ts";
import { notFound } from "./conversations.ts";
import type { Database } from "./database.ts";
import { exactMetadata, exactText, storableMetadata } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, beginning } from "./reply.ts";
import { Writer, appendWithin } from "./writer.ts";
import type { NewMessage, StoredMessage } from "./writer.ts";

/** More ids than these would fill a reply with what its caller hardly reads. */
const MAX_IDS_IN_REPLY = 100;

export interface MessageView {
  id: string;
  turn: number;
  role: string;
  content: string;
  metadata: Metadata | null;
  created_at: string;
  /** Of a message that is not here whole: its length, in code points. */
  content_length?: number;
  /** Where to read on in it; absent when its end is here. */
  next_content_offset?: number;
}

export interface ConversationPage {
  conversation_id: string;
  session_id: string | null;
  created_at: string;
  updated_at: string;
  metadata: Metadata | null;
  messages: MessageView[];
  /** Where to read on; absent when there is no more. */
  next_after_turn?: number;
}

export interface PageRequest {
  conversation_id: string;
  after_turn?: number | undefined;
  limit?: number | undefined;
  /** One message alone … */
  turn?: number | undefined;
  /** … from this code point on. */
  content_offset?: number | undefined;
  /** Lifts the reply's budget. */
  full?: boolean | undefined;
}

interface MessageRow {
  id: string;
  turn_number: number;
  role: string;
  content: string;
  content_exact: string | null;
  metadata: Metadata | null;
  metadata_exact: string | null;
  created_at: Date;
}

interface ConversationRow {
  session_id: string | null;
  created_at: Date;
  updated_at: Date;
  metadata: Metadata | null;
  metadata_exact: string | null;
}

/** The messages of conversations: stored one by one or in bulk, read in order. */
export class Messages {
  readonly #database: Database;
  readonly #writer: Writer;

  constructor(database: Database) {
    this.#database = database;
    this.#writer = new Writer(database);
  }

  /** Throws `not_found` for the conversation, `conflict` for a turn or an id that is taken. */
  async store(input: NewMessage & { conversation_id: string }): Promise<StoredMessage> {
    const [stored] = await this.#writer.append(input.conversation_id, [input], true);
    if (!stored) throw new DeweyError("internal", "the message was stored but its answer is missing");
    return stored;
  }

  /** Stores all messages or none, into a conversation that is there or a new one. Errors name `messages[3].…`. */
  async storeBulk(input: {
    conversation_id?: string | undefined;
    session_id?: string | undefined;
    metadata?: Metadata | undefined;
    messages: NewMessage[];
  }): Promise<{
    conversation_id: string;
    stored: number;
    first_turn: number;
    last_turn: number;
    message_ids?: string[];
  }> {
    const conversationId = input.conversation_id ?? Bun.randomUUIDv7();
    const stored =
      input.conversation_id === undefined
        ? await this.#storeInNew(conversationId, input)
        : await this.#writer.append(conversationId, input.messages, false);
    const turns = stored.map((message) => message.turn_number);
    return {
      conversation_id: conversationId,
      stored: stored.length,
      first_turn: turns.reduce((least, turn) => Math.min(least, turn)),
      last_turn: turns.reduce((most, turn) => Math.max(most, turn)),
      ...(stored.length <= MAX_IDS_IN_REPLY ? { message_ids: stored.map((message) => message.message_id) } : {}),
    };
  }

  /** A page of a conversation in the order of its turns. Never reads more from the database than the reply may hold. */
  async page(input: PageRequest): Promise<ConversationPage> {
    const id = input.conversation_id;
    return this.#database.repeatable(async (sql) => {
      const [conversation]: ConversationRow[] = await sql`
        select session_id, created_at, updated_at, metadata, metadata_exact
        from conversations where id = ${id} and deleted_at is null`;
      if (!conversation) throw notFound(id);
      const page = input.turn === undefined ? await readPage(sql, input) : await readTurn(sql, input, input.turn);
      return {
        conversation_id: id,
        session_id: conversation.session_id,
        created_at: conversation.created_at.toISOString(),
        updated_at: conversation.updated_at.toISOString(),
        metadata: exactMetadata(conversation.metadata, conversation.metadata_exact),
        ...page,
      };
    });
  }

  #storeInNew(
    id: string,
    input: { session_id?: string | undefined; metadata?: Metadata | undefined; messages: NewMessage[] },
  ): Promise<StoredMessage[]> {
    const metadata = storableMetadata(input.metadata);
    return this.#database.transaction(async (sql) => {
      await sql`insert into conversations (id, session_id, metadata, metadata_exact)
        values (${id}, ${input.session_id ?? null}, ${metadata.readable}::text::jsonb, ${metadata.exact})`;
      return appendWithin(sql, id, input.messages);
    });
  }
}

type Sql = Parameters<Parameters<Database["repeatable"]>[0]>[0];

/** The rows after a turn, as many as the budget and the limit allow. The sizes are read first: they cost no content. */
async function readPage(sql: Sql, input: PageRequest): Promise<{ messages: MessageView[]; next_after_turn?: number }> {
  const after = input.after_turn ?? 0;
  const most = input.full
    ? (input.limit ?? null)
    : Math.min(input.limit ?? Infinity, REPLY_BUDGET_BYTES / ROW_OVERHEAD_BYTES);
  const sizes: { turn_number: number; bytes: number }[] = await sql`
    select turn_number, octet_length(content) + coalesce(octet_length(metadata::text), 0) as bytes
    from messages where conversation_id = ${input.conversation_id} and turn_number > ${after}
    order by turn_number limit ${most === null ? null : most + 1}`;
  const taken = most === null ? sizes : withinBudget(sizes.slice(0, most), input.full ?? false);
  const last = taken.at(-1);
  if (last === undefined) return { messages: [] };
  const more = sizes.length > taken.length ? { next_after_turn: last.turn_number } : {};
  const [only] = taken;
  if (!input.full && taken.length === 1 && only && only.bytes > REPLY_BUDGET_BYTES) {
    return { ...(await readTurn(sql, input, only.turn_number)), ...more };
  }
  const rows: MessageRow[] = await sql`
    select id, turn_number, role, content, content_exact, metadata, metadata_exact, created_at
    from messages where conversation_id = ${input.conversation_id} and turn_number > ${after}
      and turn_number <= ${last.turn_number} order by turn_number`;
  return { messages: rows.map((row) => view(row, exactText(row.content, row.content_exact))), ...more };
}

/** The first rows that fit, and one at least, so that reading on always gets further. */
function withinBudget<Row extends { bytes: number }>(rows: Row[], full: boolean): Row[] {
  if (full) return rows;
  let bytes = 0;
  const end = rows.findIndex((row) => {
    bytes += row.bytes + ROW_OVERHEAD_BYTES;
    return bytes > REPLY_BUDGET_BYTES;
  });
  return end === -1 ? rows : rows.slice(0, Math.max(1, end));
}

/** One message from an offset on, cut to the budget. */
async function readTurn(sql: Sql, input: PageRequest, turn: number): Promise<{ messages: MessageView[] }> {
  const offset = input.content_offset ?? 0;
  const most = input.full ? null : REPLY_BUDGET_BYTES;
  const [row]: (MessageRow & { length: number })[] = await sql`
    select id, turn_number, role, created_at, length(content) as length, metadata, metadata_exact, content_exact,
      case when ${most}::integer is null then substr(content, ${offset + 1}::integer)
        else substr(content, ${offset + 1}::integer, ${most}::integer) end as content
    from messages where conversation_id = ${input.conversation_id} and turn_number = ${turn}`;
  if (!row) {
    throw new DeweyError("not_found", `conversation ${input.conversation_id} has no turn ${turn}`, { field: "turn" });
  }
  if (offset > row.length) {
    throw new DeweyError("invalid", `content_offset should be at most ${row.length}, the length of turn ${turn}`, {
      field: "content_offset",
    });
  }
  const rest =
    row.content_exact === null ? row.content : Array.from(exactText("", row.content_exact)).slice(offset).join("");
  const cut = input.full ? { text: rest, characters: row.length - offset } : beginning(rest, REPLY_BUDGET_BYTES);
  const end = offset + cut.characters;
  const whole = offset === 0 && end === row.length;
  return {
    messages: [
      {
        ...view(row, cut.text),
        ...(whole ? {} : { content_length: row.length }),
        ...(end < row.length ? { next_content_offset: end } : {}),
      },
    ],
  };
}

function view(row: MessageRow, content: string): MessageView {
  return {
    id: row.id,
    turn: row.turn_number,
    role: row.role,
    content,
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    created_at: row.created_at.toISOString(),
  };
}
