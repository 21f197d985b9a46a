import { alphabets, has } from "./alphabets.ts";
import { NAMED } from "./cuts.ts";
import type { Scan, Value } from "./scan.ts";
import { secretName } from "./names.ts";
import { isBasic, isMixed, isRandom, looksSecret } from "./values.ts";

/** Longest user, password or path of an address that is looked at; the limit bounds the work behind each `://`. */
const MAX_USERINFO_CHARACTERS = 600;
/** Longest list of cookies; browsers send 8 kB at most. */
const MAX_COOKIES_CHARACTERS = 16_384;
/** Shortest credential behind `Bearer`; shorter ones are words of a sentence. */
const MIN_BEARER_CHARACTERS = 16;

const standIn = /^(?:password|passwd|pass|pwd|secret|token|xxx+|\*+|\.\.\.|redacted)$/i;

/** Cuts the password of `scheme://user:password@host`, and a token in the user's place, by its colon. */
export function addressPassword({ text, cuts }: Scan, colon: number): void {
  if (!text.startsWith("//", colon + 1) || !/[a-z\d]/i.test(text[colon - 1] ?? "")) return;
  const from = colon + 3;
  const piece = text.slice(from, from + MAX_USERINFO_CHARACTERS);
  const authority = /^[^\s"'<>`\\]*/.exec(piece)?.[0] ?? "";
  const host = authority.search(/[/?#]/);
  let at = (host === -1 ? authority : authority.slice(0, host)).lastIndexOf("@");
  const sign = authority.indexOf(":");
  if (at === -1 && sign !== -1 && sign < host && !/^\d{1,5}$/.test(authority.slice(sign + 1, host)))
    at = authority.indexOf("@", host);
  if (at === -1 || !/^[\w[$]/.test(authority.slice(at + 1))) return;
  if (sign === -1 || sign > at) {
    if (isRandom(authority.slice(0, at)) && at >= 20) cuts.add(from, from + at, "password in URL");
    return;
  }
  const password = authority.slice(sign + 1, at);
  if (password === "" || (/^[{$<*%[]/.test(password) && !/^%[\dA-F]{2}/i.test(password)) || standIn.test(password))
    return;
  cuts.add(from + sign + 1, from + at, "password in URL");
}

/** `user:password@tcp(host:3306)/name`, an address of Go's drivers, by its bracket. */
export function databaseAddress({ text, cuts }: Scan, bracket: number): void {
  if (!text.startsWith("@tcp", bracket - 4) && !text.startsWith("@unix", bracket - 5)) return;
  const before = text.slice(Math.max(0, bracket - 160), bracket);
  const found = /(?:^|[\s"'`=/])[\w.-]{1,60}:([^\s"'`]{1,90})@(?:tcp|unix)$/.exec(before);
  if (found?.[1] === undefined || standIn.test(found[1]) || /^[{$<*%[]/.test(found[1])) return;
  const end = text.lastIndexOf("@", bracket);
  cuts.add(end - found[1].length, end, "password in URL");
}

/** Addresses whose path is the secret: what they begin with, and which part of the path follows. */
export const webhooks: readonly { prefix: string; secret: RegExp }[] = [
  { prefix: "hooks.slack.com/", secret: /^(?:services|workflows|triggers)\/([\w/-]{20,200})/ },
  { prefix: "discord.com/api/webhooks/", secret: /^\d{10,25}\/([\w-]{30,120})/ },
  { prefix: "discordapp.com/api/webhooks/", secret: /^\d{10,25}\/([\w-]{30,120})/ },
  { prefix: "webhook.office.com/webhookb2/", secret: /^([\w@-]{30,100}\/IncomingWebhook\/[\w/-]{30,200})/ },
  { prefix: "outlook.office.com/webhook/", secret: /^([\w@-]{30,100}\/IncomingWebhook\/[\w/-]{30,200})/ },
  { prefix: "hooks.zapier.com/hooks/catch/", secret: /^(\d+\/\w{5,40})/ },
  { prefix: "maker.ifttt.com/trigger/", secret: /^[\w-]{1,80}\/(?:with|json\/with)\/key\/([\w-]{16,80})/ },
  { prefix: "open.feishu.cn/open-apis/bot/v2/hook/", secret: /^([\w-]{20,60})/ },
  { prefix: "open.larksuite.com/open-apis/bot/v2/hook/", secret: /^([\w-]{20,60})/ },
  { prefix: "hook.eu1.make.com/", secret: /^(\w{20,60})/ },
  { prefix: "hook.us1.make.com/", secret: /^(\w{20,60})/ },
  { prefix: "infura.io/v3/", secret: /^([\da-f]{32})\b/ },
  { prefix: "alchemy.com/v2/", secret: /^([\w-]{32})(?![\w-])/ },
];

export function webhook({ text, cuts }: Scan, { prefix, secret }: (typeof webhooks)[number], start: number): void {
  const from = start + prefix.length;
  const found = secret.exec(text.slice(from, from + 400));
  if (found?.[1] === undefined || /X{6}/.test(found[1])) return;
  const at = from + found[0].length - found[1].length;
  cuts.add(at, at + found[1].length, prefix.startsWith("hooks.slack") ? "Slack token" : "webhook");
}

/** Cuts what follows `Bearer ` when it looks generated, by where the word begins. */
export function bearer(scan: Scan, start: number): void {
  const space = /^bearer\s{1,10}/i.exec(scan.text.slice(start, start + 20));
  if (space === null) return;
  const from = start + space[0].length;
  const end = credentialEnd(scan, from);
  if (
    end - from >= MIN_BEARER_CHARACTERS &&
    isMixed(scan.text.slice(from, Math.min(end, from + 300))) &&
    !isStandIn(scan.text.slice(from, end))
  )
    scan.cuts.add(from, end, "bearer token");
}

/** Cuts what follows `Basic ` when it is base64 of `name:password`. */
export function basic(scan: Scan, start: number): void {
  const space = /^basic\s{1,10}/i.exec(scan.text.slice(start, start + 20));
  if (space === null) return;
  const from = start + space[0].length;
  const end = scan.runs.end(alphabets.base64, from);
  if (isBasic(scan.text.slice(from, Math.min(end, from + 2001)))) scan.cuts.add(from, end, "bearer token");
}

/** Cuts the credential of an `Authorization` header: whatever follows its scheme, or the whole of a bare one. */
export function authorization(scan: Scan, value: Value): void {
  const beginning = scan.text.slice(value.start, Math.min(value.end + 400, value.start + 400));
  const scheme =
    /^(?:bearer|basic|token|key|apikey|api-key|bot|negotiate|ntlm|splunk|genie-?key|sso-key|ssws|hawk)[ =:]+/i.exec(
      beginning,
    );
  const signature = /^(?:AWS4-HMAC-SHA256[^\n]{0,360}?Signature=|Digest [^\n]{0,360}?response=")([\da-f]{32,})/.exec(
    beginning,
  );
  if (signature?.[1] !== undefined) {
    const at = value.start + signature[0].length - signature[1].length;
    scan.cuts.add(at, at + signature[1].length, "bearer token");
    return;
  }
  const from = value.start + (scheme?.[0].length ?? 0);
  const end = credentialEnd(scan, from);
  const credential = scan.text.slice(from, Math.min(end, from + 300));
  if (isStandIn(credential)) return;
  if (scheme !== null && /^basic/i.test(scheme[0])) {
    if (isBasic(credential) || (credential.length >= 12 && isMixed(credential) && scan.text[end] !== "="))
      scan.cuts.add(from, end, "bearer token");
    return;
  }
  if (credential.length >= 12 && looksSecret(credential, GENERATED, { isQuoted: true, isTight: false }))
    scan.cuts.add(from, end, scheme === null ? NAMED : "bearer token");
}
const GENERATED = { kind: "key", isVariable: false, isPlural: false } as const;

function credentialEnd({ text, runs }: Scan, from: number): number {
  let end = runs.end(alphabets.credential, from);
  while (end > from && /[.:,]/.test(text[end - 1] ?? "")) end -= 1;
  return end;
}

function isStandIn(credential: string): boolean {
  return (
    /^(?:your|example|token|xxx|\.\.\.|my[_-])|x{6}|EXAMPLE$/i.test(credential) ||
    new Set(credential.slice(0, 40)).size < 5
  );
}

/** Attributes of a cookie, which are no cookies. */
const attributes = new Set(["path", "domain", "expires", "max-age", "samesite", "priority", "version"]);
const sessionName =
  /sess|sid$|^sid|auth|token|jwt|login|remember|csrf|xsrf|secure|identity|ticket|credential|^connect\./i;
const trackingName = /^(?:_ga|_gid|_gcl|_fbp|__utm)/;

/** Cuts the values of cookies that are secrets: of names of sessions, and such as look generated. */
export function cookies(scan: Scan, from: number, limit: number): void {
  if (from < scan.cookiesEnd) return;
  const list = scan.text.slice(from, Math.min(limit, from + MAX_COOKIES_CHARACTERS));
  scan.cookiesEnd = from + list.length;
  let at = from;
  for (const piece of list.split(";")) {
    const sign = piece.indexOf("=");
    const start = at + sign + 1;
    at += piece.length + 1;
    if (sign === -1) continue;
    const name = piece.slice(0, sign).trim();
    const value = piece.slice(sign + 1).trimEnd();
    if (!/^[\w.-]{1,100}$/.test(name) || attributes.has(name.toLowerCase()) || trackingName.test(name)) continue;
    if (isCookieSecret(name, value)) scan.cuts.add(start, start + value.length, "cookie");
  }
}

function isCookieSecret(name: string, value: string): boolean {
  if (/^["%]?[<{$[*]/.test(value) || /\s/.test(value) || value.length < 6) return false;
  if (sessionName.test(name) || secretName(name) !== undefined)
    return value.length >= 8 && !isStandIn(value) && (isMixed(value) || value.length >= 20);
  return value.length >= 16 && isMixed(value) && isRandom(value);
}

/** Where a header's line ends: at the line's end, or at the quotation mark that holds it. */
export function headerEnd({ text }: Scan, from: number): number {
  const piece = text.slice(from, from + MAX_COOKIES_CHARACTERS);
  const end = piece.search(/[\r\n"'`]|\\[nr"']/);
  return from + (end === -1 ? piece.length : end);
}

/** Whether a character can be a part of a name. */
export function isNameCharacter(code: number): boolean {
  return has(alphabets.word, code) || code === 46 || code === 36;
}
