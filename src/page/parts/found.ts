// Words that were searched for are marked where they stand by the browser's own highlights, without changing the document.

/** The name that the style knows. */
const NAME = "found";
/** Places that are marked at once; a window holds fewer. */
const MOST_PLACES = 2000;

/** Marks the words in what an element shows. None are marked before or when there are no words. */
export function markFound(root: Element | null, words: ReadonlySet<string>): void {
  // Older browsers show no marks.
  if (!("highlights" in CSS)) return;
  CSS.highlights.delete(NAME);
  if (root === null || words.size === 0) return;
  const ranges = rangesOf(root, words);
  if (ranges.length > 0) CSS.highlights.set(NAME, new Highlight(...ranges));
}

function rangesOf(root: Element, words: ReadonlySet<string>): Range[] {
  const ranges: Range[] = [];
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node !== null && ranges.length < MOST_PLACES; node = texts.nextNode()) {
    if (node.parentElement?.closest(".turn-body, .turn-summary") === null) continue;
    const text = (node.nodeValue ?? "").toLowerCase();
    for (const word of words) ranges.push(...placesOf(node, text, word));
  }
  return ranges;
}

function placesOf(node: Node, text: string, word: string): Range[] {
  const ranges: Range[] = [];
  for (
    let at = text.indexOf(word);
    at !== -1 && ranges.length < MOST_PLACES;
    at = text.indexOf(word, at + word.length)
  ) {
    if (!isWhole(text, at, word.length)) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + word.length);
    ranges.push(range);
  }
  return ranges;
}

const wordCharacter = /[\p{L}\p{N}]/u;
/** Scripts that put no space between words. */
const spaceless = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/** Whether a match is a word by itself, and no part of a longer one. */
function isWhole(text: string, at: number, length: number): boolean {
  const continues = (outside: string | undefined) =>
    outside !== undefined && wordCharacter.test(outside) && !spaceless.test(outside);
  return !continues(text[at - 1]) && !continues(text[at + length]);
}
