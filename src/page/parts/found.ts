import { placesOf } from "./word-places.ts";

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
    for (const [start, end] of placesOf(node.nodeValue ?? "", words, MOST_PLACES - ranges.length)) {
      const range = document.createRange();
      range.setStart(node, start);
      range.setEnd(node, end);
      ranges.push(range);
    }
  }
  return ranges;
}
