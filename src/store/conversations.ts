import { DeweyError } from "../errors.ts";
import { unknownActor } from "./audit.ts";
import type { Actor, Audit, Note } from "./audit.ts";
import { foundNowhere, notFound, taken } from "./conversation-errors.ts";
import { readSummaries } from "./conversation-summary.ts";
import type { ConversationSize, ConversationSummary } from "./conversation-summary.ts";
import { setFacts } from "./conversation-update.ts";
import type { ConversationUpdate } from "./conversation-update.ts";
import { placeOf } from "./cursor.ts";
import type { Database } from "./database/database.ts";
import { exactMetadata, storableMetadata, storableText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import type { ConversationFacts } from "./facts.ts";
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
import { MS_PER_DAY } from "../units.ts";

/** A page of a list of conversations. */
export interface ConversationList extends Listed {
  conversations: ConversationSummary[];
  /** On the first page, when asked for. */
  facets?: Facets;
  /** When there is nothing: the filters that nothing meets. */
  unmatched?: Unmatched[];
}

const conversationPlace = listPlaceSchema(timeKey);

interface BegunRow {
  created_at: Date;
  trashed: boolean;
  /** Whether its session and metadata are those of the call. */
  same: boolean;
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
      const found: ConversationSize[] = await sql`
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
    const title = input.title === undefined ? undefined : this.#storableTitle(input.title);
    const [client, folder, branch] = [input.client, input.folder, input.branch].map((fact) =>
      redactKey(this.#workshop.redactor, fact),
    );
    const metadata = await this.#withoutSecrets(input.metadata);
    const update = { ...input, title, client, folder, branch, metadata };
    // One transaction, so that no reader sees a half, and a failure leaves none.
    const change = (note: Note) =>
      this.#database.retried((pooled) =>
        pooled.begin(async (sql) => {
          const facts = await setFacts(sql, id, update);
          await note(sql);
          return { conversation_id: id, ...facts };
        }),
      );
    // What importers and the first prompt name is no person's act.
    const { title_source: source = "person" } = input;
    const isRenamed = title !== undefined && source === "person";
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
        if (!found) throw foundNowhere(id);
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
