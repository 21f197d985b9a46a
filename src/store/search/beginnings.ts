import { mayBegin } from "./escapes.ts";
import { MAX_WORD_CHARACTERS, isEscaped } from "./scanner.ts";

/** ASCII characters; a token with others is always read. */
const CHARACTERS = 128;

/**
 * Tells which parts of a text may hold words with one of some beginnings, by the first two characters of each word, so that
 * the others need not be read as the scanner reads them. It takes some parts too many and none too few.
 */
export class Beginnings {
  /** By a first character, whether any of the beginnings has it. */
  readonly #firsts = new Uint8Array(CHARACTERS);
  /** By a first and a second character. */
  readonly #pairs = new Uint8Array(CHARACTERS * CHARACTERS);

  constructor(beginnings: readonly string[]) {
    for (const beginning of beginnings) {
      this.#add(beginning);
      // The scanner writes an x before the digits of some names, which the text does not have.
      if (/^x\d/.test(beginning)) this.#add(beginning.slice(1));
      if (beginning === "x") for (const digit of "0123456789") this.#add(digit);
    }
  }

  /** Whether the part of a text, which spaces delimit, may hold such a word. */
  mayBeIn(text: string, from: number, to: number): boolean {
    // A longer one may hold words that were cut for their lengths, which begin anywhere.
    if (to - from > MAX_WORD_CHARACTERS) return true;
    let follows = false;
    for (let at = from; at < to; at += 1) {
      const unit = text.charCodeAt(at);
      // What an escape means may begin with anything.
      if (unit >= CHARACTERS || mayBegin(text, at)) return true;
      const small = smallOf(unit);
      if (small === 0) {
        follows = false;
        continue;
      }
      // Parts of camelCase begin with a capital, and versions within a word with a digit: both come before the small letters. A word
      // also begins behind an escaped line break.
      const isBeginning = !follows || unit < A || isEscaped(text, at - 1);
      if (isBeginning && this.#firsts[small] === 1) {
        // Behind a sign, a name of several words goes on; beyond ASCII, the token is read anyway.
        const next = at + 1 < to ? smallOf(text.charCodeAt(at + 1)) : 0;
        if (next === 0 || this.#pairs[small * CHARACTERS + next] === 1) return true;
      }
      follows = true;
    }
    return false;
  }

  #add(beginning: string): void {
    const first = beginning.charCodeAt(0);
    if (!(first < CHARACTERS)) return;
    this.#firsts[first] = 1;
    const second = beginning.charCodeAt(1);
    if (second < CHARACTERS) this.#pairs[first * CHARACTERS + second] = 1;
    else this.#pairs.fill(1, first * CHARACTERS, (first + 1) * CHARACTERS);
  }
}

const A = "a".charCodeAt(0);

/** Of each ASCII letter its small one, of a digit itself; 0 of signs and of what is beyond ASCII. */
function smallOf(unit: number): number {
  return smalls[unit] ?? 0;
}

const smalls = Uint8Array.from({ length: CHARACTERS }, (_, unit) => {
  const character = String.fromCharCode(unit);
  return /[A-Za-z0-9]/.test(character) ? character.toLowerCase().charCodeAt(0) : 0;
});
