import type { SQL } from "bun";
import { searchable } from "./search-text.ts";

/** Characters of a query that are read; a longer text says nothing more with the rest. */
const MAX_QUERY_CHARACTERS = 10_000;
/** Words of a query that are looked for: each costs a ranking of every candidate. */
const MAX_WORDS = 32;

/** A query as the ranking needs it. */
export interface SearchQuery {
  /** The lexemes of its words, each once. Any of them may match. */
  words: string[];
  /** tsqueries that a message must satisfy: phrases in quotes. */
  required: string[];
  /** tsqueries that a message must not satisfy: words behind a minus. */
  excluded: string[];
}

/**
 * Takes a query apart: `"a phrase"` must be there, `-word` must not, any other word may. A minus before a number is part of
 * the number: error codes are searched for.
 */
export async function parseQuery(sql: SQL, text: string): Promise<SearchQuery> {
  const readable = text.slice(0, MAX_QUERY_CHARACTERS).toWellFormed().replaceAll("\0", " ");
  const seen = (part: string) => searchable(part) ?? part;
  const phrases: string[] = [];
  const unwanted: string[] = [];
  const plain = readable
    .replace(/(^|\s)(-?)"([^"]+)"/g, (_, before: string, minus: string, phrase: string) => {
      (minus === "-" ? unwanted : phrases).push(phrase);
      return `${before} ${minus === "-" ? "" : phrase} `;
    })
    .replace(/(^|\s)-(?=[^\s\d-])(\S+)/g, (_, before: string, word: string) => {
      unwanted.push(word);
      return before;
    });
  const [row] = await sql`select
    array(select lexeme from unnest(to_tsvector('english', ${seen(plain)})) limit ${MAX_WORDS}) as words,
    array(select p::text from unnest(${sql.array(phrases.map(seen), "TEXT")}::text[]) q, phraseto_tsquery('english', q) p
      where numnode(p) > 0) as required,
    array(select p::text from unnest(${sql.array(unwanted.map(seen), "TEXT")}::text[]) q, phraseto_tsquery('english', q) p
      where numnode(p) > 0) as excluded`;
  return row as SearchQuery;
}

/** A tsquery that any of the lexemes satisfies. The quotes keep whatever is in a lexeme from being an operator. */
export function anyOf(lexemes: string[]): string {
  return lexemes.map(quoted).join(" | ");
}

export function allOf(lexemes: string[]): string {
  return lexemes.map(quoted).join(" & ");
}

/** The lexeme among the words before a first colon. */
export function inLabel(lexeme: string): string {
  return `${quoted(lexeme)}:A`;
}

function quoted(lexeme: string): string {
  return `'${lexeme.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
