import { isAlnum } from "./alphabets.ts";
import { sentCode, signingIn, typing } from "./calls.ts";
import {
  deviceSecret,
  echoedPassword,
  flag,
  gradlePassword,
  identifiedBy,
  loginCommand,
  passwordWord,
  positionalPassword,
  sentPassword,
  pgpassLine,
  secretCommand,
  secureString,
  variableBlock,
} from "./commands.ts";
import { addressPassword, basic, bearer, databaseAddress, webhook, webhooks } from "./credentials.ts";
import type { Cuts } from "./cuts.ts";
import { element } from "./elements.ts";
import { called, cell, field, keyword, listPair, parameter, sectionHead } from "./fields.ts";
import { labels } from "./labels.ts";
import {
  azureSecret,
  discordToken,
  knownMakers,
  mailchimpKey,
  makerEnd,
  passwordHash,
  schemeHash,
  storedHash,
  telegramToken,
  twilioToken,
  windowsHash,
} from "./makers.ts";
import { PrivateKeys } from "./private-keys.ts";
import { Scan } from "./scan.ts";
import { copy, insertion, tableHead } from "./tables.ts";
import { Uncoloured } from "./terminal-text.ts";

/** Looks at a word that begins with `prefix`. */
interface WordRule {
  prefix: string;
  /** Whether the word may be in capitals, too; the prefix is in small letters. */
  anyCase: boolean;
  find(scan: Scan, start: number, keys: PrivateKeys): void;
}

const rules: WordRule[] = [
  ...knownMakers.map((maker) => ({
    prefix: maker.prefix,
    anyCase: false,
    find(scan: Scan, start: number) {
      const end = makerEnd(scan, maker, start);
      if (end !== undefined)
        scan.cuts.add(maker.prefix.endsWith("=") ? start + maker.prefix.length : start, end, maker.kind);
    },
  })),
  ...webhooks.map((each) => ({
    prefix: each.prefix,
    anyCase: false,
    find: (scan: Scan, start: number) => webhook(scan, each, start),
  })),
  { prefix: "bearer", anyCase: true, find: bearer },
  { prefix: "basic", anyCase: true, find: basic },
  { prefix: "pass", anyCase: true, find: passwordWord },
  { prefix: "pwd", anyCase: true, find: passwordWord },
  { prefix: "by", anyCase: true, find: identifiedBy },
  { prefix: "insert ", anyCase: true, find: insertion },
  { prefix: "COPY ", anyCase: false, find: copy },
  ...["fill(", "type(", "send_keys(", "sendKeys(", "setValue(", "set_value("].map((prefix) => ({
    prefix,
    anyCase: false,
    find: typing,
  })),
  { prefix: "fill_in ", anyCase: false, find: typing },
  { prefix: "code ", anyCase: false, find: sentCode },
  { prefix: "setq ", anyCase: false, find: secretCommand },
  { prefix: "Set-Item", anyCase: false, find: secretCommand },
  { prefix: "password ", anyCase: false, find: deviceSecret },
  { prefix: "config set", anyCase: false, find: secretCommand },
  { prefix: "set", anyCase: false, find: secretCommand },
  { prefix: "secret", anyCase: false, find: secretCommand },
  { prefix: "secret ", anyCase: false, find: deviceSecret },
  { prefix: "community ", anyCase: false, find: deviceSecret },
  ...[
    "sqlplus ",
    "requirepass ",
    "masterauth ",
    "bindpw ",
    "rootpw ",
    "rabbitmqctl ",
    "htpasswd ",
    "echo ",
    "AUTH ",
    "REG_SZ ",
    "net user ",
    "net use ",
    "user ",
    "PSK ",
    "XAUTH ",
    "EAP ",
    "wpa_passphrase ",
    "jdbc:oracle:thin:",
  ].map((prefix) => ({
    prefix,
    anyCase: false,
    find: positionalPassword,
  })),
  { prefix: "echo ", anyCase: false, find: echoedPassword },
  { prefix: "send ", anyCase: false, find: sentPassword },
  { prefix: "define ", anyCase: false, find: secretCommand },
  { prefix: "user:", anyCase: false, find: deviceSecret },
  { prefix: "ENV ", anyCase: false, find: secretCommand },
  { prefix: "ARG ", anyCase: false, find: secretCommand },
  { prefix: "storePassword ", anyCase: false, find: gradlePassword },
  { prefix: "keyPassword ", anyCase: false, find: gradlePassword },
  { prefix: "login ", anyCase: false, find: loginCommand },
  { prefix: "auth ", anyCase: false, find: loginCommand },
  { prefix: "add-authtoken ", anyCase: false, find: loginCommand },
  { prefix: "authtoken ", anyCase: false, find: loginCommand },
  { prefix: "pbkdf2", anyCase: false, find: storedHash },
  { prefix: "scrypt:", anyCase: false, find: storedHash },
  { prefix: "SCRAM-SHA-256$", anyCase: false, find: storedHash },
  { prefix: "AC", anyCase: false, find: twilioToken },
  { prefix: "ConvertTo-SecureString", anyCase: false, find: secureString },
  { prefix: "variable ", anyCase: false, find: variableBlock },
  { prefix: "Private-Lines:", anyCase: false, find: (_scan, start, keys) => keys.putty(start) },
];

/** Rules by the first two characters of their words, at `first * 128 + second`. */
const rulesOf: (WordRule[] | undefined)[] = Array.from({ length: 128 * 128 });
for (const rule of rules) {
  const forms = rule.anyCase ? [rule.prefix, rule.prefix.toUpperCase(), capitalized(rule.prefix)] : [rule.prefix];
  for (const place of new Set(forms.map((form) => form.charCodeAt(0) * 128 + form.charCodeAt(1))))
    (rulesOf[place] ??= []).push(rule);
}

/** Whether there are any, in a table that fits into the processor's cache. */
const hasRules = Uint8Array.from(rulesOf, (found) => (found === undefined ? 0 : 1));

/** What a character can begin or end; other characters are passed over. */
const signs = new Uint8Array(128);
const WORD = 1;
const SIGN = 2;
for (let code = 0; code < 128; code++) if (isAlnum(code)) signs[code] = WORD;
for (const sign of ":=,<-$~.{|([;\t") signs[sign.charCodeAt(0)] = SIGN;

/** Finds the secrets of a text, in time proportional to its length: each finder reads a bounded part, or remembers what it read. */
export function findSecrets(text: string): Cuts {
  const plain = Uncoloured.of(text);
  return plain === undefined ? secretsIn(text) : plain.placed(secretsIn(plain.text));
}

/** Signs that stand for one of ASCII, in texts of the same length: lines around tables, and the colon of wide letters. */
const otherForms = /[│┃：＝]/;
function inAscii(text: string): string {
  return otherForms.test(text) ? text.replaceAll(/[│┃]/g, "|").replaceAll("：", ":").replaceAll("＝", "=") : text;
}

function secretsIn(given: string): Cuts {
  const text = inAscii(given);
  const scan = new Scan(text);
  const keys = new PrivateKeys(scan);
  let isInWord = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const sign = code < 128 ? signs[code] : 0;
    if (sign === WORD) {
      if (!isInWord) word(scan, at, code, keys);
      isInWord = true;
      continue;
    }
    isInWord = false;
    if (sign === SIGN) atSign(scan, at, code, keys);
    // A word begins behind the letter of an escape: `\nghp_…`; and behind the digits of one: `%3Dghp_…`.
    else if (code === 92) at += escaped(scan, at, keys);
  }
  labels(scan);
  return scan.cuts;
}

function word(scan: Scan, at: number, code: number, keys: PrivateKeys): void {
  const second = scan.text.charCodeAt(at + 1);
  if (second > 127) return;
  const place = code * 128 + second;
  if (hasRules[place] === 0) return;
  const found = rulesOf[place] ?? [];
  for (const rule of found) {
    const { text } = scan;
    if (rule.anyCase ? startsInAnyCase(text, at, rule.prefix) : text.startsWith(rule.prefix, at))
      rule.find(scan, at, keys);
  }
}

function startsInAnyCase(text: string, at: number, small: string): boolean {
  for (let index = 0; index < small.length; index++) {
    if ((text.charCodeAt(at + index) | 32) !== small.charCodeAt(index)) return false;
  }
  return true;
}

/** Characters of an escape behind its backslash that are no part of the word that follows. */
function escaped(scan: Scan, at: number, keys: PrivateKeys): number {
  const letter = scan.text.charCodeAt(at + 1);
  if (letter !== 110 && letter !== 116 && letter !== 114) return 0;
  const next = scan.text.charCodeAt(at + 2);
  if (isAlnum(next)) word(scan, at + 2, next, keys);
  return 0;
}

function atSign(scan: Scan, at: number, code: number, keys: PrivateKeys): void {
  const { text } = scan;
  switch (code) {
    case 58: // :
      if (text.charCodeAt(at + 1) === 47) addressPassword(scan, at);
      else if (text.charCodeAt(at + 1) === 65) telegramToken(scan, at);
      field(scan, at);
      keyword(scan, at);
      pgpassLine(scan, at);
      windowsHash(scan, at);
      break;
    case 61: // =
      field(scan, at);
      parameter(scan, at);
      break;
    case 44: // ,
      tableHead(scan, at, ",");
      listPair(scan, at);
      break;
    case 60: // <
      if (text.startsWith("<- ", at)) field(scan, at, at + 2);
      else if (text.startsWith("<<< ", at)) field(scan, at, at + 3);
      else element(scan, at);
      break;
    case 45: // -
      if (beginsArgument(text, at)) flag(scan, at);
      else if (text.charCodeAt(at + 1) === 117) mailchimpKey(scan, at);
      // The last hyphens before the word: a line that a diff removes has one more.
      if (text[at + 1] !== "-" && text.startsWith("---", at - 3)) keys.pem(at);
      break;
    case 36: // $
      passwordHash(scan, at);
      break;
    case 126: // ~
      azureSecret(scan, at);
      break;
    case 46: // .
      if (text.charCodeAt(at + 7) === 46) discordToken(scan, at);
      break;
    case 123: // {
      schemeHash(scan, at);
      break;
    case 40: // (
      called(scan, at);
      signingIn(scan, at);
      databaseAddress(scan, at);
      break;
    case 59: // ;
      if (isAlnum(text.charCodeAt(at + 1))) tableHead(scan, at, ";");
      break;
    case 9: // a tab
      if (isAlnum(text.charCodeAt(at - 1)) && isAlnum(text.charCodeAt(at + 1))) tableHead(scan, at, "\t");
      break;
    case 91: // [
      sectionHead(scan, at);
      break;
    case 124: // |
      tableHead(scan, at, "|");
      cell(scan, at);
      break;
  }
}

/** Whether a hyphen can begin a flag: behind a space, a quotation mark or a bracket, and before a letter or another one. */
function beginsArgument(text: string, at: number): boolean {
  const before = text[at - 1];
  return before === undefined || /[\s"'`[(,]/.test(before);
}

function capitalized(prefix: string): string {
  return `${prefix[0]?.toUpperCase() ?? ""}${prefix.slice(1)}`;
}
