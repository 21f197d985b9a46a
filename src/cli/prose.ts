/** Longer lines of prose are hard to read, however wide the terminal is. */
export const READABLE_COLUMNS = 100;

/** A command to copy behind a colon, up to the end of its clause; else a word. */
const PARTS = /( *)((?<=: )[^ ]*dewey (?:[^;,().\n]|\.(?=\S))*[^;,().\s][;,).]*|[^ ]+)/g;

/** Characters on a line of stdout: those that are readable on a terminal, all for programs. */
export function proseWidth(): number {
  const { isTTY, columns } = process.stdout;
  return isTTY && columns > 0 ? Math.min(columns, READABLE_COLUMNS) : Infinity;
}

/** Sentences for stdout: broken between words on a terminal, whole for programs. */
export function prose(text: string): string {
  const width = proseWidth();
  return width === Infinity ? text : wrapped(text, width);
}

/** Explanations narrower than this stand below their terms. */
const LEAST_EXPLANATION = 20;

/**
 * Lines with terms and their explanations side by side. A term longer than `longest` stands on a line of its own where its
 * explanation would be broken beside it, so that the others keep enough room.
 */
export function explained(rows: readonly (readonly [string, string])[], width: number, longest: number): string[] {
  const fitting = rows.map(([term]) => term.length).filter((length) => length <= longest);
  const widest = Math.max(...fitting, 0);
  const beside = widest + 4;
  const indent = " ".repeat(width - beside < LEAST_EXPLANATION ? 4 : beside);
  return rows.flatMap(([term, text]) => {
    const whole = `  ${term.padEnd(widest)}  ${text}`;
    if (term.length <= longest && indent.length === beside) {
      const [first = "", ...more] = wrapped(text, width - beside).split("\n");
      return [`  ${term.padEnd(widest)}  ${first}`, ...more.map((line) => indent + line)];
    }
    if (width === Infinity) return [whole];
    return [
      `  ${term}`,
      ...wrapped(text, width - indent.length)
        .split("\n")
        .map((line) => indent + line),
    ];
  });
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
