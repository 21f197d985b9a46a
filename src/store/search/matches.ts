import type { SQL } from "bun";
import type { Piece } from "./holding.ts";
import { lengthInCodePoints, positionBehind } from "../code-points.ts";
import { largestWhole } from "../reply.ts";
import { hitColumns, hitSizes } from "./hit-row.ts";
import type { HitRow } from "./hit-row.ts";
import type { Mark } from "./marks.ts";
import { nearSizes } from "./near-turns.ts";
import type { NearSize } from "./near-turns.ts";
import { SECTIONED_BYTES } from "./sections.ts";
import type { FoundBy, Ranked } from "./ranked.ts";
import type { Repetition } from "./repetitions.ts";
import type { Snippet } from "./snippet.ts";
import { passageOf, snippetOf } from "./snippet.ts";

/** Limit on the characters per reply that are scanned for matches, which takes a twentieth of a second. */
const SCANNED_CHARACTERS = 1_000_000;

/** Metadata up to so many bytes comes with the text; of longer, it is read once it is known how much of them is shown. */
const SHORT_BYTES = 2000;

/** A match before the turns around it are read. */
export interface Match {
  row: HitRow;
  /** Whether there is more to read: longer metadata, or what PostgreSQL cannot hold as it is. */
  has_more: boolean;
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
  /** Its content, as far as it is scanned; of a long one, a piece that begins behind so many code points. */
  text: string;
  from: number;
  whole: boolean;
  marks: Mark[];
  snippet: Snippet;
  near: NearSize[];
}

/** How matches are read. */
export interface MatchOptions {
  /** Finds the matches in the beginnings of contents. */
  mark: (texts: string[]) => Mark[][] | Promise<Mark[][]>;
  /** Finds the pieces of long contents that the words are in. */
  pieces?: ((ids: string[]) => Promise<Map<string, Piece>> | undefined) | undefined;
  /** Turns on each side. */
  context: number;
  /** Lifts the reply's budget. */
  full: boolean;
}

/** Reads the texts of ranked messages and what they quote; `from` is the place of the first among the ranked. */
export async function readMatches(sql: SQL, ranked: Ranked[], from: number, options: MatchOptions): Promise<Match[]> {
  const ids = sql.array(
    ranked.map((each) => each.id),
    "UUID",
  );
  // A passage that meaning found has its place in the whole content.
  const meant = new Set(ranked.flatMap((each) => (each.found_by === "meaning" ? [each.id] : [])));
  const pieces = options.pieces && ((long: string[]) => options.pieces?.(long.filter((id) => !meant.has(id))));
  const { sizes, texts } = await readTexts(sql, ids, { ...options, pieces });
  const marks = await options.mark(texts.map(({ text, scanned: { start, end } }) => text.slice(start, end)));
  const near = await nearSizes(sql, ids, options.context);
  const found = new Map(
    texts.map(({ id, text, from, whole, scanned: { start = 0 } }, index) => [
      id,
      { text, from, whole, marks: (marks[index] ?? []).map((mark) => moved(mark, start)) },
    ]),
  );
  const sizeOf = new Map(sizes.map((size) => [size.id, size]));
  return ranked.flatMap(({ id, score: rank, repeated, found_by, ...each }, index) => {
    const row = sizeOf.get(id);
    const text = found.get(id);
    if (!row || !text) return [];
    const meant = found_by === "meaning" ? each.meant : undefined;
    const snippet = meant ? passageOf(text.text, text.marks, meant) : snippetOf(text.text, text.marks, text.from > 0);
    const told = { rank, repeated, found_by, meant, place: from + index };
    return [{ ...sizesIn(row), row, ...text, ...told, snippet, near: near.get(id) ?? [] }];
  });
}

type Sizes = HitRow &
  Omit<
    Match,
    | "row"
    | "text"
    | "from"
    | "whole"
    | "marks"
    | "snippet"
    | "near"
    | "rank"
    | "repeated"
    | "found_by"
    | "meant"
    | "place"
  >;

/** What is read of a content. */
interface ReadText {
  id: string;
  text: string;
  /** Where it begins in the content, in code points. */
  from: number;
  whole: boolean;
  content_length: number;
  /** What of it is scanned; UTF-16 positions. */
  scanned: { start?: number; end: number };
}

/** Reads the sizes and the texts of matches. Texts that can be scanned whole come with the sizes, so that none is read twice. */
async function readTexts(
  sql: SQL,
  ids: unknown,
  options: MatchOptions,
): Promise<{ sizes: Sizes[]; texts: ReadText[] }> {
  const rows: (Omit<Sizes, "content_length"> & { text: string | null })[] = await sql`
    select ${hitColumns(sql, SHORT_BYTES)},
      octet_length(coalesce(m.content_exact, m.content)) as content_bytes,
      case when all_bytes <= ${SCANNED_CHARACTERS}::integer then m.content end as text,
      metadata_bytes, conversation_metadata_bytes,
      octet_length(concat(c.session_id, c.title, c.client, c.folder)) as session_bytes,
      m.content_exact is not null or metadata_bytes > ${SHORT_BYTES}::integer
        or conversation_metadata_bytes > ${SHORT_BYTES}::integer as has_more
    from (select *, sum(octet_length(content)) over () as all_bytes from messages where id = any(${ids})) as m
    join conversations c on c.id = m.conversation_id cross join ${hitSizes(sql)}`;
  const all = rows.flatMap(({ id, text }) => (text === null ? [] : [wholeText(id, text)]));
  const texts = all.length === rows.length ? all : await readPieces(sql, rows, options);
  const lengths = new Map(texts.map((each) => [each.id, each.content_length]));
  return { sizes: rows.map((row) => ({ ...row, content_length: lengths.get(row.id) ?? 0 })), texts };
}

/** Reads of each content what is scanned: its beginning, or the piece that the words are in; all of it for a full reply. */
async function readPieces(
  sql: SQL,
  rows: Pick<Sizes, "id" | "content_bytes">[],
  { full, pieces }: MatchOptions,
): Promise<ReadText[]> {
  const long = rows.filter((row) => row.content_bytes > SECTIONED_BYTES);
  const found = (await pieces?.(long.map(({ id }) => id))) ?? new Map<string, Piece>();
  const pieceOf = (row: (typeof rows)[number]) => found.get(row.id) ?? { from: 0, characters: row.content_bytes };
  const most = largestWhole(
    rows.map((row) => pieceOf(row).characters),
    SCANNED_CHARACTERS,
  );
  const wanted = rows.map((row) => {
    const { from, characters } = pieceOf(row);
    return full ? { from: 0, characters: row.content_bytes } : { from, characters: Math.min(characters, most) };
  });
  const integers = (key: keyof Piece) =>
    sql.array(
      wanted.map((each) => each[key]),
      "INTEGER",
    );
  const ids = rows.map(({ id }) => id);
  // A text is unpacked once for both.
  const texts: { text: string; content_length: number; place: number }[] = await sql`
    select substr(whole.content, 1 + wanted.from_character, wanted.characters) as text,
      length(whole.content) as content_length, wanted.place::integer as place
    from unnest(${sql.array(ids, "UUID")}::uuid[], ${integers("from")}::integer[], ${integers("characters")}::integer[])
      with ordinality as wanted (id, from_character, characters, place)
    join messages m on m.id = wanted.id cross join lateral (select m.content || '' as content offset 0) as whole`;
  return texts.flatMap(({ text, content_length, place }) => {
    const [row, read] = [rows[place - 1], wanted[place - 1]];
    if (!row || !read) return [];
    const start = positionBehind(text, full ? pieceOf(row).from : 0);
    const scanned = { start, end: full ? start + most : text.length };
    const whole = read.from === 0 && read.characters >= content_length;
    return [{ id: row.id, text, from: read.from, whole, content_length, scanned }];
  });
}

function sizesIn({
  content_bytes,
  content_length,
  metadata_bytes,
  conversation_metadata_bytes,
  session_bytes,
  has_more,
}: Sizes) {
  return { content_bytes, content_length, metadata_bytes, conversation_metadata_bytes, session_bytes, has_more };
}

function wholeText(id: string, text: string): ReadText {
  return { id, text, from: 0, whole: true, content_length: lengthInCodePoints(text), scanned: { end: text.length } };
}

function moved(mark: Mark, by: number): Mark {
  return by === 0 ? mark : { ...mark, start: mark.start + by, end: mark.end + by };
}
