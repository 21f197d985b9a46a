import type { SQL } from "bun";
import type { Database } from "./database.ts";
import { exactMetadata, exactText, storableMetadata } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import {
  EXACT_TOTAL_LIMIT,
  REPLY_BUDGET_BYTES,
  ROW_OVERHEAD_BYTES,
  beginning,
  boundedTotal,
  largestWhole,
} from "./reply.ts";
import { anyOf, parseQuery } from "./search-query.ts";
import type { SearchQuery } from "./search-query.ts";
import { rank } from "./search-rank.ts";
import type { Filter, Ranked } from "./search-rank.ts";
import { StatisticsCache } from "./search-statistics.ts";
import type { Statistics } from "./search-statistics.ts";

/** With a word that is in more messages than this, and no filter, the total is not counted: it is a lower bound anyway. */
const COUNTLESS_MESSAGES = 20_000;
/** Of a hit's content, so much is looked at for its snippet, and so many words of it are shown. */
const SNIPPET_CHARACTERS = 20_000;
const SNIPPET_WORDS = 30;

export interface SearchRequest {
  query: string;
  session_id?: string | undefined;
  conversation_id?: string | undefined;
  role?: string | undefined;
  /** What the message's metadata must hold. */
  metadata?: Metadata | undefined;
  /** Where it came from: `metadata.source`, such as "proxy". */
  source?: string | undefined;
  /** The tool of a recorded call: `metadata.tool`. */
  tool?: string | undefined;
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
  /** Where it matches, with the words that do between two asterisks each. */
  snippet: string;
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

/** Finds messages: any word of the query may match, rare ones weigh more, and neighbours lend weight. */
export class Search {
  readonly #database: Database;
  readonly #statistics = new StatisticsCache();

  constructor(database: Database) {
    this.#database = database;
  }

  async find(request: SearchRequest): Promise<SearchReply> {
    const { limit, offset } = request;
    // One view for all of its statements: what is stored meanwhile must not make the total and the hits disagree.
    const search = async (sql: SQL): Promise<SearchReply> => {
      const query = await parseQuery(sql, request.query);
      if (query.words.length === 0) return { results: [], total: 0, limit, offset };
      const statistics = await this.#statistics.get(sql);
      const filter = await filterOf(sql, request, query);
      const ranked = await rank(sql, query.words, filter, statistics, offset + limit);
      const matches = await sizes(sql, ranked.slice(offset));
      const total = await count(sql, query, filter, statistics);
      return { results: await read(sql, matches, query), ...boundedTotal(total), limit, offset };
    };
    return this.#database.search((sql) => sql.begin("isolation level repeatable read read only", search));
  }
}

/** What the request and the query ask for besides words, as a condition on `messages m`. */
async function filterOf(sql: SQL, request: SearchRequest, query: SearchQuery): Promise<Filter> {
  const values: unknown[] = [];
  const value = (given: unknown, type: string) => `$${values.push(given)}::${type}`;
  const conditions = [
    "not exists (select from conversations c where c.id = m.conversation_id and c.deleted_at is not null)",
  ];
  const { session_id, conversation_id } = request;
  if (session_id !== undefined) {
    conditions.push(
      `m.conversation_id = any (array(select id from conversations where session_id = ${value(session_id, "text")}))`,
    );
  }
  if (conversation_id !== undefined) conditions.push(`m.conversation_id = ${value(conversation_id, "uuid")}`);
  if (request.role !== undefined) conditions.push(`m.role = ${value(request.role, "text")}`);
  if (request.source !== undefined) conditions.push(`m.metadata ->> 'source' = ${value(request.source, "text")}`);
  if (request.tool !== undefined) conditions.push(`m.metadata ->> 'tool' = ${value(request.tool, "text")}`);
  if (request.metadata !== undefined) {
    conditions.push(`m.metadata @> ${value(storableMetadata(request.metadata).readable, "text")}::jsonb`);
  }
  if (request.start_date !== undefined) conditions.push(`m.created_at >= ${value(request.start_date, "timestamptz")}`);
  if (request.end_date !== undefined) conditions.push(`m.created_at < ${value(request.end_date, "timestamptz")}`);
  for (const phrase of query.required) conditions.push(`m.search @@ ${value(phrase, "text")}::tsquery`);
  for (const unwanted of query.excluded) conditions.push(`not m.search @@ ${value(unwanted, "text")}::tsquery`);
  const isScoped = session_id !== undefined || conversation_id !== undefined;
  const [scope] = isScoped
    ? await sql`select coalesce(sum(message_count), 0)::integer as messages from conversations
        where (${session_id ?? null}::text is null or session_id = ${session_id ?? null})
          and (${conversation_id ?? null}::uuid is null or id = ${conversation_id ?? null})`
    : [];
  return { condition: conditions.join(" and "), values, scopeMessages: scope?.messages };
}

/** How many messages match in all, counted up to the limit of exact totals. */
async function count(sql: SQL, query: SearchQuery, filter: Filter, statistics: Statistics): Promise<number> {
  const commonest = Math.max(...query.words.map((word) => (statistics.frequencies.get(word) ?? 0) * statistics.rows));
  if (filter.values.length === 0 && commonest > COUNTLESS_MESSAGES) return EXACT_TOTAL_LIMIT + 1;
  const [row] = await sql.unsafe(
    `select count(*)::integer as total from (
      select from messages m where m.search @@ $${filter.values.length + 1}::text::tsquery and ${filter.condition}
      limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
    [...filter.values, anyOf(query.words)],
  );
  return row.total;
}

/** How large the ranked messages are, in their order: what fits is decided before anything is read. */
async function sizes(sql: SQL, ranked: Ranked[]): Promise<Match[]> {
  const ids = ranked.map((each) => each.id);
  const rows: Match[] = await sql`
    select m.id, octet_length(coalesce(m.content_exact, m.content)) as content_bytes,
      coalesce(octet_length(coalesce(m.metadata_exact, m.metadata::text)), 0) as metadata_bytes,
      coalesce(octet_length(coalesce(c.metadata_exact, c.metadata::text)), 0) as conversation_metadata_bytes
    from messages m join conversations c on c.id = m.conversation_id where m.id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.id, row]));
  return ranked.flatMap(({ id, score }) => {
    const row = found.get(id);
    return row ? [{ ...row, rank: score }] : [];
  });
}

/** Reads what of the matches fits in a reply. */
async function read(sql: SQL, matches: Match[], query: SearchQuery): Promise<SearchHit[]> {
  const most = largestWhole(
    matches.flatMap((match) => [match.content_bytes, match.metadata_bytes, match.conversation_metadata_bytes]),
    REPLY_BUDGET_BYTES - matches.length * ROW_OVERHEAD_BYTES,
  );
  const ids = matches.map((match) => match.id);
  const rows: HitRow[] = await sql`
    select m.id as message_id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, m.created_at,
      left(m.content, ${most}::integer) as content, m.content_exact,
      ts_headline('english', left(m.content, ${SNIPPET_CHARACTERS}), ${anyOf(query.words)}::text::tsquery,
        ${`StartSel=**, StopSel=**, MaxFragments=2, MinWords=8, MaxWords=${SNIPPET_WORDS}, FragmentDelimiter=" … "`}) as snippet,
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

function hit(row: HitRow, match: Match, most: number): SearchHit {
  const content = exactText(row.content, row.content_exact);
  const { rank, metadata_bytes, conversation_metadata_bytes } = match;
  return {
    message_id: row.message_id,
    conversation_id: row.conversation_id,
    session_id: row.session_id,
    turn: row.turn,
    role: row.role,
    snippet: row.snippet,
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
