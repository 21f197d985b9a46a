import { visible } from "../../visible.ts";

// A search's snippet has its matches between double asterisks. They become elements here, by text and never by HTML.

/** The snippet with its matches marked. */
export function Marked({ text }: { text: string }) {
  return (
    <>
      {text
        .split("**")
        .map((part, index) => (index % 2 === 1 ? <mark key={index}>{visible(part)}</mark> : visible(part)))}
    </>
  );
}

/** The words that a snippet marks, in lower case. */
export function markedWords(text: string): string[] {
  return text.split("**").flatMap((part, index) => (index % 2 === 1 ? [part.toLowerCase()] : []));
}
