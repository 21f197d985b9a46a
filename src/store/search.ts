import type { Database } from "./database.ts";
import { exactMetadata, exactText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { EXACT_TOTAL_LIMIT, boundedTotal } from "./reply.ts";

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

export interface SearchHit {
  message_id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  content: string;
  rank: number;
  created_at: string;
  metadata: Metadata | null;
  conversation_metadata: Metadata | null;
}

export interface SearchReply {
  results: SearchHit[];
  total: number;
  limit: number;
  offset: number;
  total_is_lower_bound?: true;
}

interface HitRow extends Omit<SearchHit, "created_at"> {
  created_at: Date;
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
    const [rows, [count]] = await this.#database.search(async (sql) => {
      const query = await anyWord(sql, request.query);
      const matches = sql`messages m join conversations c on c.id = m.conversation_id and c.deleted_at is null
        where m.search @@ ${query}::tsquery
          and (${request.session_id ?? null}::text is null or c.session_id = ${request.session_id ?? null})
          and (${request.conversation_id ?? null}::uuid is null or m.conversation_id = ${request.conversation_id ?? null})
          and (${request.role ?? null}::text is null or m.role = ${request.role ?? null})
          and (${request.start_date ?? null}::timestamptz is null or m.created_at >= ${request.start_date ?? null})
          and (${request.end_date ?? null}::timestamptz is null or m.created_at < ${request.end_date ?? null})`;
      return Promise.all([
        sql`select m.id as message_id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, m.content,
            m.content_exact, ts_rank(m.search, ${query}::tsquery)::float8 as rank, m.created_at, m.metadata,
            m.metadata_exact, c.metadata as conversation_metadata, c.metadata_exact as conversation_metadata_exact
          from ${matches} order by rank desc, m.created_at desc, m.id limit ${limit} offset ${offset}`,
        sql`select count(*)::integer as total
          from (select from ${matches} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
      ]);
    });
    return { results: rows.map(hit), ...boundedTotal(count.total), limit, offset };
  }
}

type Sql = Parameters<Parameters<Database["search"]>[0]>[0];

/** A tsquery that any of the query's words satisfies; of only stop words or signs it is empty, and matches nothing. */
async function anyWord(sql: Sql, query: string): Promise<string> {
  const text = query.slice(0, MAX_QUERY_CHARACTERS).toWellFormed().replaceAll("\0", " ");
  const [row] = await sql`
    select coalesce(string_agg(quote_literal(lexeme), ' | '), '') as query
    from (select lexeme from unnest(to_tsvector('english', ${text})) limit ${MAX_QUERY_WORDS}) as words`;
  return row.query;
}

function hit(row: HitRow): SearchHit {
  return {
    message_id: row.message_id,
    conversation_id: row.conversation_id,
    session_id: row.session_id,
    turn: row.turn,
    role: row.role,
    content: exactText(row.content, row.content_exact),
    rank: row.rank,
    created_at: row.created_at.toISOString(),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    conversation_metadata: exactMetadata(row.conversation_metadata, row.conversation_metadata_exact),
  };
}
