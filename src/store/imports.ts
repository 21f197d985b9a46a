import type { TransactionSQL } from "bun";
import { appendRows, extraMs, prepareInTurns } from "./append/append.ts";
import type { AppendRow, NewMessage } from "./append/row.ts";
import type { Database } from "./database/database.ts";
import { exactMetadata, exactText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { MAX_IDS_IN_REPLY } from "./messages.ts";
import type { BulkStored, Messages } from "./messages.ts";
import { storeSections } from "./search/section-rows.ts";
import type { Workshop } from "./workshop/workshop.ts";
import { hashedUuid } from "../uuid.ts";

/**
 * Messages that builds before migration 0015 imported: what they are stands in their metadata at most. Their ids, and some of
 * their texts, were made otherwise. The condition is that of the index `messages_former`.
 */
const IS_FORMER = "kind is null and metadata ->> 'source' in ('chatgpt', 'claude', 'claude-code', 'codex')";

/** A message of another program's file, with the id that an earlier build gave it. */
export type ImportedMessage = NewMessage & { message_id: string; former_id?: string | undefined };

interface FormerRow {
  id: string;
  content: string;
  content_exact: string | null;
  metadata: Metadata | null;
  metadata_exact: string | null;
  created_at: Date;
}

/** Stores what other programs have written, also what an earlier build has stored in another form. */
export class Imports {
  readonly #database: Database;
  readonly #workshop: Workshop;
  readonly #messages: Messages;

  constructor(database: Database, workshop: Workshop, messages: Messages) {
    this.#database = database;
    this.#workshop = workshop;
    this.#messages = messages;
  }

  /** Stores what is new. What is known counts as known, whoever has it; `changed` names those with another content. */
  async store(input: {
    conversation_id: string;
    messages: ImportedMessage[];
  }): Promise<Pick<BulkStored, "known_ids" | "changed" | "elsewhere"> & { stored: number; known: number }> {
    const adopted = await this.#adopt(input.conversation_id, input.messages);
    const messages = input.messages
      .filter(({ message_id }) => !adopted.has(message_id.toLowerCase()))
      .map(withoutFormer);
    const options = { skip_copies: true, follow_to_trash: true };
    const {
      stored,
      known = 0,
      known_ids = [],
      changed,
      elsewhere,
    } = messages.length === 0
      ? { stored: 0 }
      : await this.#messages.storeBulk({ conversation_id: input.conversation_id, messages, ...options });
    const ids = [...adopted, ...known_ids];
    return {
      stored,
      known: known + adopted.size,
      ...(ids.length > 0 && { known_ids: ids }),
      ...(changed && { changed }),
      ...(elsewhere && { elsewhere }),
    };
  }

  /** Which messages are not stored as they are. Those that are count wherever they are. */
  async known(input: {
    conversation_id: string;
    messages: { id: string; hash: string }[];
  }): Promise<{ missing: number[]; elsewhere?: string[]; former: boolean }> {
    const here = input.conversation_id.toLowerCase();
    const ids = input.messages.map(({ id }) => id);
    const hashes = input.messages.map(({ hash }) => hash);
    return this.#database.retried(async (sql) => {
      // One look into the index for each id: joined as a whole, all messages would be read for them.
      const rows: { place: number; conversation: string | null; isSame: boolean }[] = await sql`
        select place::integer - 1 as place, m.conversation_id as conversation,
          coalesce(m.sent_hash = decode(given.hash, 'hex'), false) as "isSame"
        from unnest(${sql.array(ids, "UUID")}::uuid[], ${sql.array(hashes, "TEXT")}::text[])
          with ordinality as given (id, hash, place)
        left join lateral (select conversation_id, sent_hash from messages where id = given.id limit 1) m on true
        where m.conversation_id is distinct from ${here} or m.sent_hash is distinct from decode(given.hash, 'hex')`;
      const [found]: { former: boolean }[] = await sql`
        select exists (select from messages where conversation_id = ${here} and ${sql.unsafe(IS_FORMER)}) as former`;
      const others = [...new Set(rows.flatMap(({ conversation, isSame }) => (isSame && conversation) || []))];
      return {
        missing: rows.flatMap(({ place, isSame }) => (isSame ? [] : [place])),
        ...(others.length > 0 ? { elsewhere: others.slice(0, MAX_IDS_IN_REPLY) } : {}),
        former: found?.former ?? false,
      };
    });
  }

  /**
   * Gives messages of an earlier build their new form: id, text, role and facts, at the place that they have. A text that was
   * another one stays as a note behind the others, unless both are notes. Returns the new ids.
   */
  async #adopt(conversation: string, given: ImportedMessage[]): Promise<Set<string>> {
    const named = new Map(
      given.flatMap((message) => (message.former_id ? [[message.former_id.toLowerCase(), message] as const] : [])),
    );
    if (named.size === 0) return new Set();
    const chosen = await this.#formerOf(conversation, named);
    if (chosen.length === 0) return new Set();
    const options = { single: false, followToTrash: true };
    const messages = chosen.map(({ message }) => withoutFormer(message));
    const { rows, characters } = await prepareInTurns(conversation, messages, options, this.#workshop);
    const earlier = chosen.flatMap(({ former, message }) => earlierText(former, message));
    const notes = await prepareInTurns(conversation, earlier, options, this.#workshop);
    await this.#database.transaction(
      async (sql) => {
        await sql`select from conversations where id = ${conversation} for no key update`;
        const before = chosen.map(({ former }) => former.id);
        await rewrite(sql, before, rows);
        if (earlier.length > 0) await appendRows(sql, [notes.rows]);
        await recount(sql, conversation);
      },
      extraMs(characters + notes.characters),
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** The messages of an earlier build among those named, unless the store has them under their new id as well. */
  async #formerOf(conversation: string, named: Map<string, ImportedMessage>) {
    return this.#database.retried(async (sql) => {
      const formers: FormerRow[] = await sql`
        select id, content, content_exact, metadata, metadata_exact, created_at from messages
        where conversation_id = ${conversation} and id = any(${sql.array([...named.keys()], "UUID")}::uuid[])
          and ${sql.unsafe(IS_FORMER)}`;
      const newIds = formers.flatMap(({ id }) => newIdOf(named, id));
      const taken: { id: string }[] = await sql`
        select id from messages where id = any(${sql.array(newIds, "UUID")}::uuid[])`;
      const known = new Set(taken.map(({ id }) => id));
      return formers.flatMap((former) => {
        const message = named.get(former.id);
        return message === undefined || newIdOf(named, former.id).some((id) => known.has(id))
          ? []
          : [{ former, message }];
      });
    });
  }
}

/** Gives stored messages, by their ids, the form of the rows. */
async function rewrite(sql: TransactionSQL, before: string[], rows: AppendRow[]): Promise<void> {
  const column = <Key extends keyof AppendRow>(key: Key) => rows.map((row) => row[key]);
  await sql`
    update messages m set
      id = g.id, role = g.role, content = g.content, content_exact = g.content_exact,
      metadata = g.metadata::jsonb, metadata_exact = g.metadata_exact, sent_hash = decode(g.hash, 'hex'),
      created_at = coalesce(g.time, m.created_at),
      search = case when m.content = g.content then m.search
        else dewey_search_vector(coalesce(g.searchable, g.content)) end,
      kind = left(g.metadata::jsonb ->> 'kind', 100),
      bookkeeping = coalesce(g.metadata::jsonb -> 'bookkeeping' = 'true', false),
      abandoned = coalesce(g.metadata::jsonb -> 'abandoned' = 'true', false)
    from unnest(
      ${sql.array(before, "UUID")}::uuid[], ${sql.array(column("id"), "UUID")}::uuid[],
      ${sql.array(column("role"), "TEXT")}::text[], ${sql.array(column("content"), "TEXT")}::text[],
      ${sql.array(column("contentExact"), "TEXT")}::text[], ${sql.array(column("metadata"), "TEXT")}::text[],
      ${sql.array(column("metadataExact"), "TEXT")}::text[], ${sql.array(column("time"), "TIMESTAMPTZ")}::timestamptz[],
      ${sql.array(column("hash"), "TEXT")}::text[], ${sql.array(column("searchable"), "TEXT")}::text[]
    ) as g (former, id, role, content, content_exact, metadata, metadata_exact, time, hash, searchable)
    where m.id = g.former and m.kind is null`;
  await storeSections(sql, rows);
}

function withoutFormer(given: ImportedMessage): NewMessage {
  const { former_id: _, ...message } = given;
  return message;
}

function newIdOf(named: Map<string, ImportedMessage>, former: string): string[] {
  const id = named.get(former)?.message_id.toLowerCase();
  return id === undefined || id === former ? [] : [id];
}

/** The text that a message had, as a note of its own, when that says something else and was no note itself. */
function earlierText(former: FormerRow, message: ImportedMessage): NewMessage[] {
  const content = exactText(former.content, former.content_exact);
  if (content === message.content || isNote(content) || message.metadata?.["bookkeeping"] === true) return [];
  return [
    {
      message_id: hashedUuid(`${former.id}\0former`),
      role: "system",
      content,
      created_at: former.created_at.toISOString(),
      metadata: {
        ...exactMetadata(former.metadata, former.metadata_exact),
        kind: "former",
        bookkeeping: true,
        replaced_by: message.message_id,
      },
    },
  ];
}

/** Words that an earlier build put in the place of those that it did not read, such as `[input_text] [input_image]`. */
function isNote(content: string): boolean {
  return content === "(empty)" || /^(?:\[[\w /-]{1,100}\] ?){1,100}$/.test(content);
}

/** What a conversation says of its messages, after some have changed. */
async function recount(sql: TransactionSQL, conversation: string): Promise<void> {
  await sql`
    update conversations c set message_count = counted.talk, created_at = coalesce(counted.first, c.created_at),
      updated_at = coalesce(counted.last, c.updated_at),
      title = case when c.title_source = 'prompt' then coalesce(prompted.title, c.title) else c.title end
    from (
      select count(*)::integer as talk, min(created_at) as first, max(created_at) as last from messages
      where conversation_id = ${conversation} and not bookkeeping
    ) counted
    left join lateral (
      select nullif(dewey_prompt_title(content), '') as title from messages
      where conversation_id = ${conversation} and role = 'user' and coalesce(kind, metadata ->> 'kind', 'prompt') = 'prompt'
      order by turn_number limit 1
    ) prompted on true
    where c.id = ${conversation}`;
}
