import { beginningOf } from "./text.ts";

/** A place of a query's word in a text, counted in words. */
export interface Place {
  position: number;
  /** The word, as an index into the query's. */
  word: number;
}

/** A position takes these bits of its number; its weight has the rest. */
const POSITION_BITS = 0x3f_ff;
/** The number of lexemes takes the bytes before. */
const LEXEMES_FROM = 4;

/**
 * Finds a query's words in a vector as `tsvectorsend` writes it: the number of lexemes, then each with a zero byte behind
 * it and its positions. Returns their places in the order of the text. PostgreSQL keeps 256 positions of each lexeme, and
 * none above 16,383.
 */
export function placesIn(vector: Uint8Array, lexemes: readonly string[]): Place[] {
  const { sought, begins, last } = soughtIn(lexemes);
  const places: Place[] = [];
  let at = LEXEMES_FROM;
  for (let left = numberOfLexemes(vector); left > 0; left -= 1) {
    const start = at;
    const first = vector[start] ?? 0;
    // Lexemes are in the order of their bytes.
    if (first > last) break;
    while (vector[at] !== 0) at += 1;
    const count = numberAt(vector, at + 1);
    const from = at + 3;
    if (begins[first] === 1) {
      const end = at;
      const word = sought.findIndex((each) => isLexeme(vector, start, end, each));
      const found = word === -1 ? 0 : count;
      for (let index = 0; index < found; index += 1)
        places.push({ position: numberAt(vector, from + 2 * index) & POSITION_BITS, word });
    }
    at = from + 2 * count;
  }
  return places.toSorted((a, b) => a.position - b.position);
}

interface SoughtBytes {
  bytes: Uint8Array;
  isBeginning: boolean;
}

interface Sought {
  sought: SoughtBytes[];
  /** By a first byte: few lexemes begin like a sought one; the others need not be compared. */
  begins: Uint8Array;
  /** The last of the first bytes. */
  last: number;
}

/** A query's words, which are looked for in many vectors. */
const known = new WeakMap<readonly string[], Sought>();

function soughtIn(lexemes: readonly string[]): Sought {
  const before = known.get(lexemes);
  if (before) return before;
  const sought = lexemes.map((lexeme) => {
    const beginning = beginningOf(lexeme);
    return { bytes: Buffer.from(beginning ?? lexeme), isBeginning: beginning !== undefined };
  });
  const begins = new Uint8Array(256);
  for (const { bytes } of sought) begins[bytes[0] ?? 0] = 1;
  const made = { sought, begins, last: begins.lastIndexOf(1) };
  known.set(lexemes, made);
  return made;
}

function isLexeme(vector: Uint8Array, from: number, to: number, { bytes, isBeginning }: SoughtBytes): boolean {
  if (isBeginning ? to - from < bytes.length : to - from !== bytes.length) return false;
  for (let index = 0; index < bytes.length; index += 1) if (vector[from + index] !== bytes[index]) return false;
  return true;
}

function numberOfLexemes(vector: Uint8Array): number {
  return numberAt(vector, 0) * 0x1_00_00 + numberAt(vector, 2);
}

function numberAt(vector: Uint8Array, at: number): number {
  return ((vector[at] ?? 0) << 8) | (vector[at + 1] ?? 0);
}
