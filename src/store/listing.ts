import type { SQL } from "bun";
import { z } from "zod";
import { encodeCursor } from "./cursor.ts";
import { one } from "./database/one.ts";
import { EXACT_TOTAL_LIMIT, boundedTotal } from "./reply.ts";

/** The number of entries in a list; a lower bound above the limit of exact totals. */
interface Counted {
  total: number;
  total_is_lower_bound?: true | undefined;
}

/**
 * The place at which a list continues: after the entry with this key, not after a number of entries. So entries added or
 * removed before it shift nothing, and every page costs the same. The count is the first page's, and is not repeated.
 */
export interface ListPlace<Key> {
  after: Key;
  offset: number;
  counted: Counted;
}

/** The fields about the page in every list. */
export interface Listed {
  total: number;
  limit: number;
  offset: number;
  total_is_lower_bound?: true;
  /** Cursor of the next page; absent on the last one. */
  next_cursor?: string;
}

export function listPlaceSchema<Key>(key: z.ZodType<Key>): z.ZodType<ListPlace<Key>> {
  return z.strictObject({
    after: key,
    offset: z.int().min(0),
    counted: z.strictObject({ total: z.int().min(0), total_is_lower_bound: z.literal(true).optional() }),
  });
}

/** Key of lists by time, the latest first. The time has microseconds, as in PostgreSQL; a Date would lose three digits. */
export const timeKey = z.strictObject({
  time: z.string().regex(/^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/),
  id: z.uuid(),
});

/** A column's value in the format of a key's time. */
export function keyTime(sql: SQL, column: string) {
  return sql`to_char(${sql(column)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`;
}

/** Condition for the entries after the key's, ordered by the column and the id, both descending. */
export function behind(sql: SQL, column: string, { time, id }: z.output<typeof timeKey>) {
  return sql`(${sql(column)}, id) < (${`${time}Z`}::text::timestamptz, ${id}::uuid)`;
}

/** Counts the rows of a query, up to the limit of exact totals. */
export async function countRows(sql: SQL, rows: SQL.Query<unknown>): Promise<Counted> {
  const { total } = await one<{ total: number }>(
    sql`select count(*)::integer as total from (select ${rows} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
  );
  return boundedTotal(total);
}

/**
 * The rows of a page, and the fields about it. `found` holds one row more than the page when there is a next page.
 * `request` is everything that must be the same when the cursor is used.
 */
export function pageOf<Row>(
  found: Row[],
  keyOf: (row: Row) => unknown,
  page: { request: unknown; limit: number; offset: number; counted: Counted },
): { rows: Row[]; listed: Listed } {
  const { request, limit, offset, counted } = page;
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  const { total, total_is_lower_bound } = counted;
  const listed: Listed = { total, limit, offset, ...(total_is_lower_bound ? { total_is_lower_bound } : {}) };
  if (last === undefined || found.length <= limit) return { rows, listed };
  const next: ListPlace<unknown> = { after: keyOf(last), offset: offset + rows.length, counted };
  return { rows, listed: { ...listed, next_cursor: encodeCursor(next, request) } };
}
