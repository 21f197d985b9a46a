import type { SQL } from "bun";
import { one } from "../database/one.ts";

/** Lifetime of cached statistics: they change with a thousand messages, not with one. */
const GOOD_FOR_MS = 60_000;
/** Messages sampled for the average length. */
const SAMPLED_ROWS = 2000;
/** Limit on counting the messages with a word that the statistics do not list; each count reads a row. */
export const MAX_COUNTED = 500;

/** A larger share of the messages gets no time limit. */
const MAX_SHARE = 0.5;

/** Statistics of all messages, for the ranking. */
export interface Statistics {
  rows: number;
  /** Share of messages that hold each of the most common lexemes. */
  frequencies: ReadonlyMap<string, number>;
  /** The least of these; 1 before the first ANALYZE. */
  leastFrequency: number;
  /** Pages of the table. */
  pages: number;
  /** Average number of distinct lexemes in a message. */
  averageLength: number;
  /** Histogram bounds of message times, in ms since 1970, with equally many messages in each bin; empty before ANALYZE. */
  times: number[];
}

/** Caches the planner's statistics of the messages. PostgreSQL keeps them up to date, without a counter that inserts update. */
export class StatisticsCache {
  #known: { statistics: Statistics; version: string; untilMs: number } | undefined;

  async get(sql: SQL): Promise<Statistics> {
    const now = performance.now();
    if (this.#known && now < this.#known.untilMs) return this.#known.statistics;
    // Statistics change only with ANALYZE. Asking when it ran costs nothing, reading them takes up to a tenth of a second. A
    // replica does not know when the primary ran it, so there they are always read again.
    const row = await one<{ version: string; dated: boolean }>(
      sql`select concat(reltuples, pg_stat_get_last_analyze_time(oid), pg_stat_get_last_autoanalyze_time(oid)) as version,
        reltuples > 0 and not pg_is_in_recovery() as dated from pg_class where oid = 'messages'::regclass`,
    );
    const isNew = !row.dated || row.version !== this.#known?.version;
    const statistics = isNew || !this.#known ? await read(sql) : this.#known.statistics;
    this.#known = { statistics, version: row.version, untilMs: now + GOOD_FOR_MS };
    return statistics;
  }
}

/**
 * Returns the time, in ms since 1970, after which the newest `share` of the messages between two times lies; 0 when that is
 * most of them or the statistics are empty.
 */
export function timeOfNewest(
  { times }: Statistics,
  share: number,
  { from, until }: { from: Date | undefined; until: Date | undefined },
): number {
  // Finding most of the messages by time takes longer than reading all.
  if (share > MAX_SHARE || times.length < 2) return 0;
  const placeOf = (time: Date | undefined, otherwise: number) => {
    const place = time === undefined ? -1 : times.findIndex((bound) => bound >= time.getTime());
    return place === -1 ? otherwise : place;
  };
  const first = from === undefined ? 0 : placeOf(from, times.length - 1);
  const last = placeOf(until, times.length - 1);
  const place = Math.max(0, last - share * Math.max(1, last - first));
  const [before, after] = [times[Math.floor(place)] ?? 0, times[Math.ceil(place)] ?? 0];
  return Math.floor(before + (after - before) * (place % 1));
}

interface StatisticsRow {
  rows: number;
  pages: number;
  /** Null before the first ANALYZE. */
  elements: string[] | null;
  /** Bun returns arrays of numbers as typed arrays. */
  frequencies: Iterable<number> | null;
  times: Iterable<number>;
}

async function read(sql: SQL): Promise<Statistics> {
  // Before the first ANALYZE there is no estimate of the rows; a table that small is counted.
  const row = await one<StatisticsRow>(sql`
    select case when c.reltuples > 0 then c.reltuples::float8
        else (select count(*) from (select from messages limit 100000) as few)::float8 end as rows,
      (pg_relation_size(c.oid) / current_setting('block_size')::integer)::float8 as pages,
      s.most_common_elems::text::text[] as elements, s.most_common_elem_freqs::float8[] as frequencies,
      array(select extract(epoch from bound) * 1000 from unnest(t.histogram_bounds::text::timestamptz[]) as bound)::float8[]
        as times
    from pg_class c
    left join pg_stats s
      on s.tablename = c.relname and s.schemaname = c.relnamespace::regnamespace::text and s.attname = 'search'
    left join pg_stats t
      on t.tablename = c.relname and t.schemaname = c.relnamespace::regnamespace::text and t.attname = 'created_at'
    where c.oid = 'messages'::regclass`);
  const percent = Math.min(100, Math.max(0.001, (100 * SAMPLED_ROWS) / Math.max(1, row.rows)));
  const { average } = await one<{ average: number }>(sql`
    select coalesce(avg(length(search)), 1)::float8 as average
    from (select search from messages tablesample system (${percent}::real) limit ${SAMPLED_ROWS}) as sampled`);
  const elements = row.elements ?? [];
  const frequencies = [...(row.frequencies ?? [])];
  return {
    rows: row.rows,
    frequencies: new Map(elements.map((element, index) => [element, frequencies[index] ?? 0])),
    // After the elements' frequencies the array holds three summary figures, which have no element.
    leastFrequency: Math.min(1, ...frequencies.slice(0, elements.length)),
    pages: row.pages,
    averageLength: Math.max(1, average),
    times: [...row.times],
  };
}
