import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { dressCode } from "./code.ts";
import { markdownHtml } from "./markdown-html.ts";
import { TextOutput } from "./output.tsx";
import { safeFragment } from "./safe-html.ts";

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
    dressCode(fragment);
    place.current?.replaceChildren(fragment);
  }, [html]);
  return html === undefined ? <TextOutput text={text} /> : <div class="markdown" ref={place} />;
}
