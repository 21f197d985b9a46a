import type { SQL } from "bun";
import { anyOf, tsquery } from "./query.ts";
import type { QueryWords } from "./relevance.ts";
import { SECTIONED_BYTES } from "./sections.ts";
import { beginningOf } from "./text.ts";

/**
 * Conditions that messages hold words. A long message has its words in sections, which stand in a table of their own: it holds
 * what any of these holds. Where no message has sections, the conditions are of the messages' own vectors alone.
 */

/** How a search reads sections. */
export interface Sections {
  /** What is required of a message, as tsqueries: a section that holds it is shown before others. */
  wanted: string[];
}

/** Returns a condition that `m` holds an SQL expression's tsquery, by the indexes. */
export function holds(query: string, isSectioned: boolean): string {
  const own = `m.search @@ ${query}`;
  return isSectioned ? `(${own} or m.id = any (array(${sectioned(query)})))` : own;
}

/** The same, to be checked on each message: `is true` keeps PostgreSQL from using the indexes. Only long ones are looked up. */
export function isHeld(query: string, isSectioned: boolean): string {
  const long = `octet_length(m.content) > ${SECTIONED_BYTES}`;
  return `(m.search @@ ${query}${isSectioned ? ` or ${long} and m.id in (${sectioned(query)})` : ""}) is true`;
}

/**
 * Returns a condition for checking each message for the words, as within a session or a conversation: the cost of the search
 * index grows with the messages that hold the words anywhere.
 */
export function holdsAny(lexemes: string[], isSectioned: boolean): string {
  return isHeld(tsquery(anyOf(lexemes)), isSectioned);
}

/** Not distinct, for the same reason. */
function sectioned(query: string): string {
  return `select message_id from message_sections where search @@ ${query}`;
}

/** The piece of a content that the best section of a message stands for, in code points. */
export interface Piece {
  from: number;
  characters: number;
}

/** Finds the best sections of the messages that have any, by their ids. */
export async function bestPieces(
  sql: SQL,
  ids: string[],
  words: QueryWords,
  sections: Sections,
): Promise<Map<string, Piece>> {
  if (ids.length === 0 || words.lexemes.length === 0) return new Map();
  const rows: (Piece & { id: string })[] = await sql.unsafe(
    `with best as materialized (${bestSections(words, sections, "message_id = any($1::uuid[])")})
    select s.message_id as id, s.from_character as from, s.characters from best join message_sections s using (message_id, section)`,
    [sql.array(ids, "UUID")],
  );
  return new Map(rows.map(({ id, ...piece }) => [id, piece]));
}

/** What a section is worth that holds what is required: more than any words. */
const WANTED_WORTH = 1000;

/**
 * Selects the best section of each message of which any section holds one of the words: `message_id`, `section`, `held`, the
 * words that it holds as a tsvector's text, and its `worth`, the sum of their weights. By the index alone, without reading a vector. `among` is a
 * condition on `message_id`, if not all are asked for.
 */
export function bestSections({ lexemes, weights }: QueryWords, { wanted }: Sections, among = "true"): string {
  const held = [
    ...lexemes.map((lexeme, index) => ({
      query: anyOf([lexeme]),
      worth: weights[index] ?? 0,
      // With a position, since a word without one is taken to be of the label.
      word: literal(`${literal(beginningOf(lexeme) ?? lexeme)}:1`),
    })),
    ...wanted.map((query) => ({ query, worth: WANTED_WORTH, word: "null" })),
  ].map(
    // Planned by itself: for the order of what is selected from it, PostgreSQL would read every vector instead of the index.
    ({ query, worth, word }) => `(select message_id, section, ${worth}::float8 as worth, ${word}::text as word
      from message_sections where search @@ ${tsquery(query)} and (${among}) is true offset 0)`,
  );
  return `select distinct on (message_id) message_id, section, held, worth from (
      select message_id, section, sum(worth) as worth, string_agg(word, ' ') as held
      from (${held.join(" union all ")}) as held group by 1, 2
    ) as weighed order by message_id, worth desc, section`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
