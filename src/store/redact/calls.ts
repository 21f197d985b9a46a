import { NAMED } from "./cuts.ts";
import { judgeData } from "./judging.ts";
import { secretName } from "./names.ts";
import type { SecretName } from "./names.ts";
import type { Scan } from "./scan.ts";
import { quotedValue } from "./value-bounds.ts";
import { isChosenWord, isMixed, isRandom } from "./values.ts";

// Secrets among the arguments of functions, which have no name in the text.

const PASSWORD: SecretName = { kind: "password", isVariable: false, isPlural: false };
/** Most arguments that are looked at, and the part of a line before a call. */
const MAX_ARGUMENTS = 6;
const MAX_BEFORE_CHARACTERS = 120;
/** Functions that take a name and a password, in this order. */
const signsIn =
  /(?:wifi\w{0,9}\.begin|create_?user|add_?user|register|sign_?up|log_?in|sign_?in|authenticate|get_?connection|PDO|credentials?|basic_?auth|httpbasicauth|\bauth=?|connect)$/i;
/** Signs of an address, a path, a query or a sentence, which no argument has that is a password by its place only. */
const otherArgument = /[\s/\\:=<>{}()[\],]|^[\w.-]+@|\.\w{2,5}$/;

/** Functions whose first argument is a password. */
const takesPassword =
  /(?:(?:check|verify|hash|compare|validate|make|encrypt)_?passw(?:or)?d|bcrypt\.(?:hash|compare|hashpw|checkpw)(?:Sync)?|argon2\.(?:hash|verify))$/i;

/** Makers of a wallet or an account, whose first argument is a private key. */
const takesKey = /(?:Wallet|privateKeyToAccount|from_?(?:secret_?|private_?)?key|Account\.from_key|hexToAccount)$/i;
const PRIVATE_KEY = /^(?:0x)?[\da-f]{64}$/i;

/** How the names of all end: a fast check, since brackets are frequent. */
const endings = new Set("in te on do al ls th h= ct er up rd wd sh re pw nc fy et nt ey".split(" ").map(placeOfPair));

function placeOfPair(pair: string): number {
  return (pair.charCodeAt(0) | 32) * 256 + (pair.charCodeAt(1) | 32);
}

/** `login("anna", "…")`, `auth=("anna", "…")`, `checkPassword("…")`: by the bracket. */
export function signingIn(scan: Scan, bracket: number): void {
  const { text } = scan;
  if (!endings.has((text.charCodeAt(bracket - 2) | 32) * 256 + (text.charCodeAt(bracket - 1) | 32))) return;
  const before = text.slice(Math.max(0, bracket - 24), bracket);
  if (takesKey.test(before)) return privateKey(scan, bracket + 1);
  const first = takesPassword.test(before) ? 0 : 1;
  if (first === 1 && !signsIn.test(before)) return;
  let at = bracket + 1;
  for (let index = 0; index < MAX_ARGUMENTS; index++) {
    const value = quotedValue(text, at);
    const end =
      value === undefined
        ? (/^\s{0,9}\$?[\w.]{1,60}/.exec(text.slice(at, at + 70))?.[0].length ?? 0) + at
        : value.end + 1;
    if (end === at) return;
    if (
      value !== undefined &&
      index >= first &&
      isPassword(text.slice(value.start, Math.min(value.end, value.start + 100)))
    )
      judgeData(scan, PASSWORD, value);
    const comma = /^\\?\s{0,9},\s{0,40}/.exec(text.slice(end, end + 60));
    if (comma === null) return;
    at = end + comma[0].length;
  }
}

function privateKey(scan: Scan, at: number): void {
  const value = quotedValue(scan.text, at);
  if (value !== undefined && PRIVATE_KEY.test(scan.text.slice(value.start, Math.min(value.end, value.start + 70))))
    scan.cuts.add(value.start, value.end, NAMED);
}

function isPassword(argument: string): boolean {
  if (argument.length < 6 || otherArgument.test(argument)) return false;
  return isChosenWord(argument) || isRandom(argument) || (isMixed(argument) && /[!@#$%^&*?+]/.test(argument));
}

/** `getByLabel("Password").fill("…")`: text that is typed into a field that the line names, by where the function's name begins. */
export function typing(scan: Scan, start: number): void {
  const { text } = scan;
  const filled = /^fill_in\(? ?["']([^"']{2,40})["'], with: (?=["'])/.exec(text.slice(start, start + 80));
  if (filled?.[1] !== undefined) return named(scan, filled[1], start + filled[0].length);
  const call = /^(?:fill|type|send_keys|sendKeys|setValue|set_value|clear_and_type)\((?=["'`\\])/.exec(
    text.slice(start, start + 20),
  );
  if (call === null || text[start - 1] !== ".") return;
  const before = text.slice(Math.max(0, start - MAX_BEFORE_CHARACTERS), start).replace(/^[^]*\n/, "");
  const name = /([A-Za-z][\w-]{2,40})["'`\])\\]{1,8}\.$/.exec(before)?.[1];
  if (name !== undefined) named(scan, name, start + call[0].length);
}

function named(scan: Scan, name: string, at: number): void {
  const verdict = secretName(name);
  const value = verdict === undefined ? undefined : quotedValue(scan.text, at);
  if (verdict !== undefined && value !== undefined) judgeData(scan, verdict, value);
}

/** `Your verification code is 123456`, by where `code` begins. */
export function sentCode(scan: Scan, start: number): void {
  const { text } = scan;
  const found = /^code (?:is|was):? {0,2}(?=(\d{4,8})\b)/.exec(text.slice(start, start + 30));
  const before = text.slice(Math.max(0, start - 24), start);
  if (
    found?.[1] === undefined ||
    !/(?:verification|security|sign-?in|login|one-?time|auth\w*|2fa|mfa|otp|confirmation)[ -]$/i.test(before)
  )
    return;
  scan.cuts.add(start + found[0].length, start + found[0].length + found[1].length, NAMED);
}
