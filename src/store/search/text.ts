import type { Beginnings } from "./beginnings.ts";
import { Kind, isUnspaced, traitsAt } from "./characters.ts";
import { MAX_WORD_CHARACTERS, scan } from "./scanner.ts";
import type { WordSink } from "./scanner.ts";

/**
 * Prepares text for PostgreSQL's parser. What the parser could read otherwise than the scanner is written as the scanner's
 * words, between spaces, and their other forms behind the text; prose stays unchanged.
 */

/**
 * Other forms follow at the end of a line after so many characters, not only at the end of the text: a text with too many
 * different words for a tsvector is cut, and the forms of its beginning should be kept.
 */
const FORMS_AFTER_CHARACTERS = 8000;
/** The characters at the end among which `dewey_search_words` looks for a question, and at the start for a label. */
const QUESTION_CHARACTERS = 150;
const LABEL_CHARACTERS = 41;

/** Characters in ASCII, by how PostgreSQL's parser may read them. */
const Sort = {
  space: 0,
  /** Only parts words. */
  sign: 1,
  /** Harmless before spaces and signs. */
  joining: 2,
  /** Harmless before spaces. */
  opening: 3,
  letter: 4,
  capital: 5,
  digit: 6,
  unclear: 7,
} as const;
const SORTS = 8;
/** The state in which a token is rewritten; the others are the sorts, with two capitals in place of `unclear`. */
const UNCLEAR = 255;
const CAPITALS = 7;

/** Begins a command to a terminal. */
const ESCAPE = "\u001b";

const sorts = Uint8Array.from({ length: 128 }, (_, unit) => sortOf(String.fromCharCode(unit)));
const transitions = Uint8Array.from({ length: SORTS * SORTS }, (_, index) =>
  transition(Math.floor(index / SORTS), index % SORTS),
);

function sortOf(character: string): number {
  if (/[\t-\r ]/.test(character)) return Sort.space;
  if (/[a-z]/.test(character)) return Sort.letter;
  if (/[A-Z]/.test(character)) return Sort.capital;
  if (/\d/.test(character)) return Sort.digit;
  if (/[.:%-]/.test(character)) return Sort.joining;
  if (/[&+]/.test(character)) return Sort.opening;
  return character === ESCAPE || /[/\\_@<~]/.test(character) ? Sort.unclear : Sort.sign;
}

function transition(state: number, sort: number): number {
  if (sort === Sort.unclear) return UNCLEAR;
  if (sort === Sort.space) return sort;
  if (state === Sort.opening) return UNCLEAR;
  if (sort < Sort.letter) return sort;
  if (state === Sort.joining) return UNCLEAR;
  const isCapital = state === Sort.capital || state === CAPITALS;
  if (state === Sort.digit) return sort === Sort.digit ? sort : UNCLEAR;
  if (sort === Sort.digit) return state === Sort.letter || isCapital ? UNCLEAR : sort;
  if (sort === Sort.letter) return state === CAPITALS ? UNCLEAR : sort;
  if (state === Sort.letter) return UNCLEAR;
  return isCapital ? CAPITALS : sort;
}

/** Returns a content as PostgreSQL's parser should see it, or null when that is the content itself. */
export function searchable(text: string): string | null {
  let written = "";
  let copied = 0;
  let formsFrom = 0;
  const pieces: Pieces = { words: "", forms: "" };
  const sink = sinkOf(pieces, true);
  for (let start = 0; start < text.length;) {
    const { end, isClear } = tokenAt(text, start);
    if (!isClear) {
      scan(text, start, end, sink);
      // A colon at the end of a label stays, because the label is recognised by it.
      const colon = start < LABEL_CHARACTERS && text[end - 1] === ":" ? ":" : "";
      written += `${text.slice(copied, start)}${pieces.words}${colon}`;
      copied = end;
      pieces.words = "";
    }
    if (pieces.forms !== "" && end - formsFrom > FORMS_AFTER_CHARACTERS && text[end] === "\n") {
      written += `${text.slice(copied, end)}\n${pieces.forms}`;
      [copied, formsFrom] = [end, end];
      pieces.forms = "";
    }
    start = end + 1;
  }
  if (copied === 0) return null;
  const asks = /\?(?:\s|$)/.test(text.slice(-QUESTION_CHARACTERS));
  const forms = pieces.forms === "" ? "" : `\n${pieces.forms}`;
  return `${written}${text.slice(copied)}${forms}${asks ? " ?" : ""}`;
}

/** Finds the end of a token that spaces delimit, and whether PostgreSQL's parser reads it as the scanner does. */
function tokenAt(text: string, start: number): { end: number; isClear: boolean } {
  let state: number = Sort.space;
  let end = start;
  for (; end < text.length; end += 1) {
    const unit = text.charCodeAt(end);
    const sort = sorts[unit] ?? (traitsAt(text, end) === Kind.letter ? Sort.letter : Sort.unclear);
    if (sort === Sort.space) break;
    state = state === UNCLEAR ? UNCLEAR : (transitions[state * SORTS + sort] ?? UNCLEAR);
  }
  return { end, isClear: state !== UNCLEAR && end - start <= MAX_WORD_CHARACTERS };
}

/** Words and forms, each in order, between spaces. */
interface Pieces {
  words: string;
  forms: string;
}

function sinkOf(pieces: Pieces, withLast: boolean): WordSink {
  const form = (text: string) => {
    pieces.forms += pieces.forms === "" ? text : ` ${text}`;
  };
  return {
    word(text) {
      pieces.words += pieces.words === "" ? text : ` ${text}`;
    },
    form,
    last: withLast ? form : () => undefined,
  };
}

/** A part of a query as PostgreSQL's parser should see it. */
export interface SearchedText {
  /** Its words in order; a message that holds the text has them in the same order. */
  words: string;
  /** Other forms of them: the parts of camelCase, and names and paths as one word. */
  forms: string;
}

/** Returns a part of a query as PostgreSQL's parser should see it. */
export function searched(text: string): SearchedText {
  const pieces: Pieces = { words: "", forms: "" };
  scan(text, 0, text.length, sinkOf(pieces, false));
  return pieces;
}

/** Marks a lexeme of a query as a prefix; no lexeme has a sign. */
export const PREFIX_SIGN = "*";

/** Returns the beginning that a lexeme of a query stands for: a prefix, or a single character of a script that is indexed by pairs. */
export function beginningOf(lexeme: string): string | undefined {
  if (lexeme.endsWith(PREFIX_SIGN)) return lexeme.slice(0, -PREFIX_SIGN.length);
  return isUnspaced(lexeme) ? lexeme : undefined;
}

/** A place of a text that is indexed as one word; UTF-16 positions. */
export interface Word {
  start: number;
  end: number;
  /** As the parser sees it, in lower case. */
  text: string;
}

/** Returns the words of a content, and their other forms, with their places; of parts that some beginnings may be in, if given. */
export function wordsIn(content: string, beginnings?: Beginnings): Word[] {
  const words: Word[] = [];
  const add = (text: string, start: number, end: number) => {
    words.push({ text, start, end });
  };
  const addWord = (text: string, start: number, end: number) => {
    // People take a minus for a part of its number.
    const isNegative = /^\d/.test(text) && /^\s?-$/.test(content.slice(Math.max(0, start - 2), start));
    add(text, isNegative ? start - 1 : start, end);
  };
  const sink = { word: addWord, form: add, last: add };
  if (beginnings === undefined) scan(content, 0, content.length, sink);
  else for (const { start, end } of beginnings.partsOf(content)) scan(content, start, end, sink);
  return words;
}
