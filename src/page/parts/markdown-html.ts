import { Marked } from "marked";
import { visible } from "../../visible.ts";

/** Longer texts are shown as they are: nobody writes so much Markdown, and its rules are not linear in everything. */
const LONGEST_MARKDOWN = 20_000;
/** Emphasis in a longer paragraph is left as it stands: its rules look for the end of each beginning, over and over. */
const LONGEST_EMPHASIZED = 2000;
/** A longer run without a space is an encoding or an attack, and the parser looks for addresses from each of its letters. */
const LONGEST_RUN = 500;
/** Quotations and lists within one another, which the parser follows one call deep each: nobody nests so far. */
const nestedTooDeeply = /^(?:[ \t]{0,3}(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))[ \t]?){12}/m;

const marked = new Marked({
  gfm: true,
  breaks: true,
  tokenizer: {
    // False leaves the decision to the parser, and undefined is none.
    emStrong: (_, masked) => (masked.length > LONGEST_EMPHASIZED ? undefined : false),
  },
  // HTML in a text is shown, not obeyed; a picture would load something, so that its address is shown.
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/**
 * The HTML of a text with its hidden characters named, not yet made safe; undefined for what the parser should not or cannot
 * take.
 */
export function markdownHtml(text: string): string | undefined {
  if (text.length > LONGEST_MARKDOWN) return undefined;
  // A name such as `<U+202E>` is no tag and no address in Markdown, and stays as it is.
  const shown = visible(text);
  if (shown.length > LONGEST_MARKDOWN || nestedTooDeeply.test(shown) || hasLongRun(shown)) return undefined;
  try {
    return marked.parse(shown, { async: false });
  } catch {
    return undefined;
  }
}

/** Whether there is a long run without a space, outside of blocks of code. */
function hasLongRun(text: string): boolean {
  let isCode = false;
  return text.split("\n").some((line) => {
    if (/^ {0,3}(?:```|~~~)/.test(line)) isCode = !isCode;
    return !isCode && line.length > LONGEST_RUN && line.split(/\s/).some((run) => run.length > LONGEST_RUN);
  });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
