import type { SQL } from "bun";
import { isBeginning, wordsIn } from "./text.ts";
import type { Word } from "./text.ts";

/** Stems of this language are the beginnings of their words; of some others they are not, or nobody knows. */
const BEGINNING_STEMS = "english";
/** Different words that PostgreSQL is asked about for one reply. */
const MAX_ASKED = 2000;

/** A word of a query that is looked for, and what it is worth. */
export interface Sought {
  lexeme: string;
  weight: number;
}

/** A place in a text that matches a word of the query. */
export interface Mark {
  start: number;
  end: number;
  sought: Sought;
}

/**
 * Where the words of a query stand in texts, in the order of each text. Only PostgreSQL knows which words it takes for
 * the same, so it is asked: once for all the texts, in each language, about the words that begin like one that is sought
 * and, where stems are not always beginnings, about the others too.
 */
export async function findMarks(
  sql: SQL,
  texts: string[],
  sought: Sought[],
  languages: readonly string[],
): Promise<Mark[][]> {
  const words = texts.map((text) => wordsIn(text));
  const mayBe = likeOneOf(sought);
  const different = new Set(words.flatMap((each) => each.map((word) => word.text)));
  const alike = [...different].filter(mayBe);
  const areBeginnings = languages.every((language) => language === BEGINNING_STEMS);
  const asked = areBeginnings ? alike : [...new Set([...alike, ...different])];
  const known = await lexemesOf(sql, asked.slice(0, MAX_ASKED), sought, languages);
  return words.map((each) => each.flatMap((word) => markOf(word, known)).toSorted((a, b) => a.start - b.start));
}

function markOf(word: Word, known: Map<string, Sought>): Mark[] {
  const found = known.get(word.text);
  if (!found) return [];
  const end = isBeginning(found.lexeme) ? word.start + found.lexeme.length : word.end;
  return [{ start: word.start, end, sought: found }];
}

/** A stem is its word's beginning, but for its last letter (`happi` of `happy`), or two where it is short (`die` of `dying`). */
function likeOneOf(sought: Sought[]): (word: string) => boolean {
  const beginnings = sought.map(({ lexeme }) =>
    lexeme.slice(0, Math.max(1, lexeme.length - (lexeme.length > 3 ? 1 : 2))),
  );
  const known = new Map<string, boolean>();
  return (word) => {
    const answer = known.get(word) ?? beginnings.some((beginning) => word.startsWith(beginning));
    known.set(word, answer);
    return answer;
  };
}

async function lexemesOf(
  sql: SQL,
  words: string[],
  sought: Sought[],
  languages: readonly string[],
): Promise<Map<string, Sought>> {
  const rows: { word: string; lexemes: string[] }[] = await sql`
    select word, array(
      select unnest(tsvector_to_array(to_tsvector(language::regconfig, word)))
      from unnest(${sql.array([...languages], "TEXT")}::text[]) as language
    ) as lexemes from unnest(${sql.array(words, "TEXT")}::text[]) as word`;
  const found = new Map<string, Sought>();
  for (const { word, lexemes } of rows) {
    const match = sought.find(
      ({ lexeme }) => lexemes.includes(lexeme) || (isBeginning(lexeme) && word.startsWith(lexeme)),
    );
    if (match) found.set(word, match);
  }
  return found;
}
