import type { SQL } from "bun";
import { z } from "zod";
import { encodeCursor, placeOf } from "./cursor.ts";
import { DeweyError } from "../errors.ts";
import { boundAt } from "../moment.ts";
import type { Bound } from "../moment.ts";
import { wasTooSlow } from "./database/database.ts";
import { one } from "./database/one.ts";
import type { Reads } from "./database/reads.ts";
import { factColumns } from "./facts.ts";
import { keyTime, timeKey } from "./listing.ts";
import { redactKey } from "./redact/redact.ts";
import type { Redactor } from "./redact/redact.ts";
import { EXACT_TOTAL_LIMIT } from "./reply.ts";
import { MAX_TOOLS } from "./stats.ts";
import type { ToolStats } from "./stats.ts";

/** A call that has ended, by the message that holds its result. */
interface Call {
  conversation_id: string;
  title: string | null;
  client: string | null;
  /** The server behind the recorder; null for a tool of an agent's own. */
  upstream: string | null;
  tool: string;
  /** When it was called: its end without its duration. */
  started_at: string;
  duration_ms: number | null;
  outcome: string;
  /** The turn of its result. */
  turn: number;
  /** The turn of its arguments; null when it is not known. */
  call_turn: number | null;
}

export interface CallList {
  calls: Call[];
  /** Of the latest calls; absent on later pages. */
  tools?: ToolStats[];
  next_cursor?: string;
}

interface CallRow extends Omit<Call, "started_at"> {
  id: string;
  ended_at: Date;
  time: string;
}

/** Which calls are wanted. */
interface CallNarrowing {
  conversation_id?: string | undefined;
  upstream?: string | undefined;
  tool?: string | undefined;
  failed?: boolean | undefined;
  start_date?: Bound | undefined;
}

/** Turns before a result among which its arguments are sought: calls overlap, and much may be said meanwhile. */
const MOST_TURNS_BETWEEN = 500;
/**
 * The latest calls that the statistics of tools are of, as many as lists count. More say little else, and 250,000 took a
 * tenth of a second of processor time, for each filter that a person tries.
 */
const MOST_COUNTED_CALLS = EXACT_TOTAL_LIMIT;
const callPlace = z.strictObject({ after: timeKey });

/** Calls of tools, as recorders and importers note them. They use the connections and the deadline of searches. */
export class Calls {
  readonly #reads: Pick<Reads, "search">;
  readonly #redactor: Redactor;

  constructor(reads: Pick<Reads, "search">, redactor: Redactor) {
    this.#reads = reads;
    this.#redactor = redactor;
  }

  /** The latest calls first, and how those of each tool went. Throws `invalid` for a wrong cursor, `unavailable` at the deadline. */
  async list(input: CallNarrowing & { limit: number; cursor?: string | undefined }): Promise<CallList> {
    const { limit, conversation_id, tool, failed, start_date } = input;
    const upstream = redactKey(this.#redactor, input.upstream);
    const request = ["calls", conversation_id, upstream, tool, failed, start_date];
    const going = placeOf({ ...input, offset: 0 }, request, callPlace);
    try {
      return await this.#reads.search(async (sql) => {
        const filter = callFilter(sql, { ...input, upstream }, tool !== undefined && (await isRare(sql, tool)));
        const rows = await callRows(sql, filter, going?.after, limit + 1);
        const shown = rows.slice(0, limit);
        const { time, id } = shown.at(-1) ?? {};
        return {
          calls: shown.map(view),
          ...(going === undefined ? { tools: await toolStats(sql, filter) } : {}),
          ...(rows.length > limit ? { next_cursor: encodeCursor({ after: { time, id } }, request) } : {}),
        };
      });
    } catch (error) {
      if (!wasTooSlow(error)) throw error;
      const remedy = "give a conversation_id or a later start_date, or raise DEWEY_SEARCH_DEADLINE_SECONDS";
      throw new DeweyError("unavailable", `listing calls took longer than a search may; ${remedy}`, { cause: error });
    }
  }
}

/** Each condition only when it is asked for, so that the planner sees which indexes apply. */
function callFilter(
  sql: SQL,
  { conversation_id, upstream, tool, failed, start_date }: CallNarrowing,
  isRareTool: boolean,
) {
  const start = boundAt(start_date, new Date());
  let filter = sql`m.called_tool is not null and m.call_failed is not null and c.deleted_at is null`;
  if (conversation_id !== undefined) filter = sql`${filter} and m.conversation_id = ${conversation_id}`;
  if (upstream !== undefined)
    filter = sql`${filter} and left(c.metadata ->> 'upstream', 200) = left(${upstream}::text, 200)`;
  if (tool !== undefined)
    filter = isRareTool
      ? sql`${filter} and left(m.metadata ->> 'tool', 200) = ${tool}`
      : sql`${filter} and m.called_tool = ${tool}`;
  if (failed !== undefined) filter = sql`${filter} and m.call_failed = ${failed}::boolean`;
  if (start !== undefined) filter = sql`${filter} and m.created_at >= ${start}::timestamptz`;
  return filter;
}

/** Messages with a tool up to which it is rare. */
const FEW_MESSAGES = 1000;

/**
 * Whether few messages have a tool, so that the index over tools finds its calls. Those of others are soon come across in the
 * index over calls, which holds all that is counted.
 */
async function isRare(sql: SQL, tool: string): Promise<boolean> {
  const { found } = await one<{ found: number }>(sql`
    select count(*)::integer as found from (
      select from messages m where left(m.metadata ->> 'tool', 200) = ${tool} limit ${FEW_MESSAGES + 1}
    ) as counted`);
  return found <= FEW_MESSAGES;
}

async function callRows(
  sql: SQL,
  filter: SQL.Query<unknown>,
  after: z.output<typeof timeKey> | undefined,
  limit: number,
): Promise<CallRow[]> {
  const behind =
    after === undefined
      ? sql`true`
      : sql`(m.created_at, m.id) < (${`${after.time}Z`}::text::timestamptz, ${after.id}::uuid)`;
  // A result and its arguments have the same tool and the same id: of the request, or of the agent's call.
  return sql`
    with page as (
      select m.id, m.conversation_id, m.turn_number, m.called_tool, m.call_ms, m.created_at
      from messages m join conversations c on c.id = m.conversation_id
      where ${filter} and ${behind} order by m.created_at desc, m.id desc limit ${limit}
    )
    select page.id, page.conversation_id, page.called_tool as tool, page.call_ms as duration_ms, page.turn_number as turn,
      page.created_at as ended_at, ${keyTime(sql, "page.created_at")} as time, m.metadata ->> 'outcome' as outcome,
      c.metadata ->> 'upstream' as upstream, asked.turn_number as call_turn, ${factColumns(sql)}
    from page join messages m on m.id = page.id join conversations c on c.id = page.conversation_id
    left join lateral (
      select q.turn_number from messages q
      where q.conversation_id = page.conversation_id and q.turn_number < page.turn_number
        and q.turn_number >= page.turn_number - ${MOST_TURNS_BETWEEN} and q.call_failed is null
        and q.metadata ->> 'tool' = m.metadata ->> 'tool'
        and coalesce(q.metadata -> 'id', q.metadata -> 'tool_use_id') = coalesce(m.metadata -> 'id', m.metadata -> 'tool_use_id')
      order by q.turn_number desc limit 1
    ) asked on true
    order by page.created_at desc, page.id desc`;
}

async function toolStats(sql: SQL, filter: SQL.Query<unknown>): Promise<ToolStats[]> {
  const rows: ToolStats[] = await sql`
    with latest as materialized (
      select m.called_tool, m.call_failed, m.call_ms
      from messages m join conversations c on c.id = m.conversation_id
      where ${filter} order by m.created_at desc limit ${MOST_COUNTED_CALLS}
    )
    select called_tool as tool, count(*)::integer as calls, count(*) filter (where call_failed)::integer as errors,
      percentile_disc(0.5) within group (order by call_ms) as p50_ms,
      percentile_disc(0.95) within group (order by call_ms) as p95_ms
    from latest group by 1 order by calls desc, tool limit ${MAX_TOOLS}`;
  return [...rows];
}

function view({
  conversation_id,
  title,
  client,
  upstream,
  tool,
  outcome,
  turn,
  call_turn,
  duration_ms,
  ended_at,
}: CallRow): Call {
  const started_at = new Date(ended_at.getTime() - (duration_ms ?? 0)).toISOString();
  return { conversation_id, title, client, upstream, tool, started_at, duration_ms, outcome, turn, call_turn };
}
