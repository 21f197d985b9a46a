import type { SQL } from "bun";
import { EXACT_TOTAL_LIMIT } from "../reply.ts";
import { anyOf, tsquery } from "./query.ts";
import { holdsAny } from "./rank.ts";
import type { Basis, Filter } from "./rank.ts";

/** With a word that is in so many more messages than the limit, and no filter, there is nothing to count. */
const COUNTLESS_MESSAGES = 2 * EXACT_TOTAL_LIMIT;
/** With a filter the statistics say how many pass of all messages, and only guess how many of these. */
const COUNTLESS_FILTERED = 3 * EXACT_TOTAL_LIMIT;

export interface Total {
  total: number;
  /** There are more than that. */
  isLowerBound: boolean;
}

const countless: Total = { total: EXACT_TOTAL_LIMIT, isLowerBound: true };

/** How many messages match in all, counted up to the limit of exact totals. */
export async function countMatches(sql: SQL, { words, scoped, passing }: Basis, filter: Filter): Promise<Total> {
  if (words.length === 0) return { total: 0, isLowerBound: false };
  const known = scoped ? 0 : (words.at(-1)?.count ?? 0) * passing;
  const most = filter.values.length === 0 ? COUNTLESS_MESSAGES : COUNTLESS_FILTERED;
  // The statistics know nothing of the trash; all of it may be among these.
  if (known > most && known - (await messagesInTrash(sql)) > most) return countless;
  const lexemes = words.map(({ lexeme }) => lexeme);
  const matches = scoped ? holdsAny(lexemes) : `m.search @@ ${tsquery(anyOf(lexemes))}`;
  const [row] = await sql.unsafe(
    `select count(*)::integer as total from (
      select from messages m where ${matches} and ${filter.condition} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
    filter.values,
  );
  return row.total > EXACT_TOTAL_LIMIT ? countless : { total: row.total, isLowerBound: false };
}

async function messagesInTrash(sql: SQL): Promise<number> {
  const [row] = await sql`
    select coalesce(sum(message_count), 0)::float8 as messages from conversations where deleted_at is not null`;
  return row.messages;
}
