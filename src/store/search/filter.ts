import type { SQL } from "bun";
import { storableMetadata } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import type { SearchQuery } from "./query.ts";
import type { Filter } from "./rank.ts";

/** What a search is narrowed to besides its words. */
export interface Narrowing {
  session_id?: string | undefined;
  conversation_id?: string | undefined;
  role?: string | undefined;
  /** What the message's metadata must hold. */
  metadata?: Metadata | undefined;
  /** Where it came from: `metadata.source`, such as "proxy". */
  source?: string | undefined;
  /** The tool of a recorded call: `metadata.tool`. */
  tool?: string | undefined;
  /** Inclusive. */
  start_date?: Date | undefined;
  /** Exclusive. */
  end_date?: Date | undefined;
}

/**
 * What the request and the query ask for besides words, as a condition on `messages m`. With a snapshot of an earlier page
 * only messages that it sees are known.
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
    ...(snapshot === undefined ? [] : [known]),
  ];
  const { session_id, conversation_id, role, source, tool, metadata, start_date, end_date } = narrowing;
  if (session_id !== undefined) {
    const ids = `select id from conversations where session_id = ${value(session_id, "text")}`;
    byIndex.push(`m.conversation_id = any (array(${ids}))`);
    bySieve.push(`(m.conversation_id in (${ids})) is true`);
  }
  if (conversation_id !== undefined) conditions.push(`m.conversation_id = ${value(conversation_id, "uuid")}`);
  if (role !== undefined) conditions.push(`m.role = ${value(role, "text")}`);
  // All as containment, which the index over words and metadata knows.
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

/** The snapshot that the transaction sees, as PostgreSQL writes it: `xmin:xmax:`, and the numbers that are under way. */
export async function currentSnapshot(sql: SQL): Promise<string> {
  const [row] = await sql`select pg_current_snapshot()::text as snapshot`;
  return row.snapshot;
}

export const snapshotPattern = /^(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)$/;

/**
 * Messages that the snapshot sees, by the number of the transaction that stored them: what `pg_visible_in_snapshot` says,
 * but as comparisons. A number that is not given out yet was copied here from another cluster, with a message that is old.
 */
async function storedBefore(sql: SQL, snapshot: string): Promise<string> {
  const [, , end = "0", underWay = ""] = snapshotPattern.exec(snapshot) ?? [];
  const [, , present = "0"] = snapshotPattern.exec(await currentSnapshot(sql)) ?? [];
  const ended = underWay === "" ? "" : ` and m.stored_in not in (${underWay})`;
  return `(m.stored_in is null or m.stored_in < ${end}${ended} or m.stored_in >= ${present})`;
}

/** How many messages the named session or conversation holds. */
async function messagesIn(sql: SQL, narrowing: Narrowing): Promise<number | undefined> {
  const { session_id: session = null, conversation_id: conversation = null } = narrowing;
  if (session === null && conversation === null) return undefined;
  const [row] = await sql`select coalesce(sum(message_count), 0)::integer as messages from conversations
    where (${session}::text is null or session_id = ${session}) and (${conversation}::uuid is null or id = ${conversation})`;
  return row.messages;
}
