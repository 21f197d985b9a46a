/** Where whole words of these, which are in lower case, stand in a text: the first `most` places, word by word. */
export function placesOf(text: string, words: ReadonlySet<string>, most: number): [start: number, end: number][] {
  const lower = text.toLowerCase();
  const own = lower.length === text.length ? undefined : ownPlaces(text);
  const places: [start: number, end: number][] = [];
  for (const word of words) {
    if (word === "") continue;
    for (let at = lower.indexOf(word); at !== -1; at = lower.indexOf(word, at + word.length)) {
      if (places.length === most) return places;
      const end = at + word.length;
      if (isWhole(lower, at, word.length)) places.push([own?.[at] ?? at, own?.[end] ?? end]);
    }
  }
  return places;
}

/** Of each place in the text's lower case, the place in the text itself: `İ` becomes two characters. */
function ownPlaces(text: string): number[] {
  const places: number[] = [];
  let at = 0;
  for (const character of text) {
    // The halves of a pair stay two; of a letter that became longer, all parts stand where it stands.
    const most = character.length - 1;
    for (let part = 0; part < character.toLowerCase().length; part += 1) places.push(at + Math.min(part, most));
    at += character.length;
  }
  return [...places, at];
}

const wordCharacter = /[\p{L}\p{M}\p{N}]/u;
/** Scripts that put no space between words. */
const spaceless = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/** Whether a match is a word by itself, and no part of a longer one. */
function isWhole(text: string, at: number, length: number): boolean {
  const continues = (outside: string | undefined) =>
    outside !== undefined && wordCharacter.test(outside) && !spaceless.test(outside);
  return !continues(text[at - 1]) && !continues(text[at + length]);
}
