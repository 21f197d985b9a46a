import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { EXACT_TOTAL_LIMIT } from "../reply.ts";
import type { Basis } from "./basis.ts";
import type { Filter } from "./filter.ts";
import { areLong } from "./parts.ts";
import { holds } from "./holding.ts";
import { anyOf, tsquery } from "./query.ts";

/**
 * Limit of exact totals where many texts are long. Each match takes a page of the table for itself there, so counting 10,000
 * takes longer than finding the best.
 */
const LONG_TOTAL_LIMIT = 1000;
/** Without a filter, a word in so many times the limit exceeds it for certain, so nothing is counted. */
const COUNTLESS_TIMES = 2;
/** The same with a filter, whose share of the matches is an estimate. */
const COUNTLESS_FILTERED_TIMES = 3;

/** The number of matches. */
export interface Total {
  total: number;
  /** Whether there are more. */
  isLowerBound: boolean;
}

/** Limit of a search's exact total; `isCounted` says that its hits are counted by their facets, too. */
export function totalLimit(basis: Pick<Basis, "averageLength">, isCounted: boolean): number {
  return areLong(basis) && !isCounted ? LONG_TOTAL_LIMIT : EXACT_TOTAL_LIMIT;
}

/** Counts all matches, up to a limit; `hasTrash` tells whether any conversation is in the trash. */
export async function countMatches(
  sql: SQL,
  { words, passing, matches }: Basis,
  filter: Filter,
  { limit, hasTrash }: { limit: number; hasTrash: boolean },
): Promise<Total> {
  const countless: Total = { total: limit, isLowerBound: true };
  if (words.length === 0) return { total: 0, isLowerBound: false };
  if (matches !== undefined) return { total: matches, isLowerBound: false };
  const known = (words.at(-1)?.count ?? 0) * passing;
  const most = limit * (filter.values.length === 0 ? COUNTLESS_TIMES : COUNTLESS_FILTERED_TIMES);
  // The statistics include the trash; all of it may be among the matches.
  if (known > most && (!hasTrash || known - (await messagesInTrash(sql)) > most)) return countless;
  const lexemes = words.map(({ lexeme }) => lexeme);
  const { total } = await one<{ total: number }>(
    sql.unsafe(
      `select count(*)::integer as total from (
        select from messages m where ${holds(tsquery(anyOf(lexemes)), filter.sections !== undefined)} and ${filter.condition}
          limit ${limit + 1}) as counted`,
      filter.values,
    ),
  );
  return total > limit ? countless : { total, isLowerBound: false };
}

async function messagesInTrash(sql: SQL): Promise<number> {
  const { messages } = await one<{ messages: number }>(sql`
    select coalesce(sum(message_count), 0)::float8 as messages from conversations where deleted_at is not null`);
  return messages;
}
