import { Kind, kindAt } from "./characters.ts";

/** Characters that a text holds in another form: as escapes of JSON, of URLs and of HTML, and commands to a terminal. */

/** The escape character as programs print it. */
const printedEscape = /\\(?:u001b|x1b|033|e)/iy;
/** What follows it in a command to a terminal, such as a colour. */
const command = /\[[\d;?]*[A-Z]|\([\dA-Z]/iy;
/** `\u00e9`, also within JSON in JSON; its last backslash. */
const unit = /\\u([\da-f]{4})/iy;
/** Bytes in UTF-8: `%C3%A9`, `\xc3\xa9`. */
const bytes = /(?:(?:%|\\x)[\da-f]{2})+/iy;
const numbered = /&#(?:x([\da-f]{1,6})|(\d{1,7}));/iy;
/** A letter of Latin with an accent, which is folded anyway. */
const accented = /&([a-z])(?:acute|grave|circ|uml|tilde|cedil|ring|slash|caron);/iy;
const ligature = /&(sz|ae|oe)lig;/iy;

/** The end of a command to a terminal that begins at a position, or undefined when none does. */
export function commandEnd(text: string, position: number): number | undefined {
  if (text.charCodeAt(position) === ESCAPE) return matched(command, text, position + 1) && command.lastIndex;
  if (!matched(printedEscape, text, position)) return undefined;
  return matched(command, text, printedEscape.lastIndex) && command.lastIndex;
}

/** Whether an escape or a command may begin at a position; at most places none does. */
export function mayBegin(text: string, position: number): boolean {
  const code = text.charCodeAt(position);
  if (code === BACKSLASH) return /[\\ux0e]/i.test(text[position + 1] ?? "");
  if (code === PERCENT) return /[\da-f]/i.test(text[position + 1] ?? "");
  if (code === AMPERSAND) return /[#a-z]/i.test(text[position + 1] ?? "");
  return code === ESCAPE;
}

const [ESCAPE, PERCENT, AMPERSAND, BACKSLASH] = [0x1b, 0x25, 0x26, 0x5c];

/** A stretch of letters, digits and escapes, and what it means. */
export interface Unescaped {
  text: string;
  end: number;
}

/** Reads a stretch that begins with an escape; undefined when none begins at the position. */
export function unescaped(text: string, position: number, to: number): Unescaped | undefined {
  let read = "";
  let at = position;
  while (at < to) {
    const start = at;
    // Letters before the first escape are not read here.
    if (read !== "") while (at < to && kindAt(text, at) >= Kind.letter) at += 1;
    read += text.slice(start, at);
    const next = escapeAt(text, lastBackslash(text, at));
    if (next === undefined) break;
    read += next.text;
    at = next.end;
  }
  return read === "" ? undefined : { text: read, end: Math.min(at, to) };
}

/** Of several backslashes, as in JSON within JSON, the last begins an escape. */
export function lastBackslash(text: string, position: number): number {
  let at = position;
  while (text.charCodeAt(at) === BACKSLASH && text.charCodeAt(at + 1) === BACKSLASH) at += 1;
  return at;
}

function escapeAt(text: string, at: number): Unescaped | undefined {
  const code = text.charCodeAt(at);
  if (code === AMPERSAND) return entityAt(text, at);
  if (code !== BACKSLASH && code !== PERCENT) return undefined;
  const found = matched(unit, text, at);
  if (found) return { text: String.fromCharCode(Number.parseInt(found[1] ?? "", 16)), end: unit.lastIndex };
  const run = matched(bytes, text, at);
  if (run === undefined) return undefined;
  const hex = run[0].replace(/%|\\x/gi, "");
  return { text: Buffer.from(hex, "hex").toString(), end: bytes.lastIndex };
}

function entityAt(text: string, at: number): Unescaped | undefined {
  const number = matched(numbered, text, at);
  if (number) {
    const code = number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
    return { text: code <= LAST_CODE_POINT ? String.fromCodePoint(code) : "\ufffd", end: numbered.lastIndex };
  }
  const letter = matched(accented, text, at);
  if (letter) return { text: letter[1] ?? "", end: accented.lastIndex };
  const joined = matched(ligature, text, at);
  return joined && { text: joined[1]?.replace(/sz/i, "ss") ?? "", end: ligature.lastIndex };
}

const LAST_CODE_POINT = 0x10_ff_ff;

function matched(sticky: RegExp, text: string, at: number): RegExpExecArray | undefined {
  sticky.lastIndex = at;
  return sticky.exec(text) ?? undefined;
}
