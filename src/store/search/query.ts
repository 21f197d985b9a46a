import type { SQL } from "bun";
import { accentedWords, isBeginning, searched } from "./text.ts";

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
  /** The languages that it was read in: the one of new messages, and those of earlier ones. */
  languages: string[];
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
  const conditions = groups.filter((group) => group.some((term) => term.isPhrase || term.isUnwanted));
  const terms = conditions.slice(0, MAX_CONDITIONS).flat();
  const accented = accentedWords(wanted.map((term) => term.text).join(" "));
  // Stop words are listed with their accents, so they are told by those. Where a term is nothing but stop words in one
  // language, it can ask nothing of the messages in that one, and so of none.
  const [row] = await sql`
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
      ) as terms`;
  const read = new Map(terms.map((term, index) => [term, row.terms[index]]));
  const required = conditions.slice(0, MAX_CONDITIONS).map((group) => condition(group, read));
  const said = conditions.length === 0 ? readable : wanted.map((term) => term.text).join(" ");
  return {
    words: [...row.words],
    required: required.filter((each) => each !== ""),
    languages: [...row.languages],
    literal: said.trim(),
  };
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

/** A tsquery for a group, of how its terms are read; empty when they ask nothing. */
function condition(group: Term[], read: Map<Term, string | null>): string {
  return group
    .flatMap((term) => {
      const query = read.get(term);
      return query ? [term.isUnwanted ? `!(${query})` : `(${query})`] : [];
    })
    .join(" | ");
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
