import type { SQL } from "bun";
import { factColumns, factsOf } from "../facts.ts";
import type { ConversationFacts } from "../facts.ts";
import { exactMetadata, exactText } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { FULL_REPLY_BYTES, REPLY_BUDGET_BYTES, beginning, largestWhole } from "../reply.ts";
import type { Mark } from "./marks.ts";
import type { FoundBy, Ranked } from "./ranked.ts";
import { MAX_COPIES_NAMED } from "./repetitions.ts";
import type { Repetition } from "./repetitions.ts";
import type { Snippet } from "./snippet.ts";
import { passageOf, pieceAround, pieceFrom, snippetOf } from "./snippet.ts";

/** Limit on the characters per reply that are scanned for matches, which takes a twentieth of a second. */
const SCANNED_CHARACTERS = 1_000_000;
/** Cost in a reply of a hit's fields besides its texts. */
const HIT_OVERHEAD_BYTES = 360;
/** The same for a turn around a hit. */
const TURN_OVERHEAD_BYTES = 150;
/** A reply holds fewer hits rather than showing less than this of a hit's content. */
const LEAST_CONTENT_BYTES = 400;
/** The same for each turn around a hit. */
const LEAST_TURN_BYTES = 150;

/** How often further hits are read in place of those that quote the same as an earlier one. */
const MAX_REFILLS = 3;
/** Cost in a reply of a match's place in the snippet. */
const MATCH_BYTES = 10;
/** Cost in a reply of naming another message with the same text. */
const COPY_BYTES = 140;

/** A turn around a hit. */
interface NearTurn {
  message_id: string;
  turn: number;
  role: string;
  content: string;
  /** Full length in code points, present when content is cut. */
  content_length?: number;
  created_at: string;
}

export interface SearchHit {
  message_id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  /** Excerpts around the matches, each matching word between double asterisks. */
  snippet: string;
  /** Where the matching words are in it, without their asterisks, in code points. */
  snippet_matches: [start: number, end: number][];
  content: string;
  /** Full length in code points, present when content is cut to fit the reply. */
  content_length?: number;
  /** Where the shown piece starts, in code points; absent when that is at the beginning. */
  content_offset?: number;
  /** The turns before and after it, in order, present when requested. */
  before?: NearTurn[];
  after?: NearTurn[];
  rank: number;
  created_at: string;
  metadata: Metadata | null;
  /** Size as JSON, present when metadata is left out to fit the reply. */
  metadata_bytes?: number;
  conversation_metadata: Metadata | null;
  conversation_metadata_bytes?: number;
  /** Of its conversation: the title, the client and the folder. */
  title: string | null;
  client: string | null;
  folder: string | null;
  /** What it is: prompt, answer, thinking …; absent when nothing says so. */
  kind?: string;
  /** On a branch that the conversation has left. */
  abandoned?: true;
  /** What found it; present when it was looked for by meaning too. */
  found_by?: FoundBy;
  /** Present when several messages that match say the same: they are one hit, of the newest or best of them. */
  repeated?: Repetition;
}

/** A match before its metadata and the turns around it are read. */
interface Match {
  id: string;
  conversation_id: string;
  turn: number;
  role: string;
  rank: number;
  repeated: Repetition | undefined;
  found_by: FoundBy | undefined;
  /** The passage that only meaning found. */
  meant: Ranked["meant"];
  /** Its index among the ranked. */
  place: number;
  content_bytes: number;
  content_length: number;
  metadata_bytes: number;
  conversation_metadata_bytes: number;
  /** Of the session's name, the title, the client and the folder. */
  session_bytes: number;
  /** Its content, as far as it is scanned. */
  text: string;
  whole: boolean;
  marks: Mark[];
  snippet: Snippet;
  near: NearSize[];
}

interface NearSize {
  hit: string;
  id: string;
  bytes: number;
}

export interface HitOptions {
  /** Finds the matches in the beginnings of contents. */
  mark: (texts: string[]) => Mark[][] | Promise<Mark[][]>;
  limit: number;
  /** Turns on each side. */
  context: number;
  /** Lifts the reply's budget. */
  full: boolean;
}

/** The hits of a page, and how many of the ranked messages they stand for. */
interface Page {
  hits: SearchHit[];
  read: number;
}

/**
 * Reads the ranked messages in order, as many as fit the reply. Those that quote the same are one hit. Each has its snippet
 * and at least the beginning of its content; the remaining budget is shared evenly.
 */
export async function readHits(sql: SQL, ranked: Ranked[], options: HitOptions): Promise<Page> {
  const budget = options.full ? FULL_REPLY_BYTES : REPLY_BUDGET_BYTES;
  const { fitting, read } = await readFitting(sql, ranked, options, budget);
  const overhead = fitting.reduce((sum, match) => sum + fixedBytes(match), 0);
  const most = largestWhole(fitting.flatMap(sizesOf), budget - overhead);
  const near = await readNear(sql, fitting, options.context, most);
  const hits = await readRows(sql, fitting, near, options.context > 0, most);
  return { hits, read };
}

/**
 * Reads matches until a page is full of different ones, or their least shown parts use up the budget; at least one, so that
 * each page makes progress. What is behind a full page is joined with nothing on it: the next page shows it.
 */
async function readFitting(
  sql: SQL,
  ranked: Ranked[],
  options: HitOptions,
  budget: number,
): Promise<{ fitting: Match[]; read: number }> {
  const fitting: Match[] = [];
  let [read, bytes] = [0, 0];
  for (let refills = 0; refills <= MAX_REFILLS && fitting.length < options.limit; refills += 1) {
    const next = ranked.slice(read, read + options.limit - fitting.length);
    if (next.length === 0) break;
    for (const match of await readMatches(sql, next, read, options)) {
      const same = fitting.find((other) => quotesSame(other, match));
      const repeated = same && together(same, match);
      bytes += same ? copiesBytes(repeated) - copiesBytes(same.repeated) : leastBytes(match);
      if (bytes > budget && fitting.length > 0) return { fitting, read: match.place };
      if (same) same.repeated = repeated;
      else fitting.push(match);
    }
    read += next.length;
  }
  return { fitting, read };
}

/** Whether two messages show the same matching lines of different texts. The same text is told by the ranking. */
function quotesSame(one: Match, other: Match): boolean {
  const isSameText = one.whole && other.whole && one.text === other.text;
  return !isSameText && one.marks.length > 0 && one.role === other.role && one.snippet.text === other.snippet.text;
}

function together(match: Match, { id, conversation_id, turn, repeated }: Match): Repetition {
  const { times, also } = match.repeated ?? { times: 1, also: [] };
  const copies = [{ message_id: id, conversation_id, turn }, ...(repeated?.also ?? [])];
  return { times: times + (repeated?.times ?? 1), also: [...also, ...copies].slice(0, MAX_COPIES_NAMED) };
}

async function readMatches(sql: SQL, ranked: Ranked[], from: number, options: HitOptions): Promise<Match[]> {
  const ids = sql.array(
    ranked.map((each) => each.id),
    "UUID",
  );
  const { sizes, texts, scanned, read } = await readTexts(sql, ids, options.full);
  const marks = await options.mark(texts.map(({ text }) => text.slice(0, scanned)));
  const near = await nearSizes(sql, ids, options.context);
  const found = new Map(texts.map(({ id, text }, index) => [id, { text, marks: marks[index] ?? [] }]));
  const sizeOf = new Map(sizes.map((size) => [size.id, size]));
  return ranked.flatMap(({ id, score: rank, repeated, found_by, ...each }, index) => {
    const size = sizeOf.get(id);
    const text = found.get(id);
    if (!size || !text) return [];
    const whole = size.content_length <= read;
    const meant = found_by === "meaning" ? each.meant : undefined;
    const snippet = meant ? passageOf(text.text, text.marks, meant) : snippetOf(text.text, text.marks);
    const told = { rank, repeated, found_by, meant, place: from + index };
    return [{ ...size, ...text, whole, ...told, snippet, near: near.get(id) ?? [] }];
  });
}

type Sizes = Omit<
  Match,
  "text" | "whole" | "marks" | "snippet" | "near" | "rank" | "repeated" | "found_by" | "meant" | "place"
>;

interface Texts {
  sizes: Sizes[];
  texts: { id: string; text: string }[];
  /** How many characters of each text are scanned, and how many are read. */
  scanned: number;
  read: number;
}

/** Reads the sizes and the texts of matches. Texts that can be scanned whole come with the sizes, so that none is read twice. */
async function readTexts(sql: SQL, ids: unknown, isFull: boolean): Promise<Texts> {
  const rows: (Sizes & { text: string | null })[] = await sql`
    select m.id, m.conversation_id, m.turn_number as turn, m.role,
      octet_length(coalesce(m.content_exact, m.content)) as content_bytes,
      case when all_bytes > ${SCANNED_CHARACTERS}::integer then length(m.content) else 0 end as content_length,
      case when all_bytes <= ${SCANNED_CHARACTERS}::integer then m.content end as text,
      coalesce(octet_length(coalesce(m.metadata_exact, m.metadata::text)), 0) as metadata_bytes,
      coalesce(octet_length(coalesce(c.metadata_exact, c.metadata::text)), 0) as conversation_metadata_bytes,
      octet_length(concat(c.session_id, c.title, c.client, c.folder)) as session_bytes
    from (select *, sum(octet_length(content)) over () as all_bytes from messages where id = any(${ids})) as m
    join conversations c on c.id = m.conversation_id`;
  const texts = rows.flatMap(({ id, text }) => (text === null ? [] : [{ id, text }]));
  if (texts.length === rows.length) {
    const sizes = rows.map((row) => ({ ...row, content_length: charactersIn(row.text ?? "") }));
    return { sizes, texts, scanned: SCANNED_CHARACTERS, read: SCANNED_CHARACTERS };
  }
  const lengths = rows.map((row) => row.content_length);
  const scanned = largestWhole(lengths, SCANNED_CHARACTERS);
  const read = isFull ? Math.max(0, ...lengths) : scanned;
  return {
    sizes: rows,
    texts: await sql`select id, left(content, ${read}::integer) as text from messages where id = any(${ids})`,
    scanned,
    read,
  };
}

/** In code points, as PostgreSQL counts: a pair of surrogates is one. */
function charactersIn(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff]/g)?.length ?? 0);
}

/** Reads the sizes of the turns around each hit. Turn numbers may have gaps: the nearest existing turns count. */
async function nearSizes(sql: SQL, ids: unknown, context: number): Promise<Map<string, NearSize[]>> {
  if (context === 0) return new Map();
  const rows: NearSize[] = await sql`
    select m.id as hit, n.id, octet_length(coalesce(n.content_exact, n.content)) as bytes
    from messages m cross join lateral (
      (select * from messages b where b.conversation_id = m.conversation_id and b.turn_number < m.turn_number
        order by b.turn_number desc limit ${context})
      union all
      (select * from messages a where a.conversation_id = m.conversation_id and a.turn_number > m.turn_number
        order by a.turn_number limit ${context})
    ) as n where m.id = any(${ids})`;
  return Map.groupBy(rows, (row) => row.hit);
}

/** What a match takes in a reply that shows as little of it as possible. */
function leastBytes(match: Match): number {
  const near = match.near.reduce((sum, { bytes }) => sum + Math.min(bytes, LEAST_TURN_BYTES), 0);
  return fixedBytes(match) + Math.min(match.content_bytes, LEAST_CONTENT_BYTES) + near;
}

function copiesBytes(repeated: Repetition | undefined): number {
  return (repeated?.also.length ?? 0) * COPY_BYTES;
}

function fixedBytes(match: Match): number {
  const { text: snippet, matches } = match.snippet;
  const texts = Buffer.byteLength(snippet) + matches.length * MATCH_BYTES + match.session_bytes;
  return HIT_OVERHEAD_BYTES + texts + copiesBytes(match.repeated) + match.near.length * TURN_OVERHEAD_BYTES;
}

function sizesOf(match: Match): number[] {
  const { content_bytes, metadata_bytes, conversation_metadata_bytes, near } = match;
  return [content_bytes, metadata_bytes, conversation_metadata_bytes, ...near.map((each) => each.bytes)];
}

interface NearRow {
  id: string;
  turn: number;
  role: string;
  created_at: Date;
  content: string;
  content_exact: string | null;
  content_length: number | null;
}

/** Reads the turns around the hits, by their ids. A turn may be near several hits. */
async function readNear(sql: SQL, matches: Match[], context: number, most: number): Promise<Map<string, NearTurn>> {
  if (context === 0) return new Map();
  const ids = matches.flatMap((match) => match.near.map((each) => each.id));
  const rows: NearRow[] = await sql`
    select id, turn_number as turn, role, created_at, left(content, ${most}::integer) as content, content_exact,
      case when octet_length(coalesce(content_exact, content)) > ${most}::integer then length(content) end as content_length
    from messages where id = any(${sql.array(ids, "UUID")})`;
  return new Map(
    rows.map((row) => {
      const content = exactText(row.content, row.content_exact);
      const { id: message_id, turn, role } = row;
      const shown =
        row.content_length === null
          ? { content }
          : { content: beginning(content, most).text, content_length: row.content_length };
      return [message_id, { message_id, turn, role, ...shown, created_at: row.created_at.toISOString() }];
    }),
  );
}

interface HitRow extends ConversationFacts {
  id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  created_at: Date;
  content_exact: string | null;
  metadata: Metadata | null;
  metadata_exact: string | null;
  conversation_metadata: Metadata | null;
  conversation_metadata_exact: string | null;
  kind: string | null;
  abandoned: boolean;
}

async function readRows(
  sql: SQL,
  matches: Match[],
  near: Map<string, NearTurn>,
  hasContext: boolean,
  most: number,
): Promise<SearchHit[]> {
  const ids = matches.map((match) => match.id);
  const rows: HitRow[] = await sql`
    select m.id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, m.created_at, m.content_exact,
      m.kind, m.abandoned, ${factColumns(sql)},
      case when octet_length(coalesce(m.metadata_exact, m.metadata::text)) <= ${most}::integer then m.metadata end as metadata,
      case when octet_length(m.metadata_exact) <= ${most}::integer then m.metadata_exact end as metadata_exact,
      case when octet_length(coalesce(c.metadata_exact, c.metadata::text)) <= ${most}::integer then c.metadata end
        as conversation_metadata,
      case when octet_length(c.metadata_exact) <= ${most}::integer then c.metadata_exact end as conversation_metadata_exact
    from messages m join conversations c on c.id = m.conversation_id where m.id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.id, row]));
  return matches.flatMap((match) => {
    const row = found.get(match.id);
    if (!row) return [];
    const turns = match.near.flatMap(({ id }) => near.get(id) ?? []).toSorted((a, b) => a.turn - b.turn);
    const sides = {
      before: turns.filter((turn) => turn.turn < row.turn),
      after: turns.filter((turn) => turn.turn > row.turn),
    };
    return [hit(row, match, most, hasContext ? sides : {})];
  });
}

function hit(row: HitRow, match: Match, most: number, sides: Pick<SearchHit, "before" | "after">): SearchHit {
  const { rank, repeated, snippet, metadata_bytes, conversation_metadata_bytes } = match;
  const { title, client, folder } = factsOf(row);
  return {
    message_id: row.id,
    conversation_id: row.conversation_id,
    session_id: row.session_id,
    turn: row.turn,
    role: row.role,
    snippet: snippet.text,
    snippet_matches: snippet.matches,
    ...contentOf(match, row.content_exact, most),
    ...sides,
    rank,
    created_at: row.created_at.toISOString(),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    ...(metadata_bytes > most ? { metadata_bytes } : {}),
    conversation_metadata: exactMetadata(row.conversation_metadata, row.conversation_metadata_exact),
    ...(conversation_metadata_bytes > most ? { conversation_metadata_bytes } : {}),
    title,
    client,
    folder,
    ...(row.kind === null ? {} : { kind: row.kind }),
    ...(row.abandoned ? { abandoned: true } : {}),
    ...(match.found_by ? { found_by: match.found_by } : {}),
    ...(repeated ? { repeated } : {}),
  };
}

/** The content, or its best piece. The exact form has the same length, so positions in the readable one apply to it. */
function contentOf(
  match: Match,
  contentExact: string | null,
  most: number,
): Pick<SearchHit, "content" | "content_length" | "content_offset"> {
  const text = exactText(match.text, contentExact);
  if (match.whole && match.content_bytes <= most) return { content: text };
  const { start } = match.meant
    ? pieceFrom(match.text, match.meant.start, most)
    : pieceAround(match.text, match.marks, most);
  const content = beginning(text.slice(start), most).text;
  const content_offset = Array.from(text.slice(0, start)).length;
  return { content, content_length: match.content_length, ...(content_offset > 0 ? { content_offset } : {}) };
}
