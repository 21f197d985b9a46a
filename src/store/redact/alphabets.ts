/** A set of ASCII characters, as a table that has 1 at the code of each. */
export interface Alphabet {
  table: Uint8Array;
  /** Its place among the memos of `Runs`. */
  index: number;
}

const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";

let alphabetCount = 0;

function alphabet(characters: string): Alphabet {
  const table = new Uint8Array(128);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return { table, index: alphabetCount++ };
}

/** The alphabets in which makers of secrets write them. */
export const alphabets = {
  digit: alphabet(DIGITS),
  hex: alphabet(`${DIGITS}abcdefABCDEF`),
  capital: alphabet(`${UPPER}${DIGITS}`),
  alnum: alphabet(`${UPPER}${LOWER}${DIGITS}`),
  /** Letters, digits, `_` and `-`: base64url without padding. */
  word: alphabet(`${UPPER}${LOWER}${DIGITS}_-`),
  /** As `word`, with dots between the parts. */
  dotted: alphabet(`${UPPER}${LOWER}${DIGITS}_-.=~`),
  base64: alphabet(`${UPPER}${LOWER}${DIGITS}+/=`),
  /** Both kinds of base64 and what URLs and headers add: a credential behind a scheme. */
  credential: alphabet(`${UPPER}${LOWER}${DIGITS}+/=_-.~%:`),
  crypt: alphabet(`${UPPER}${LOWER}${DIGITS}./$=,+_-`),
} as const;

export function has({ table }: Alphabet, code: number): boolean {
  return code < 128 && table[code] === 1;
}

/** Ends of runs of an alphabet in one text. Each character is looked at once, however often a run is asked for. */
export class Runs {
  readonly #text: string;
  readonly #starts = new Int32Array(alphabetCount).fill(-1);
  readonly #ends = new Int32Array(alphabetCount).fill(-1);

  constructor(text: string) {
    this.#text = text;
  }

  /** Where the run that begins at or before `from` ends; `from` itself when no character of the alphabet is there. */
  end({ table, index }: Alphabet, from: number): number {
    if (from >= (this.#starts[index] ?? 0) && from < (this.#ends[index] ?? 0)) return this.#ends[index] ?? from;
    let at = from;
    for (; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code > 127 || table[code] !== 1) break;
    }
    this.#starts[index] = from;
    this.#ends[index] = at;
    return at;
  }
}

export function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

export function isAlnum(code: number): boolean {
  return isLetter(code) || isDigit(code);
}
