import { viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";

/** Shorter frames are parsed whole: that is as fast as searching them for long strings. */
const LONG_FRAME_CHARACTERS = 2048;
/** Longer strings are left out: contents are this long, ids and names are not. */
const LONG_STRING_CHARACTERS = 1024;
/** A frame with more quotes consists of many short strings and is parsed whole. */
const MAX_QUOTES = 64;

/**
 * `viewFrame` for relays: long strings in tool calls and responses are replaced by empty ones. Most of the cost of parsing a
 * long frame is copying such strings and collecting them again. Errors inside a long string are not noticed. Never throws.
 */
export function outlineFrame(text: string): FrameView {
  const outline = text.length < LONG_FRAME_CHARACTERS ? undefined : withoutLongStrings(text);
  const view = outline === undefined ? undefined : viewFrame(outline);
  return view && isEnough(view) ? view : viewFrame(text);
}

/** A line has this many characters at its beginning or end in which a message nearly always names its protocol. */
const MESSAGE_EDGE_CHARACTERS = 300;
const FIRST_FIELDS = /^\s*\{\s*(?:"id"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,\s*)?"jsonrpc"\s*:/;
const LAST_FIELDS = /"jsonrpc"\s*:\s*"2\.0"\s*(?:,\s*"id"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*)?\}\s*$/;

/**
 * Whether a line is a JSON-RPC message, or a batch with one: JSON without the field `jsonrpc` is a program's own output, such
 * as its log. Parses only lines whose first and last fields do not tell. An unfinished message counts as one.
 */
export function isMessage(line: string): boolean {
  if (FIRST_FIELDS.test(line.slice(0, MESSAGE_EDGE_CHARACTERS))) return true;
  if (/^\s*\{/.test(line) && LAST_FIELDS.test(line.slice(-MESSAGE_EDGE_CHARACTERS))) return true;
  if (!line.includes('"jsonrpc"')) return false;
  const view = outlineFrame(line);
  const messages = view.kind === "batch" ? view.messages : [view];
  return messages.some((each) => "message" in each && "jsonrpc" in each.message);
}

/** Other messages are needed whole, to replay them to another upstream; and an id may itself be a long string. */
function isEnough(view: FrameView): boolean {
  const isCall = view.kind === "request" && view.method === "tools/call";
  return (isCall || view.kind === "response") && view.id !== "";
}

/** Undefined when there are too many quotes, or a string does not end. */
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
