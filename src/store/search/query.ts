import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { accentedWords, isBeginning, searched } from "./text.ts";

/** Limit on words between spaces: a text of several pages, of which the rarest words are searched for. */
export const MAX_QUERY_WORDS = 2000;
/** Characters of a query that are read. Words of ordinary length end before, so only runs without spaces are cut. */
const READ_CHARACTERS = 20_000;
/** Limit on operator groups, each a condition on every candidate, and on the terms in all of them. */
const MAX_CONDITIONS = 32;
const MAX_CONDITION_TERMS = 100;
/**
 * Limit on a text without words, which is cut there. PostgreSQL compares a text that repeats itself with every place of a
 * message, in time proportional to the product of both lengths.
 */
const MAX_LITERAL_CHARACTERS = 200;

/** A parsed query. */
export interface SearchQuery {
  /** Distinct lexemes of its words, in order. Any of them may match. */
  words: string[];
  /** tsqueries that a message must satisfy, from quoted phrases and words after a minus. */
  required: string[];
  /** Languages in which it was parsed: that of new messages, then those of earlier ones. */
  languages: string[];
  /** The text without operators, searched verbatim when the query has no indexed word. */
  literal: string;
}

/** A part of a query, delimited by spaces or quotes. */
interface Term {
  text: string;
  isPhrase: boolean;
  isUnwanted: boolean;
}

/**
 * Parses a query. Plain words need not match, because people ask in sentences. Operators work as in `websearch_to_tsquery`:
 * `"a phrase"` must occur, `-word` and `-"a phrase"` must not, and of terms that `or` joins to such a term at least one must
 * hold. Unlike there, a minus before a number belongs to the number (people search for error codes), two minuses belong to a
 * flag, and an unclosed quote is no operator.
 */
export async function parseQuery(sql: SQL, text: string): Promise<SearchQuery> {
  const readable = text.slice(0, READ_CHARACTERS).toWellFormed().replaceAll("\0", " ");
  const groups = groupsOf(termsOf(readable));
  const wanted = groups.flat().filter((term) => !term.isUnwanted);
  const plain = wanted.map((term) => searched(term.text)).join(" ");
  const conditions = conditionsOf(groups);
  const terms = conditions.flat();
  const accented = accentedWords(wanted.map((term) => term.text).join(" "));
  // Stop word lists have accents, so stop words are recognised by their accented forms. A term that consists of stop words in
  // one language cannot be required of messages in that language, so it is required of none.
  const row = await one<{ languages: string[]; words: string[]; terms: (string | null)[] }>(sql`
    with languages as materialized (
      select name::regconfig as language from dewey_search_language, unnest(language || earlier) as name
    ), stopped as (
      select language, tsvector_to_array(to_tsvector(language, bare)) as lexemes
      from languages, unnest(${sql.array(accented, "TEXT")}::text[], ${sql.array(accented.map(searched), "TEXT")}::text[])
        as words (accented, bare)
      where to_tsvector(language, accented) = ''
    )
    select array(select language::text from languages) as languages,
      array(
        select lexeme from languages l, unnest(to_tsvector(language, ${plain}))
        where not exists (select from stopped s where s.language = l.language and lexeme = any(s.lexemes))
        group by lexeme order by min(positions[1]), lexeme
      ) as words,
      array(
        select case when bool_and(numnode(query) > 0) then string_agg(distinct '(' || query::text || ')', ' | ') end
        from unnest(${sql.array(
          terms.map((term) => `"${searched(term.text)}"`),
          "TEXT",
        )}::text[]) with ordinality as terms (term, place), languages, websearch_to_tsquery(language, term) as query
        group by place order by place
      ) as terms`);
  const read = new Map(terms.map((term, index) => [term, row.terms[index] ?? null]));
  const required = conditions.map((group) => condition(group, read));
  const said = conditions.length === 0 ? readable : wanted.map((term) => term.text).join(" ");
  return {
    words: [...row.words],
    required: required.filter((each) => each !== ""),
    languages: [...row.languages],
    literal: said.trim().slice(0, MAX_LITERAL_CHARACTERS).toWellFormed(),
  };
}

/** Whether a text has more than `limit` words between spaces; it is read only as far as that. */
export function hasMoreWords(text: string, limit: number): boolean {
  let count = 0;
  for (const _ of text.matchAll(/\S+/g)) {
    count += 1;
    if (count > limit) return true;
  }
  return false;
}

function termsOf(text: string): Term[] {
  return Array.from(text.matchAll(/(?<![^\s])(-?)"([^"]*)"|(\S+)/g), ([, minus, phrase, word = ""]) => {
    if (phrase !== undefined) return { text: phrase, isPhrase: true, isUnwanted: minus === "-" };
    const isUnwanted = /^-[\p{L}_@/.]/u.test(word);
    return { text: (isUnwanted ? word.slice(1) : word).replaceAll('"', " "), isPhrase: false, isUnwanted };
  });
}

/** Groups terms that are joined by `or`; an `or` that joins nothing is a word. */
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

/** The groups with operators, within the limits. */
function conditionsOf(groups: Term[][]): Term[][] {
  const conditions = groups.filter((group) => group.some((term) => term.isPhrase || term.isUnwanted));
  let left = MAX_CONDITION_TERMS;
  return conditions.slice(0, MAX_CONDITIONS).flatMap((group) => {
    const kept = group.slice(0, left);
    left -= kept.length;
    return kept.length === 0 ? [] : [kept];
  });
}

/** Returns a tsquery for a group from its parsed terms; empty if they require nothing. */
function condition(group: Term[], read: Map<Term, string | null>): string {
  return group
    .flatMap((term) => {
      const query = read.get(term);
      return query ? [term.isUnwanted ? `!(${query})` : `(${query})`] : [];
    })
    .join(" | ");
}

/** Returns a tsquery that any of the lexemes satisfies. Quotes keep characters of a lexeme from acting as operators. */
export function anyOf(lexemes: string[]): string {
  return lexemes.map(quoted).join(" | ");
}

/** Returns a tsquery that only all lexemes together satisfy. */
export function allOf(lexemes: string[]): string {
  return lexemes.map(quoted).join(" & ");
}

/** Returns a tsquery for the lexeme in the label: the words before a first colon. */
export function inLabel(lexeme: string): string {
  return isBeginning(lexeme) ? `${quoted(lexeme)}A` : `${quoted(lexeme)}:A`;
}

function quoted(lexeme: string): string {
  return `'${lexeme.replaceAll("\\", "\\\\").replaceAll("'", "''")}'${isBeginning(lexeme) ? ":*" : ""}`;
}

/** Returns a tsquery as a SQL literal. */
export function tsquery(text: string): string {
  return `'${text.replaceAll("'", "''")}'::tsquery`;
}
