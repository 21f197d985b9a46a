import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { isUnspaced } from "./characters.ts";
import { accentedWords } from "./folding.ts";
import type { SearchLanguages } from "./opening.ts";
import { PREFIX_SIGN, beginningOf, searched } from "./text.ts";
import type { SearchedText } from "./text.ts";

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
  /** Distinct lexemes of its words, in order, and of their other forms. Any of them may match. */
  words: string[];
  /** Those of words that are no parts of a name or path: of these, anything that is found is exact. */
  single: string[];
  /** Those of words as they are written, without other forms. */
  spelled: string[];
  /** What a message must satisfy, from quoted phrases and words after a minus. */
  required: Required[];
  /** Languages in which it was parsed: that of new messages, then those of earlier ones. */
  languages: string[];
  /** The text without operators, searched verbatim when the query has no indexed word. */
  literal: string;
  /** Whether there is no text at all. */
  isEmpty: boolean;
}

/** A condition on a message's words. */
export interface Required {
  /** A tsquery. */
  query: string;
  /** The terms that it consists of, of which one must hold: a long message has them in several vectors. */
  terms: { query: string; isUnwanted: boolean }[];
  /** For a phrase: where its words stand is not known of every text. */
  phrase?: Phrase;
}

/**
 * A phrase in a text with too many words: PostgreSQL keeps no positions above 16,383, and 255 of each word. There it is looked for
 * in the text itself, as it is written.
 */
export interface Phrase {
  isUnwanted: boolean;
  /** A tsquery for its words wherever they stand. */
  words: string;
  /** A tsquery for each of them. */
  each: string[];
  /** A regular expression for the phrase, whatever the case and the signs between its words. */
  pattern: string;
}

/** A part of a query, delimited by spaces or quotes. */
interface Term extends SearchedText {
  text: string;
  isPhrase: boolean;
  isUnwanted: boolean;
  /** Its last word as prefixes, when it ends with an asterisk. */
  prefixes: string[];
}

/** A word that ends with an asterisk; one between asterisks is emphasised. */
const prefix = /^[^*]*[\p{L}\p{N}\p{M}]\*$/u;
/** The ends of English suffixes: with one of them, the stem of a prefix that reaches into a suffix is known. */
const ENDINGS = tailsOf(
  "s es ed ing ings er ers ly ment ments ness ful able ible ation ations al ally ity ities ous ously ance ence ant ent ion ive ies",
);
/** Borders within camelCase, where contents of the earlier form have two words. */
const humps = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;

/**
 * Parses a query. Plain words need not match, because people ask in sentences. Operators work as in `websearch_to_tsquery`:
 * `"a phrase"` must occur, `-word` and `-"a phrase"` must not, and of terms that `or` joins to such a term at least one must
 * hold. `word*` stands for all that begins so. Unlike there, a minus before a number belongs to the number (people search for
 * error codes), two minuses belong to a flag, and an unclosed quote is no operator.
 */
export async function parseQuery(
  sql: SQL,
  text: string,
  { languages, earlierForm }: SearchLanguages,
): Promise<SearchQuery> {
  const readable = text.slice(0, READ_CHARACTERS).toWellFormed().replaceAll("\0", " ");
  const groups = groupsOf(termsOf(readable));
  const wanted = groups.flat().filter((term) => !term.isUnwanted);
  const conditions = conditionsOf(groups);
  const terms = conditions.flat();
  const parsed = await lexemesOf(sql, wanted, { languages, earlierForm });
  const queries = terms.length === 0 ? [] : await queriesOf(sql, terms, { languages, earlierForm });
  const read = new Map(terms.map((term, index) => [term, queries[index] ?? null]));
  const required = conditions.map((group): Required => {
    const required = requiredOf(group, read);
    const phrase = phraseOf(group, read);
    return phrase === undefined ? required : { ...required, phrase };
  });
  const said = conditions.length === 0 ? readable : wanted.map((term) => term.text).join(" ");
  return {
    words: [...new Set([...parsed.words, ...wanted.flatMap(({ prefixes }) => prefixes), ...parsed.begun])],
    single: [...parsed.single],
    spelled: [...parsed.spelled],
    required: required.filter(({ query }) => query !== ""),
    languages,
    literal: said.trim().slice(0, MAX_LITERAL_CHARACTERS).toWellFormed(),
    isEmpty: text.trim() === "",
  };
}

interface Parsed extends Pick<SearchQuery, "words" | "single" | "spelled"> {
  /** Stems that are shorter than the prefix with which their words begin. */
  begun: string[];
}

/**
 * Parses the wanted terms in each language. Stop word lists have accents, so stop words are recognised by their accented forms.
 * While messages of the earlier form are left, terms are also parsed as those were.
 */
function lexemesOf(sql: SQL, wanted: Term[], { languages, earlierForm }: SearchLanguages): Promise<Parsed> {
  const array = (values: string[]) => sql.array(values, "TEXT");
  const all = wanted.map(({ words, forms }) => `${words} ${forms}`).join(" ");
  const spelled = wanted.map(({ words }) => words).join(" ");
  const single = wanted.filter(({ forms, prefixes }) => forms === "" && prefixes.length === 0);
  const said = wanted.map((term) => term.text).join(" ");
  const accented = accentedWords(said);
  const bare = accented.map((word) => searched(word).words);
  const beginnings = wanted.flatMap(({ prefixes }) => prefixes.map((each) => each.slice(0, -PREFIX_SIGN.length)));
  const inLanguages = sql`unnest(${array(languages)}::text[]::regconfig[]) as language`;
  const stopped = sql`select from unnest(${array(accented)}::text[], ${array(bare)}::text[]) as words (accented, bare)
    where to_tsvector(language, accented) = '' and lexeme = any (tsvector_to_array(to_tsvector(language, bare)))`;
  const begun = sql`select distinct lexeme from ${inLanguages}, unnest(${array(beginnings)}::text[]) as beginning,
      unnest(${array(ENDINGS)}::text[]) as ending, unnest(to_tsvector(language, beginning || ending))
    where length(lexeme) < length(beginning)`;
  const distinct = (text: string) =>
    sql`array(select distinct lexeme from ${inLanguages}, unnest(to_tsvector(language, ${text})))`;
  return one<Parsed>(sql`
    select array(
        select lexeme from ${inLanguages}, unnest(to_tsvector(language, ${earlierForm ? `${all} ${inEarlierForm(said)}` : all}))
        ${accented.length === 0 ? sql`` : sql`where not exists (${stopped})`}
        group by lexeme order by min(positions[1]), lexeme
      ) as words,
      ${distinct(single.map(({ words }) => words).join(" "))} as single,
      ${distinct(spelled)} as spelled,
      ${beginnings.length === 0 ? sql`array[]::text[]` : sql`array(${begun})`} as begun`);
}

/**
 * A tsquery for each term of a condition; null when it requires nothing. A term that consists of stop words in one language cannot
 * be required of messages in that language, so it is required of none.
 */
async function queriesOf(
  sql: SQL,
  required: Term[],
  { languages, earlierForm }: SearchLanguages,
): Promise<(string | null)[]> {
  const array = (values: string[]) => sql.array(values, "TEXT");
  // PostgreSQL refuses a phrase of many thousands of words, as a page without spaces has.
  const phrases = required.map(({ words }) => words.split(" ").slice(0, MAX_QUERY_WORDS).join(" "));
  const earlier = required.map(({ text }) => (earlierForm ? inEarlierForm(text) : null));
  const rows: { query: string | null }[] = await sql`
    select case when bool_and(numnode(query) > 0) then string_agg(distinct '(' || query::text || ')', ' | ') end as query
    from unnest(${array(phrases)}::text[], ${sql.array(earlier, "TEXT")}::text[])
        with ordinality as terms (phrase, earlier_phrase, place),
      unnest(${array(languages)}::text[]::regconfig[]) as language,
      unnest(array_remove(array[phrase, earlier_phrase], null)) as form,
      phraseto_tsquery(language, form) as query
    group by place order by place`;
  return rows.map(({ query }) => query);
}

function tailsOf(suffixes: string): string[] {
  const tails = suffixes.split(" ").flatMap((suffix) => Array.from(suffix, (_, index) => suffix.slice(index)));
  return [...new Set(tails)];
}

/** Returns a text such that PostgreSQL's parser reads it as it read contents of the earlier form. */
function inEarlierForm(text: string): string {
  return text.split(humps).join(" ");
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
    if (phrase !== undefined)
      return { text: phrase, ...searched(phrase), isPhrase: true, isUnwanted: minus === "-", prefixes: [] };
    const isUnwanted = /^-[\p{L}_@/.]/u.test(word);
    const said = (isUnwanted ? word.slice(1) : word).replaceAll('"', " ");
    const read = searched(said);
    const prefixes = prefix.test(said) ? prefixesOf(read.words) : [];
    return { text: said, ...read, isPhrase: false, isUnwanted, prefixes };
  });
}

/** Returns the last of the words as prefixes. Words that begin like a large number have a letter before them. */
function prefixesOf(words: string): string[] {
  const last = words.split(" ").at(-1) ?? "";
  const beginnings = /^\d+(?:e\d*)?$/.test(last) ? [last, `x${last}`] : [last];
  return beginnings.map((beginning) => beginning + PREFIX_SIGN);
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

/** Returns what a group requires, from its parsed terms; an empty query if that is nothing. */
function requiredOf(group: Term[], read: Map<Term, string | null>): Required {
  const terms = group.flatMap((term) => {
    const query = term.prefixes.length > 0 ? anyOf(term.prefixes) : read.get(term);
    return query ? [{ query, isUnwanted: term.isUnwanted }] : [];
  });
  const queries = terms.map(({ query, isUnwanted }) => (isUnwanted ? `!(${query})` : `(${query})`));
  return { query: queries.join(" | "), terms };
}

/** Limit on the words of a phrase that are looked for in a text; more would make the regular expression slow to compile. */
const MAX_PATTERN_WORDS = 12;
const NO_WORD = "[^[:alnum:]]";

/** Returns the phrase that a group consists of; undefined of other groups, and in scripts without spaces. */
function phraseOf(group: Term[], read: Map<Term, string | null>): Phrase | undefined {
  const [term] = group;
  if (term === undefined || group.length > 1 || !term.isPhrase) return undefined;
  const query = read.get(term);
  const words = term.words.split(" ").slice(0, MAX_PATTERN_WORDS);
  if (!query || words.length < 2 || words.some((word) => Array.from(word).some(isUnspaced))) return undefined;
  return {
    isUnwanted: term.isUnwanted,
    words: query.replaceAll(/<(?:-|\d+)>/g, "&"),
    each: [...new Set(query.match(/'(?:[^']|'')+'/g))].slice(0, MAX_PATTERN_WORDS),
    pattern: `(^|${NO_WORD})${words.join(`${NO_WORD}+`)}($|${NO_WORD})`,
  };
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
  return beginningOf(lexeme) === undefined ? `${quoted(lexeme)}:A` : `${quoted(lexeme)}A`;
}

function quoted(lexeme: string): string {
  const beginning = beginningOf(lexeme);
  return `'${(beginning ?? lexeme).replaceAll("\\", "\\\\").replaceAll("'", "''")}'${beginning === undefined ? "" : ":*"}`;
}

/** Returns a tsquery as a SQL literal. */
export function tsquery(text: string): string {
  return `'${text.replaceAll("'", "''")}'::tsquery`;
}
