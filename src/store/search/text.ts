/**
 * Prepares text for PostgreSQL's parser, which splits words at spaces: it takes a run of Chinese or a file's path for one
 * word, and `storeMessage` and `store_message` for different words. Such places are expanded before it parses them, in
 * contents and queries alike; prose stays unchanged.
 */

/** Limit on expanding a content: it blocks the event loop for a third of a second. */
export const MAX_SEARCHED_CHARACTERS = 250_000;
/** Scripts that put no spaces between words. */
const unspacedScripts =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー";
const unspaced = new RegExp(`[${unspacedScripts}]+`, "gu");
const oneUnspaced = new RegExp(`^[${unspacedScripts}]$`, "u");
/**
 * Identifiers, paths, addresses and ids: words joined by signs, or with capitals inside. A match starts where a word does, so
 * that a word of a million letters is not tried from each letter.
 */
const code =
  /(?<![\p{L}\p{N}])[\p{L}\p{N}]+(?:[_\-./\\@:]+[\p{L}\p{N}]+)+|(?<![A-Za-z])[A-Za-z]*[a-z][A-Z][A-Za-z0-9]*/gu;
const humps = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;
/** A text without any of these needs no expansion. Without the flag `u`, because it doubled the time. */
const worthALook = /[\u0080-\uffff_\\@/]|::|[a-z][A-Z]|[A-Za-z]{2}\.[A-Za-z]{2}|\d-[A-Za-z]|[A-Za-z]-\d|\d[a-z]+-/;

/** Returns a content expanded for PostgreSQL's parser, or null when it needs no expansion. */
export function searchable(given: string): string | null {
  const text = given.slice(0, MAX_SEARCHED_CHARACTERS).toWellFormed();
  if (!worthALook.test(text)) return null;
  const written = withoutAccents(text)
    .replace(code, writtenOut)
    // The last character is added alone, so that each character begins a lexeme.
    .replace(unspaced, (run) => ` ${[...pairs(run).map((pair) => pair.text), lastCharacter(run)].join(" ")} `);
  return written === text ? null : written;
}

/** Returns a part of a query, expanded for PostgreSQL's parser. */
export function searched(text: string): string {
  return withoutAccents(text)
    .replace(code, writtenOut)
    .replace(unspaced, (run) => {
      const written = pairs(run).map((pair) => pair.text);
      return ` ${written.length === 0 ? run : written.join(" ")} `;
    });
}

/** Returns the accented words of a text, in lower case. */
export function accentedWords(text: string): string[] {
  if (!mayHaveAccents.test(text)) return [];
  const words =
    text
      .normalize("NFC")
      .toLowerCase()
      .match(/[\p{L}\p{M}]+/gu) ?? [];
  return [...new Set(words)].filter((word) => mayHaveAccents.test(word));
}

/** Returns whether a lexeme of a query is a prefix: a single character of a script that is indexed by pairs. */
export function isBeginning(lexeme: string): boolean {
  return oneUnspaced.test(lexeme);
}

/** A place of a text that is indexed as one word; UTF-16 positions. */
export interface Word {
  start: number;
  end: number;
  /** As the parser sees it, in lower case. */
  text: string;
}

const anyWord = new RegExp(
  `(?<run>[${unspacedScripts}]+)|-?\\p{N}+(?:[.,]\\p{N}+)*(?![\\p{L}\\p{N}])|[[\\p{L}\\p{N}\\p{M}]--[${unspacedScripts}]]+`,
  "gv",
);

/** Returns the words of a content, and the identifiers that they form, with their places. */
export function wordsIn(content: string): Word[] {
  const words: Word[] = [];
  const add = (start: number, length: number, text: string) =>
    words.push({ start, end: start + length, text: withoutAccents(text).toLowerCase() });
  for (const match of content.matchAll(code)) {
    if (isCode(match[0])) add(match.index, match[0].length, whole(partsOf(match[0])));
  }
  for (const match of content.matchAll(anyWord)) {
    const [text] = match;
    if (match.groups?.["run"] === undefined) {
      add(match.index, text.length, text);
      let start = match.index;
      const parts = text.split(humps);
      for (const part of parts.length > 1 ? parts : []) {
        add(start, part.length, part);
        start += part.length;
      }
    } else {
      for (const pair of pairs(text)) add(match.index + pair.start, pair.text.length, pair.text);
      const last = lastCharacter(text);
      add(match.index + text.length - last.length, last.length, last);
    }
  }
  return words;
}

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

/** Removes accents from Latin and Greek letters; in most other scripts marks distinguish letters. */
function withoutAccents(text: string): string {
  if (!mayHaveAccents.test(text)) return text;
  return (isDecomposed.test(text) ? text.normalize("NFC") : text)
    .replace(latinOrGreek, (run) => run.normalize("NFD").replace(marks, ""))
    .replace(looseMarks, "")
    .replace(points, "")
    .replace(oddLetters, (letter) => letters.get(letter) ?? letter);
}

/** Signs and capitals that ordinary hyphenated words, numbers, dates and abbreviations do not have. */
const codeSigns = /[_\\@]|::|[a-z][A-Z]|\p{L}{2}[./]\p{L}{2}/u;

/** Whether a token that `code` matches is more than an ordinary hyphenated word, number, date or abbreviation. */
function isCode(token: string): boolean {
  return (
    codeSigns.test(token) ||
    token.indexOf("/") !== token.lastIndexOf("/") ||
    hasHyphenBetween(token, /\p{L}/u, /\d/) ||
    hasHyphenBetween(token, /\d/, /\p{L}/u)
  );
}

/** Whether a hyphen stands somewhere behind the one sign and before the other. */
function hasHyphenBetween(token: string, before: RegExp, behind: RegExp): boolean {
  const first = token.search(before);
  const hyphen = first === -1 ? -1 : token.indexOf("-", first);
  return hyphen !== -1 && behind.test(token.slice(hyphen));
}

/** Expands an identifier to the whole without signs, which is the rarer word, and its parts; either finds it. */
function writtenOut(token: string): string {
  if (!isCode(token)) return token;
  const parts = partsOf(token);
  return parts.length > 1 ? `${whole(parts)} ${parts.join(" ")}` : whole(parts);
}

function partsOf(token: string): string[] {
  return token
    .split(/[^\p{L}\p{N}]+/u)
    .flatMap((part) => part.split(humps))
    .filter((part) => part !== "");
}

/** Joins parts to one word. The letter keeps the parser from taking a beginning such as 12e5 for a number. */
function whole(parts: string[]): string {
  const joined = parts.join("").toLowerCase();
  return /^\d/.test(joined) ? `x${joined}` : joined;
}

/** Returns overlapping pairs of characters, which include the pairs of each word wherever it starts. */
function pairs(run: string): { start: number; text: string }[] {
  const characters = Array.from(run);
  let start = 0;
  return characters.slice(0, -1).map((character, index) => {
    const pair = { start, text: `${character}${characters[index + 1]}` };
    start += character.length;
    return pair;
  });
}

function lastCharacter(run: string): string {
  return Array.from(run.slice(-2)).at(-1) ?? "";
}
