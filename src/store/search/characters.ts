/** Classes of characters, on which the scanner decides where words begin and end. */
export const Kind = {
  /** White space in ASCII. */
  space: 0,
  /** Anything that is no part of a word and joins none, such as a bracket, an emoji or a lone surrogate. */
  sign: 1,
  /** A sign that joins words to a name: `.`, `-` or `_`. */
  joiner: 2,
  /** A sign that joins names to a path or an address: `/`, `\`, `:` or `@`. */
  separator: 3,
  /** A letter that is not a capital. */
  letter: 4,
  capital: 5,
  digit: 6,
  /** A letter of a script that puts no spaces between words. */
  unspaced: 7,
  /** Belongs to the character before it. */
  mark: 8,
} as const;

/** Scripts that put no spaces between words. */
const unspacedScripts =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー";
/** Letters that `folded` changes besides making them lower case, and what belongs to the letter before. */
const odd = /^[\p{M}\u00aa-\u024f\u0370-\u03ffЁё\u0640\u1100-\u11ff\u1e00-\u1fff]$/u;
/** Added to the kind of such letters. */
export const ODD = 16;
const kinds: [RegExp, number][] = [
  [new RegExp(`^[${unspacedScripts}]$`, "u"), Kind.unspaced],
  [/^\p{M}$/u, Kind.mark],
  [/^\p{Lu}$/u, Kind.capital],
  [/^\p{L}$/u, Kind.letter],
  [/^\p{N}$/u, Kind.digit],
  [/^[._-]$/, Kind.joiner],
  [/^[/\\:@]$/, Kind.separator],
  [/^[\t-\r ]$/, Kind.space],
];

/** A unit that has not been looked up. */
const UNKNOWN = 255;
/** Of each UTF-16 unit, filled as they occur: classifying all of them at once would slow the start of every command. */
const known = new Uint8Array(0x1_0000).fill(UNKNOWN);

/** Returns the kind of the character at a position, with `ODD` where it applies. Both halves of a surrogate pair have its kind. */
export function traitsAt(text: string, position: number): number {
  const traits = known[text.charCodeAt(position)] ?? UNKNOWN;
  return traits === UNKNOWN ? lookedUp(text, position) : traits;
}

/** Returns the kind of the character at a position. */
export function kindAt(text: string, position: number): number {
  return traitsAt(text, position) & (ODD - 1);
}

function lookedUp(text: string, position: number): number {
  const unit = text.charCodeAt(position);
  if (unit >= 0xd8_00 && unit < 0xdc_00) return kindOf(String.fromCodePoint(text.codePointAt(position) ?? 0));
  if (unit >= 0xdc_00 && unit < 0xe0_00) {
    const pair = text.slice(Math.max(0, position - 1), position + 1);
    return kindOf(pair.isWellFormed() ? pair : "");
  }
  const character = String.fromCharCode(unit);
  const traits = kindOf(character) + (odd.test(character) ? ODD : 0);
  known[unit] = traits;
  return traits;
}

/** Returns whether a text is a single character of a script without spaces. */
export function isUnspaced(text: string): boolean {
  return kindOf(text) === Kind.unspaced;
}

function kindOf(character: string): number {
  return kinds.find(([pattern]) => pattern.test(character))?.[1] ?? Kind.sign;
}
