import type { SQL } from "bun";
import type { Database } from "./database.ts";
import { exactMetadata, exactText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import {
  EXACT_TOTAL_LIMIT,
  REPLY_BUDGET_BYTES,
  ROW_OVERHEAD_BYTES,
  beginning,
  boundedTotal,
  largestWhole,
} from "./reply.ts";

/** Words of a query that are looked for; a longer text says nothing more with the rest. */
const MAX_QUERY_WORDS = 64;
/** Characters of a query that are read for its words. */
const MAX_QUERY_CHARACTERS = 10_000;

export interface SearchRequest {
  query: string;
  session_id?: string | undefined;
  conversation_id?: string | undefined;
  role?: string | undefined;
  /** Inclusive. */
  start_date?: Date | undefined;
  /** Exclusive. */
  end_date?: Date | undefined;
  limit: number;
  offset: number;
}

interface SearchHit {
  message_id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  content: string;
  /** Of a content that is cut because the reply has no room for it: its length, in code points. */
  content_length?: number;
  rank: number;
  created_at: string;
  metadata: Metadata | null;
  /** Of metadata that is left out because the reply has no room for it: its size as JSON. */
  metadata_bytes?: number;
  conversation_metadata: Metadata | null;
  conversation_metadata_bytes?: number;
}

export interface SearchReply {
  results: SearchHit[];
  total: number;
  limit: number;
  offset: number;
  total_is_lower_bound?: true;
}

/** A match, before its contents are read: which it is, how good, and how large. */
interface Match {
  id: string;
  rank: number;
  content_bytes: number;
  metadata_bytes: number;
  conversation_metadata_bytes: number;
}

interface HitRow extends Omit<SearchHit, "rank" | "content_length" | "created_at"> {
  created_at: Date;
  content_length: number | null;
  content_exact: string | null;
  metadata_exact: string | null;
  conversation_metadata_exact: string | null;
}

/** Finds messages: any word of the query may match, the best first. */
export class Search {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(request: SearchRequest): Promise<SearchReply> {
    const { limit, offset } = request;
    return this.#database.search(async (sql) => {
      const { matches, total } = await best(sql, request);
      return { results: await read(sql, matches), ...boundedTotal(total), limit, offset };
    });
  }
}

/** The ranking: which messages match, the best first, and how many there are. Of equal ones the newest is first. */
async function best(sql: SQL, request: SearchRequest): Promise<{ matches: Match[]; total: number }> {
  const query = await anyWord(sql, request.query);
  const { session_id = null, conversation_id = null, role = null, start_date = null, end_date = null } = request;
  const candidates = sql`messages m join conversations c on c.id = m.conversation_id and c.deleted_at is null
    where m.search @@ ${query}::tsquery
      and (${session_id}::text is null or c.session_id = ${session_id})
      and (${conversation_id}::uuid is null or m.conversation_id = ${conversation_id})
      and (${role}::text is null or m.role = ${role})
      and (${start_date}::timestamptz is null or m.created_at >= ${start_date})
      and (${end_date}::timestamptz is null or m.created_at < ${end_date})`;
  const matches: Match[] = await sql`
    with best as (
      select m.id, m.conversation_id, ts_rank(m.search, ${query}::tsquery)::float8 as rank, m.created_at
      from ${candidates} order by rank desc, m.created_at desc, m.id limit ${request.limit} offset ${request.offset}
    )
    select b.id, b.rank, octet_length(coalesce(m.content_exact, m.content)) as content_bytes,
      coalesce(octet_length(coalesce(m.metadata_exact, m.metadata::text)), 0) as metadata_bytes,
      coalesce(octet_length(coalesce(c.metadata_exact, c.metadata::text)), 0) as conversation_metadata_bytes
    from best b join messages m on m.id = b.id join conversations c on c.id = b.conversation_id
    order by b.rank desc, b.created_at desc, b.id`;
  const [count] = await sql`select count(*)::integer as total
    from (select from ${candidates} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`;
  return { matches, total: count.total };
}

/** Reads what of the matches fits in a reply. */
async function read(sql: SQL, matches: Match[]): Promise<SearchHit[]> {
  const most = largestWhole(
    matches.flatMap((match) => [match.content_bytes, match.metadata_bytes, match.conversation_metadata_bytes]),
    REPLY_BUDGET_BYTES - matches.length * ROW_OVERHEAD_BYTES,
  );
  const ids = matches.map((match) => match.id);
  const rows: HitRow[] = await sql`
    select m.id as message_id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, m.created_at,
      left(m.content, ${most}::integer) as content, m.content_exact,
      case when octet_length(coalesce(m.content_exact, m.content)) > ${most}::integer then length(m.content) end
        as content_length,
      case when octet_length(coalesce(m.metadata_exact, m.metadata::text)) <= ${most}::integer then m.metadata end as metadata,
      case when octet_length(m.metadata_exact) <= ${most}::integer then m.metadata_exact end as metadata_exact,
      case when octet_length(coalesce(c.metadata_exact, c.metadata::text)) <= ${most}::integer then c.metadata end
        as conversation_metadata,
      case when octet_length(c.metadata_exact) <= ${most}::integer then c.metadata_exact end as conversation_metadata_exact
    from messages m join conversations c on c.id = m.conversation_id where m.id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.message_id, row]));
  return matches.flatMap((match) => {
    const row = found.get(match.id);
    return row ? [hit(row, match, most)] : [];
  });
}

/** A tsquery that any of the query's words satisfies; of only stop words or signs it is empty, and matches nothing. */
async function anyWord(sql: SQL, query: string): Promise<string> {
  const text = query.slice(0, MAX_QUERY_CHARACTERS).toWellFormed().replaceAll("\0", " ");
  const [row] = await sql`
    select coalesce(string_agg(quote_literal(lexeme), ' | '), '') as query
    from (select lexeme from unnest(to_tsvector('english', ${text})) limit ${MAX_QUERY_WORDS}) as words`;
  return row.query;
}

function hit(row: HitRow, match: Match, most: number): SearchHit {
  const content = exactText(row.content, row.content_exact);
  const { rank, metadata_bytes, conversation_metadata_bytes } = match;
  return {
    message_id: row.message_id,
    conversation_id: row.conversation_id,
    session_id: row.session_id,
    turn: row.turn,
    role: row.role,
    ...(row.content_length === null
      ? { content }
      : { content: beginning(content, most).text, content_length: row.content_length }),
    rank,
    created_at: row.created_at.toISOString(),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    ...(metadata_bytes > most ? { metadata_bytes } : {}),
    conversation_metadata: exactMetadata(row.conversation_metadata, row.conversation_metadata_exact),
    ...(conversation_metadata_bytes > most ? { conversation_metadata_bytes } : {}),
  };
}
