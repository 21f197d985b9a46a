import { Marked } from "marked";
import { useLayoutEffect, useRef } from "preact/hooks";
import { dressCode } from "./code.ts";
import { safeFragment } from "./safe-html.ts";

/** Longer texts are shown as they are: nobody writes so much Markdown, and its rules are not linear in everything. */
export const LONGEST_MARKDOWN = 40_000;

const marked = new Marked({
  gfm: true,
  breaks: true,
  // HTML in a text is shown, not obeyed; a picture would load something, so that its address is shown.
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** A text as Markdown. */
export function Markdown({ text }: { text: string }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const fragment = safeFragment(marked.parse(text, { async: false }));
    // Each paragraph reads in the direction of its own text.
    for (const block of fragment.querySelectorAll("p, li, h1, h2, h3, h4, h5, h6, blockquote, td, th"))
      block.setAttribute("dir", "auto");
    dressCode(fragment);
    place.current?.replaceChildren(fragment);
  }, [text]);
  return <div class="markdown" ref={place} />;
}
