import type { SQL } from "bun";
import type { Basis } from "./basis.ts";
import { literalMarks } from "./literal.ts";
import { findMarks } from "./marks.ts";
import type { KnownLexemes } from "./marks.ts";
import type { MatchOptions } from "./matches.ts";

/** Marks matches in texts and remembers how each word is first spelled there. */
export interface Marker {
  mark: MatchOptions["mark"];
  /** By the word's lexeme. */
  shown: Map<string, string>;
}

/** Marks the words on which a search is based, read in `languages`. */
export function wordMarker(
  sql: SQL,
  { words, rows }: Pick<Basis, "words" | "rows">,
  languages: readonly string[],
  lexemes: KnownLexemes,
): Marker {
  // Rarer words make a place in a text more relevant.
  const sought = words.map(({ lexeme, count }) => ({ lexeme, weight: Math.log(1 + Math.max(rows, count) / count) }));
  const shown = new Map<string, string>();
  const mark = async (texts: string[]) => {
    const marks = await findMarks(sql, texts, sought, { languages, lexemes });
    for (const [index, each] of marks.entries())
      for (const {
        start,
        end,
        sought: { lexeme },
      } of each)
        if (!shown.has(lexeme)) shown.set(lexeme, texts[index]?.slice(start, end).toLowerCase() ?? lexeme);
    return marks;
  };
  return { mark, shown };
}

/** Marks a text verbatim. */
export function literalMarker(text: string): Marker {
  return { mark: (texts) => literalMarks(texts, text), shown: new Map() };
}
