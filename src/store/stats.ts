import type { Reads } from "./reads.ts";

/** How much is kept, and what went on in the last days. */
export interface StatsReply {
  conversations: number;
  /** Conversations that can be restored. */
  in_trash: number;
  messages: number;
  /** What the whole database takes on its disk. */
  database_bytes: number;
  days: { day: string; messages: number }[];
  tools: ToolStats[];
}

interface ToolStats {
  tool: string;
  calls: number;
  errors: number;
  /** Null when no call's duration is known. */
  p50_ms: number | null;
  p95_ms: number | null;
}

/** Tools that are told: those with the most calls. */
const MAX_TOOLS = 50;

/** Counts. They read much, so they go over the searches' connections and have the searches' time. */
export class Stats {
  readonly #reads: Reads;

  constructor(reads: Reads) {
    this.#reads = reads;
  }

  /** Of the last `days` days in the time zone, with today. */
  async read(input: { days: number; time_zone: string }): Promise<StatsReply> {
    const { days, time_zone } = input;
    return this.#reads.search(async (sql) => {
      const [counts] = await sql`
        select count(*) filter (where deleted_at is null)::integer as conversations,
          count(*) filter (where deleted_at is not null)::integer as in_trash,
          coalesce(sum(message_count) filter (where deleted_at is null), 0)::float8 as messages,
          pg_database_size(current_database())::float8 as database_bytes
        from conversations`;
      const perDay: { day: string; messages: number }[] = await sql`
        with today as (
          select (now() at time zone ${time_zone})::date as day
        ), counted as (
          select (m.created_at at time zone ${time_zone})::date as day, count(*)::integer as messages
          from messages m
          where m.created_at >= ((select day from today) - ${days - 1}::integer)::timestamp at time zone ${time_zone}
            and m.conversation_id not in (select id from conversations where deleted_at is not null)
          group by 1
        )
        select to_char(series.day, 'YYYY-MM-DD') as day, coalesce(c.messages, 0) as messages
        from today, generate_series(today.day - ${days - 1}::integer, today.day, interval '1 day') as series (day)
        left join counted c on c.day = series.day::date
        order by series.day`;
      // A call is counted by its result, which says how it went and how long it took.
      const tools: ToolStats[] = await sql`
        with results as (
          select metadata ->> 'tool' as tool, metadata ->> 'outcome' as outcome,
            case when jsonb_typeof(metadata -> 'duration_ms') = 'number'
              then (metadata ->> 'duration_ms')::float8 end as duration_ms
          from messages
          where created_at >= ((now() at time zone ${time_zone})::date - ${days - 1}::integer)::timestamp
              at time zone ${time_zone}
            and metadata ? 'outcome' and metadata ? 'tool'
            and conversation_id not in (select id from conversations where deleted_at is not null)
        )
        select tool, count(*)::integer as calls, count(*) filter (where outcome <> 'success')::integer as errors,
          percentile_disc(0.5) within group (order by duration_ms) as p50_ms,
          percentile_disc(0.95) within group (order by duration_ms) as p95_ms
        from results group by tool order by calls desc, tool limit ${MAX_TOOLS}`;
      return { ...counts, days: [...perDay], tools: [...tools] };
    });
  }
}
