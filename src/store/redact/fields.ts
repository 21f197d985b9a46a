import { alphabets, isAlnum, isDigit, isLetter } from "./alphabets.ts";
import { authorization, cookies, headerEnd, isNameCharacter } from "./credentials.ts";
import { NAMED } from "./cuts.ts";
import { MAX_NAME_CHARACTERS, pairPart, secretName } from "./names.ts";
import type { SecretName } from "./names.ts";
import type { Scan, Value } from "./scan.ts";
import { secretData } from "./kubernetes.ts";
import { MAX_SPACES, bareEnd, isBlank, quotedValue, valueAfter } from "./value-bounds.ts";
import { isMixed, isRandom, looksSecret } from "./values.ts";

/** Quotation marks, backslashes and brackets between a name and its sign, at most. */
const MAX_MARKS = 10;
/** Distance of a JSON Web Key's members from its type: the modulus of an RSA key stands between them. */
const MAX_KEY_DISTANCE = 2000;
/** Parts of one value without spaces that are judged: each follows a name and a sign in it. */
const MAX_JUDGED_PARTS = 4;
/** Longest list or object behind a secret's name that is looked through. */
const MAX_CONTAINER_CHARACTERS = 8192;
/** Characters between the two fields of a pair, at most. */
const MAX_PAIR_DISTANCE = 200;

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
interface Name {
  text: string;
  start: number;
  isQuoted: boolean;
}

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

/** Words that name a secret only with the word before: `API key`, `pass phrase`. */
function isHalf(name: string): boolean {
  return /^(?:keys?|codes?|phrase|secret|passe)$/i.test(name);
}

/** `Secret Access Key: …` has a name of several words. */
function withWordsBefore(text: string, name: Name): Name {
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
function behindNumber(text: string, name: Name): Name {
  if (!/^\d{1,2}$/.test(name.text) || text[name.start - 1] !== " ") return name;
  const before = nameBefore(text, name.start);
  return before !== undefined && isHalf(before.text) ? withWordsBefore(text, before) : name;
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

/** The value of a field with this name is cut if it looks secret. */
function judge(scan: Scan, name: SecretName, value: Value, field?: Name): void {
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
function isInAddress(text: string, name: Name | undefined): boolean {
  return name !== undefined && (text[name.start - 1] === "?" || text[name.start - 1] === "&");
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

/** The content of an element that its attribute names: `<string name="password">…</string>`. */
function elementContent(text: string, end: number): Value | undefined {
  const found =
    /^["'][^<>]{0,200}>\s{0,40}(?:<!\[CDATA\[)?(?=([^<>\s][^<>]{3,450}?)\s{0,40}(?:\]\]>\s{0,40})?<\/)/.exec(
      text.slice(end, end + 800),
    );
  if (found?.[1] === undefined) return undefined;
  const start = end + found[0].length;
  return { start, end: start + found[1].length, isQuoted: true };
}

/** The content of a part of a form, `name="password"`, which stands behind an empty line. */
function formContent(text: string, end: number): Value | undefined {
  const found =
    /^\\*"(?:(?:\r?\n|\\+r\\+n|\\+n)[\w-]{1,40}: [^\n\\]{1,80})?(?:\r?\n|\\+r\\+n|\\+n){2}(?=([^\s\\]{4,200})(?:[\r\n\\]|$))/.exec(
      text.slice(end, end + 400),
    );
  if (found?.[1] === undefined || found[1].startsWith("--")) return undefined;
  const start = end + found[0].length;
  return { start, end: start + found[1].length, isQuoted: true };
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

function nextSign(text: string, from: number): string {
  let at = from;
  while (at < from + MAX_SPACES && /[\s"'`\\]/.test(text[at] ?? "")) at += 1;
  return text[at] ?? "";
}

/** `<password>…</password>`, by its `<`. */
export function element(scan: Scan, open: number): void {
  const { text } = scan;
  if (!isLetter(text.charCodeAt(open + 1))) return;
  let at = open + 1;
  while (at - open < MAX_NAME_CHARACTERS && isNameCharacter(text.charCodeAt(at))) at += 1;
  if (text[at] === ":") {
    const from = at + 1;
    for (at = from; at - from < MAX_NAME_CHARACTERS && isNameCharacter(text.charCodeAt(at));) at += 1;
    return elementValue(scan, text.slice(from, at), at);
  }
  elementValue(scan, text.slice(open + 1, at), at);
}

function elementValue(scan: Scan, tag: string, from: number): void {
  const known = scan.pairName;
  const isPair =
    (pairPart(tag) === "value" || tag === "string") &&
    known !== undefined &&
    from - known.end < MAX_PAIR_DISTANCE &&
    from > known.end;
  const name = isPair ? known.name : secretName(tag);
  if (name === undefined) return besideElement(scan, tag, from) ? undefined : nameElement(scan, tag, from);
  const piece = scan.text.slice(from, from + 700);
  const found = /^[^<>]{0,200}>\s*(?:<!\[CDATA\[)?([^<>\s][^<>]{0,450}?)\s*(?:\]\]>\s*)?<\//.exec(piece);
  if (found?.[1] === undefined) return;
  const start = from + found[0].indexOf(found[1], found[0].indexOf(">") + 1);
  judgeData(scan, name, { start, end: start + found[1].length, isQuoted: true });
}

/** `<td>Password</td><td>…</td>`, cells side by side. */
function besideElement(scan: Scan, tag: string, from: number): boolean {
  if (!/^(?:td|th|dt|b|strong|label)$/i.test(tag)) return false;
  const found =
    /^[^<>]{0,60}>\s{0,20}([\w .-]{2,40}?):?\s{0,20}<\/\w{1,6}>\s{0,40}<(?:td|dd|code|span)[^<>]{0,60}>\s{0,20}(?:<code>)?(?=([^<>\s]{4,100})\s{0,20}<\/)/i.exec(
      scan.text.slice(from, from + 420),
    );
  const name = found?.[1] === undefined ? undefined : secretName(found[1]);
  if (found?.[2] === undefined || name === undefined || !isMixed(found[2])) return false;
  const start = from + found[0].length;
  judgeData(scan, name, { start, end: start + found[2].length, isQuoted: true });
  return true;
}

/** `<key>password</key>` names what the next element holds, as in lists of properties. */
function nameElement(scan: Scan, tag: string, from: number): void {
  if (pairPart(tag) !== "name") return;
  const found = /^>([\w.-]{2,80})<\//.exec(scan.text.slice(from, from + MAX_NAME_CHARACTERS + 3));
  const name = found?.[1] === undefined ? undefined : secretName(found[1]);
  scan.pairName = name && { name, end: from };
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

/** The name that ends before `at`, behind spaces, quotation marks and brackets. */
function nameBefore(text: string, at: number): Name | undefined {
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
function isQuote(code: number): boolean {
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
