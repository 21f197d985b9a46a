import type { SQL } from "bun";
import { DeweyError } from "../errors.ts";
import { unknownActor } from "./audit.ts";
import type { Actor, Audit, Note } from "./audit.ts";
import { placeOf } from "./cursor.ts";
import type { Database } from "./database/database.ts";
import { exactMetadata, storableMetadata, storableText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { factColumns, factsOf, titleSources } from "./facts.ts";
import type { ConversationFacts, TitleSource } from "./facts.ts";
import { readFacets } from "./facets.ts";
import type { Facets } from "./facets.ts";
import { behind, countRows, keyTime, listPlaceSchema, pageOf, timeKey } from "./listing.ts";
import type { Listed } from "./listing.ts";
import type { Reads } from "./database/reads.ts";
import { redactKey } from "./redact/redact.ts";
import type { Workshop } from "./workshop/workshop.ts";
import { isByMessages, listFilter, meetsNone } from "./conversation-filter.ts";
import type { ConversationNarrowing } from "./conversation-filter.ts";
import { byIndexes, meantBy } from "./narrowing.ts";
import type { Unmatched } from "./narrowing.ts";
import { REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, largestWhole } from "./reply.ts";
import { MS_PER_DAY } from "../units.ts";

interface ConversationSummary extends ConversationFacts {
  id: string;
  session_id: string | null;
  created_at: string;
  /** Times of the first and the last message. */
  updated_at: string;
  /** Without bookkeeping. */
  message_count: number;
  metadata: Metadata | null;
  /** Size as JSON of metadata that is left out because it does not fit into the reply. */
  metadata_bytes?: number;
}

export interface ConversationList extends Listed {
  conversations: ConversationSummary[];
  /** On the first page, when asked for. */
  facets?: Facets;
  /** When there is nothing: the filters that nothing meets. */
  unmatched?: Unmatched[];
}

const conversationPlace = listPlaceSchema(timeKey);

/** The sizes that decide how much of a conversation is read. */
interface ConversationSizeRow {
  id: string;
  metadata_bytes: number;
  time: string;
}

interface BegunRow {
  created_at: Date;
  trashed: boolean;
  /** Whether its session and metadata are those of the call. */
  same: boolean;
}

interface ConversationRow extends ConversationFacts {
  id: string;
  session_id: string | null;
  created_at: Date;
  updated_at: Date;
  message_count: number;
  metadata: Metadata | null;
  metadata_exact: string | null;
}

interface StoredMetadata {
  metadata: Metadata | null;
  metadata_exact: string | null;
}

/** Conversations purged by one statement, which stays far from the deadline however full the trash is. */
const PURGE_AT_ONCE = 10;

/** Conversations: begun, listed, moved to the trash and restored. */
export class Conversations {
  readonly #database: Database;
  readonly #reads: Reads;
  readonly #trashDays: number;
  readonly #workshop: Workshop;
  readonly #audit: Audit;

  constructor(database: Database, reads: Reads, trashDays: number, workshop: Workshop, audit: Audit) {
    this.#database = database;
    this.#reads = reads;
    this.#workshop = workshop;
    this.#trashDays = trashDays;
    this.#audit = audit;
  }

  /**
   * Begins a conversation. With an id from the caller, repeating the call returns the same.
   * Throws `conflict` when that id is in the trash, or was begun with another session or other metadata.
   */
  async begin(input: {
    conversation_id?: string | undefined;
    session_id?: string | undefined;
    metadata?: Metadata | undefined;
    /** ISO 8601; the current time when absent. A repeated call may give another one. */
    created_at?: string | undefined;
  }): Promise<{ conversation_id: string; session_id: string | null; created_at: string }> {
    const id = input.conversation_id?.toLowerCase() ?? Bun.randomUUIDv7();
    const metadata = await this.#workshop.make("metadata", input.metadata);
    const session = redactKey(this.#workshop.redactor, input.session_id) ?? null;
    const row = await this.#database.retried(async (sql) => {
      await sql`insert into conversations (id, session_id, metadata, metadata_exact, created_at, updated_at)
        select ${id}, ${session}, ${metadata.readable}::text::jsonb, ${metadata.exact}, time, time
        from coalesce(${input.created_at ?? null}::timestamptz, now()) as time on conflict (id) do nothing`;
      const [begun]: BegunRow[] = await sql`select created_at, deleted_at is not null as trashed,
          session_id is not distinct from ${session}
          and metadata is not distinct from ${metadata.readable}::text::jsonb as same
        from conversations where id = ${id}`;
      return begun;
    });
    if (row?.trashed) throw taken(`conversation ${id} is in the trash; restore it, or begin one with another id`);
    if (!row?.same)
      throw taken(`conversation ${id} was begun with another session_id or other metadata; use another id`);
    return { conversation_id: id, session_id: session, created_at: row.created_at.toISOString() };
  }

  /** The latest first. Throws `invalid` for a cursor of another request. */
  async list(
    input: ConversationNarrowing & {
      limit: number;
      offset: number;
      /** `next_cursor` of the previous page. */
      cursor?: string | undefined;
      sort_by: "updated_at" | "created_at";
      facets?: boolean | undefined;
    },
  ): Promise<ConversationList> {
    const { limit, sort_by, facets, offset: _, cursor: __, ...given } = input;
    const session = redactKey(this.#workshop.redactor, input.session_id) ?? undefined;
    const narrowing = { ...given, session_id: session };
    const request = ["conversations", sort_by, narrowing];
    const going = placeOf(input, request, conversationPlace);
    return this.#reads.lookUp(async (sql) => {
      const meant = await meantBy(sql, narrowing);
      const filter = listFilter(sql, narrowing, meant);
      if (isByMessages(narrowing)) await byIndexes(sql);
      const wanted = going === undefined ? filter : sql`${filter} and ${behind(sql, sort_by, going.after)}`;
      const found: ConversationSizeRow[] = await sql`
        select id, coalesce(octet_length(coalesce(metadata_exact, metadata::text)), 0) as metadata_bytes,
          ${keyTime(sql, sort_by)} as time
        from conversations where ${wanted}
        order by ${sql(sort_by)} desc, id desc limit ${limit + 1} offset ${input.offset}`;
      // Counts the oldest, which rarely change, so that an index-only scan suffices however many there are.
      const counted =
        going?.counted ?? (await countRows(sql, sql`from conversations where ${filter} order by created_at`));
      const offset = going?.offset ?? input.offset;
      const { rows, listed } = pageOf(found, ({ time, id }) => ({ time, id }), { request, limit, offset, counted });
      const without = (name: keyof Facets) =>
        listFilter(sql, { ...narrowing, [name]: undefined }, { ...meant, [name]: undefined });
      const counts = facets === true && going === undefined ? await readFacets(sql, without) : undefined;
      const unmatched = listed.total === 0 ? await meetsNone(sql, narrowing) : [];
      return {
        conversations: await readSummaries(sql, rows),
        ...listed,
        ...(unmatched.length > 0 ? { unmatched } : {}),
        ...(counts ? { facets: counts } : {}),
      };
    });
  }

  /**
   * Sets facts about a conversation, also one in the trash, and marks branches. Fields that are absent stay. A title is
   * kept, without an error, when a higher source gave it; so is an origin that is itself a fork of this conversation.
   * Throws `not_found`.
   */
  async update(
    input: ConversationUpdate,
    actor: Actor = unknownActor,
  ): Promise<{ conversation_id: string } & ConversationFacts> {
    const id = input.conversation_id?.toLowerCase() ?? (await this.#holding(input.of_message ?? {}));
    const title = input.title === undefined ? null : this.#storableTitle(input.title);
    const source = input.title_source ?? "person";
    const outranked = titleSources.slice(0, titleSources.indexOf(source));
    const [client, folder, branch] = [input.client, input.folder, input.branch].map(
      (fact) => redactKey(this.#workshop.redactor, fact) ?? null,
    );
    const { parent_id = null, forked_from = null, starred = null } = input;
    const added = await this.#withoutSecrets(input.metadata);
    // One transaction, so that no reader sees a half, and a failure leaves none.
    const change = (note: Note) =>
      this.#database.retried((pooled) =>
        pooled.begin(async (sql) => {
          if (added !== undefined) await addMetadata(sql, id, added);
          // A title is prepared first: `c.title` of the right side is the row's earlier one.
          const rows: ConversationFacts[] = await sql`
          update conversations c set
            title = case when ${title}::text is null or c.title_source = any(${sql.array([...outranked], "TEXT")}) then c.title
              else ${title} end,
            title_source = case when ${title}::text is null or c.title_source = any(${sql.array([...outranked], "TEXT")})
              then c.title_source else ${source} end,
            client = coalesce(${client ?? null}, c.client), folder = coalesce(${folder ?? null}, c.folder),
            branch = coalesce(${branch ?? null}, c.branch), parent_id = coalesce(${parent_id}::uuid, c.parent_id),
            forked_from = case when exists (
                select from conversations o where o.id = ${forked_from}::uuid and (o.id = c.id or o.forked_from = c.id)
              ) then c.forked_from else coalesce(${forked_from}::uuid, c.forked_from) end, starred = coalesce(${starred}::boolean, c.starred)
          where c.id = ${id} returning ${factColumns(sql)}`;
          const [row] = rows;
          if (!row) throw notFound(id);
          await markBranches(sql, id, input);
          await note(sql);
          return { conversation_id: id, ...factsOf(row) };
        }),
      );
    // What importers and the first prompt name is no person's act.
    const isRenamed = title !== null && source === "person";
    if (!isRenamed) return change(() => Promise.resolve());
    return this.#audit.during({ action: "conversation.rename", actor, target: id }, change);
  }

  /** Metadata without its secrets, as it is read again. */
  async #withoutSecrets(given: Metadata | undefined): Promise<Metadata | undefined> {
    const { readable, exact } = await this.#workshop.make("metadata", given);
    return exactMetadata(readable === null ? null : (JSON.parse(readable) as Metadata), exact) ?? undefined;
  }

  /** The conversation that has a message whose metadata contains this. Throws `not_found`. */
  async #holding(metadata: Metadata): Promise<string> {
    const sought = storableMetadata(metadata).readable;
    const [row]: { id: string }[] = await this.#database.retried(
      (sql) => sql`select conversation_id as id from messages where metadata @> ${sought}::text::jsonb limit 1`,
    );
    if (row) return row.id;
    const message = "there is no message whose metadata contains of_message; name its conversation instead";
    throw new DeweyError("not_found", message, { field: "of_message" });
  }

  #storableTitle(given: string): string {
    return storableText(this.#workshop.redactor.text(given, {})).readable;
  }

  /** Moves to the trash, or with `force` deletes at once, even from the trash. Throws `not_found`. */
  async delete(
    input: { conversation_id: string; force: boolean },
    actor: Actor = unknownActor,
  ): Promise<{ deleted: true; messages_deleted: number; restorable_until?: string }> {
    const id = input.conversation_id;
    const action = input.force ? "conversation.purge" : "conversation.delete";
    const row = await this.#audit.during({ action, actor, target: id }, (note) =>
      this.#database.transaction(async (sql) => {
        const [found]: { message_count: number; deleted_at: Date }[] = input.force
          ? await sql`delete from conversations where id = ${id} returning message_count`
          : await sql`update conversations set deleted_at = now() where id = ${id} and deleted_at is null
              returning message_count, deleted_at`;
        if (!found) throw notFound(id);
        await note(sql);
        return found;
      }),
    );
    return {
      deleted: true,
      messages_deleted: row.message_count,
      ...(input.force
        ? {}
        : { restorable_until: new Date(row.deleted_at.getTime() + this.#trashDays * MS_PER_DAY).toISOString() }),
    };
  }

  /** Restores from the trash. Does nothing for a conversation outside the trash. Throws `not_found`. */
  async restore(
    input: { conversation_id: string },
    actor: Actor = unknownActor,
  ): Promise<{ restored: boolean; message_count: number }> {
    const id = input.conversation_id;
    const row = await this.#audit.during({ action: "conversation.restore", actor, target: id }, (note) =>
      this.#database.transaction(async (sql) => {
        const [found]: { trashed: boolean; message_count: number }[] = await sql`
          select deleted_at is not null as trashed, message_count
          from conversations where id = ${id} for update`;
        if (!found)
          throw new DeweyError("not_found", `there is no conversation ${id}, in the trash or outside it`, field);
        if (found.trashed) await sql`update conversations set deleted_at = null where id = ${id}`;
        await note(sql);
        return found;
      }),
    );
    return { restored: row.trashed, message_count: row.message_count };
  }

  /**
   * Deletes for good what has been in the trash for longer than `trashDays`. Returns the number of conversations deleted;
   * those that another server is deleting are skipped.
   */
  async purgeTrash(): Promise<number> {
    let purged = 0;
    for (;;) {
      const rows: unknown[] = await this.#database.retried(
        (sql) => sql`delete from conversations where id in (
            select id from conversations where deleted_at < now() - make_interval(days => ${this.#trashDays})
            limit ${PURGE_AT_ONCE} for update skip locked
          ) returning id`,
      );
      purged += rows.length;
      if (rows.length < PURGE_AT_ONCE) return purged;
    }
  }
}

/** What `Conversations.update` sets. */
export interface ConversationUpdate {
  /** Which conversation; or the one that has a message whose metadata contains `of_message`. */
  conversation_id?: string | undefined;
  of_message?: Metadata | undefined;
  title?: string | undefined;
  /** Who named it; a person when absent. */
  title_source?: Exclude<TitleSource, "calls"> | undefined;
  client?: string | undefined;
  folder?: string | undefined;
  branch?: string | undefined;
  parent_id?: string | undefined;
  forked_from?: string | undefined;
  starred?: boolean | undefined;
  /** Ids of messages on branches that the conversation has left, and of those that it is on. */
  abandoned?: string[] | undefined;
  current?: string[] | undefined;
  /** Fields to add to its metadata, in place of equal ones. */
  metadata?: Metadata | undefined;
}

/** Adds fields to a conversation's metadata, in place of equal ones. Throws `not_found`. */
async function addMetadata(sql: SQL, id: string, added: Metadata): Promise<void> {
  const [row]: StoredMetadata[] = await sql`
    select metadata, metadata_exact from conversations where id = ${id} for no key update`;
  if (!row) throw notFound(id);
  const metadata = storableMetadata({ ...exactMetadata(row.metadata, row.metadata_exact), ...added });
  await sql`update conversations set metadata = ${metadata.readable}::text::jsonb, metadata_exact = ${metadata.exact}
    where id = ${id}`;
}

/** Marks messages by their ids, in the column and in the metadata that an export carries. Other ids change nothing. */
async function markBranches(sql: SQL, id: string, { abandoned = [], current = [] }: ConversationUpdate): Promise<void> {
  if (abandoned.length > 0) await markMessages(sql, id, abandoned, true);
  if (current.length > 0) await markMessages(sql, id, current, false);
}

async function markMessages(sql: SQL, id: string, messages: string[], abandoned: boolean): Promise<void> {
  const rows: { id: string; exact: string | null }[] = await sql`
    update messages set abandoned = ${abandoned}::boolean, metadata = case when ${abandoned}::boolean
      then coalesce(metadata, '{}'::jsonb) || '{"abandoned": true}'::jsonb else metadata - 'abandoned' end
    where conversation_id = ${id} and abandoned <> ${abandoned}::boolean and id = any(${sql.array(messages, "UUID")})
    returning id, metadata_exact as exact`;
  for (const row of rows) {
    if (row.exact === null) continue;
    const { abandoned: _, ...rest } = exactMetadata(null, row.exact) ?? {};
    const { exact } = storableMetadata(abandoned ? { ...rest, abandoned } : rest);
    await sql`update messages set metadata_exact = ${exact} where id = ${row.id}`;
  }
}

const field = { field: "conversation_id" };

export function notFound(conversationId: string): DeweyError {
  return new DeweyError(
    "not_found",
    `there is no conversation ${conversationId}; dewey_list_conversations lists the existing ones`,
    field,
  );
}

function taken(message: string): DeweyError {
  return new DeweyError("conflict", message, field);
}

/** Reads the conversations, with as much metadata as fits into a reply. */
async function readSummaries(sql: SQL, sizes: ConversationSizeRow[]): Promise<ConversationSummary[]> {
  const most = largestWhole(
    sizes.map((each) => each.metadata_bytes),
    REPLY_BUDGET_BYTES - sizes.length * ROW_OVERHEAD_BYTES,
  );
  const ids = sizes.map((each) => each.id);
  const rows: ConversationRow[] = await sql`
    select id, session_id, created_at, updated_at, message_count, ${factColumns(sql)},
      case when octet_length(coalesce(metadata_exact, metadata::text)) <= ${most}::integer then metadata end as metadata,
      case when octet_length(metadata_exact) <= ${most}::integer then metadata_exact end as metadata_exact
    from conversations c where id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.id, row]));
  return sizes.flatMap(({ id, metadata_bytes }) => {
    const row = found.get(id);
    if (!row) return [];
    return [metadata_bytes <= most ? summary(row) : { ...summary(row), metadata_bytes }];
  });
}

function summary(row: ConversationRow): ConversationSummary {
  return {
    id: row.id,
    session_id: row.session_id,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    message_count: row.message_count,
    ...factsOf(row),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
  };
}
