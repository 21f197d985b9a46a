import type { SQL } from "bun";
import { isBeginning, searched } from "./search-text.ts";

/** Characters of a query that are read; a longer text says nothing more with the rest. */
const MAX_QUERY_CHARACTERS = 10_000;
/** Groups of operators that are obeyed, each a condition on every candidate. */
const MAX_CONDITIONS = 32;

/** A query as the ranking needs it. */
export interface SearchQuery {
  /** The lexemes of its words, each once, in their order. Any of them may match. */
  words: string[];
  /** tsqueries that a message must satisfy: phrases in quotes, and words that a minus stands before. */
  required: string[];
  /** The text without operators: what is looked for where it holds no word. */
  literal: string;
}

/** A part of a query between spaces, or in quotes. */
interface Term {
  text: string;
  isPhrase: boolean;
  isUnwanted: boolean;
}

/**
 * Takes a query apart. Words need not match, for one asks in sentences; operators are obeyed as `websearch_to_tsquery`
 * obeys them: `"a phrase"` must be there, `-word` and `-"a phrase"` must not, and of what `or` joins to such a one, one
 * must. But a minus before a number is a part of it (error codes are searched for), one before a minus is a part of a
 * flag, and a quote that is not closed is no operator.
 */
export async function parseQuery(sql: SQL, text: string): Promise<SearchQuery> {
  const readable = text.slice(0, MAX_QUERY_CHARACTERS).toWellFormed().replaceAll("\0", " ");
  const groups = groupsOf(termsOf(readable));
  const wanted = groups.flat().filter((term) => !term.isUnwanted);
  const plain = wanted.map((term) => searched(term.text)).join(" ");
  const conditions = groups.filter((group) => group.some((term) => term.isPhrase || term.isUnwanted)).map(condition);
  const [row] = await sql`select
    array(select lexeme from unnest(to_tsvector('english', ${plain})) order by positions[1], lexeme) as words,
    array(select q::text from unnest(${sql.array(conditions.slice(0, MAX_CONDITIONS), "TEXT")}::text[]) g,
      websearch_to_tsquery('english', g) q where numnode(q) > 0) as required`;
  const said = conditions.length === 0 ? readable : wanted.map((term) => term.text).join(" ");
  return { ...row, literal: said.trim() };
}

function termsOf(text: string): Term[] {
  return Array.from(text.matchAll(/(?<![^\s])(-?)"([^"]*)"|(\S+)/g), ([, minus, phrase, word = ""]) => {
    if (phrase !== undefined) return { text: phrase, isPhrase: true, isUnwanted: minus === "-" };
    const isUnwanted = /^-[\p{L}_@/.]/u.test(word);
    return { text: (isUnwanted ? word.slice(1) : word).replaceAll('"', " "), isPhrase: false, isUnwanted };
  });
}

/** Terms with `or` between them are one group; an `or` that joins nothing is no operator. */
function groupsOf(terms: Term[]): Term[][] {
  const groups: Term[][] = [];
  let joins = false;
  for (const [index, term] of terms.entries()) {
    const isOr = !term.isPhrase && term.text.toLowerCase() === "or";
    if (isOr && !joins && groups.length > 0 && index < terms.length - 1) {
      joins = true;
      continue;
    }
    if (joins) groups.at(-1)?.push(term);
    else groups.push([term]);
    joins = false;
  }
  return groups;
}

/** As `websearch_to_tsquery` reads it. All in quotes, since one word may be written out as several. */
function condition(group: Term[]): string {
  return group.map((term) => `${term.isUnwanted ? "-" : ""}"${searched(term.text)}"`).join(" or ");
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
  return isBeginning(lexeme) ? `${quoted(lexeme)}A` : `${quoted(lexeme)}:A`;
}

function quoted(lexeme: string): string {
  return `'${lexeme.replaceAll("\\", "\\\\").replaceAll("'", "''")}'${isBeginning(lexeme) ? ":*" : ""}`;
}

/** A tsquery as a SQL literal. */
export function tsquery(text: string): string {
  return `'${text.replaceAll("'", "''")}'::tsquery`;
}
