/** Folds the letters of words, so that a word is found in any case and without its accents. */

/** Combining marks, accented letters, and Hangul written as separate letters. */
const mayHaveAccents = /\p{M}|[\u00c0-\u024f\u0370-\u03ffЁё\u0640\u1100-\u11ff\u1e00-\u1fff]/u;
const isDecomposed = /\p{M}|[\u1100-\u11ff]/u;
const latinOrGreek = /[\u00c0-\u024f\u0370-\u03ff\u1e00-\u1fff]+/g;
const marks = /[\u0300-\u036f]/g;
const looseMarks = /(?<=[\p{Script=Latin}\p{Script=Greek}])[\u0300-\u036f]+/gu;
/** Vowel points, which Hebrew and Arabic mostly omit, and the stroke that only stretches a word. */
const points = /(?=\p{M})[\p{Script_Extensions=Hebrew}\p{Script_Extensions=Arabic}]|\u0640/gu;
/** Letters that do not decompose in NFD but stand for others, as in PostgreSQL's `unaccent`. */
const letters = new Map(
  "ß=ss æ=ae œ=oe ø=o đ=d ð=d ħ=h ı=i ł=l ŧ=t þ=th ё=е ẞ=SS Æ=AE Œ=OE Ø=O Đ=D Ð=D Ħ=H Ł=L Ŧ=T Þ=TH Ё=Е"
    .split(" ")
    .map((pair) => [pair.slice(0, 1), pair.slice(2)]),
);
const oddLetters = new RegExp(`[${[...letters.keys()].join("")}]`, "g");
const FINAL_SIGMA = /ς/g;

/** Returns a text in lower case, with one form of sigma, and without the accents of Latin and Greek letters. */
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
  if (!mayHaveAccents.test(text)) return [];
  const words =
    composed(text)
      .toLowerCase()
      .match(/[\p{L}\p{M}]+/gu) ?? [];
  return [...new Set(words)].filter((word) => mayHaveAccents.test(word));
}

/** Removes accents from Latin and Greek letters; in most other scripts marks distinguish letters. */
function withoutAccents(text: string): string {
  if (!mayHaveAccents.test(text)) return text;
  return (isDecomposed.test(text) ? composed(text) : text)
    .replace(latinOrGreek, (run) => run.normalize("NFD").replace(marks, ""))
    .replace(looseMarks, "")
    .replace(points, "")
    .replace(oddLetters, (letter) => letters.get(letter) ?? letter);
}

/** Composes letters and their marks, in linear time. */
function composed(text: string): string {
  return text.replace(crowdedMarks, "$1").normalize("NFC");
}
