import { visible } from "../../visible.ts";

// A search tells where the matches are in a hit's snippet, between double asterisks; other asterisks are the text's own.

/** A snippet, and where its matching words are in it, in code points without their asterisks. */
export interface MarkedText {
  snippet: string;
  snippet_matches: [start: number, end: number][];
}

/** Code points of the asterisks on each side of a match. */
const SIGNS = 2;

/** The snippet without the asterisks around its matches, in pieces. */
export function snippetPieces({ snippet, snippet_matches: matches }: MarkedText): { text: string; isMatch: boolean }[] {
  const letters = Array.from(snippet);
  const pieces: { text: string; isMatch: boolean }[] = [];
  let from = 0;
  for (const [start, end] of matches) {
    pieces.push({ text: letters.slice(from, start - SIGNS).join(""), isMatch: false });
    pieces.push({ text: letters.slice(start, end).join(""), isMatch: true });
    from = end + SIGNS;
  }
  return [...pieces, { text: letters.slice(from).join(""), isMatch: false }];
}

/** The words that a snippet marks, as the page shows them, in lower case. */
export function markedWords(hit: MarkedText): string[] {
  return snippetPieces(hit).flatMap(({ text, isMatch }) => (isMatch ? [visible(text).toLowerCase()] : []));
}
