import { visible } from "../../visible.ts";
import { ansiRuns, hasAnsi } from "./ansi.ts";
import { snippetPieces } from "./snippet.ts";
import type { MarkedText } from "./snippet.ts";

/** A hit's snippet with its matches as elements, by text and never by HTML. */
export function Marked({ hit }: { hit: MarkedText }) {
  return (
    <>
      {snippetPieces(hit).map(({ text, isMatch }, index) =>
        isMatch ? <mark key={index}>{shown(text)}</mark> : shown(text),
      )}
    </>
  );
}

/** Colours of a terminal say nothing in a snippet. */
function shown(text: string): string {
  if (!hasAnsi(text)) return visible(text);
  return ansiRuns(text)
    .map((run) => run.text)
    .join("");
}
