import { isLetter } from "./alphabets.ts";
import { isNameCharacter } from "./credentials.ts";
import { judgeData } from "./judging.ts";
import { MAX_NAME_CHARACTERS, pairPart, secretName } from "./names.ts";
import { MAX_PAIR_DISTANCE } from "./scan.ts";
import type { Scan, Value } from "./scan.ts";
import { isMixed } from "./values.ts";

/** The content of an element that its attribute names: `<string name="password">…</string>`. */
export function elementContent(text: string, end: number): Value | undefined {
  const found =
    /^["'][^<>]{0,200}>\s{0,40}(?:<!\[CDATA\[)?(?=([^<>\s][^<>]{3,450}?)\s{0,40}(?:\]\]>\s{0,40})?<\/)/.exec(
      text.slice(end, end + 800),
    );
  if (found?.[1] === undefined) return undefined;
  const start = end + found[0].length;
  return { start, end: start + found[1].length, isQuoted: true };
}

/** The content of a part of a form, `name="password"`, which stands behind an empty line. */
export function formContent(text: string, end: number): Value | undefined {
  const found =
    /^\\*"(?:(?:\r?\n|\\+r\\+n|\\+n)[\w-]{1,40}: [^\n\\]{1,80})?(?:\r?\n|\\+r\\+n|\\+n){2}(?=([^\s\\]{4,200})(?:[\r\n\\]|$))/.exec(
      text.slice(end, end + 400),
    );
  if (found?.[1] === undefined || found[1].startsWith("--")) return undefined;
  const start = end + found[0].length;
  return { start, end: start + found[1].length, isQuoted: true };
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
