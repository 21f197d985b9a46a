import type { SQL } from "bun";
import { lengthInCodePoints } from "../code-points.ts";
import { largestWhole } from "../reply.ts";
import type { Mark } from "./marks.ts";
import { nearSizes } from "./near-turns.ts";
import type { NearSize } from "./near-turns.ts";
import type { FoundBy, Ranked } from "./ranked.ts";
import type { Repetition } from "./repetitions.ts";
import type { Snippet } from "./snippet.ts";
import { passageOf, snippetOf } from "./snippet.ts";

/** Limit on the characters per reply that are scanned for matches, which takes a twentieth of a second. */
const SCANNED_CHARACTERS = 1_000_000;

/** A match before its metadata and the turns around it are read. */
export interface Match {
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

/** How matches are read. */
export interface MatchOptions {
  /** Finds the matches in the beginnings of contents. */
  mark: (texts: string[]) => Mark[][] | Promise<Mark[][]>;
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
    const sizes = rows.map((row) => ({ ...row, content_length: lengthInCodePoints(row.text ?? "") }));
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
