import { MAX_WORD_CHARACTERS } from "./scanner.ts";

/** What may hold any word: characters beyond ASCII, escapes, and commands to a terminal. */
const ANYTHING = "[^\\x00-\\x7f]|\\\\[\\\\uUxX0eE]|%[0-9a-fA-F]|&[#a-zA-Z]|\\x1b";
/** Behind a sign, a name of several words goes on. */
const GOES_ON = "(?=[^A-Za-z0-9\\s])";
/** Before the first letter of a word, unless that is a capital or a digit, which may also stand within a word. */
const BEFORE_WORD = "(?:^|[^A-Za-z0-9]|\\\\[ntrb])";
/** Further characters of a beginning tell little more. */
const MOST_CHARACTERS = 20;

/** A part of a text between spaces; UTF-16 positions. */
interface Part {
  start: number;
  end: number;
}

/**
 * Finds the parts of a text, between spaces, that may hold words with one of some beginnings, so that the others need not be read
 * as the scanner reads them. It takes some parts too many and none too few.
 */
export class Beginnings {
  readonly #pattern: RegExp;

  constructor(beginnings: readonly string[]) {
    const written = [...new Set(beginnings.filter((each) => isAscii.test(each)).flatMap(writtenForms))];
    const alternatives = [ANYTHING, ...written.map(patternOf)].join("|");
    this.#pattern = new RegExp(`${firstsOf(written)}(?:${alternatives})`, "g");
  }

  *partsOf(text: string): Generator<Part> {
    // A run that is longer than a word can be is cut, and its words begin anywhere.
    if (hasLongRun(text)) {
      yield { start: 0, end: text.length };
      return;
    }
    const pattern = this.#pattern;
    pattern.lastIndex = 0;
    for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
      const part = { start: spaceBefore(text, found.index), end: spaceAt(text, found.index) };
      yield part;
      pattern.lastIndex = part.end;
    }
  }
}

/** A run that is longer than a word can be holds one of any places that are a word's length apart. */
function hasLongRun(text: string): boolean {
  for (let at = 0; at < text.length; at += MAX_WORD_CHARACTERS)
    if (spaceAt(text, at) - spaceBefore(text, at) > MAX_WORD_CHARACTERS) return true;
  return false;
}

/** How a text may write what a word begins with: the scanner puts an x before the digits of some names. */
function writtenForms(beginning: string): string[] {
  if (beginning === "x") return Array.from("x0123456789");
  return /^x\d/.test(beginning) ? [beginning, beginning.slice(1)] : [beginning];
}

/** What has other characters is in a part that may hold anything. */
const isAscii = /^[ -~]+$/;

/** A look at one character, which passes over nearly all others before any alternative is tried. */
function firstsOf(beginnings: readonly string[]): string {
  const firsts = beginnings.flatMap(([first = ""]) => [first.toLowerCase(), first.toUpperCase()].map(escaped));
  return `(?=[\\x80-\\uffff\\x1b\\\\%&${firsts.join("")}])`;
}

/** A pattern for the beginning, or for a part of it that is followed by a sign; few letters count only where a word begins. */
function patternOf(beginning: string): string {
  const letters = Array.from(beginning.slice(0, MOST_CHARACTERS), inAnyCase);
  const first = firstOf(beginning.slice(0, 1));
  const [, second = "", ...others] = letters;
  if (others.length === 0) return `${first}${second === "" ? "" : `(?:${second}|${GOES_ON})`}`;
  return `${letters[0]}${second}${nested(others)}|${first}(?:${second})?${GOES_ON}`;
}

/** The first letter of a word. */
function firstOf(letter: string): string {
  if (!/[a-z]/.test(letter)) return escaped(letter);
  return `(?:${letter.toUpperCase()}|${letter}(?<=${BEFORE_WORD}${letter}))`;
}

/** All of the letters, or the first of them before a sign. */
function nested(letters: string[]): string {
  return letters.reduceRight((rest, letter) => (rest === "" ? letter : `${letter}(?:${rest}|${GOES_ON})`), "");
}

function inAnyCase(letter: string): string {
  return /[a-z]/.test(letter) ? `[${letter}${letter.toUpperCase()}]` : escaped(letter);
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

function spaceBefore(text: string, from: number): number {
  let at = from;
  while (at > 0 && !isSpace(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

/** The next white space, where any name ends; else the end of the text. */
function spaceAt(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

/** White space in ASCII. */
function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}
