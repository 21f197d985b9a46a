import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { EXACT_TOTAL_LIMIT } from "../reply.ts";
import { anyOf, tsquery } from "./query.ts";
import type { Basis, Filter } from "./rank.ts";

/** Without a filter, a word in this many messages exceeds the limit for certain, so nothing is counted. */
const COUNTLESS_MESSAGES = 2 * EXACT_TOTAL_LIMIT;
/** The same with a filter, whose share of the matches is an estimate. */
const COUNTLESS_FILTERED = 3 * EXACT_TOTAL_LIMIT;

/** The number of matches. */
export interface Total {
  total: number;
  /** Whether there are more. */
  isLowerBound: boolean;
}

const countless: Total = { total: EXACT_TOTAL_LIMIT, isLowerBound: true };

/** Counts all matches, up to the limit of exact totals. */
export async function countMatches(sql: SQL, { words, passing, matches }: Basis, filter: Filter): Promise<Total> {
  if (words.length === 0) return { total: 0, isLowerBound: false };
  if (matches !== undefined) return { total: matches, isLowerBound: false };
  const known = (words.at(-1)?.count ?? 0) * passing;
  const most = filter.values.length === 0 ? COUNTLESS_MESSAGES : COUNTLESS_FILTERED;
  // The statistics include the trash; all of it may be among the matches.
  if (known > most && known - (await messagesInTrash(sql)) > most) return countless;
  const lexemes = words.map(({ lexeme }) => lexeme);
  const { total } = await one<{ total: number }>(
    sql.unsafe(
      `select count(*)::integer as total from (
        select from messages m where m.search @@ ${tsquery(anyOf(lexemes))} and ${filter.condition}
          limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
      filter.values,
    ),
  );
  return total > EXACT_TOTAL_LIMIT ? countless : { total, isLowerBound: false };
}

async function messagesInTrash(sql: SQL): Promise<number> {
  const { messages } = await one<{ messages: number }>(sql`
    select coalesce(sum(message_count), 0)::float8 as messages from conversations where deleted_at is not null`);
  return messages;
}
