import { beginningOf } from "./text.ts";

/** A place of a query's word in a text, counted in words. */
export interface Place {
  position: number;
  /** The word, as an index into the query's. */
  word: number;
}

/** A position takes these bits of its number; its weight has the rest. */
const POSITION_BITS = 0x3f_ff;

/**
 * Finds a query's words in a vector as `tsvectorsend` writes it: the number of lexemes, then each with a zero byte behind
 * it and its positions. Returns their places in the order of the text. PostgreSQL keeps 256 positions of each lexeme, and
 * none above 16,383.
 */
export function placesIn(vector: Uint8Array, lexemes: readonly string[]): Place[] {
  const sought = soughtBytes(lexemes);
  const view = new DataView(vector.buffer, vector.byteOffset, vector.byteLength);
  const places: Place[] = [];
  let at = 4;
  for (let left = view.getInt32(0); left > 0; left -= 1) {
    const end = vector.indexOf(0, at);
    const count = view.getUint16(end + 1);
    const positions = end + 3;
    const word = sought.findIndex((each) => isLexeme(vector, at, end, each));
    const found = word === -1 ? 0 : count;
    for (let index = 0; index < found; index += 1)
      places.push({ position: view.getUint16(positions + 2 * index) & POSITION_BITS, word });
    at = positions + 2 * count;
  }
  return places.toSorted((a, b) => a.position - b.position);
}

interface SoughtBytes {
  bytes: Uint8Array;
  isBeginning: boolean;
}

function soughtBytes(lexemes: readonly string[]): SoughtBytes[] {
  return lexemes.map((lexeme) => {
    const beginning = beginningOf(lexeme);
    return { bytes: Buffer.from(beginning ?? lexeme), isBeginning: beginning !== undefined };
  });
}

function isLexeme(vector: Uint8Array, from: number, to: number, { bytes, isBeginning }: SoughtBytes): boolean {
  if (isBeginning ? to - from < bytes.length : to - from !== bytes.length) return false;
  for (let index = 0; index < bytes.length; index += 1) if (vector[from + index] !== bytes[index]) return false;
  return true;
}
