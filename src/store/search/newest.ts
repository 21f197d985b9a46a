import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { byIndexes } from "../narrowing.ts";
import { EXACT_TOTAL_LIMIT } from "../reply.ts";
import type { Filter } from "./filter.ts";
import type { Ranked } from "./ranked.ts";
import type { Total } from "./total.ts";

/** Finds the messages that pass a filter, newest first: for queries that are filters only. */
export async function findNewest(
  sql: SQL,
  filter: Filter,
  { offset, limit }: { offset: number; limit: number },
): Promise<Ranked[]> {
  await byIndexes(sql);
  const rows: { id: string }[] = await sql.unsafe(
    `select m.id from messages m where ${filter.alone}
      order by m.created_at desc, m.id desc limit ${limit} offset ${offset}`,
    filter.values,
  );
  return rows.map(({ id }) => ({ id, score: 0 }));
}

/** Counts them, up to the limit of exact totals. */
export async function countNewest(sql: SQL, filter: Filter): Promise<Total> {
  await byIndexes(sql);
  const { total } = await one<{ total: number }>(
    sql.unsafe(
      `select count(*)::integer as total from (
        select from messages m where ${filter.alone} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
      filter.values,
    ),
  );
  return { total: Math.min(total, EXACT_TOTAL_LIMIT), isLowerBound: total > EXACT_TOTAL_LIMIT };
}
