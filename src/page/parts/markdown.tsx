import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { dressCode } from "./code.ts";
import { markdownHtml } from "./markdown-html.ts";
import { TextOutput } from "./output.tsx";
import { safeFragment } from "./safe-html.ts";

/** The first letter of a text, and whether its script is written from right to left. */
const firstLetter = /([\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}])|\p{L}/u;

function directionOf(text: string): "ltr" | "rtl" {
  return firstLetter.exec(text)?.[1] === undefined ? "ltr" : "rtl";
}

/** A text as Markdown; as it stands when it cannot be that. */
export function Markdown({ text }: { text: string }) {
  const place = useRef<HTMLDivElement>(null);
  const html = useMemo(() => markdownHtml(text), [text]);
  useLayoutEffect(() => {
    if (html === undefined) return;
    const fragment = safeFragment(html);
    // Each paragraph reads in the direction of its own text.
    for (const block of fragment.querySelectorAll("p, li, h1, h2, h3, h4, h5, h6, blockquote, td, th"))
      block.setAttribute("dir", "auto");
    // A list has room for its numbers on the side where its items begin; "auto" would pass over these, which have their own.
    for (const list of fragment.querySelectorAll("ul, ol"))
      list.setAttribute("dir", directionOf(list.textContent ?? ""));
    // A wide one is scrolled, by the keyboard as well.
    for (const table of fragment.querySelectorAll("table")) table.tabIndex = 0;
    dressCode(fragment);
    place.current?.replaceChildren(fragment);
  }, [html]);
  return html === undefined ? <TextOutput text={text} /> : <div class="markdown" ref={place} />;
}
