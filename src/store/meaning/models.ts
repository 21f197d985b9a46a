import type { SQL, TransactionSQL } from "bun";
import { one } from "../database/one.ts";

/** Arbitrary key, the same on every server: one transaction at a time writes vectors, so that their ids rise with commits. */
export const MEANING_LOCK = 3_393_900_006;
/** Seconds after which another server takes over from one that does not renew its hold. */
const HOLD_SECONDS = 10;
/** How often it is renewed while the endpoint takes its time. */
export const RENEW_MS = 3000;
/** Passages of an earlier model that one statement removes. */
const REMOVED_AT_ONCE = 2000;

/** What is embedded and looked for: queries of tools' own notes and of prompts of a system are none. */
export const IS_EMBEDDED = "not m.bookkeeping and m.role in ('user', 'assistant', 'tool')";

/** A model whose vectors the database holds, or is to hold. */
export interface Model {
  id: string;
  name: string;
  dimensions: number;
  queryPrefix: string;
  /** Whether all messages had its vectors once. */
  isComplete: boolean;
}

/** What identifies a model, besides its own id here. */
export interface WantedModel {
  name: string;
  dimensions: number;
  documentPrefix: string;
  queryPrefix: string;
}

/**
 * The model that queries are asked of: the one that is embedded now, once it is complete; until then the last that was; at
 * the very first, the one that is under way.
 */
export async function askedModel(sql: SQL): Promise<Model | undefined> {
  const [model]: Model[] = await sql`
    select m.id, name, dimensions, query_prefix as "queryPrefix", completed_at is not null as "isComplete"
    from dewey_meaning_models m join dewey_meaning on true
    order by (m.id is not distinct from dewey_meaning.model and completed_at is not null) desc,
      completed_at desc nulls last, (m.id is not distinct from dewey_meaning.model) desc limit 1`;
  return model;
}

/**
 * Takes or renews the right to embed. Returns whether this server has it: `again` when no other had it since. Writes nothing
 * when another has it: a lock on a row is written, too, so only a row that may be taken is locked.
 */
export async function hold(sql: SQL, holder: string): Promise<"again" | "newly" | "elsewhere"> {
  const [before]: { holder: string | null }[] = await sql`
    update dewey_meaning now set holder = ${holder}::uuid,
      held_until = clock_timestamp() + make_interval(secs => ${HOLD_SECONDS})
    from (
      select holder from dewey_meaning
      where holder is null or holder = ${holder}::uuid or held_until < clock_timestamp() for update
    ) before
    returning before.holder`;
  if (!before) return "elsewhere";
  return before.holder === holder ? "again" : "newly";
}

/**
 * Whether there is something to embed. A look writes nothing, for that would keep an idle database's log growing; `seen` is
 * where it looked, so that an unchanged database is not looked through again.
 */
export async function workFor(sql: SQL, settledAt: string | undefined): Promise<{ now: string; isThere: boolean }> {
  const { now, isQueued, hasBegun } = await one<{ now: string; isQueued: boolean; hasBegun: boolean }>(sql`
    select pg_current_snapshot()::text as now, exists (select from dewey_meaning_queue) as "isQueued",
      seen is not null as "hasBegun" from dewey_meaning`);
  if (isQueued || !hasBegun) return { now, isThere: true };
  if (now === settledAt) return { now, isThere: false };
  return sql.begin(async (within) => {
    await byIndexes(within);
    const { isThere } = await one<{ isThere: boolean }>(
      within.unsafe(`select exists (${NEW_MESSAGES}) as "isThere" from dewey_meaning`),
    );
    return { now, isThere };
  });
}

export async function letGo(sql: SQL, holder: string): Promise<void> {
  await sql`update dewey_meaning set holder = null, held_until = null where holder = ${holder}::uuid`;
}

/**
 * Builds the index that finds the messages which transactions since a snapshot have stored, if it is missing: the server does,
 * since a migration must not, and only where something is embedded. A block range index costs writers nothing: new messages
 * lie together, at the end of the table. Outside of a transaction. One that a killed server left half-way is built anew.
 */
export async function indexNewMessages(sql: SQL): Promise<void> {
  const [index]: { isValid: boolean }[] = await sql`
    select indisvalid as "isValid" from pg_index where indexrelid = to_regclass('messages_stored_in')`;
  if (index?.isValid) return;
  if (index) await sql.unsafe("drop index concurrently if exists messages_stored_in");
  await sql.unsafe(`create index concurrently if not exists messages_stored_in
    on messages using brin (stored_in) with (pages_per_range = 32, autosummarize = on)`);
}

/**
 * Makes this model the one that is embedded, and queues every message that lacks its vectors. Takes as long as reading the
 * table of messages. Nothing changes when it is that already.
 */
export async function embedWith(sql: TransactionSQL, wanted: WantedModel): Promise<Model> {
  await sql`select pg_advisory_xact_lock(${MEANING_LOCK})`;
  const { name, dimensions, documentPrefix, queryPrefix } = wanted;
  const model = await one<Model>(sql`
    insert into dewey_meaning_models as known (name, dimensions, document_prefix, query_prefix)
    values (${name}, ${dimensions}, ${documentPrefix}, ${queryPrefix})
    on conflict (name, dimensions, document_prefix) do update set query_prefix = excluded.query_prefix
    returning id, name, dimensions, query_prefix as "queryPrefix", completed_at is not null as "isComplete"`);
  const { isEmbedded } = await one<{ isEmbedded: boolean }>(
    sql`select model is not distinct from ${model.id}::uuid and seen is not null as "isEmbedded" from dewey_meaning`,
  );
  if (isEmbedded) return model;
  // Changed first, so that messages that change from now on are queued by their trigger.
  await sql`update dewey_meaning set model = ${model.id}, seen = pg_current_snapshot()::text`;
  await sql`delete from dewey_meaning_queue`;
  await queueAll(sql, model);
  return model;
}

/** Queues every message that lacks the model's vectors, and returns how many these are. */
async function queueAll(sql: TransactionSQL, { id }: Model): Promise<number> {
  const { queued } = await one<{ queued: number }>(
    sql.unsafe(
      `with added as (
        insert into dewey_meaning_queue (message_id, created_at)
        select m.id, m.created_at from messages m where ${IS_EMBEDDED}
          and not exists (select from dewey_meaning_passages p where p.message_id = m.id and p.model = $1::uuid)
        on conflict do nothing returning message_id
      ) select count(*)::integer as queued from added`,
      [id],
    ),
  );
  return queued;
}

/** Queues what was stored since the last time, and returns how much that was. */
export async function queueNew(sql: TransactionSQL, model: Model): Promise<number> {
  await sql`select pg_advisory_xact_lock(${MEANING_LOCK})`;
  const { seen, now, isForeign } = await one<{ seen: string | null; now: string; isForeign: boolean | null }>(
    sql`select seen, pg_current_snapshot()::text as now,
      pg_snapshot_xmax(seen::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) as "isForeign" from dewey_meaning`,
  );
  if (seen === null || seen === now) return 0;
  if (isForeign) {
    // The tables were copied into another cluster, where transactions are numbered otherwise.
    await sql`update dewey_meaning set seen = ${now}`;
    return queueAll(sql, model);
  }
  await byIndexes(sql);
  const { queued } = await one<{ queued: number }>(
    sql.unsafe(
      `with added as (
        insert into dewey_meaning_queue (message_id, created_at)
        select id, created_at from dewey_meaning cross join lateral (${NEW_MESSAGES}) as added
        on conflict do nothing returning message_id
      ) select count(*)::integer as queued from added`,
    ),
  );
  if (queued > 0) await sql`update dewey_meaning set seen = ${now}`;
  return queued;
}

/**
 * The messages that transactions have stored since `dewey_meaning.seen`, but those that have their vectors: one that is stored
 * while all are queued is in that queue already.
 */
const NEW_MESSAGES = `select m.id, m.created_at from messages m
  where m.stored_in >= pg_snapshot_xmin(seen::pg_snapshot)::text::bigint and ${IS_EMBEDDED}
    and not pg_visible_in_snapshot(m.stored_in::text::xid8, seen::pg_snapshot)
    and not exists (select from dewey_meaning_passages p where p.message_id = m.id and p.model = dewey_meaning.model)`;

/** The planner takes scanning the whole table for cheaper, since it does not know how few messages are new. */
async function byIndexes(sql: TransactionSQL): Promise<void> {
  await sql`select set_config('enable_seqscan', 'off', true)`;
}

/** Marks a model as complete when nothing is queued. Returns whether it is. */
export async function complete(sql: TransactionSQL, model: Model): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${MEANING_LOCK})`;
  const { isComplete } = await one<{ isComplete: boolean }>(sql`
    with completed as (
      update dewey_meaning_models set completed_at = clock_timestamp()
      where id = ${model.id} and completed_at is null and not exists (select from dewey_meaning_queue) returning id
    ) select exists (select from completed) as "isComplete"`);
  return isComplete;
}

/** Removes some of what other models have left. Returns whether there is more. */
export async function removeOthers(sql: TransactionSQL, model: Model): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${MEANING_LOCK})`;
  const { removed } = await one<{ removed: number }>(sql`
    with gone as (
      delete from dewey_meaning_passages p using (
        select each.model, each.id from dewey_meaning_models m cross join lateral (
          select model, id from dewey_meaning_passages where model = m.id order by id limit ${REMOVED_AT_ONCE}
        ) as each where m.id <> ${model.id} limit ${REMOVED_AT_ONCE}
      ) as old where p.model = old.model and p.id = old.id returning p.id
    ) select count(*)::integer as removed from gone`);
  if (removed === REMOVED_AT_ONCE) return true;
  await sql`delete from dewey_meaning_models where id <> ${model.id}`;
  return false;
}
