/** Folds the letters of words, so that a word is found in any case and without its accents. */

/** Capitals and small letters of Latin and Greek, most of which decompose into a letter and marks. */
const LATIN_OR_GREEK = "\\u00c0-\\u024f\\u0370-\\u03ff\\u1e00-\\u1fff";
/**
 * Characters that stand for others: ligatures, full and half widths, letters of formulas, high and low digits, Roman numerals,
 * letters that Unicode never composes.
 */
const STAND_INS = [
  "\\u00aa\\u00b2\\u00b3\\u00b5\\u00b9\\u00ba\\u02b0-\\u02b8\\u02e0-\\u02e4\\u0587\\u0675-\\u0678\\u0958-\\u095f\\u09dc-\\u09df",
  "\\u0a33-\\u0a5e\\u0b5c\\u0b5d\\u0f43-\\u0fb9\\u1d2c-\\u1d6a\\u1d78\\u1d9b-\\u1dbf\\u2070-\\u209c\\u2102-\\u2149\\u2160-\\u2188",
  "\\uf900-\\ufaff\\ufb00-\\ufdf9\\ufe70-\\ufefc\\uff10-\\uffdc\\u{1d400}-\\u{1d7ff}\\u{1ee00}-\\u{1eebb}\\u{2f800}-\\u{2fa1d}",
].join("");
/** Beside these: combining marks, ё and its like, the Arabic stroke, and Hangul written as separate letters. */
const OTHERS = "\\p{M}ЀЁЍѐёѝ\\u0640\\u1100-\\u11ff";
const UNSEEN = "\\p{Default_Ignorable_Code_Point}";
const mayChange = new RegExp(`[${LATIN_OR_GREEK}${STAND_INS}${OTHERS}${UNSEEN}]`, "u");
const isDecomposed = /\p{M}|[\u1100-\u11ff]/u;
const unseen = new RegExp(`${UNSEEN}+`, "gu");
const standIns = new RegExp(`[${STAND_INS}]+`, "gu");
const latinOrGreek = new RegExp(`[${LATIN_OR_GREEK}]+`, "g");
const ACCENTS = "[\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f]";
/** Also the dot of ŀ, and the space on which some stand alone. */
const marks = new RegExp(`${ACCENTS}|[· ]`, "g");
const looseMarks = new RegExp(`(?<=[\\p{Script=Latin}\\p{Script=Greek}\\p{Script=Cyrillic}])${ACCENTS}+`, "gu");
/** Vowel points, which Hebrew and Arabic mostly omit, and the stroke that only stretches a word. */
const points = /(?=\p{M})[\p{Script_Extensions=Hebrew}\p{Script_Extensions=Arabic}]|\u0640/gu;
const letters = new Map(
  "ß=ss æ=ae œ=oe ø=o đ=d ð=d ħ=h ı=i ł=l ŧ=t þ=th ё=е ѐ=е ѝ=и ẞ=SS Æ=AE Œ=OE Ø=O Đ=D Ð=D Ħ=H Ł=L Ŧ=T Þ=TH Ё=Е Ѐ=Е Ѝ=И"
    .split(" ")
    .map((pair) => [pair.slice(0, 1), pair.slice(2)]),
);
const oddLetters = new RegExp(`[${[...letters.keys()].join("")}]`, "g");
const FINAL_SIGMA = /ς/g;

/** Whether a character is changed besides being made lower case. */
export function isFolded(character: string): boolean {
  return mayChange.test(character) || isForeignDigit.test(character);
}

/**
 * Returns a text in lower case, with one form of sigma, without what is not seen, and without the accents of Latin, Greek and
 * Cyrillic letters but those that make another letter, such as й.
 */
export function folded(text: string): string {
  // Lower case after the accents: that of İ has one. PostgreSQL's own lower case knows only ASCII in the C locale.
  return withoutAccents(text).toLowerCase().replace(FINAL_SIGMA, "σ");
}

/**
 * Marks of one letter that count, as in Unicode's stream-safe text: no language has as many. Putting marks in order takes time in
 * the square of their number, and a text may consist of them.
 */
const crowdedMarks = /(\p{M}{30})\p{M}+/gu;

/** What each letter in the basic plane is folded to, filled as they occur. */
const letterForms: string[] = [];

/** Folds a text without marks and separate letters of Hangul, letter by letter: much faster for single words. */
export function foldedLetters(text: string): string {
  let result = "";
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    const isPair = unit >= 0xd8_00 && unit < 0xdc_00;
    if (isPair) result += folded(text.slice(at, at + 2));
    else result += letterForms[unit] ??= folded(text.slice(at, at + 1));
    if (isPair) at += 1;
  }
  return result;
}

/** Returns the accented words of a text, in lower case. */
export function accentedWords(text: string): string[] {
  if (!mayChange.test(text)) return [];
  const words =
    composed(text)
      .toLowerCase()
      .match(/[\p{L}\p{M}]+/gu) ?? [];
  return [...new Set(words)].filter((word) => mayChange.test(word));
}

/** Removes accents from Latin, Greek and Cyrillic letters; in most other scripts marks distinguish letters. */
function withoutAccents(text: string): string {
  if (!mayChange.test(text)) return text;
  const given = text.replace(unseen, "");
  return (isDecomposed.test(given) ? composed(given) : given)
    .replace(standIns, plain)
    .replace(latinOrGreek, (run) => run.normalize("NFKD").replace(marks, ""))
    .replace(looseMarks, "")
    .replace(points, "")
    .replace(oddLetters, (letter) => letters.get(letter) ?? letter);
}

/** What the characters stand for, without the spaces on which some marks stand alone. */
function plain(standing: string): string {
  return standing.normalize("NFKC").replaceAll(" ", "");
}

/** Composes letters and their marks, in linear time. */
function composed(text: string): string {
  return text.replace(crowdedMarks, "$1").normalize("NFC");
}

const isForeignDigit = /^(?!\d)\p{Nd}$/u;
const foreignDigits = /(?!\d)\p{Nd}/gu;
/** Digits of a script follow each other in Unicode. */
const DIGITS = 10;

/** Returns a text with digits of any script as 0 to 9, or undefined when it has no others. */
export function withPlainDigits(text: string): string | undefined {
  const plain = text.replace(foreignDigits, (digit) => String(valueOf(digit)));
  return plain === text ? undefined : plain;
}

function valueOf(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  let before = 0;
  while (before < DIGITS && isForeignDigit.test(String.fromCodePoint(code - before - 1))) before += 1;
  return before % DIGITS;
}
