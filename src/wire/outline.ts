import { viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";

/** A shorter frame is parsed as soon as it is looked through. */
const LONG_FRAME_CHARACTERS = 2048;
/** A string is left out from here on: what is said and done is as long, ids and names are not. */
const LONG_STRING_CHARACTERS = 1024;
/** Quotes that are looked at. A frame of more is one of many short strings, and is parsed as it is. */
const MAX_QUOTES = 64;

/**
 * What a frame is, for whoever relays it: `viewFrame`, but for the long texts in a call of a tool and in an answer, in whose
 * place is an empty string. Most of what it costs to look at a long frame is the copy of such a text, and then the memory
 * that is given back and asked for again. What is wrong within a long text is not noticed. Never throws.
 */
export function outlineFrame(text: string): FrameView {
  const outline = text.length < LONG_FRAME_CHARACTERS ? undefined : withoutLongStrings(text);
  const view = outline === undefined ? undefined : viewFrame(outline);
  return view && isEnough(view) ? view : viewFrame(text);
}

/** What else a client says may have to be said again to another server, and an id can be as long as anything. */
function isEnough(view: FrameView): boolean {
  const isCall = view.kind === "request" && view.method === "tools/call";
  return (isCall || view.kind === "response") && view.id !== "";
}

/** Undefined where that would take long, or the text is no JSON. */
function withoutLongStrings(text: string): string | undefined {
  let outline = "";
  let kept = 0;
  let start = -1;
  let quotes = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) {
    quotes += 1;
    if (quotes > MAX_QUOTES) return undefined;
    if (start === -1) start = at;
    else if (!isEscaped(text, at)) {
      if (at - start > LONG_STRING_CHARACTERS) {
        outline += text.slice(kept, start + 1);
        kept = at;
      }
      start = -1;
    }
  }
  return start === -1 ? outline + text.slice(kept) : undefined;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === "\\") backslashes += 1;
  return backslashes % 2 === 1;
}
