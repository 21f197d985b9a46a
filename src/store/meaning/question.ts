import { Kind, kindAt } from "../search/characters.ts";

/** From so many characters on, a text in a script without spaces is a phrase rather than a word. */
const LEAST_UNSPACED = 4;
/** Signs within a word that make it a name of something: a path, a file, an address, a flag, an identifier. */
const NAME_SIGNS = /[\d_/\\@#$=<>{}()[\]|~^&:]|\p{L}\.\p{L}|^-|\p{Ll}\p{Lu}/u;
/** Characters of a query that are looked at, and embedded. */
const MAX_QUESTION_CHARACTERS = 2000;

/** What a query asks for by meaning. */
export interface MeantQuestion {
  /** The text to embed: without operators. */
  text: string;
  /** A single word: what it means is asked for only when no message holds it. */
  isWord: boolean;
}

/**
 * What is looked for by meaning; undefined for a query that means itself: with a phrase in quotes or a prefix, or of names,
 * paths and numbers only. What must not occur says nothing of what is meant, so `-word` is left out.
 */
export function meantBy(query: string): MeantQuestion | undefined {
  const read = query.slice(0, MAX_QUESTION_CHARACTERS);
  const wanted = read.replaceAll(/(^|\s)-(?:"[^"]*"|[\p{L}_@/.]\S*)/gu, "$1");
  if (Array.from(wanted.matchAll(/(?<!\S)"([^"]*)"/g), ([, phrase = ""]) => phrase.trim()).some(Boolean))
    return undefined;
  const words = wanted.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (words.some((word) => /^[^*]*[\p{L}\p{N}]\*$/u.test(word)) || words.every(isName)) return undefined;
  const isWord = words.length === 1 && unspacedIn(words[0] ?? "") < LEAST_UNSPACED;
  return { text: words.join(" "), isWord };
}

/** Whether it is written as no word of a sentence is: behind it may stand a sentence's signs. */
function isName(word: string): boolean {
  return NAME_SIGNS.test(word.replace(/[:)\]]+$/, "").replace(/^[([]+/, ""));
}

function unspacedIn(word: string): number {
  let count = 0;
  for (let place = 0; place < word.length; place += 1) if (kindAt(word, place) === Kind.unspaced) count += 1;
  return count;
}
