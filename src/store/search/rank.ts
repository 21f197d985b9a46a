import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { BOUNDS, chooseParts, partsStatement } from "./candidates.ts";
import type { Bounds, CountedWord, Part } from "./candidates.ts";
import { anyOf, inLabel, tsquery } from "./query.ts";
import { MAX_COUNTED, timeOfNewest } from "./statistics.ts";
import type { Statistics } from "./statistics.ts";

/** BM25's term saturation and length normalization, at the values that the literature uses for passages. */
const K1 = 0.9;
const B = 0.4;
/** Turns on each side that lend a turn weight, decreasing linearly with the distance. */
const REACH = 5;
/** Score added for each query word in the label. */
const LABEL_WEIGHT = 3;
/** Share of a question's own score that is added to the turn after it. */
const ANSWER_WEIGHT = 0.5;
/** Size of a block of the best by their own words, reranked with their neighbours. Larger blocks measurably change nothing. */
const RERANKED = 100;
/** All matches in a session or a conversation of up to this size are ranked. */
export const MAX_SCOPE_MESSAGES = 10_000;
/** `ts_rank` sums 1/j² over a lexeme's positions and divides by the limit of that sum. */
const RANK_SCALE = 1.644934;

/** Conditions on `messages m`, as trusted SQL with parameters for the caller's values. */
export interface Filter {
  condition: string;
  /**
   * The same condition, written to be checked on each message that words or times have found: finding the messages of a large
   * session by an index takes longer.
   */
  sieve: string;
  /** The same condition, for messages that are found by nothing else. */
  alone: string;
  /** Condition for visible messages, neighbours included: those that existed at the first page. */
  known: string;
  values: unknown[];
  /** Number of messages in the named session or conversation, if one is named. */
  scopeMessages: number | undefined;
  from: Date | undefined;
  until: Date | undefined;
}

export interface Ranked {
  id: string;
  score: number;
}

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
}

/** The words of a query that occur, rarest first, with their message counts and weights. */
interface QueryWords {
  lexemes: string[];
  counts: number[];
  weights: number[];
}

/** A turn that matches, or a neighbour of one. */
interface Turn {
  id: string;
  conversation: string;
  turn: number;
  time: number;
  length: number;
  asks: boolean;
  label: number;
  /** Block, in the candidates' order by their own words, that its window belongs to. */
  block: number;
  /** Whether it is a hit of that block, or only lends weight. */
  is_hit: boolean;
  frequencies: number[];
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
  const counts = scoped ? await countScoped(sql, lexemes, filter) : await countEverywhere(sql, lexemes, statistics);
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
  };
  return {
    ...basis,
    since: scoped || basis.words.length === 0 ? [] : await sinceWhen(sql, basis, filter, statistics, bounds),
  };
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

/**
 * Returns the earliest time of each part. The last part guarantees hits: if its newest messages do not fill a block, contrary
 * to the statistics, it gets no time limit.
 */
async function sinceWhen(
  sql: SQL,
  { words, rows, passing }: Basis,
  filter: Filter,
  statistics: Statistics,
  bounds: Bounds,
): Promise<number[]> {
  const parts = chooseParts(words, rows, passing, bounds);
  const since = parts.map(({ share }) => timeOfNewest(statistics, share, filter));
  const [last, time] = [parts.at(-1), since.at(-1)];
  if (!last || !time || (await makesBlock(sql, last, time, filter))) return since;
  return [...since.slice(0, -1), 0];
}

async function makesBlock(sql: SQL, part: Part, since: number, filter: Filter): Promise<boolean> {
  const newest = partsStatement("m.id", [part], [since], filter.sieve, RERANKED);
  const { found } = await one<{ found: number }>(
    sql.unsafe(`select count(*)::integer as found from (${newest}) as newest`, filter.values),
  );
  return found === RERANKED;
}

/**
 * Ranks the matching messages, best first, and returns those of a page. The first pass orders candidates by BM25 over a
 * turn's own words. The second pass adds BM25 over its window of neighbours, a bonus for words in the label, and one for the
 * answer to a question. It goes down the first order block by block; each block holds its candidates and the matches near
 * them that no earlier block holds. The result at a position therefore does not depend on how far a caller reads.
 */
export async function rank(
  sql: SQL,
  basis: Basis,
  filter: Filter,
  page: { offset: number; limit: number },
  bounds = BOUNDS,
): Promise<Ranked[]> {
  if (basis.words.length === 0) return [];
  const words = weigh(basis);
  const ranked = (columns: string) => candidates(columns, basis, filter, bounds);
  const turns: (Turn & { passed: number })[] = await sql.unsafe(
    turnsStatement(words, ranked, filter, basis.averageLength, page),
    filter.values,
  );
  const start = page.offset - Math.min(...turns.map((turn) => turn.passed));
  return [...Map.groupBy(turns, (turn) => turn.block)]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([, block]) => score(block, words, basis.averageLength))
    .slice(start, start + page.limit);
}

/**
 * Returns how many messages hold each word: from the statistics, or counted up to a limit. Beyond the limit the count is
 * extrapolated from the table's pages that were read, and capped at the least frequency that the statistics list.
 */
async function countEverywhere(sql: SQL, lexemes: string[], statistics: Statistics): Promise<number[]> {
  const counts = lexemes.map((lexeme) => (statistics.frequencies.get(lexeme) ?? 0) * statistics.rows);
  const unknown = [...lexemes.keys()].filter((index) => counts[index] === 0);
  if (unknown.length === 0) return counts;
  const selects = unknown.map(
    (index) => `select ${index} as index, count(*)::integer as count, max((place::text::point)[0])::integer + 1 as pages
      from (select ctid as place from messages where search @@ ${tsquery(anyOf([lexemes[index] ?? ""]))} limit ${MAX_COUNTED})
        as counted`,
  );
  const counted: { index: number; count: number; pages: number }[] = await sql.unsafe(selects.join(" union all "));
  const most = statistics.leastFrequency * statistics.rows;
  for (const { index, count, pages } of counted) {
    const inAll = (count * statistics.pages) / Math.max(1, pages);
    counts[index] = count < MAX_COUNTED ? count : Math.max(count, Math.min(most, inAll));
  }
  return counts;
}

/** Counts words within the scope: a name that is rare elsewhere may occur in every turn of a session. */
async function countScoped(sql: SQL, lexemes: string[], filter: Filter): Promise<number[]> {
  const columns = lexemes.map((lexeme) => `count(*) filter (where m.search @@ ${tsquery(anyOf([lexeme]))})::integer`);
  const { counts } = await one<{ counts: number[] }>(
    sql.unsafe(
      `select array[${columns.join(", ")}] as counts from messages m
        where ${holdsAny(lexemes)} and ${filter.condition}`,
      filter.values,
    ),
  );
  return counts;
}

function weigh({ words, rows }: Basis): QueryWords {
  const counts = words.map((word) => word.count);
  return {
    lexemes: words.map((word) => word.lexeme),
    counts,
    // `rows` is an estimate that may be older than the counts; the maximum keeps every weight above zero.
    weights: counts.map((count) => Math.log(1 + (Math.max(rows, count) - count + 0.5) / (count + 0.5))),
  };
}

/**
 * Within a session or a conversation each message is checked for the words. `is true` keeps PostgreSQL from using the search
 * index, whose cost grows with the messages that hold the words anywhere.
 */
export function holdsAny(lexemes: string[]): string {
  return `(m.search @@ ${tsquery(anyOf(lexemes))}) is true`;
}

/** Selects columns of the messages that are ranked. */
function candidates(
  columns: string,
  { scoped, words, rows, passing, since }: Basis,
  filter: Filter,
  bounds: Bounds,
): string {
  if (!scoped)
    return partsStatement(columns, chooseParts(words, rows, passing, bounds), since, filter.sieve, bounds.gathered);
  return `select ${columns} from messages m where ${holdsAny(words.map(({ lexeme }) => lexeme))} and ${filter.condition}`;
}

/**
 * Selects the blocks of candidates that a page lies in, each with its neighbours and the number of hits before it. The
 * lateral's `offset 0` makes PostgreSQL look up each window by the index. `in` finds out with a hash whether a turn is a hit;
 * a join compared each turn with every hit where the planner expected few.
 */
function turnsStatement(
  words: QueryWords,
  ranked: (columns: string) => string,
  filter: Filter,
  average: number,
  { offset, limit }: { offset: number; limit: number },
): string {
  const frequency = (vector: string, lexeme: string) =>
    `${RANK_SCALE} * ts_rank('{1,1,1,1}', ${vector}, ${tsquery(anyOf([lexeme]))})`;
  const label = (vector: string) =>
    words.lexemes.map((lexeme) => `(${vector} @@ ${tsquery(inLabel(lexeme))})::integer`).join(" + ");
  const own = words.weights
    .map((weight, index) => `${weight} * ${K1 + 1} * f${index} / (f${index} + norm)`)
    .join(" + ");
  const columns = [
    "m.conversation_id",
    "m.turn_number",
    "m.created_at",
    `${label("m.search")} as label`,
    `${K1 * (1 - B)} + ${(K1 * B) / average}::float8 * length(m.search) as norm`,
    ...words.lexemes.map((lexeme, index) => `${frequency("m.search", lexeme)} as f${index}`),
  ];
  return `with scored as (${ranked(columns.join(", "))}),
    placed as (
      select conversation_id, turn_number, (row_number() over (
        order by ${own} + ${LABEL_WEIGHT} * label desc, created_at desc, conversation_id, turn_number
      ) - 1) / ${RERANKED} as own_block from scored
    ),
    hits as materialized (
      select *, min(own_block) over (
        partition by conversation_id order by turn_number range between ${REACH} preceding and ${REACH} following
      ) as block from placed
    ),
    blocks as materialized (
      select * from (
        select block, count(*) as size, sum(count(*)) over (order by block) - count(*) as passed from hits group by block
      ) as sized where passed < ${offset + limit} and passed + size > ${offset}
    )
    select turn.*, blocks.block::integer, blocks.passed::integer,
      (turn.conversation, turn.turn, blocks.block) in (select conversation_id, turn_number, block from hits) as is_hit
    from blocks join hits as best on best.own_block = blocks.block cross join lateral (
      select m.id, m.conversation_id as conversation, m.turn_number as turn, extract(epoch from m.created_at)::float8 as time,
        length(m.search) as length, m.search @@ '''?'''::tsquery as asks, ${label("m.search")} as label,
        array[${words.lexemes.map((lexeme) => frequency("m.search", lexeme)).join(", ")}]::float8[] as frequencies
      from messages m where m.conversation_id = best.conversation_id
        and m.turn_number between best.turn_number - ${REACH} and best.turn_number + ${REACH} and ${filter.known} offset 0
    ) as turn`;
}

/** Returns the hits of a block in order; its other turns only lend them weight. */
function score(turns: Turn[], words: QueryWords, average: number): Ranked[] {
  const bm25 = (frequencies: number[], length: number) =>
    frequencies.reduce((sum, frequency, index) => {
      const norm = K1 * (1 - B + (B * length) / average);
      return sum + ((words.weights[index] ?? 0) * (K1 + 1) * frequency) / (frequency + norm);
    }, 0);
  const at = new Map(turns.map((turn) => [`${turn.conversation} ${turn.turn}`, turn]));
  const neighbour = (turn: Turn, distance: number) => at.get(`${turn.conversation} ${turn.turn + distance}`);
  const own = (turn: Turn) => bm25(turn.frequencies, turn.length);
  const window = (turn: Turn) => {
    const frequencies = words.lexemes.map(() => 0);
    let length = 0;
    for (let distance = -REACH; distance <= REACH; distance += 1) {
      const near = neighbour(turn, distance);
      if (!near) continue;
      const share = 1 - Math.abs(distance) / (REACH + 1);
      length += share * near.length;
      for (const [index, frequency] of near.frequencies.entries())
        frequencies[index] = (frequencies[index] ?? 0) + share * frequency;
    }
    // A full window holds as much as REACH + 1 turns: the sum of its shares.
    return bm25(frequencies, length / (REACH + 1));
  };
  const scored = [...at.values()].flatMap((turn) => {
    if (!turn.is_hit) return [];
    const before = neighbour(turn, -1);
    const answers = before?.asks ? ANSWER_WEIGHT * own(before) : 0;
    return [{ id: turn.id, time: turn.time, score: own(turn) + window(turn) + LABEL_WEIGHT * turn.label + answers }];
  });
  return scored.toSorted((a, b) => b.score - a.score || b.time - a.time || (a.id < b.id ? 1 : -1));
}
