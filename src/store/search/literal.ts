import type { SQL } from "bun";
import { one } from "../database/one.ts";
import type { Mark } from "./marks.ts";
import type { Filter } from "./filter.ts";
import type { Ranked } from "./ranked.ts";
import type { Total } from "./total.ts";

/** Limits on the messages that are scanned: no index covers text without words. */
interface LiteralBounds {
  /** Messages, newest first; a session or a conversation is scanned whole. */
  messages: number;
  /** Characters of each message, from its beginning. */
  characters: number;
  /** Matches that are counted: a word such as "these" is nearly everywhere, and each match takes reading its text. */
  counted: number;
}

const LITERAL_BOUNDS: LiteralBounds = { messages: 20_000, characters: 10_000, counted: 30 };

/**
 * Finds messages that contain a text verbatim, newest first: for queries without an indexed word, such as "to be or not to
 * be", a sign or an emoji. A session or a conversation is scanned whole, otherwise only the newest messages are.
 */
export async function findLiterally(
  sql: SQL,
  text: string,
  filter: Filter,
  { offset, limit }: { offset: number; limit: number },
  bounds = LITERAL_BOUNDS,
): Promise<Ranked[]> {
  const { statement, values } = matching(text, filter, bounds);
  const rows: { id: string }[] = await sql.unsafe(
    `${statement} order by m.created_at desc, m.id desc limit ${limit} offset ${offset}`,
    values,
  );
  return rows.map(({ id }) => ({ id, score: 0 }));
}

/** Counts the matches among the scanned messages, up to the limit. */
export async function countLiterally(sql: SQL, text: string, filter: Filter, bounds = LITERAL_BOUNDS): Promise<Total> {
  const { statement, values } = matching(text, filter, bounds);
  const { total } = await one<{ total: number }>(
    sql.unsafe(`select count(*)::integer as total from (${statement} limit ${bounds.counted + 1}) as found`, values),
  );
  if (total > bounds.counted) return { total: bounds.counted, isLowerBound: true };
  if (filter.scopeMessages !== undefined) return { total, isLowerBound: false };
  const { isMore } = await one<{ isMore: boolean }>(
    sql.unsafe(`select exists (select from messages offset ${bounds.messages}) as "isMore"`),
  );
  return { total, isLowerBound: isMore };
}

/** Characters of a text whose places are marked: matches begin among its first 10,000, and ten texts of megabytes take 200 ms. */
const MARKED_CHARACTERS = 100_000;

/** Finds the places of the text in the beginning of each of `texts`, whatever its case, in time linear in both. */
export function literalMarks(texts: string[], text: string): Mark[][] {
  const sought = { lexeme: text, weight: 1 };
  const pattern = folded(text);
  const borders = bordersOf(pattern);
  return texts.map((each) =>
    placesOf(pattern, borders, folded(each.slice(0, MARKED_CHARACTERS))).map((place) => ({ ...place, sought })),
  );
}

/** In small letters; a letter whose small form is longer stays, so that places are those of the text itself. */
function folded(text: string): string {
  const small = text.toLowerCase();
  return small.length === text.length
    ? small
    : Array.from(text, (letter) =>
        letter.toLowerCase().length === letter.length ? letter.toLowerCase() : letter,
      ).join("");
}

/** For each beginning of a pattern, the length of the longest shorter beginning that it ends with (Knuth, Morris, Pratt). */
function bordersOf(pattern: string): number[] {
  const borders = [0];
  for (let at = 1, length = 0; at < pattern.length; at += 1) {
    while (length > 0 && pattern[at] !== pattern[length]) length = borders[length - 1] ?? 0;
    if (pattern[at] === pattern[length]) length += 1;
    borders.push(length);
  }
  return borders;
}

/** Places of a pattern in a text, without overlaps. */
function placesOf(pattern: string, borders: number[], text: string): { start: number; end: number }[] {
  const places: { start: number; end: number }[] = [];
  if (pattern === "") return places;
  for (let at = 0, length = 0; at < text.length; at += 1) {
    while (length > 0 && text[at] !== pattern[length]) length = borders[length - 1] ?? 0;
    if (text[at] === pattern[length]) length += 1;
    if (length < pattern.length) continue;
    places.push({ start: at + 1 - length, end: at + 1 });
    length = 0;
  }
  return places;
}

function matching(
  text: string,
  filter: Filter,
  { messages, characters }: LiteralBounds,
): { statement: string; values: unknown[] } {
  const among =
    filter.scopeMessages === undefined
      ? `(select * from messages order by created_at desc, id desc limit ${messages})`
      : "messages";
  const last = filter.values.length;
  // A match must not begin or end within a word. The regular expression alone would do, but strpos first is far quicker.
  const isWord = /[\p{L}\p{N}]/u;
  const start = isWord.test(Array.from(text)[0] ?? "") ? "(?<![[:alnum:]])" : "";
  const end = isWord.test(Array.from(text).at(-1) ?? "") ? "(?![[:alnum:]])" : "";
  const holds = (content: string) =>
    `strpos(${content}, lower($${last + 1}::text)) > 0 and ${content} ~ ('${start}' || lower($${last + 2}::text) || '${end}')`;
  // Most matches are in small letters, so most texts need not be written in these.
  // A text is unpacked once for all of these; counting its characters takes longer than that.
  const statement = `select m.id from ${among} m
    cross join lateral (
      select case when octet_length(m.content) <= ${characters} then m.content || '' else left(m.content, ${characters}) end as content
      offset 0
    ) as seen
    where $${last + 1}::text <> '' and case when ${holds("seen.content")} then true else ${holds("lower(seen.content)")} end
      and ${filter.condition}`;
  return { statement, values: [...filter.values, text, text.replace(/[!-/:-@[-`{-~]/g, "\\$&")] };
}
