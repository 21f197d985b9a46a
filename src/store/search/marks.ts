import type { SQL } from "bun";
import type { Cache } from "../../cache.ts";
import { Stretch } from "../../stretch.ts";
import { Beginnings } from "./beginnings.ts";
import { isUnspaced } from "./characters.ts";
import { beginningOf, wordsIn } from "./text.ts";
import type { Word } from "./text.ts";

/** The only language whose stems are known to be prefixes of their words. */
const BEGINNING_STEMS = "english";
/** Limit on the distinct words per reply that PostgreSQL is asked to stem. */
const MAX_ASKED = 2000;

/** Longer words are hardly met again, and would take the memory of many. */
const MAX_REMEMBERED_CHARACTERS = 50;

/** Characters whose words are found at once, in a few milliseconds. */
const PIECE_CHARACTERS = 10_000;
/** Words that are looked at without a look at the clock. */
const WORDS_AT_ONCE = 1000;

/** A lexeme of the query and its weight. */
export interface Sought {
  lexeme: string;
  weight: number;
}

/** A place in a text that matches a word of the query; UTF-16 positions. */
export interface Mark {
  start: number;
  end: number;
  sought: Sought;
}

/** The lexemes of words as PostgreSQL has told them, by `languages` and the word. */
export type KnownLexemes = Cache<readonly string[]>;

/**
 * Finds the words of a query in texts, in the order of each text. Only PostgreSQL knows which words share a stem, so one
 * statement per reply asks it, in each language, about the words that begin like a sought lexeme and, in languages whose
 * stems are not always prefixes, about the other words too; those that it was asked about lately are in `lexemes`.
 */
export async function findMarks(
  sql: SQL,
  texts: string[],
  sought: Sought[],
  { languages, lexemes }: { languages: readonly string[]; lexemes: KnownLexemes },
): Promise<Mark[][]> {
  const stretch = new Stretch();
  const words: Word[][] = [];
  const areBeginnings = languages.every((language) => language === BEGINNING_STEMS);
  const beginnings = beginningsOf(sought);
  const likely = areBeginnings ? new Beginnings(beginnings) : undefined;
  for (const text of texts) words.push(await wordsOf(text, likely, stretch));
  const asked = await askedOf(words, beginnings, areBeginnings, stretch);
  const known = await soughtBy(sql, asked, sought, { languages, lexemes });
  const marks: Mark[][] = [];
  for (const each of words) {
    const found: Mark[] = [];
    for await (const some of inTurns(each, stretch))
      for (const word of some) {
        const mark = markOf(word, known);
        if (mark !== undefined) found.push(mark);
      }
    marks.push(found.toSorted((a, b) => a.start - b.start));
  }
  return marks;
}

/** The different words that PostgreSQL is asked about, those that begin like a sought one before others. */
async function askedOf(
  words: Word[][],
  beginnings: string[],
  areBeginnings: boolean,
  stretch: Stretch,
): Promise<string[]> {
  const mayBe = (word: string) => beginnings.some((beginning) => word.startsWith(beginning));
  const seen = new Set<string>();
  const [alike, others]: [string[], string[]] = [[], []];
  for (const each of words)
    for await (const some of inTurns(each, stretch))
      for (const { text } of some) {
        if (seen.has(text)) continue;
        seen.add(text);
        if (mayBe(text)) alike.push(text);
        else if (!areBeginnings && others.length < MAX_ASKED) others.push(text);
        if (alike.length === MAX_ASKED) return alike;
      }
  return [...alike, ...others].slice(0, MAX_ASKED);
}

/** The words of a text some at a time, with turns for others in between: a text of signs may have hundreds of thousands. */
async function* inTurns(words: readonly Word[], stretch: Stretch): AsyncGenerator<Word[]> {
  for (let from = 0; from < words.length; from += WORDS_AT_ONCE) {
    yield words.slice(from, from + WORDS_AT_ONCE);
    await stretch.rest();
  }
}

/** The words of a text, of its likely parts if given, piece by piece, so that a long text keeps nobody waiting. */
async function wordsOf(text: string, likely: Beginnings | undefined, stretch: Stretch): Promise<Word[]> {
  const words: Word[] = [];
  for (let from = 0; from < text.length;) {
    const to = from + PIECE_CHARACTERS >= text.length ? text.length : cutBefore(text, from, from + PIECE_CHARACTERS);
    for (const { start, end, text: word } of wordsIn(text.slice(from, to), likely))
      words.push({ start: start + from, end: end + from, text: word });
    from = to;
    await stretch.rest();
  }
  return words;
}

/** The last place between two words before the end of a piece; the end itself in what has none, but never within a character. */
function cutBefore(text: string, from: number, end: number): number {
  for (let at = end; at > from; at -= 1) if (/\s/.test(text[at] ?? "")) return at;
  return /[\udc00-\udfff]/.test(text[end] ?? "") ? end - 1 : end;
}

function markOf(word: Word, known: Map<string, Sought>): Mark | undefined {
  const found = known.get(word.text);
  if (!found) return undefined;
  // Of a pair of characters, the one that is sought.
  const end = isUnspaced(found.lexeme) ? word.start + found.lexeme.length : word.end;
  return { start: word.start, end, sought: found };
}

/**
 * How words of the sought lexemes begin. A stem is a prefix of its word except for its last letter (`happi`, `happy`), or the
 * last two if short (`die`, `dying`).
 */
function beginningsOf(sought: Sought[]): string[] {
  return sought.map(({ lexeme }) => lexeme.slice(0, Math.max(1, lexeme.length - (lexeme.length > 3 ? 1 : 2))));
}

/** Which of the sought lexemes each word stands for, if any. */
async function soughtBy(
  sql: SQL,
  words: string[],
  sought: Sought[],
  { languages, lexemes }: { languages: readonly string[]; lexemes: KnownLexemes },
): Promise<Map<string, Sought>> {
  const key = (word: string) => `${languages.join()} ${word}`;
  const unknown = words.filter((word) => lexemes.get(key(word)) === undefined);
  const told = new Map(unknown.length === 0 ? [] : await lexemesOf(sql, unknown, languages));
  for (const [word, own] of told) if (word.length <= MAX_REMEMBERED_CHARACTERS) lexemes.set(key(word), own);
  const found = new Map<string, Sought>();
  for (const word of words) {
    const own = told.get(word) ?? lexemes.get(key(word)) ?? [];
    const match = sought.find(({ lexeme }) => {
      const beginning = beginningOf(lexeme);
      return own.includes(lexeme) || (beginning !== undefined && word.startsWith(beginning));
    });
    if (match) found.set(word, match);
  }
  return found;
}

async function lexemesOf(
  sql: SQL,
  words: string[],
  languages: readonly string[],
): Promise<[word: string, lexemes: string[]][]> {
  const rows: { word: string; lexemes: string[] }[] = await sql`
    select word, array(
      select unnest(tsvector_to_array(to_tsvector(language::regconfig, word)))
      from unnest(${sql.array([...languages], "TEXT")}::text[]) as language
    ) as lexemes from unnest(${sql.array(words, "TEXT")}::text[]) as word`;
  return rows.map(({ word, lexemes }) => [word, lexemes]);
}
