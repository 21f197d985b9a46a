import { isLetter } from "./alphabets.ts";
import { isNameCharacter } from "./credentials.ts";
import { NAMED } from "./cuts.ts";
import { elementContent, formContent } from "./elements.ts";
import { behindNumber, isHalf, isQuote, nameBefore, withWordsBefore } from "./field-names.ts";
import type { Name } from "./field-names.ts";
import { MAX_CONTAINER_CHARACTERS, isInAddress, judge, judgeData, nextSign } from "./judging.ts";
import { secretData } from "./kubernetes.ts";
import { MAX_NAME_CHARACTERS, pairPart, secretName } from "./names.ts";
import type { SecretName } from "./names.ts";
import { MAX_PAIR_DISTANCE } from "./scan.ts";
import type { Scan, Value } from "./scan.ts";
import { bareEnd, quotedValue, valueAfter } from "./value-bounds.ts";
import { isMixed, isRandom } from "./values.ts";

/** Distance of a JSON Web Key's members from its type: the modulus of an RSA key stands between them. */
const MAX_KEY_DISTANCE = 2000;

/** Looks at the field whose name ends before the sign at `at` (`:` or `=`), and cuts its value, behind it, if it is a secret. */
export function field(scan: Scan, at: number, behind = at + 1): void {
  const last = nameBefore(scan.text, at);
  if (last === undefined) return;
  // What `go test` says of a test that passed.
  if (last.text === "PASS" && scan.text.startsWith("--- ", last.start - 4)) return;
  const name = isHalf(last.text) ? withWordsBefore(scan.text, last) : behindNumber(scan.text, last);
  const verdict = secretName(name.text);
  const part = verdict === undefined ? pairPart(name.text) : undefined;
  if (verdict === undefined && part === undefined) {
    if (name.text === "data" || name.text === "stringData") return secretData(scan, at);
    return jsonWebKey(scan, at, name);
  }
  const value = valueAfter(scan, behind, scan.text.charCodeAt(at));
  if (value === undefined) {
    if (verdict?.isPlural === true) section(scan, verdict, behind);
    // Its value may be one of the fields below: `DbPassword:`, `Type: String`, `Default: …`.
    else if (verdict !== undefined && /^[ \t]{0,9}\r?\n/.test(scan.text.slice(behind, behind + 12)))
      scan.pairName = { name: verdict, end: behind, isAbove: true };
    return;
  }
  if (verdict !== undefined) {
    judge(scan, verdict, value, name);
    const next = changed(scan.text, value) ?? otherwise(scan.text, value);
    if (next !== undefined) judge(scan, verdict, next, name);
  } else if (part !== undefined) {
    jsonWebKey(scan, at, name);
    pair(scan, part, value, name);
  }
}

/** `"old" -> "new"`: what a plan of Terraform changes a value to. */
function changed(text: string, { end, isQuoted }: Value): Value | undefined {
  if (!isQuoted || !text.startsWith(" -> ", end + 1)) return undefined;
  return quotedValue(text, end + 5);
}

/** `process.env.PASSWORD || "…"`: the value that holds where another is not set. */
function otherwise(text: string, { start, isQuoted }: Value): Value | undefined {
  if (isQuoted) return undefined;
  const found = /^[^\n]{1,100}?(?:\|\||\?\?|\bor)\s{1,4}(?=["'`])/.exec(text.slice(start, start + 120));
  return found === null ? undefined : quotedValue(text, start + found[0].length);
}

/** `[api_keys]`, the head of a section whose fields are all secrets, by its bracket. */
export function sectionHead(scan: Scan, bracket: number): void {
  if (!/^[\n\r]?$/.test(scan.text[bracket - 1] ?? "")) return;
  const found = /^\[([\w.-]{3,60})\](?=[ \t]{0,20}\r?\n)/.exec(scan.text.slice(bracket, bracket + 90));
  const name = found?.[1] === undefined ? undefined : secretName(found[1]);
  if (found !== null && name?.isPlural === true) section(scan, name, bracket + found[0].length);
}

/** Cuts the secrets of the lines `name: …` or `name = …` behind the plural of a secret's name, as far as they are indented alike. */
function section(scan: Scan, name: SecretName, from: number): void {
  const { text } = scan;
  const indent = /^[ \t]{0,20}\r?\n([ \t]{0,40})(?=[\w"'])/.exec(text.slice(from, from + 70));
  if (indent === null || from < scan.containerEnd) return;
  let at = from + indent[0].length;
  for (const limit = from + MAX_CONTAINER_CHARACTERS; at < limit;) {
    const line = /^["']?[\w.-]{1,80}["']?[ \t]{0,9}([:=])/.exec(text.slice(at, at + 100));
    if (line === null) break;
    const value = valueAfter(scan, at + line[0].length, 0);
    if (value !== undefined && (value.isQuoted || !/[[{(]/.test(text[value.start] ?? ""))) judge(scan, name, value);
    const newline = text.indexOf("\n", value?.end ?? at);
    if (newline === -1 || newline > limit || !text.startsWith(indent[1] ?? "", newline + 1)) break;
    at = newline + 1 + (indent[1]?.length ?? 0);
  }
  scan.containerEnd = Math.max(scan.containerEnd, at);
}

/** Cuts the private members of a JSON Web Key, whose names are short: `{"kty": "EC", "d": "…"}`. */
function jsonWebKey(scan: Scan, at: number, name: Name): void {
  if (!name.isQuoted || !/^(?:[dpqk]|d[pq]|qi)$/.test(name.text)) return;
  const value = valueAfter(scan, at + 1, 58);
  if (
    value?.isQuoted !== true ||
    value.end - value.start < 32 ||
    !/^[\w+/=-]+$/.test(scan.text.slice(value.start, value.end))
  )
    return;
  const near = scan.text.slice(Math.max(0, name.start - MAX_KEY_DISTANCE), value.end + MAX_KEY_DISTANCE);
  if (/\\*"kty\\*"/.test(near)) scan.cuts.add(value.start, value.end, "private key");
}

/** `?key=…`, `&code=…`, `&sig=…`: names that are secrets in addresses only. */
export function parameter(scan: Scan, at: number): void {
  const name = nameBefore(scan.text, at);
  if (name === undefined || !isInAddress(scan.text, name)) return;
  const end = bareEnd(scan, at + 1);
  const value = scan.text.slice(at + 1, Math.min(end, at + 300));
  if (/^(?:sig|X-(?:Amz|Goog)-(?:Signature|Security-Token)|Signature)$/.test(name.text)) {
    if (value.length >= 16 && !value.startsWith("[")) scan.cuts.add(at + 1, end, "signed address");
  } else if (
    /^(?:key|code|k|appid|ticket|otp|state_token|assertion)$/.test(name.text) &&
    value.length >= 20 &&
    isMixed(value) &&
    isRandom(value)
  ) {
    scan.cuts.add(at + 1, end, NAMED);
  }
}

/** `{"name": "password", "value": "…"}`: the first field names what the second one holds, in either order. */
function pair(scan: Scan, part: "name" | "value", value: Value, field: Name): void {
  if (part === "value") {
    scan.pairValue = value;
    const known = scan.pairName;
    if (known === undefined || field.start - known.end > MAX_PAIR_DISTANCE || field.start < known.end) return;
    if (/[{}]/.test(scan.text.slice(known.end, field.start))) return;
    if (known.isAbove === true && !isMixed(scan.text.slice(value.start, Math.min(value.end, value.start + 300))))
      return;
    return judgeData(scan, known.name, value);
  }
  const name = secretName(scan.text.slice(value.start, Math.min(value.end, value.start + MAX_NAME_CHARACTERS + 1)));
  if (name === undefined) {
    scan.pairName = undefined;
    return;
  }
  scan.pairName = { name, end: value.end };
  const content = formContent(scan.text, value.end) ?? elementContent(scan.text, value.end);
  if (content !== undefined) return judgeData(scan, name, content);
  const before = scan.pairValue;
  if (before === undefined || before.end > field.start || field.start - before.end > MAX_PAIR_DISTANCE) return;
  if (!/[{}]/.test(scan.text.slice(before.end, field.start))) judgeData(scan, name, before);
}

/** `["x-api-key", "…"]`, `("password", "…")`, `"--password", "…"`: by the comma between them. */
export function listPair(scan: Scan, comma: number): void {
  if (!isQuote(scan.text.charCodeAt(comma - 1))) return;
  const name = nameBefore(scan.text, comma);
  if (name === undefined || !name.isQuoted) return;
  const verdict = secretName(name.text.replace(/^-+/, ""));
  if (verdict === undefined) return;
  const value = valueAfter(scan, comma + 1, 44);
  if (value?.isQuoted !== true) return;
  const next = nextSign(scan.text, value.end);
  // A list of names has another name there, and an object's next field a colon behind its name.
  const second = scan.text.slice(value.start, Math.min(value.end, value.start + MAX_NAME_CHARACTERS + 1));
  if (next === ":" || (/^[\w.$ -]+$/.test(second) && secretName(second) !== undefined)) return;
  if (name.text.startsWith("-") || scan.text[name.start - 1] === "-") judgeData(scan, verdict, value);
  else judge(scan, verdict, value);
}

/** `:password "…"`, a field in Clojure and EDN, by its colon. */
export function keyword(scan: Scan, colon: number): void {
  const { text } = scan;
  if (!isLetter(text.charCodeAt(colon + 1)) || !/[\s{(,[]/.test(text[colon - 1] ?? " ")) return;
  let end = colon + 1;
  while (end - colon < MAX_NAME_CHARACTERS && isNameCharacter(text.charCodeAt(end))) end += 1;
  if (text.charCodeAt(end) !== 32 || text.charCodeAt(end + 1) !== 34) return;
  const name = secretName(text.slice(colon + 1, end));
  const value = name === undefined ? undefined : valueAfter(scan, end, 0);
  if (name !== undefined && value !== undefined) judge(scan, name, value);
}

/** `| password | … |`, a row of a table, by the sign between the cells. */
export function cell(scan: Scan, bar: number): void {
  const name = nameBefore(scan.text, bar);
  if (name === undefined) return;
  const verdict = secretName(name.text);
  if (verdict === undefined) return;
  const found = /^[ \t]{0,24}[`"']?([^\s|`"']{4,300})[`"']?[ \t]{0,40}(\||\r?\n|$)/.exec(
    scan.text.slice(bar + 1, bar + 400),
  );
  if (found?.[1] === undefined || !isMixed(found[1])) return;
  // Without a bar behind it, only what stands behind the first word of a line: a command may be piped.
  if (found[2] !== "|" && !/(?:^|\n)[ \t]{0,9}$/.test(scan.text.slice(Math.max(0, name.start - 10), name.start)))
    return;
  const start = bar + 1 + found[0].indexOf(found[1]);
  judgeData(scan, verdict, { start, end: start + found[1].length, isQuoted: false });
}

/** Beginnings of functions that take a secret. */
const takes = /^(?:set|with|use|add)_?(?=[A-Z_]|password|secret)/;

/** `setPassword("…")`, `.password("…")`: a function that takes a secret, by its bracket. */
export function called(scan: Scan, bracket: number): void {
  const { text } = scan;
  const mark = text.charCodeAt(bracket + 1);
  if (!isQuote(mark) && mark !== 92) return;
  const name = nameBefore(text, bracket);
  if (name === undefined || text[bracket - 1] !== name.text.at(-1)) return;
  const last = name.text.slice(name.text.lastIndexOf(".") + 1);
  const taken = last.replace(takes, "");
  if (taken === last && !(last.length < name.text.length || text[name.start - 1] === ".")) return;
  const verdict = secretName(taken);
  const value = verdict === undefined ? undefined : quotedValue(text, bracket + 1);
  // One argument; `get("a", "b")` is a pair.
  if (verdict !== undefined && value !== undefined && /^\\*["'`]\)/.test(text.slice(value.end, value.end + 9)))
    judge(scan, verdict, value);
}
