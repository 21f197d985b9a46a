import { DeweyError } from "../errors.ts";
import { wasTooSlow } from "./database/database.ts";
import { one } from "./database/one.ts";
import type { Reads } from "./database/reads.ts";

/** The size of the store, and its activity in the last days. Bookkeeping counts as nothing. */
export interface StatsReply {
  conversations: number;
  /** Conversations that can be restored. */
  in_trash: number;
  messages: number;
  /** Size of the whole database on disk. */
  database_bytes: number;
  /** Conversations count on the day on which they began. */
  days: { day: string; messages: number; conversations: number }[];
  tools: ToolStats[];
  /** Where conversations come from, with the time of the latest message of each; the latest first. */
  sources: { source: string; conversations: number; latest: string }[];
}

/** How a tool's calls went. */
export interface ToolStats {
  tool: string;
  calls: number;
  errors: number;
  /** Null when no duration is known. */
  p50_ms: number | null;
  p95_ms: number | null;
}

/** Maximum number of tools in the reply: those with the most calls. */
export const MAX_TOOLS = 50;

/** Sources in the reply; there are as many as kinds of importers, and callers may name their own. */
const MAX_SOURCES = 30;

/** Statistics. They read a lot, so they use the connections and the deadline of searches. */
export class Stats {
  readonly #reads: Pick<Reads, "search">;

  constructor(reads: Pick<Reads, "search">) {
    this.#reads = reads;
  }

  /** Statistics of the last `days` days in the time zone, including today. Throws `unavailable` at the deadline. */
  async read(input: { days: number; time_zone: string }): Promise<StatsReply> {
    try {
      return await this.#count(input);
    } catch (error) {
      if (!wasTooSlow(error)) throw error;
      const remedy = "ask for fewer days, or raise DEWEY_SEARCH_DEADLINE_SECONDS";
      throw new DeweyError("unavailable", `counting took longer than a search may; ${remedy}`, { cause: error });
    }
  }

  #count({ days, time_zone }: { days: number; time_zone: string }): Promise<StatsReply> {
    return this.#reads.search(async (sql) => {
      const counts = await one<Omit<StatsReply, "days" | "tools" | "sources">>(sql`
        select count(*) filter (where deleted_at is null)::integer as conversations,
          count(*) filter (where deleted_at is not null)::integer as in_trash,
          coalesce(sum(message_count) filter (where deleted_at is null), 0)::float8 as messages,
          pg_database_size(current_database())::float8 as database_bytes
        from conversations`);
      // Counts all messages of a day from the index alone, and subtracts bookkeeping and the few whose conversations are in the
      // trash.
      const perDay: StatsReply["days"] = await sql`
        with begin as (
          select (now() at time zone ${time_zone})::date - ${days - 1}::integer as day
        ), counted as (
          select (created_at at time zone ${time_zone})::date as day, count(*) as messages
          from messages
          where created_at >= (select day from begin)::timestamp at time zone ${time_zone}
          group by 1
        ), in_trash as (
          select (m.created_at at time zone ${time_zone})::date as day, count(*) as messages
          from conversations c join messages m on m.conversation_id = c.id
          where c.deleted_at is not null and not m.bookkeeping
            and m.created_at >= (select day from begin)::timestamp at time zone ${time_zone}
          group by 1
        ), kept_aside as (
          select (created_at at time zone ${time_zone})::date as day, count(*) as messages
          from messages
          where bookkeeping and created_at >= (select day from begin)::timestamp at time zone ${time_zone}
          group by 1
        ), begun as (
          select (created_at at time zone ${time_zone})::date as day, count(*) as conversations
          from conversations
          where deleted_at is null
            and created_at >= (select day from begin)::timestamp at time zone ${time_zone}
          group by 1
        )
        select to_char(series.day, 'YYYY-MM-DD') as day,
          (coalesce(c.messages, 0) - coalesce(t.messages, 0) - coalesce(k.messages, 0))::integer as messages,
          coalesce(b.conversations, 0)::integer as conversations
        from begin, generate_series(begin.day, begin.day + ${days - 1}::integer, interval '1 day') as series (day)
        left join counted c on c.day = series.day::date
        left join in_trash t on t.day = series.day::date
        left join kept_aside k on k.day = series.day::date
        left join begun b on b.day = series.day::date
        order by series.day`;
      // A call is counted by its result, which has the outcome and the duration.
      const tools: ToolStats[] = await sql`
        select called_tool as tool, count(*)::integer as calls, count(*) filter (where call_failed)::integer as errors,
          percentile_disc(0.5) within group (order by call_ms) as p50_ms,
          percentile_disc(0.95) within group (order by call_ms) as p95_ms
        from messages
        where created_at >= ((now() at time zone ${time_zone})::date - ${days - 1}::integer)::timestamp
            at time zone ${time_zone}
          and called_tool is not null and call_failed is not null
          and conversation_id not in (select id from conversations where deleted_at is not null)
        group by called_tool order by calls desc, tool limit ${MAX_TOOLS}`;
      const sources: { source: string; conversations: number; latest: Date }[] = await sql`
        select left(metadata ->> 'source', 100) as source, count(*)::integer as conversations, max(updated_at) as latest
        from conversations where deleted_at is null and metadata ->> 'source' is not null
        group by 1 order by latest desc limit ${MAX_SOURCES}`;
      return {
        ...counts,
        days: [...perDay],
        tools: [...tools],
        sources: sources.map((each) => ({ ...each, latest: each.latest.toISOString() })),
      };
    });
  }
}
