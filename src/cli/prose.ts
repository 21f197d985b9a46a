/** Longer lines of prose are hard to read, however wide the terminal is. */
export const READABLE_COLUMNS = 100;

/** A command to copy behind a colon, up to the end of its clause; else a word. */
const PARTS = /( *)((?<=: )[^ ]*dewey (?:[^;,().\n]|\.(?=\S))*[^;,().\s][;,).]*|[^ ]+)/g;

/** Sentences for stdout: broken between words on a terminal, whole for programs. */
export function prose(text: string): string {
  const { isTTY, columns } = process.stdout;
  return isTTY && columns > 0 ? wrapped(text, Math.min(columns, READABLE_COLUMNS)) : text;
}

/**
 * Breaks lines between words, and never within a command to copy that fits on a line; what follows a break is indented as its
 * line is. A word that is too long for a line stays whole.
 */
export function wrapped(text: string, width: number): string {
  return text
    .split("\n")
    .flatMap((line) => {
      const indent = /^ */.exec(line)?.[0] ?? "";
      return wrappedLines(line, width - indent.length).map((each) => indent + each);
    })
    .join("\n");
}

function wrappedLines(text: string, width: number): string[] {
  const fits = (part: string) => Bun.stringWidth(part) <= width;
  const lines: string[] = [];
  // The spaces before a part stay, unless a break takes their place.
  for (const [, space = "", part = ""] of text.matchAll(PARTS)) {
    const words = fits(part) ? [part] : part.split(" ");
    for (const [index, word] of words.entries()) {
      const longer = `${lines.at(-1) ?? ""}${index === 0 ? space : " "}${word}`;
      if (lines.length > 0 && fits(longer)) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
  }
  return lines.length === 0 ? [""] : lines;
}
