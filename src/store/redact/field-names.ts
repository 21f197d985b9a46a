import { isAlnum } from "./alphabets.ts";
import { isNameCharacter } from "./credentials.ts";
import { MAX_NAME_CHARACTERS, secretName } from "./names.ts";
import { MAX_SPACES, isBlank } from "./value-bounds.ts";

/** Quotation marks, backslashes and brackets between a name and its sign, at most. */
const MAX_MARKS = 10;
/** Length of the longest type below. */
const MAX_TYPE_CHARACTERS = 11;

const types = new Set([
  "string",
  "str",
  "String",
  "any",
  "char",
  "text",
  "std::string",
  "SecretStr",
  "Final",
  "Text",
  "bytes",
]);

/** A field's name: its text, and where it begins. */
export interface Name {
  text: string;
  start: number;
  isQuoted: boolean;
}

/** Words that name a secret only with the word before: `API key`, `pass phrase`. */
export function isHalf(name: string): boolean {
  return /^(?:keys?|codes?|phrase|secret|passe)$/i.test(name);
}

/** `Secret Access Key: …` has a name of several words. */
export function withWordsBefore(text: string, name: Name): Name {
  const end = name.start + name.text.length;
  let start = name.start;
  for (let words = 0; words < 2 && text[start - 1] === " " && isAlnum(text.charCodeAt(start - 2)); words++) {
    start -= 1;
    while (start > 0 && isNameCharacter(text.charCodeAt(start - 1)) && end - start < MAX_NAME_CHARACTERS) start -= 1;
    const whole = text.slice(start, end);
    const kind = secretName(whole)?.kind;
    if (kind !== undefined && kind !== "weak") return { ...name, text: whole, start };
  }
  return name;
}

/** `Unseal Key 2: …` is numbered. */
export function behindNumber(text: string, name: Name): Name {
  if (!/^\d{1,2}$/.test(name.text) || text[name.start - 1] !== " ") return name;
  const before = nameBefore(text, name.start);
  return before !== undefined && isHalf(before.text) ? withWordsBefore(text, before) : name;
}

/** The name that ends before `at`, behind spaces, quotation marks and brackets. */
export function nameBefore(text: string, at: number): Name | undefined {
  let end = at;
  const spaces = Math.max(0, at - MAX_SPACES);
  while (end > spaces && isBlank(text.charCodeAt(end - 1))) end -= 1;
  // `AWS Secret Access Key [None]: …`, a question with its default.
  if (text.startsWith(" [None]", end - 7)) end -= 7;
  // `Password (for the first login): …`
  if (text.charCodeAt(end - 1) === 41)
    end -= /(?<=\w) \([^()\n]{1,60}\)$/.exec(text.slice(Math.max(0, end - 80), end))?.[0].length ?? 0;
  // `NAME ||= …` and `NAME ??= …`.
  if (/^(?:\|\||\?\?)$/.test(text.slice(end - 2, end))) {
    end -= 2;
    while (end > spaces && isBlank(text.charCodeAt(end - 1))) end -= 1;
  }
  // `NAME ?= …`, of make.
  if (text.charCodeAt(end - 1) === 63 && text.charCodeAt(end - 2) === 32) end -= 2;
  let isQuoted = false;
  for (const marks = Math.max(0, end - MAX_MARKS); end > marks; end--) {
    const code = text.charCodeAt(end - 1);
    if (isQuote(code)) isQuoted = true;
    else if (!isClosing(code)) break;
  }
  const least = Math.max(0, end - MAX_NAME_CHARACTERS);
  let start = end;
  while (start > least && isNameCharacter(text.charCodeAt(start - 1))) start -= 1;
  while (start < end && !isAlnum(text.charCodeAt(start)) && text.charCodeAt(start) !== 95) start += 1;
  if (end === start) return undefined;
  const before = text.charCodeAt(start - 1);
  // The last part of a path or of a resource's name, `arn:aws:…:secret:…`, is no name; behind a file's name in what grep
  // prints it is.
  if (isQuoted && before === 47) return undefined;
  if (before === 58 && isAlnum(text.charCodeAt(start - 2)) && text[at] !== "=" && !isBehindPlace(text, start))
    return undefined;
  // After a backslash, `n` and `t` end a line; they are no part of the name.
  if (before === 92 && /[nrt]/.test(text[start] ?? "") && end - start > 2) start += 1;
  return behindType(text, { text: text.slice(start, end), start, isQuoted });
}

/** `"`, `'` or a backtick. */
export function isQuote(code: number): boolean {
  return code === 34 || code === 39 || code === 96;
}

/** Signs that may stand between a name and its sign: `\`, `]`, `?`, `!`, `*`, `)`. */
function isClosing(code: number): boolean {
  return code === 92 || code === 93 || code === 63 || code === 33 || code === 42 || code === 41;
}

/** `$env:NAME`, of PowerShell, and `.env:14:NAME`, of grep. */
function isBehindPlace(text: string, start: number): boolean {
  return /\$[eE]nv:$|:\d{1,6}:$/.test(text.slice(Math.max(0, start - 8), start));
}

/** In `password: string = "…"` the name stands before the type. */
function behindType(text: string, name: Name): Name | undefined {
  if (name.text.length > MAX_TYPE_CHARACTERS || !types.has(name.text)) return name;
  const before =
    /(?:\b(?:param|var|const) |(?=[\w$]{2,60}[?!]?:))([\w$]{2,60})(?:[?!]?:\s?&?(?:'static )?(?:Optional\[|Final\[)?| )$/.exec(
      text.slice(Math.max(0, name.start - MAX_NAME_CHARACTERS), name.start),
    );
  return before?.[1] === undefined ? name : { ...name, text: before[1] };
}
