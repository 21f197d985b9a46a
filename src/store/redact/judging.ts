import { alphabets, isAlnum, isDigit } from "./alphabets.ts";
import { authorization, cookies, headerEnd } from "./credentials.ts";
import { NAMED } from "./cuts.ts";
import type { Name } from "./field-names.ts";
import type { SecretName } from "./names.ts";
import type { Scan, Value } from "./scan.ts";
import { MAX_SPACES, quotedValue, valueAfter } from "./value-bounds.ts";
import { isMixed, isRandom, looksSecret } from "./values.ts";

/** Parts of one value without spaces that are judged: each follows a name and a sign in it. */
const MAX_JUDGED_PARTS = 4;
/** Longest list or object behind a secret's name that is looked through. */
export const MAX_CONTAINER_CHARACTERS = 8192;

/** The value of a field with this name is cut if it looks secret. */
export function judge(scan: Scan, name: SecretName, value: Value, field?: Name): void {
  const { text, cuts } = scan;
  if (text.startsWith("[redacted", value.start)) return;
  if (name.kind === "cookie")
    return cookies(scan, value.start, value.isQuoted ? value.end : headerEnd(scan, value.start));
  if (name.kind === "authorization") return authorization(scan, value);
  const inner = field === undefined ? undefined : behindUser(text, field, value);
  if (inner !== undefined) return judgeData(scan, { ...name, kind: "password" }, inner);
  if (!value.isQuoted && /[[{(]/.test(text[value.start] ?? "")) return container(scan, name, value.start);
  // `a=a=a=…` is one value, of which each end would be judged.
  if (!value.isQuoted && value.start < scan.bare.end && (scan.bare.judged += 1) > MAX_JUDGED_PARTS) return;
  const isTight = field !== undefined && value.start - (field.start + field.text.length) <= 1;
  const isData = isTight && (isProperty(text, field, value) || isArgument(text, field, value));
  const setting = { isQuoted: value.isQuoted, isTight, isData };
  if (text.startsWith("- ", value.start - 2) && text.lastIndexOf("\n", value.start) > (field?.start ?? value.start))
    return yamlList(scan, name, value.start - 2);
  if (looksSecret(text.slice(value.start, value.end), name, setting)) cuts.add(value.start, value.end, NAMED);
  else if (isInAddress(text, field) && isRandom(text.slice(value.start, value.end)) && value.end - value.start >= 20)
    cuts.add(value.start, value.end, NAMED);
}

/** `credentials: anna:…`, `NEO4J_AUTH=neo4j/…`: the password behind its user. */
function behindUser(text: string, field: Name, value: Value): Value | undefined {
  if (!/cred(?:s|ential)|_AUTH$/i.test(field.text)) return undefined;
  const found = /^[\w.@-]{1,60} ?[:/] ?(?!\/)(?=\S{4})/.exec(
    text.slice(value.start, Math.min(value.end, value.start + 80)),
  );
  if (found === null || /[/:]/.test(text.slice(value.start + found[0].length, value.end))) return undefined;
  const start = value.start + found[0].length;
  return isMixed(text.slice(start, value.end)) ? { ...value, start } : undefined;
}

/** Whether a field is a line of a file of properties: `signing.password=…`. */
function isProperty(text: string, name: Name, value: Value): boolean {
  if (!name.text.includes(".") || /^(?:this|self)\./.test(name.text) || text[value.start - 1] !== "=") return false;
  return /^[\n\r]?$/.test(text[name.start - 1] ?? "") && /^[\n\r]?$/.test(text[value.end] ?? "");
}

/** Whether a field is an argument of a command or a parameter: `--password=…`, `-Dpassword=…`, `&password=…`. */
function isArgument(text: string, name: Name, value: Value): boolean {
  if (text[value.start - 1] !== "=" || name.isQuoted) return false;
  return /^(?:-{1,2}|[?&])$/.test(text.slice(name.start - 1, name.start)) || text.startsWith("--", name.start - 2);
}

/** Whether a field is a parameter of an address. */
export function isInAddress(text: string, name: Name | undefined): boolean {
  return name !== undefined && (text[name.start - 1] === "?" || text[name.start - 1] === "&");
}

/** The value of a pair, an argument or a cell: never prose, and rarely code. */
export function judgeData(scan: Scan, name: SecretName, value: Value): void {
  if (name.kind === "cookie" || name.kind === "authorization" || scan.text.startsWith("[redacted", value.start))
    return judge(scan, name, value);
  if (
    looksSecret(scan.text.slice(value.start, value.end), name, {
      isQuoted: value.isQuoted,
      isTight: false,
      isData: true,
    })
  )
    scan.cuts.add(value.start, value.end, NAMED);
}

export function nextSign(text: string, from: number): string {
  let at = from;
  while (at < from + MAX_SPACES && /[\s"'`\\]/.test(text[at] ?? "")) at += 1;
  return text[at] ?? "";
}

/** Cuts what is secret in a list or an object behind a secret's name: `"tokens": ["…", "…"]`, `"password": {"db": "…"}`. */
function container(scan: Scan, name: SecretName, start: number): void {
  if (start < scan.containerEnd) return;
  const { text } = scan;
  const limit = Math.min(text.length, start + MAX_CONTAINER_CHARACTERS);
  if (
    text[start] === "(" ||
    /^\{\s*\\*["']?(?:type|\$ref|description|anyOf|oneOf|title|format|minLength|maxLength)\b/.test(
      text.slice(start, start + 60),
    )
  )
    return;
  // A key as the list of its bytes.
  const bytes = /^\[\s{0,9}\d{1,3}(?:,\s{0,9}\d{1,3}){31,127}\s{0,9}\]/.exec(
    text.slice(start, Math.min(limit, start + 1700)),
  );
  if (bytes !== null && name.kind !== "weak") {
    scan.cuts.add(start, start + bytes[0].length, NAMED);
    scan.containerEnd = start + bytes[0].length;
    return;
  }
  let depth = 0;
  let at = start;
  for (; at < limit; at++) {
    const sign = text[at] ?? "";
    if (sign === "[" || sign === "{") depth += 1;
    else if (sign === "]" || sign === "}") depth -= 1;
    else if (sign === '"' || sign === "'" || sign === "\\") {
      const value = quotedValue(text, at);
      if (value === undefined) continue;
      if (nextSign(text, value.end) !== ":")
        judge(scan, name.kind === "basic" ? { ...name, kind: "weak" } : name, value);
      at = closing(text, value.end);
      continue;
    } else if (isDigit(text.charCodeAt(at)) && !isAlnum(text.charCodeAt(at - 1))) {
      const end = scan.runs.end(alphabets.digit, at);
      if (end - at >= 4 && (name.kind === "password" || name.kind === "pin") && /[\s,\]}]/.test(text[end] ?? ","))
        scan.cuts.add(at, end, NAMED);
      at = end - 1;
    } else if (isAlnum(text.charCodeAt(at)) && /[\s,[]/.test(text[at - 1] ?? "")) {
      // In YAML the items of a list need no quotation marks.
      let end = scan.runs.end(alphabets.credential, at);
      while (/[!?#^&*]/.test(text[end] ?? "")) end += 1;
      if (/[\s,\]}]/.test(text[end] ?? "")) judge(scan, name, { start: at, end, isQuoted: false });
      at = Math.max(at, end - 1);
    }
    if (depth === 0) break;
  }
  scan.containerEnd = at;
}

/** Cuts what is secret in the lines of a list in YAML, of which the first begins at `start`. */
function yamlList(scan: Scan, name: SecretName, start: number): void {
  if (start < scan.containerEnd) return;
  const { text } = scan;
  const limit = Math.min(text.length, start + MAX_CONTAINER_CHARACTERS);
  let at = start;
  while (at < limit && text.startsWith("- ", at)) {
    const value = valueAfter(scan, at + 2, 0);
    if (value === undefined) break;
    if (!value.isQuoted && text[value.end] === ":") break;
    judge(scan, name, value);
    const next = /^["'`]?[^\S\n]{0,40}\n[ \t]{0,40}/.exec(text.slice(value.end, value.end + 100));
    if (next === null) break;
    at = value.end + next[0].length;
  }
  scan.containerEnd = Math.max(scan.containerEnd, at);
}

/** The last character of a quotation mark with its backslashes. */
function closing(text: string, end: number): number {
  let at = end;
  while (text[at] === "\\") at += 1;
  return at;
}
