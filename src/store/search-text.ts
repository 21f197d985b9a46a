/**
 * What PostgreSQL's parser is to see of a text. It knows words between spaces: it takes a run of Chinese for one word, a
 * file's path for one word, and `storeMessage` for another than `store_message`. So such places are written out before it
 * sees them, in contents and in queries by this same function; prose passes as it is.
 */

/** Of a content that must be written out, so much is: it is done while other callers wait, and takes a third of a second. */
const MAX_SEARCHED_CHARACTERS = 250_000;
/** Scripts that put no spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー]+/gu;
/** Names of code, paths, addresses, ids: words that signs hold together, or capitals inside. */
const code = /[\p{L}\p{N}]+(?:(?:[_\-./\\@]|::?)+[\p{L}\p{N}]+)+|[A-Za-z]*[a-z][A-Z][A-Za-z0-9]*/gu;
/** Of those, what is no ordinary hyphenated word, number, date or abbreviation. */
const isCode = /[_\\@]|::|[/].*[/]|[a-z][A-Z]|\p{L}{2}[./]\p{L}{2}|\p{L}.*-.*\d|\d.*-.*\p{L}/u;
const hasMarks = /[\u0300-\u036f]/g;
/** Nothing of the above is in a text without any of these. */
const worthALook = /[^\p{ASCII}]|[_\\@/]|::|[a-z][A-Z]|[A-Za-z]{2}\.[A-Za-z]{2}|\d-[A-Za-z]|[A-Za-z]-\d|\d[a-z]+-/u;

/** The text as PostgreSQL's parser should see it, or null when that is the text itself. */
export function searchable(given: string): string | null {
  const text = given.slice(0, MAX_SEARCHED_CHARACTERS).toWellFormed();
  if (!worthALook.test(text)) return null;
  const written = withoutAccents(text).replace(code, writtenOut).replace(unspaced, pairs);
  return written === text ? null : written;
}

/** Latin and Greek letters without their accents; in other scripts marks are letters of their own. */
function withoutAccents(text: string): string {
  if (!/[\u00c0-\u024f\u0370-\u03ff\u1e00-\u1fff]/.test(text)) return text;
  return text.replace(/[\u00c0-\u024f\u0370-\u03ff\u1e00-\u1fff]+/g, (letters) =>
    letters.normalize("NFD").replace(hasMarks, ""),
  );
}

/** The whole without its signs, and its parts: either finds it, and the whole is the rarer word. */
function writtenOut(token: string): string {
  if (!isCode.test(token)) return token;
  const parts = token
    .split(/[^\p{L}\p{N}]+/u)
    .flatMap((part) => part.split(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/))
    .filter((part) => part !== "");
  const joined = parts.join("").toLowerCase();
  // The parser would take a beginning such as 12e5 for a number of its own.
  const whole = /^\d/.test(joined) ? `x${joined}` : joined;
  return parts.length > 1 ? `${whole} ${parts.join(" ")}` : whole;
}

/** Overlapping pairs of characters: whatever the words are, their pairs are among them. One alone stays alone. */
function pairs(run: string): string {
  const characters = Array.from(run);
  if (characters.length < 3) return ` ${run} `;
  return ` ${characters
    .slice(1)
    .map((character, index) => `${characters[index]}${character}`)
    .join(" ")} `;
}
