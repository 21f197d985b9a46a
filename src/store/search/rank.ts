import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { BOUNDS, areLong, chooseParts, partsStatement } from "./candidates.ts";
import type { Bounds, CountedWord, Part, Scope } from "./candidates.ts";
import { anyOf, inLabel, tsquery } from "./query.ts";
import {
  MOST_NEAR_BYTES,
  REACH,
  byConversation,
  isLong,
  ownScore,
  ownScoreIn,
  priorIn,
  scoreTurns,
} from "./relevance.ts";
import type { QueryWords, ScoredTurn, Turn } from "./relevance.ts";
import { MAX_COUNTED, timeOfNewest } from "./statistics.ts";
import type { Statistics } from "./statistics.ts";

/**
 * Size of a block of the best by their own words, reranked with their neighbours: of all messages, and within a session or a
 * conversation. Larger blocks measurably change nothing.
 */
const RERANKED = { everywhere: 50, scoped: 100 };
/** The newest with any of the words that are found whatever the statistics say, if there are as many: a page of hits. */
const LEAST_NEWEST = 100;
/** Long turns of a block that are judged by their best passage; the vector of a text of 20 kB takes about 10 kB. */
const MAX_PASSAGES = 50;
/** Messages with the same text from which they are one hit. Two are two events, such as calls that a client repeated. */
export const REPEATED = 3;
/** Messages that are named besides a hit that have the same text. */
export const MAX_COPIES_NAMED = 10;
/** All matches in a session or a conversation of up to this size are ranked. */
export const MAX_SCOPE_MESSAGES = 10_000;
/** `ts_rank` sums 1/j² over a lexeme's positions and divides by the limit of that sum. */
const RANK_SCALE = 1.644934;

/** The vector of a shorter text lies in its row. */
const INLINE_BYTES = 2000;

/** A message's vector, read and unpacked once for all that is computed from it; it is stored apart from the row when it is long. */
const UNPACKED = "(array[m.search])[1]";
/** What a turn's score is computed from. */
const ROW = `m.id, m.conversation_id, m.turn_number, m.created_at, m.role, octet_length(m.content) as bytes,
  ${UNPACKED} as search`;

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
  /** The conversations that are narrowed to, when their facts are all that names them. */
  scope: Scope | undefined;
  from: Date | undefined;
  until: Date | undefined;
}

/** A message with the same text as a hit. */
interface Copy {
  message_id: string;
  conversation_id: string;
  turn: number;
}

/** Messages with one text. */
export interface Repetition {
  /** How many there are among those that were ranked. */
  times: number;
  /** Some of those besides the hit, newest first. */
  also: Copy[];
}

/** What finds messages: their words, what they mean, or each of these. */
export type FoundBy = "words" | "meaning" | "both";

export interface Ranked {
  id: string;
  score: number;
  /** Share of the query's words that it holds, each weighed by its rarity. */
  held?: number;
  /** What found it, when it was looked for by meaning too. */
  found_by?: FoundBy;
  /** The passage that means the most like the query, when meaning found it; UTF-16 positions. */
  meant?: { start: number; end: number };
  /** When several messages hold its text; it is the newest of them. */
  repeated?: Repetition | undefined;
}

/** A hit as the statement returns it. */
interface FoundTurn extends Turn {
  /** Block, in the candidates' order by their own words, that it belongs to. */
  block: number;
  /** Whether it is one of the block's candidates. The others are near one of these. */
  is_best: boolean;
  /** Number of hits in the blocks before. */
  passed: number;
  /** All repetitions, in one row: times, then the places, the newest first. */
  copies: { times: number; places: [id: string, conversation: string, turn: number][] }[] | null;
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
  /** The number of matches in the scope, if that is known. */
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
    : { counts: await countEverywhere(sql, lexemes, statistics), matches: undefined };
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
 * Returns the earliest time of each part. The last part guarantees hits: if its newest messages do not fill a page, contrary
 * to the statistics, it gets no time limit.
 */
async function sinceWhen(
  sql: SQL,
  { words, rows, passing, averageLength }: Basis,
  filter: Filter,
  statistics: Statistics,
  bounds: Bounds,
): Promise<number[]> {
  const isLong = areLong({ averageLength });
  const parts = chooseParts(words, rows, passing, bounds, isLong);
  const since = parts.map(({ share }) => timeOfNewest(statistics, share, filter));
  const [last, time] = [parts.at(-1), since.at(-1)];
  if (!last || !time || (await fillsPage(sql, last, time, filter, isLong))) return since;
  return [...since.slice(0, -1), 0];
}

async function fillsPage(sql: SQL, part: Part, since: number, filter: Filter, isLong: boolean): Promise<boolean> {
  const newest = partsStatement(() => "m.id", [part], [since], filter, { gathered: LEAST_NEWEST, isLong });
  const { found } = await one<{ found: number }>(
    sql.unsafe(`select count(*)::integer as found from (${newest}) as newest`, filter.values),
  );
  return found === LEAST_NEWEST;
}

/**
 * Ranks the matching messages and returns those from an offset on, best first: at least `limit`, if there are as many.
 * Messages with the same text are one hit. The first pass orders candidates by their own words. The second judges long ones
 * by their best passage, and adds the window of neighbours, the label, the question before, and the conversation. It goes
 * down the first order block by block; each block holds its candidates and the matches near them that no earlier block
 * holds. The result at a position therefore does not depend on how far a caller reads.
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
  const hits: FoundTurn[] = await sql.unsafe(
    hitsStatement(words, ranked, page, basis.scoped ? RERANKED.scoped : RERANKED.everywhere),
    filter.values,
  );
  const blocks = [...Map.groupBy(hits, (hit) => hit.block)].toSorted(([a], [b]) => a - b).map(([, block]) => block);
  const neighbours = await neighboursOf(sql, hits, words, filter);
  const vectors = await vectorsOf(
    sql,
    blocks.flatMap((block) => bestLong(block, words)),
  );
  const repetitions = repetitionsIn(hits);
  const start = page.offset - Math.min(...hits.map((hit) => hit.passed));
  const turns = byConversation<Turn>([...neighbours, ...hits]);
  return blocks
    .flatMap((block) => best(scoreTurns(withWindows(block, turns), words, vectors)))
    .slice(start)
    .map(({ turn, score }) => ({ id: turn.id, score, held: heldBy(turn, words), repeated: repetitions.get(turn.id) }));
}

function heldBy({ frequencies }: Turn, { weights }: QueryWords): number {
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const held = weights.reduce((sum, weight, index) => sum + ((frequencies[index] ?? 0) > 0 ? weight : 0), 0);
  return all === 0 ? 0 : held / all;
}

function best(scored: ScoredTurn[]): ScoredTurn[] {
  return scored.toSorted((a, b) => b.score - a.score || b.turn.time - a.turn.time || (a.turn.id < b.turn.id ? 1 : -1));
}

/** The long hits of a block that are the best by the words of their whole texts. */
function bestLong(block: Turn[], words: QueryWords): string[] {
  const whole = block.filter(isLong);
  const order = new Map(whole.map((turn) => [turn.id, ownScore(turn, words)]));
  return [...order]
    .toSorted(([a, x], [b, y]) => y - x || (a < b ? 1 : -1))
    .slice(0, MAX_PASSAGES)
    .map(([id]) => id);
}

async function vectorsOf(sql: SQL, ids: string[]): Promise<Map<string, Uint8Array>> {
  if (ids.length === 0) return new Map();
  const rows: { id: string; vector: Uint8Array }[] = await sql`
    select id, tsvectorsend(search) as vector from messages where id = any(${sql.array(ids, "UUID")})`;
  return new Map(rows.map(({ id, vector }) => [id, vector]));
}

function repetitionsIn(turns: FoundTurn[]): Map<string, Repetition> {
  const repetitions = new Map<string, Repetition>();
  for (const { times, places } of turns.find((turn) => turn.copies !== null)?.copies ?? []) {
    const [first, ...others] = places;
    const also = others.map(([message_id, conversation_id, turn]) => ({ message_id, conversation_id, turn }));
    if (first) repetitions.set(first[0], { times, also });
  }
  return repetitions;
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
function countScoped(sql: SQL, lexemes: string[], filter: Filter): Promise<{ counts: number[]; matches: number }> {
  const columns = lexemes.map((lexeme) => `count(*) filter (where m.search @@ ${tsquery(anyOf([lexeme]))})::integer`);
  return one<{ counts: number[]; matches: number }>(
    sql.unsafe(
      `select array[${columns.join(", ")}] as counts, count(*)::integer as matches
        from (select ${UNPACKED} as search from messages m where ${filter.condition} offset 0) as m
        where ${holdsAny(lexemes)}`,
      filter.values,
    ),
  );
}

function weigh({ words, rows }: Basis): QueryWords {
  const counts = words.map((word) => word.count);
  return {
    lexemes: words.map((word) => word.lexeme),
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
function candidates(columns: string, basis: Basis, filter: Filter, bounds: Bounds): string {
  const { scoped, words, rows, passing, since } = basis;
  if (!scoped) {
    const { gathered, long } = bounds;
    const isLong = areLong(basis);
    const parts = chooseParts(words, rows, passing, bounds, isLong);
    const found = (wanted: (part: Part) => string) =>
      partsStatement(wanted, parts, since, filter, { gathered, isLong });
    return isLong && long < Infinity ? withoutLong(columns, found, long) : found(() => columns);
  }
  return `select * from (select ${columns} from messages m where ${filter.condition} offset 0) as m
    where ${holdsAny(words.map(({ lexeme }) => lexeme))}`;
}

/**
 * Selects the candidates but for the long ones that are worth the least by their lengths: their vectors lie apart from their
 * rows, and reading them takes most of the time. Rows are read again by their places in the table, which stay the same within
 * a statement.
 */
function withoutLong(columns: string, found: (columns: (part: Part) => string) => string, most: number): string {
  const seen = ({ isLate = false }: Part) =>
    `m.ctid as place, m.id, octet_length(m.content) as bytes, m.role, ${isLate} as is_late`;
  return `with found as materialized (${found(seen)})
    select ${columns} from (
      select place from found where bytes <= ${INLINE_BYTES}
      union all
      (select place from found where bytes > ${INLINE_BYTES} order by is_late, ${priorIn} desc, id limit ${most})
    ) as kept join messages m on m.ctid = kept.place`;
}

/** Selects the hits of the blocks that a page lies in, with the number of hits before each block. */
function hitsStatement(
  words: QueryWords,
  ranked: (columns: string) => string,
  { offset, limit }: { offset: number; limit: number },
  blockSize: number,
): string {
  const columns = words.lexemes.map((_, index) => `f${index}`);
  const seen = "id, conversation_id, turn_number, created_at, role, bytes, asks, label";
  return `with scored as (
      select id, conversation_id, turn_number, created_at, role, bytes, ${asks} as asks, ${labelWords(words)} as label,
        ${frequenciesOf(words)
          .map((each, index) => `${each} as f${index}`)
          .join(", ")}
      from (${ranked(ROW)} offset 0) as m offset 0
    ),
    ${copiesOf(`select ${seen}, ${columns.join(", ")}, ${ownScoreIn(words)} as own from scored`)},
    placed as (
      select ${seen}, ${columns.join(", ")}, (row_number() over (
        order by own desc, created_at desc, conversation_id, turn_number
      ) - 1) / ${blockSize} as own_block from (
        select ${seen}, ${columns.join(", ")}, own from alike where alike < ${REPEATED}
        union all
        select ${seen}, ${columns.join(", ")}, own from copies where copy = 1 or times < ${REPEATED}
      ) as different
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
    select id, conversation_id as conversation, turn_number as turn, extract(epoch from created_at)::float8 as time,
      bytes, role, asks, label, array[${columns.join(", ")}]::float8[] as frequencies, true as is_hit,
      own_block = block as is_best, block::integer, passed::integer, case when row_number() over () = 1 then (${repetitions}) end as copies
    from hits join blocks using (block)`;
}

/** Reads the turns near the best that are no hits of these blocks themselves, but for long ones, which lend no weight. */
function neighboursOf(sql: SQL, hits: FoundTurn[], words: QueryWords, { known }: Filter): Promise<Turn[]> {
  const runs = placesNear(hits).flatMap(({ conversation, turns }) =>
    runsOf(turns).map((run) => ({ conversation, ...run })),
  );
  if (runs.length === 0) return Promise.resolve([]);
  return sql.unsafe(
    `select m.id, m.conversation, m.turn, m.time, m.bytes, m.role, m.asks, m.label, m.frequencies, false as is_hit
    from unnest($1::uuid[], $2::integer[], $3::integer[]) as near (conversation, first, last) cross join lateral (
      select m.id, m.conversation_id as conversation, m.turn_number as turn,
        extract(epoch from m.created_at)::float8 as time, m.bytes, m.role, ${asks} as asks, ${labelWords(words)} as label,
        array[${frequenciesOf(words).join(", ")}]::float8[] as frequencies
      from (
        select ${ROW} from messages m where m.conversation_id = near.conversation
          and m.turn_number between near.first and near.last
          and octet_length(m.content) <= ${MOST_NEAR_BYTES} and ${known} offset 0
      ) as m offset 0
    ) as m`,
    [
      sql.array(
        runs.map(({ conversation }) => conversation),
        "UUID",
      ),
      sql.array(
        runs.map(({ first }) => first),
        "INTEGER",
      ),
      sql.array(
        runs.map(({ last }) => last),
        "INTEGER",
      ),
    ],
  );
}

/** The hits of a block, and the turns near its best. What is a hit of another block only lends weight here. */
function withWindows(block: FoundTurn[], turns: ReadonlyMap<string, ReadonlyMap<number, Turn>>): Turn[] {
  const others = placesNear(block).flatMap(({ conversation, turns: near }) => {
    const known = turns.get(conversation);
    return [...near].flatMap((turn) => known?.get(turn) ?? []);
  });
  const lending = others.filter(({ bytes }) => bytes <= MOST_NEAR_BYTES);
  return [...block, ...lending.map((turn) => ({ ...turn, is_hit: false }))];
}

/** The places near the best of some hits at which there is none of these, by conversation. */
function placesNear(hits: FoundTurn[]): { conversation: string; turns: Set<number> }[] {
  return Array.from(byConversation(hits), ([conversation, own]) => {
    const turns = new Set<number>();
    for (const { turn, is_best } of own.values())
      if (is_best)
        for (let other = turn - REACH; other <= turn + REACH; other += 1) if (!own.has(other)) turns.add(other);
    return { conversation, turns };
  });
}

/** Turn numbers that follow each other, as one run each. */
function runsOf(turns: ReadonlySet<number>): { first: number; last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (const turn of [...turns].toSorted((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run?.last === turn - 1) run.last = turn;
    else runs.push({ first: turn, last: turn });
  }
  return runs;
}

/** Whether a turn ends with a question. */
const asks = "m.search @@ '''?'''::tsquery";

/** How often each word occurs, as far as `ts_rank` tells. */
function frequenciesOf({ lexemes }: QueryWords): string[] {
  return lexemes.map((each) => `${RANK_SCALE} * ts_rank('{1,1,1,1}', m.search, ${tsquery(anyOf([each]))})`);
}

/** Counts the query's words in the label. Few messages have a label with one, so that is asked first. */
function labelWords({ lexemes }: QueryWords): string {
  const inLabels = lexemes.map(inLabel);
  const each = inLabels.map((query) => `(m.search @@ ${tsquery(query)})::integer`).join(" + ");
  return `case when m.search @@ ${tsquery(inLabels.join(" | "))} then ${each} else 0 end`;
}

/**
 * Numbers the messages with the same text, the newest first. The same text has the same length and score; only where so many
 * messages have that they may be a repetition, their texts are read and compared by their hashes.
 */
function copiesOf(weighed: string): string {
  const alike = "own, bytes, role";
  return `alike as materialized (select *, count(*) over (partition by ${alike}) as alike from (${weighed}) as weighed),
    told as (
      select *, (select hashtextextended(m.content, 0) from messages m where m.id = alike.id) as text
      from alike where alike >= ${REPEATED}
    ),
    copies as materialized (
      select *, count(*) over (partition by ${alike}, text) as times, row_number() over (
        partition by ${alike}, text order by created_at desc, conversation_id, turn_number
      ) as copy from told
    )`;
}

/** Selects the texts that several messages hold. */
const repetitions = `select json_agg(json_build_object('times', times, 'places', places)) from (
  select max(times) as times, json_agg(json_build_array(id, conversation_id, turn_number) order by copy)
    filter (where copy <= ${MAX_COPIES_NAMED + 1}) as places
  from copies where times >= ${REPEATED} group by own, bytes, role, text
) as repeated`;
