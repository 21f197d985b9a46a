import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { storableMetadata } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { parseSnapshot } from "../snapshot.ts";
import { FOLDER_HAYSTACK, folderNeedle } from "../place.ts";
import type { Place } from "../place.ts";
import type { SearchQuery } from "./query.ts";
import type { Filter } from "./rank.ts";

/** Conditions of a search besides its words. */
export interface Narrowing extends Place {
  session_id?: string | undefined;
  conversation_id?: string | undefined;
  role?: string | undefined;
  /** Must be contained in the message's metadata. */
  metadata?: Metadata | undefined;
  /** Origin of the message: `metadata.source`, such as "proxy". */
  source?: string | undefined;
  /** Tool of a recorded call: `metadata.tool`. */
  tool?: string | undefined;
  /** Also bookkeeping, which is left out by default but for titles and summaries: people look for these. */
  bookkeeping?: boolean | undefined;
  /** Inclusive. */
  start_date?: Date | undefined;
  /** Exclusive. */
  end_date?: Date | undefined;
}

/**
 * Builds a condition on `messages m` from everything that the request and the query ask for besides words. A snapshot, that
 * of an earlier page, limits the search to the messages that were visible in it.
 */
export async function filterOf(
  sql: SQL,
  narrowing: Narrowing,
  query: Pick<SearchQuery, "required">,
  snapshot: string | undefined,
): Promise<Filter> {
  const values: unknown[] = [];
  const value = (given: unknown, type: string) => `$${values.push(given)}::${type}`;
  const known = snapshot === undefined ? "true" : await storedBefore(sql, snapshot);
  const byIndex: string[] = [];
  const bySieve: string[] = [];
  const conditions = [
    "not exists (select from conversations c where c.id = m.conversation_id and c.deleted_at is not null)",
    ...(narrowing.bookkeeping ? [] : ["(not m.bookkeeping or m.kind in ('title', 'summary'))"]),
    ...(snapshot === undefined ? [] : [known]),
  ];
  const { session_id, conversation_id, role, source, tool, metadata, start_date, end_date, client, folder } = narrowing;
  if (session_id !== undefined) {
    const ids = `select id from conversations where session_id = ${value(session_id, "text")}`;
    byIndex.push(`m.conversation_id = any (array(${ids}))`);
    bySieve.push(`(m.conversation_id in (${ids})) is true`);
  }
  const places = [
    ...(client === undefined ? [] : [`lower(client) = lower(${value(client, "text")})`]),
    ...(folder === undefined ? [] : [`position(${value(folderNeedle(folder), "text")} in ${FOLDER_HAYSTACK}) > 0`]),
  ];
  // They may be thousands, which a sieve looks up by hash, and an array one by one.
  if (places.length > 0)
    conditions.push(`(m.conversation_id in (select id from conversations where ${places.join(" and ")})) is true`);
  if (conversation_id !== undefined) conditions.push(`m.conversation_id = ${value(conversation_id, "uuid")}`);
  if (role !== undefined) conditions.push(`m.role = ${value(role, "text")}`);
  // All as containment, which the index over words and metadata supports.
  for (const part of [
    source === undefined ? null : { source },
    tool === undefined ? null : { tool },
    metadata ?? null,
  ]) {
    if (part) conditions.push(`m.metadata @> ${value(storableMetadata(part).readable, "text")}::jsonb`);
  }
  if (start_date !== undefined) conditions.push(`m.created_at >= ${value(start_date, "timestamptz")}`);
  if (end_date !== undefined) conditions.push(`m.created_at < ${value(end_date, "timestamptz")}`);
  for (const required of query.required) conditions.push(`m.search @@ ${value(required, "text")}::tsquery`);
  const scopeMessages = await messagesIn(sql, narrowing);
  return {
    condition: [...conditions, ...byIndex].join(" and "),
    sieve: [...conditions, ...bySieve].join(" and "),
    known,
    values,
    scopeMessages,
    from: start_date,
    until: end_date,
  };
}

/** Returns the transaction's snapshot as PostgreSQL writes it: `xmin:xmax:` and the ids of transactions in progress. */
export async function currentSnapshot(sql: SQL): Promise<string> {
  const { snapshot } = await one<{ snapshot: string }>(sql`select pg_current_snapshot()::text as snapshot`);
  return snapshot;
}

/**
 * Builds a condition for messages that are visible in the snapshot, by the id of the transaction that stored them: the same
 * as `pg_visible_in_snapshot`, written as comparisons. An id that this cluster has not assigned yet was copied from another
 * cluster, with a message that counts as old.
 */
async function storedBefore(sql: SQL, snapshot: string): Promise<string> {
  const { end = 0n, inFlight = [] } = parseSnapshot(snapshot) ?? {};
  const { end: present = 0n } = parseSnapshot(await currentSnapshot(sql)) ?? {};
  const ended = inFlight.length === 0 ? "" : ` and m.stored_in not in (${inFlight.join(",")})`;
  return `(m.stored_in is null or m.stored_in < ${end}${ended} or m.stored_in >= ${present})`;
}

/** Counts the messages of the named session, conversation, client and folder. */
async function messagesIn(sql: SQL, narrowing: Narrowing): Promise<number | undefined> {
  const { session_id: session = null, conversation_id: conversation = null, client = null, folder } = narrowing;
  if (session === null && conversation === null && client === null && folder === undefined) return undefined;
  const needle = folder === undefined ? null : folderNeedle(folder);
  const { messages } = await one<{ messages: number }>(
    sql`select coalesce(sum(message_count), 0)::integer as messages from conversations
      where (${session}::text is null or session_id = ${session})
        and (${conversation}::uuid is null or id = ${conversation})
        and (${client}::text is null or lower(client) = lower(${client}))
        and (${needle}::text is null or position(${needle}::text in ${sql.unsafe(FOLDER_HAYSTACK)}) > 0)`,
  );
  return messages;
}
