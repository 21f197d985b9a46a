import type { SQL } from "bun";

/** How long what is known of all messages is good for: it changes with a thousand messages, not with one. */
const GOOD_FOR_MS = 60_000;
/** Messages whose lengths are looked at for their average. */
const SAMPLED_ROWS = 2000;
/** A word that is not among the most common ones is counted, up to here. */
export const MAX_COUNTED = 5000;

/** What the ranking knows of all messages. */
export interface Statistics {
  rows: number;
  /** Of the most common lexemes, the part of messages that holds each. */
  frequencies: ReadonlyMap<string, number>;
  /** Distinct lexemes of a message, on average. */
  averageLength: number;
}

/**
 * The planner's own statistics of the messages, which PostgreSQL keeps up to date by itself: no table that every insert
 * would have to touch.
 */
export class StatisticsCache {
  #known: { statistics: Statistics; untilMs: number } | undefined;

  async get(sql: SQL): Promise<Statistics> {
    const now = performance.now();
    if (this.#known && now < this.#known.untilMs) return this.#known.statistics;
    const statistics = await read(sql);
    this.#known = { statistics, untilMs: now + GOOD_FOR_MS };
    return statistics;
  }
}

async function read(sql: SQL): Promise<Statistics> {
  // Before the first ANALYZE there is no estimate of the rows; then there are few, and they are counted.
  const [row] = await sql`
    select case when c.reltuples > 0 then c.reltuples::float8
        else (select count(*) from (select from messages limit 100000) as few)::float8 end as rows,
      s.most_common_elems::text::text[] as elements, s.most_common_elem_freqs::float8[] as frequencies
    from pg_class c left join pg_stats s
      on s.tablename = c.relname and s.schemaname = c.relnamespace::regnamespace::text and s.attname = 'search'
    where c.oid = 'messages'::regclass`;
  const percent = Math.min(100, Math.max(0.001, (100 * SAMPLED_ROWS) / Math.max(1, row.rows)));
  const [sample] = await sql`select coalesce(avg(length(search)), 1)::float8 as average
    from (select search from messages tablesample system (${percent}::real) limit ${SAMPLED_ROWS}) as sampled`;
  const elements: string[] = row.elements ?? [];
  const frequencies: number[] = row.frequencies ?? [];
  return {
    rows: row.rows,
    frequencies: new Map(elements.map((element, index) => [element, frequencies[index] ?? 0])),
    averageLength: Math.max(1, sample.average),
  };
}
