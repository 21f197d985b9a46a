import type { Scan, Value } from "./scan.ts";
import { isMixed } from "./values.ts";

// Where the value of a field begins and ends.

/** Spaces between a name, its sign and its value, at most. */
export const MAX_SPACES = 24;
/** Longest value in quotes; the limit bounds the search for the quotation mark that closes it. */
const MAX_QUOTED_CHARACTERS = 16_384;

/** A space or a tab. */
export function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** The value behind the sign before `from`: in quotes, or as far as it goes. */
export function valueAfter(scan: Scan, from: number, sign: number): Value | undefined {
  const { text } = scan;
  let at = from;
  const isComparison = sign === 61 && text[at] === "=";
  while (at < from + 2 && /[=:>~]/.test(text[at] ?? "")) at += 1;
  const beforeSpaces = at;
  while (at < beforeSpaces + MAX_SPACES && isBlank(text.charCodeAt(at))) at += 1;
  if (sign === 58 || sign === 44 || sign === 61 || text[at] === "\\") at = behindLineEnd(text, at);
  // The tag of a text in YAML, the end of a bold name in Markdown, and a text as Go prints it.
  at +=
    /^(?:!!str |\*\* ?|\(string\) \(len=\d{1,5}\) |string\(\d{1,5}\) )/.exec(text.slice(at, at + 24))?.[0].length ?? 0;
  const value = quotedValue(text, at);
  if (value !== undefined || isComparison) return value;
  if (/[,;)\]}]/.test(text[at] ?? "")) return undefined;
  return bareValue(scan, at);
}

/** A value on the next line: in YAML behind `|` or `>`, in lists behind a comma, in shells behind a backslash. */
function behindLineEnd(text: string, at: number): number {
  const found = /^(?:[|>][+-]?)?\\?\r?\n[ \t]{1,40}(?:- )?/.exec(text.slice(at, at + 60));
  const block =
    found !== null &&
    (/^[|>]|- $/.test(found[0]) ||
      /^(?:["'`[]|string\(\d)/.test(text.slice(at + found[0].length, at + found[0].length + 9)));
  return block ? at + found[0].length : at;
}

/** Quotation marks of JSON in JSON have backslashes before them: one, three, seven. */
const quotedStart =
  /^(?:<<|[bBfFnNrRuU@$]{0,2}|(?:Some|String|str|SecretStr|Secret|bytes|Buffer\.from|from|to_owned|sensitive|SecretString::new|SecretString|String::from)\()((?:\\{1,7})?)(?:("""|'''|["'`]))/;

/** The value in the quotation marks at `at`; undefined where none are, or none close it. */
export function quotedValue(text: string, at: number): Value | undefined {
  const first = text[at] ?? "";
  if (!/["'`\\bBfFnNrRuU@$SsCt<]/.test(first)) return undefined;
  const found = quotedStart.exec(text.slice(at, at + 30));
  if (found === null) return undefined;
  const start = at + found[0].length;
  const end = quoteEnd(text, start, found[2] ?? "", found[1]?.length ?? 0);
  return end === undefined ? undefined : { start, end, isQuoted: true };
}

/** Where a quotation ends: at the mark that opened it, with as many backslashes before it. */
function quoteEnd(text: string, start: number, quote: string, backslashes: number): number | undefined {
  const limit = Math.min(text.length, start + MAX_QUOTED_CHARACTERS);
  const sign = quote.charCodeAt(0);
  let before = 0;
  for (let at = start; at < limit; at++) {
    const code = text.charCodeAt(at);
    if (code === 92) {
      before += 1;
      continue;
    }
    if (code === sign && (backslashes === 0 ? before % 2 === 0 : before <= backslashes) && text.startsWith(quote, at))
      return at - (backslashes === 0 ? 0 : before);
    if (code === 10 && quote.length === 1 && before === 0) return undefined;
    before = 0;
  }
  return undefined;
}

function bareValue(scan: Scan, at: number): Value | undefined {
  const code = scan.text.charCodeAt(at);
  if (Number.isNaN(code) || code <= 32) return undefined;
  if (code === 91 || code === 123 || code === 40) return { start: at, end: at + 1, isQuoted: false };
  let end = bareEnd(scan, at);
  while (end > at && /[.,;:)\]}!?]/.test(scan.text[end - 1] ?? "") && !isBalanced(scan.text, at, end)) end -= 1;
  return end > at ? { start: at, end, isQuoted: false } : undefined;
}

/** A password may end with `!` or `?`; a sentence ends so behind a word. */
function isBalanced(text: string, start: number, end: number): boolean {
  return /[!?]/.test(text[end - 1] ?? "") && isMixed(text.slice(start, Math.min(end, start + 100)));
}

/** Where a value without quotes ends: at a space or quotation mark, or at a sign behind which another field begins. */
export function bareEnd(scan: Scan, from: number): number {
  const { text, bare } = scan;
  if (from >= bare.start && from < bare.end) return bare.end;
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (
      code <= 32 ||
      code === 34 ||
      code === 39 ||
      code === 96 ||
      code === 60 ||
      code === 62 ||
      code === 92 ||
      code === 124
    )
      break;
    if ((code === 44 || code === 59 || code === 38) && endsValue(text, at)) break;
  }
  scan.bare = { start: from, end: at, judged: 0 };
  return at;
}

/** Whether `,`, `;` or `&` ends a value: at the end of a word, or before the name of another field. */
function endsValue(text: string, at: number): boolean {
  const next = text.charCodeAt(at + 1);
  if (Number.isNaN(next) || next <= 32 || next === 38 || next === 34 || next === 39 || next === 92) return true;
  return /^[.;,&\w -]{0,40}[=:]/.test(text.slice(at + 1, at + 42));
}
