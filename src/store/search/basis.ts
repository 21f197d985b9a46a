import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { MAX_SCOPE_MESSAGES } from "./filter.ts";
import type { Filter } from "./filter.ts";
import { BOUNDS, areLong, chooseParts } from "./parts.ts";
import type { Bounds, CountedWord } from "./parts.ts";
import { holds, holdsAny, isHeld } from "./holding.ts";
import { anyOf, tsquery } from "./query.ts";
import type { QueryWords } from "./relevance.ts";
import { MAX_COUNTED, timeOfNewest } from "./statistics.ts";
import type { Statistics } from "./statistics.ts";
import { UNPACKED } from "./turn-columns.ts";

/** Matches of rare words that are counted together with these: more are counted by themselves, as far as a total is exact. */
const MAX_MATCHES = 1000;

/**
 * Everything besides the messages that determines the order of the hits. A search's later pages reuse that of the first:
 * the same basis and messages give the same order, however much of it a page reads.
 */
export interface Basis {
  /** Whether all matches of a session or a conversation are ranked. */
  scoped: boolean;
  /** Messages in total, or in the scope. */
  rows: number;
  averageLength: number;
  /** The words of the query that occur, rarest first. */
  words: CountedWord[];
  /** Estimated share of all messages that pass the filter. */
  passing: number;
  /** Earliest time of each part of the candidates, in ms since 1970; 0 means no limit. */
  since: number[];
  /** The number of matches, if that is known. */
  matches?: number | undefined;
}

/** Determines how common the words are, on which the order depends, and which of their messages are ranked. */
export async function basisOf(
  sql: SQL,
  lexemes: string[],
  filter: Filter,
  statistics: Statistics,
  bounds = BOUNDS,
): Promise<Basis> {
  if (lexemes.length === 0) return { scoped: false, rows: 0, averageLength: 1, words: [], passing: 1, since: [] };
  const scoped = filter.scopeMessages !== undefined && filter.scopeMessages <= MAX_SCOPE_MESSAGES;
  const { counts, matches } = scoped
    ? await countScoped(sql, lexemes, filter)
    : await countEverywhere(sql, lexemes, filter, statistics);
  const basis = {
    scoped,
    rows: Math.round(scoped ? (filter.scopeMessages ?? 0) : statistics.rows),
    averageLength: Math.max(1, Math.round(statistics.averageLength)),
    words: lexemes
      .map((lexeme, index) => ({ lexeme, count: Math.ceil(counts[index] ?? 0) }))
      .filter((word) => word.count > 0)
      .toSorted((a, b) => a.count - b.count),
    passing: scoped ? 1 : await passingShare(sql, filter, statistics),
    since: [],
    matches,
  };
  return {
    ...basis,
    since: scoped || basis.words.length === 0 ? [] : sinceWhen(basis, filter, statistics, bounds),
  };
}

/**
 * Returns how many messages hold each word: from the statistics, or counted up to a limit. Beyond the limit the count is
 * extrapolated from the table's pages that were read, and capped at the least frequency that the statistics list. When they list
 * no word, few messages match, and these are counted by the same statement.
 */
async function countEverywhere(
  sql: SQL,
  lexemes: string[],
  filter: Filter,
  statistics: Statistics,
): Promise<{ counts: number[]; matches: number | undefined }> {
  const counts = lexemes.map((lexeme) => (statistics.frequencies.get(lexeme) ?? 0) * statistics.rows);
  const unknown = [...lexemes.keys()].filter((index) => counts[index] === 0);
  if (unknown.length === 0) return { counts, matches: undefined };
  const held = (words: string[]) => holds(tsquery(anyOf(words)), filter.sections !== undefined);
  const selects = unknown.map(
    (index) => `select ${index} as index, count(*)::integer as count, max((place::text::point)[0])::integer + 1 as pages
      from (select ctid as place from messages m where ${held([lexemes[index] ?? ""])} limit ${MAX_COUNTED}) as counted`,
  );
  const areRare = unknown.length === lexemes.length;
  const matching = `select null, count(*)::integer, 0 from (select from messages m
    where ${held(lexemes)} and ${filter.condition} limit ${MAX_MATCHES + 1}) as counted`;
  const counted: { index: number | null; count: number; pages: number }[] = await sql.unsafe(
    [...selects, ...(areRare ? [matching] : [])].join(" union all "),
    areRare ? filter.values : [],
  );
  const most = statistics.leastFrequency * statistics.rows;
  for (const { index, count, pages } of counted) {
    if (index === null) continue;
    const inAll = (count * statistics.pages) / Math.max(1, pages);
    counts[index] = count < MAX_COUNTED ? count : Math.max(count, Math.min(most, inAll));
  }
  const matches = counted.find(({ index }) => index === null)?.count ?? Infinity;
  return { counts, matches: matches <= MAX_MATCHES ? matches : undefined };
}

/** Counts words within the scope: a name that is rare elsewhere may occur in every turn of a session. */
function countScoped(sql: SQL, lexemes: string[], filter: Filter): Promise<{ counts: number[]; matches: number }> {
  const isSectioned = filter.sections !== undefined;
  const columns = lexemes.map(
    (lexeme) => `count(*) filter (where ${isHeld(tsquery(anyOf([lexeme])), isSectioned)})::integer`,
  );
  return one<{ counts: number[]; matches: number }>(
    sql.unsafe(
      `select array[${columns.join(", ")}] as counts, count(*)::integer as matches
        from (select ${isSectioned ? "m.id, m.content, " : ""}${UNPACKED} as search from messages m where ${filter.condition} offset 0) as m
        where ${holdsAny(lexemes, isSectioned)}`,
      filter.values,
    ),
  );
}

/**
 * Uses the planner's estimate, which knows the distribution of roles and dates and has sampled the metadata, and the size of
 * the scope, of which it knows nothing.
 */
async function passingShare(sql: SQL, filter: Filter, statistics: Statistics): Promise<number> {
  if (filter.values.length === 0) return 1;
  const inScope = (filter.scopeMessages ?? Infinity) / Math.max(1, statistics.rows);
  const { "QUERY PLAN": plans } = await one<{ "QUERY PLAN": { Plan: { "Plan Rows": number } }[] }>(
    sql.unsafe(`explain (format json) select from messages m where ${filter.condition}`, filter.values),
  );
  const estimated = plans[0]?.Plan["Plan Rows"] ?? statistics.rows;
  return Math.min(1, inScope, estimated / Math.max(1, statistics.rows));
}

/** Returns the earliest time of each part, by the statistics. */
function sinceWhen(
  { words, rows, passing, averageLength }: Basis,
  filter: Filter,
  statistics: Statistics,
  bounds: Bounds,
): number[] {
  const parts = chooseParts(words, rows, passing, bounds, areLong({ averageLength }));
  return parts.map(({ share }) => timeOfNewest(statistics, share, filter));
}

/** The words with their weights: the rarer a word, the more it tells. */
export function weigh({ words, rows }: Basis): QueryWords {
  const counts = words.map((word) => word.count);
  return {
    lexemes: words.map((word) => word.lexeme),
    // `rows` is an estimate that may be older than the counts; the maximum keeps every weight above zero.
    weights: counts.map((count) => Math.log(1 + (Math.max(rows, count) - count + 0.5) / (count + 0.5))),
  };
}
