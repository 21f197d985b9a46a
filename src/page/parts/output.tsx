import { useState } from "preact/hooks";
import { visible } from "../../visible.ts";
import { ansiRuns, hasAnsi } from "./ansi.ts";
import { CopyButton } from "./copy-button.tsx";
import { JsonTree } from "./json-tree.tsx";
import { counted } from "./time.tsx";

/** Lines and characters of an output that are shown at first: a screen or two. */
const FIRST_LINES = 60;
const FIRST_CHARACTERS = 8000;
/** Characters that each further step shows: more than this at once would hold up the page. */
const STEP_CHARACTERS = 200_000;
/** Longer texts are not tried as JSON. */
const LONGEST_JSON = 300_000;

/** What a tool gave back: JSON as a tree, anything else as text with the colours of a terminal. */
export function Output({ text }: { text: string }) {
  const json = parsedJson(text);
  return json === undefined ? <TextOutput text={text} /> : <JsonTree value={json.value} text={text} />;
}

/** A text of any length in the shape of a terminal; a long one is shown in steps. */
export function TextOutput({ text }: { text: string }) {
  const [most, setMost] = useState(FIRST_CHARACTERS);
  const end = most === FIRST_CHARACTERS ? beginning(text) : Math.min(text.length, most);
  const shown = text.slice(0, end);
  return (
    <div class="code-box">
      <pre class="code wrapped" dir="auto" tabIndex={0}>
        {hasAnsi(shown)
          ? ansiRuns(shown).map(({ text: run, classes, color, background }, index) => (
              <span key={index} class={classes.join(" ")} style={{ color, backgroundColor: background }}>
                {run}
              </span>
            ))
          : visible(shown)}
      </pre>
      <CopyButton text={() => text} />
      {end < text.length && (
        <button type="button" class="more" onClick={() => setMost(end + STEP_CHARACTERS)}>
          Show more: {counted(text.length - end, "character")} below
        </button>
      )}
    </div>
  );
}

function beginning(text: string): number {
  let end = -1;
  for (let line = 0; line < FIRST_LINES; line += 1) {
    end = text.indexOf("\n", end + 1);
    if (end === -1) return Math.min(text.length, FIRST_CHARACTERS);
  }
  return Math.min(end, FIRST_CHARACTERS);
}

/** An object or a list; a lone number or string is as good as text. */
function parsedJson(text: string): { value: object } | undefined {
  if (!/^\s{0,20}[[{]/.test(text) || text.length > LONGEST_JSON) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { value } : undefined;
  } catch {
    return undefined;
  }
}
