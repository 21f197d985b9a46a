import { isFolded } from "./folding.ts";

/** Classes of characters, on which the scanner decides where words begin and end. */
export const Kind = {
  /** White space in ASCII. */
  space: 0,
  /** Anything that is no part of a word and joins none, such as a bracket, an emoji or a lone surrogate. */
  sign: 1,
  /** A sign that joins words to a name: `.`, `-` or `_`, or a hyphen or dot beyond ASCII. */
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
  /** Not seen, such as a soft hyphen or a zero-width space: a word goes on behind it, and also begins there. */
  unseen: 9,
} as const;

/** Scripts that put no spaces between words. */
const unspacedScripts =
  "Han Hiragana Katakana Bopomofo Hangul Yi Thai Lao Khmer Myanmar Tai_Le New_Tai_Lue Tai_Tham Tai_Viet Javanese Balinese".split(
    " ",
  );
/** Signs of kana that have no script of their own. */
const KANA_SIGNS = "ーｰﾞﾟ";
/** Added to the kind of characters that `folded` changes besides making them lower case. */
export const ODD = 16;
const kinds: [RegExp, number][] = [
  [/^\p{Default_Ignorable_Code_Point}$/u, Kind.unseen],
  [
    new RegExp(`^[${unspacedScripts.map((script) => `\\p{Script=${script}}`).join("")}${KANA_SIGNS}]$`, "u"),
    Kind.unspaced,
  ],
  [/^\p{M}$/u, Kind.mark],
  [/^\p{Lu}$/u, Kind.capital],
  [/^\p{L}$/u, Kind.letter],
  [/^\p{N}$/u, Kind.digit],
  [/^[._\-·\u2010\u2011]$/, Kind.joiner],
  [/^[/\\:@]$/, Kind.separator],
  [/^[\t-\r ]$/, Kind.space],
];

/** A unit that has not been looked up. */
const UNKNOWN = 255;
/** Of each UTF-16 unit, filled as they occur: classifying all of them at once would slow the start of every command. */
const known = new Uint8Array(0x1_0000).fill(UNKNOWN);
/** Of each character beyond, once one was looked up. */
let knownPairs: Uint8Array | undefined;

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
  if (unit < 0xd8_00 || unit >= 0xe0_00) return (known[unit] = traitsOf(String.fromCharCode(unit)));
  const code = text.codePointAt(unit < 0xdc_00 ? position : position - 1) ?? 0;
  if (code <= 0xff_ff) return Kind.sign;
  knownPairs ??= new Uint8Array(0x10_0000).fill(UNKNOWN);
  const traits = knownPairs[code - 0x1_0000] ?? UNKNOWN;
  return traits === UNKNOWN ? (knownPairs[code - 0x1_0000] = traitsOf(String.fromCodePoint(code))) : traits;
}

function traitsOf(character: string): number {
  return kindOf(character) + (isFolded(character) ? ODD : 0);
}

/** Returns whether a text is a single character of a script without spaces. */
export function isUnspaced(text: string): boolean {
  return kindOf(text) === Kind.unspaced;
}

function kindOf(character: string): number {
  return kinds.find(([pattern]) => pattern.test(character))?.[1] ?? Kind.sign;
}
