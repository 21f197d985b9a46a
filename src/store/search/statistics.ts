import type { SQL } from "bun";

/** How long what is known of all messages is good for: it changes with a thousand messages, not with one. */
const GOOD_FOR_MS = 60_000;
/** Messages whose lengths are looked at for their average. */
const SAMPLED_ROWS = 2000;
/** A word that is not among the most common ones is counted, up to here: each count is a look at a row. */
export const MAX_COUNTED = 500;

/** A larger share of the messages is not narrowed to. */
const MAX_SHARE = 0.5;

/** What the ranking knows of all messages. */
export interface Statistics {
  rows: number;
  /** Of the most common lexemes, the part of messages that holds each. */
  frequencies: ReadonlyMap<string, number>;
  /** The least of these; 1 before the first ANALYZE. */
  leastFrequency: number;
  /** Pages of the table. */
  pages: number;
  /** Distinct lexemes of a message, on average. */
  averageLength: number;
  /** Times of messages, in ms since 1970, between each two of which there are equally many; none before the first ANALYZE. */
  times: number[];
}

/**
 * The planner's own statistics of the messages, which PostgreSQL keeps up to date by itself: no table that every insert
 * would have to touch.
 */
export class StatisticsCache {
  #known: { statistics: Statistics; version: string; untilMs: number } | undefined;

  async get(sql: SQL): Promise<Statistics> {
    const now = performance.now();
    if (this.#known && now < this.#known.untilMs) return this.#known.statistics;
    // They are new only after an ANALYZE; asking for that costs nothing, reading them up to a tenth of a second. A replica
    // does not know when the primary had its last one, so what it says then is always new.
    const [row] =
      await sql`select concat(reltuples, pg_stat_get_last_analyze_time(oid), pg_stat_get_last_autoanalyze_time(oid))
      as version, reltuples > 0 and not pg_is_in_recovery() as dated from pg_class where oid = 'messages'::regclass`;
    const isNew = !row.dated || row.version !== this.#known?.version;
    const statistics = isNew || !this.#known ? await read(sql) : this.#known.statistics;
    this.#known = { statistics, version: row.version, untilMs: now + GOOD_FOR_MS };
    return statistics;
  }
}

/**
 * From when on there is this share of the messages between two times, in ms since 1970. 0 when that is most of them, or
 * when nothing is known.
 */
export function timeOfNewest(
  { times }: Statistics,
  share: number,
  { from, until }: { from: Date | undefined; until: Date | undefined },
): number {
  // To find most of the messages by their time takes longer than to look at some more of them.
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

async function read(sql: SQL): Promise<Statistics> {
  // Before the first ANALYZE there is no estimate of the rows; then there are few, and they are counted.
  const [row] = await sql`
    select case when c.reltuples > 0 then c.reltuples::float8
        else (select count(*) from (select from messages limit 100000) as few)::float8 end as rows,
      pg_relation_size(c.oid) / current_setting('block_size')::integer as pages,
      s.most_common_elems::text::text[] as elements, s.most_common_elem_freqs::float8[] as frequencies,
      array(select extract(epoch from bound) * 1000 from unnest(t.histogram_bounds::text::timestamptz[]) as bound)::float8[]
        as times
    from pg_class c
    left join pg_stats s
      on s.tablename = c.relname and s.schemaname = c.relnamespace::regnamespace::text and s.attname = 'search'
    left join pg_stats t
      on t.tablename = c.relname and t.schemaname = c.relnamespace::regnamespace::text and t.attname = 'created_at'
    where c.oid = 'messages'::regclass`;
  const percent = Math.min(100, Math.max(0.001, (100 * SAMPLED_ROWS) / Math.max(1, row.rows)));
  const [sample] = await sql`select coalesce(avg(length(search)), 1)::float8 as average
    from (select search from messages tablesample system (${percent}::real) limit ${SAMPLED_ROWS}) as sampled`;
  const elements: string[] = row.elements ?? [];
  const frequencies: number[] = row.frequencies ?? [];
  return {
    rows: row.rows,
    frequencies: new Map(elements.map((element, index) => [element, frequencies[index] ?? 0])),
    // The list goes on with three figures about all elements; those of the frequencies are the first two.
    leastFrequency: Math.min(1, ...frequencies.slice(0, elements.length)),
    pages: Number(row.pages),
    averageLength: Math.max(1, sample.average),
    times: [...(row.times ?? [])],
  };
}
