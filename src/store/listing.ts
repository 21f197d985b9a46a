import type { SQL } from "bun";
import { z } from "zod";
import { encodeCursor } from "./cursor.ts";
import { one } from "./database/one.ts";
import { EXACT_TOTAL_LIMIT, boundedTotal } from "./reply.ts";

/** How many entries a list has; above the limit of exact totals there are more. */
interface Counted {
  total: number;
  total_is_lower_bound?: true | undefined;
}

/**
 * Where a list goes on: behind the entry with this key, not behind so many entries. So what is added, or goes, before it
 * moves nothing, and a page costs the same however deep it is. The count is the first page's, which need not be made again.
 */
export interface ListPlace<Key> {
  after: Key;
  offset: number;
  counted: Counted;
}

/** What every list says of the page that it answers with. */
export interface Listed {
  total: number;
  limit: number;
  offset: number;
  total_is_lower_bound?: true;
  /** Where to read on; absent when there is no more. */
  next_cursor?: string;
}

export function listPlaceSchema<Key>(key: z.ZodType<Key>): z.ZodType<ListPlace<Key>> {
  return z.strictObject({
    after: key,
    offset: z.int().min(0),
    counted: z.strictObject({ total: z.int().min(0), total_is_lower_bound: z.literal(true).optional() }),
  });
}

/** Of lists by time, the latest first. The time is to the microsecond, as PostgreSQL keeps it; a Date would lose three digits. */
export const timeKey = z.strictObject({
  time: z.string().regex(/^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/),
  id: z.uuid(),
});

/** A column's value as a key has it. */
export function keyTime(sql: SQL, column: string) {
  return sql`to_char(${sql(column)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`;
}

/** Entries that come behind the key's when they are ordered by the column and the id, both descending. */
export function behind(sql: SQL, column: string, { time, id }: z.output<typeof timeKey>) {
  return sql`(${sql(column)}, id) < (${`${time}Z`}::text::timestamptz, ${id}::uuid)`;
}

/** How many rows a query finds. */
export async function countRows(sql: SQL, rows: SQL.Query<unknown>): Promise<Counted> {
  const { total } = await one<{ total: number }>(
    sql`select count(*)::integer as total from (select ${rows} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
  );
  return boundedTotal(total);
}

/**
 * The entries of a page out of one more than it may hold, and what the reply says of them. `request` is what a cursor has
 * to be asked with again.
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
