import { diffLines } from "diff";
import { useMemo } from "preact/hooks";
import { visible } from "../../visible.ts";

/** Longer texts are shown one after the other: comparing them would hold up the page. */
const LONGEST_COMPARED = 100_000;
const LONGEST_MS = 200;
/** Lines around a change that are shown. */
const CONTEXT_LINES = 3;
/** Lines of a part that are shown. */
const MOST_LINES = 300;

interface DiffLine {
  sign: "+" | "-" | " " | "…";
  text: string;
}

/** A text and what an edit made of it, line by line. */
export function EditDiff({ before, after }: { before: string; after: string }) {
  const lines = useMemo(() => linesOf(before, after), [before, after]);
  return (
    <div class="code diff" role="group" aria-label="Changes" tabIndex={0} dir="ltr">
      {lines.map(({ sign, text }, index) => (
        <div key={index} class={`diff-line ${classes[sign]}`}>
          <span class="diff-sign">{sign === " " ? "" : sign}</span>
          {visible(text)}
        </div>
      ))}
    </div>
  );
}

const classes = { "+": "diff-added", "-": "diff-removed", " ": "", "…": "quiet" };

function linesOf(before: string, after: string): DiffLine[] {
  const parts =
    before.length + after.length > LONGEST_COMPARED ? undefined : diffLines(before, after, { timeout: LONGEST_MS });
  if (parts === undefined) return [...signed("-", before), ...signed("+", after)];
  return parts.flatMap(({ added, removed, value }, index) => {
    if (added) return signed("+", value);
    if (removed) return signed("-", value);
    return unchanged(value, index === 0, index === parts.length - 1);
  });
}

function split(text: string): string[] {
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

function signed(sign: "+" | "-", text: string): DiffLine[] {
  const lines = split(text);
  const shown = lines.slice(0, MOST_LINES).map((line): DiffLine => ({ sign, text: line }));
  const more = lines.length - shown.length;
  return more > 0 ? [...shown, { sign: "…", text: `${more} more lines` }] : shown;
}

function unchanged(text: string, isFirst: boolean, isLast: boolean): DiffLine[] {
  const lines = split(text);
  const head = isFirst ? 0 : CONTEXT_LINES;
  const tail = isLast ? 0 : CONTEXT_LINES;
  const same = (line: string): DiffLine => ({ sign: " ", text: line });
  if (lines.length <= head + tail + 1) return lines.map(same);
  const left = lines.length - head - tail;
  return [
    ...lines.slice(0, head).map(same),
    { sign: "…", text: `${left} unchanged lines` },
    ...lines.slice(lines.length - tail).map(same),
  ];
}
