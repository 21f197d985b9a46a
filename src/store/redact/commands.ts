import { isAlnum, isLetter } from "./alphabets.ts";
import { cookies, isNameCharacter } from "./credentials.ts";
import { NAMED } from "./cuts.ts";
import { judgeData } from "./judging.ts";
import { MAX_NAME_CHARACTERS, secretName } from "./names.ts";
import type { SecretName } from "./names.ts";
import type { Scan, Value } from "./scan.ts";
import { isChosenWord, isMixed, isRandom } from "./values.ts";
import { quotedValue, valueAfter } from "./value-bounds.ts";

/** How far before a flag its command's name is looked for. */
const MAX_COMMAND_DISTANCE = 160;

/** A short flag that takes a secret, and of which commands. */
const shortFlags: Record<string, RegExp> = {
  p: /\b(?:sshpass|psexec(?:\.exe)?|cqlsh|mysql\w*|mariadb[\w-]*|login|mongo\w*|sqlplus|rabbitmqadmin|az|expect|unzip|7z|rar|unrar|plink|putty|pscp)\b/,
  N: /\bssh-keygen\b/,
  A: /\bsnmp\w+/,
  X: /\bsnmp\w+/,
  P: /\b(?:ipmitool|mosquitto_\w+|sqlcmd|bcp|tsql|zip|unzip|smbmap|isql|mongo\w*)\b/,
  a: /\b(?:(?:redis|valkey|keydb)-cli|http|https|xh|memcached)\b/,
  b: /\b(?:curl)\b/,
  w: /\b(?:ldap\w+|openconnect|slappasswd|vncpasswd)\b/,
  k: /\b(?:openssl|zabbix\w*|gpg)\b/,
  t: /\b(?:codecov|influx|vault|jira|wscat|tea|glab|doctl|ngrok|gh)\b/,
};
const PASSWORD: SecretName = { kind: "password", isVariable: false, isPlural: false };
const TOKEN: SecretName = { kind: "key", isVariable: false, isPlural: false };
/** Words that follow a flag when a sentence speaks of it. */
const prose =
  /^(?:is|to|for|or|and|flag|option|argument|parameter|value|with|in|on|from|as|a|an|the|when|was|are|can|must|should|will|which|that|if|of|by|not|via|instead|stdin|prompt|file|here|takes|sets|means|does|has|may|needs?|option[.,;]?|flag[.,;]?)$/i;
const beforeProse =
  /(?:^|[\s`(])(?:the|a|an|use|uses|using|with|via|your|pass|passing|set|add|and|or|no|like|by|see)\s+[`"']?$/i;

/** Looks at a flag, `--password VALUE`, `-p VALUE` or `"-p", "VALUE"`, that begins at `start`. */
export function flag(scan: Scan, start: number): void {
  const { text } = scan;
  let from = start + 1;
  if (text[from] === "-") from += 1;
  if (!isLetter(text.charCodeAt(from))) return;
  let end = from;
  while (end - from < MAX_NAME_CHARACTERS && isNameCharacter(text.charCodeAt(end))) end += 1;
  const name = text.slice(from, end);
  if (name === "u" || name === "user" || name === "proxy-user" || name === "U") return userAndPassword(scan, end);
  const isShort = from === start + 1 && (end === from + 1 || /^[pPa]/.test(name));
  if (isShort && shortFlag(scan, start, from)) return;
  if (name === "cookie") return cookieFlag(scan, end);
  if (name === "value") return namedValue(scan, start, end);
  if ((name.length < 3 && name !== "pw") || text[end] === "=") return;
  const verdict = secretName(name.replace(/^with-/, ""));
  if (verdict === undefined) return;
  const value = argument(scan, end);
  if (value === undefined || isSentence(scan, start, value)) return;
  judgeData(scan, verdict.kind === "token" || verdict.kind === "weak" ? TOKEN : verdict, value);
}

/** `--name /app/api_key --value …`: a flag names what the other one holds. */
function namedValue(scan: Scan, start: number, end: number): void {
  const before = scan.text.slice(Math.max(0, start - MAX_COMMAND_DISTANCE), start);
  const named = /--(?:name|key|parameter|variable)[ =]["']?[\w./-]*?([\w.-]{2,60})["']? [^\n]{0,60}$/.exec(before)?.[1];
  const verdict = named === undefined ? undefined : secretName(named);
  const value = verdict === undefined ? undefined : argument(scan, end);
  if (verdict !== undefined && value !== undefined) judgeData(scan, verdict, value);
}

/** The argument behind a flag: after a space, or in a list after its quotation mark, a comma and another one. */
function argument(scan: Scan, end: number): Value | undefined {
  const { text } = scan;
  const between = /^(?:\\*["']\s{0,20},\s{0,40}|["']?\s{1,20}(?:\\\s+)?(?:- |<<< ?)?)/.exec(text.slice(end, end + 80));
  if (between === null) return undefined;
  const value = valueAfter(scan, end + between[0].length, 0);
  return value === undefined || (!value.isQuoted && text[value.start] === "-") ? undefined : value;
}

function isSentence({ text }: Scan, start: number, value: Value): boolean {
  const word = text.slice(value.start, value.end);
  if (/^[A-Z_]+$/.test(word)) return true;
  if (value.isQuoted) return false;
  if (prose.test(word.replace(/[.,;:]+$/, ""))) return true;
  return /^[a-z]+$/i.test(word) && beforeProse.test(text.slice(Math.max(0, start - 12), start));
}

/** Whether the command before takes a secret with this flag; it is cut. */
function shortFlag(scan: Scan, start: number, at: number): boolean {
  const { text } = scan;
  const letter = text[at] ?? "";
  const line = text.slice(Math.max(0, start - MAX_COMMAND_DISTANCE), start).replace(/^[^]*\n(?!\s*(?:- |["']))/, "");
  if (shortFlags[letter]?.test(line) !== true) return besideUser(scan, line, at);
  const isAttached = isNameCharacter(text.charCodeAt(at + 1)) || /^["'][^"',\s]/.test(text.slice(at + 1, at + 3));
  const name = letter === "t" ? TOKEN : PASSWORD;
  if (isAttached && (letter === "b" || /\b(?:login|sshpass\b.*\bssh)\b/.test(line))) return true;
  const value = isAttached ? valueAfter(scan, at + 1, 0) : argument(scan, at + 1);
  if (value === undefined) return true;
  if (letter === "b") {
    cookies(scan, value.start, value.end);
    return true;
  }
  if (/^\d{2,5}(?::\d+)?$/.test(text.slice(value.start, value.end)) || isSentence(scan, start, value)) return true;
  const colon =
    letter === "a" && /^https?$/.test(/\bhttps?\b/.exec(line)?.[0] ?? "")
      ? text.slice(value.start, value.end).indexOf(":")
      : -1;
  const secret = { ...value, start: value.start + colon + 1 };
  judgeData(scan, name, isAttached ? { ...secret, isQuoted: true } : secret);
  return true;
}

/** `-u NAME -p VALUE`, of any command: a flag for a password stands behind the one for its user. */
function besideUser(scan: Scan, line: string, at: number): boolean {
  if (!/^[pPw]$/.test(scan.text[at] ?? "") || !/\s(?:-[uU]|--user(?:name)?)[ =][\w.@\\"'-]{1,60}\s/.test(line))
    return false;
  const value = argument(scan, at + 1);
  if (value === undefined || !isMixed(scan.text.slice(value.start, Math.min(value.end, value.start + 100))))
    return false;
  if (/[/:]/.test(scan.text.slice(value.start, value.end))) return false;
  judgeData(scan, PASSWORD, value);
  return true;
}

function cookieFlag(scan: Scan, end: number): void {
  const value = argument(scan, end);
  if (value !== undefined) cookies(scan, value.start, value.end);
}

/** `curl -u name:password`, also with `%` between them. */
function userAndPassword(scan: Scan, end: number): void {
  const value = argument(scan, end) ?? (scan.text[end] === "=" ? valueAfter(scan, end + 1, 61) : undefined);
  if (value === undefined) return;
  const pair = scan.text.slice(value.start, Math.min(value.end, value.start + 600));
  const isList = /\blftp\b[^\n]*$/.test(scan.text.slice(Math.max(0, end - MAX_COMMAND_DISTANCE), end));
  const found = (isList ? /^[\w.@\\-]{1,100},/ : /^[\w.@\\/-]{0,100}[:%](?!\/\/)/).exec(pair);
  const second = value.isQuoted && scan.text[value.end + 1] === ":" ? quotedValue(scan.text, value.end + 2) : undefined;
  if (second !== undefined) return judgeData(scan, PASSWORD, second);
  const password = pair.slice(found?.[0].length ?? 0);
  if (
    found === null ||
    password === "" ||
    (/^(?:password|pass|passwd|secret|token|\d+|[${<*%[].*|[A-Z_]+)$/i.test(password) && !/^\d{6,}$/.test(password))
  )
    return;
  if (/^[\d.]+$/.test(found[0].slice(0, -1))) return;
  scan.cuts.add(value.start + found[0].length, value.end, NAMED);
}

/** Words behind which a password stands without a sign: in sentences, SQL and `.netrc`. By where the word begins. */
export function passwordWord(scan: Scan, start: number): void {
  const { text } = scan;
  const piece = text.slice(start, start + 140);
  quotedBefore(scan, start);
  if (onNextLine(scan, start)) return;
  const call = /^password(?: for \S{1,80} = |\()(?=')/i.exec(piece);
  if (call !== null) {
    const value = valueAfter(scan, start + call[0].length, 0);
    if (value !== undefined && isMixed(text.slice(value.start, Math.min(value.end, value.start + 300))))
      judgeData(scan, PASSWORD, value);
    return;
  }
  const found =
    /^(?:password|passwort|passwd|passphrase|passcode|pwd)(?:\s{1,4}(lautet|ist|is generated for [\w.@-]{1,60}:|\.{3,40}|is|was|of|set to|to|for [\w.@-]{1,24} is)(?:\s{0,2}:)?)?\s{1,24}/i.exec(
      piece,
    );
  if (found === null) return;
  const from = start + found[0].length;
  const value = valueAfter(scan, from, 0);
  if (value === undefined || text.startsWith("[redacted", value.start)) return;
  const isNetrc =
    found[1] === undefined &&
    /\b(?:login|machine)\s+(?!and\b|or\b)\S{1,100}\s+$/.test(text.slice(Math.max(0, start - 140), start));
  const secret = text.slice(value.start, Math.min(value.end, value.start + 300));
  if (isNetrc) return judgeData(scan, PASSWORD, { ...value, isQuoted: true });
  if (value.isQuoted) {
    if (/\s/.test(secret) || secret.length < 4) return;
    const isMeant =
      isMixed(secret) &&
      /\b(?:the|new|with|use|using|your|temporary|default|initial|root|admin) $/i.test(
        text.slice(Math.max(0, start - 12), start),
      );
    if (found[1] !== undefined || text[value.start - 1] === "'" || isMeant) judgeData(scan, PASSWORD, value);
    return;
  }
  if (found[1] === undefined && !isNamed(text, start, value, from)) return;
  if ((isMixed(secret) || /[!@#$^&*]/.test(secret)) && secret.length >= 6) judgeData(scan, PASSWORD, value);
}

/** `Use the following password to proceed:`, and the password alone on the next line; also as the next item of a reply of Redis. */
function onNextLine({ text, cuts }: Scan, start: number): boolean {
  const found =
    /^pass(?:word|phrase|code)\b[^\n:]{0,100}:[ \t]{0,9}(?:\r?\n|\\{1,3}n){1,3}[ \t]{0,24}(?=([^\s\\]{6,100})[ \t]{0,9}(?:\r?\n|\\|$))/i.exec(
      text.slice(start, start + 280),
    );
  const item = /^pass[\w-]{0,40}"\r?\n\s{0,9}\d{1,6}\) "(?=([^"\n]{4,100})")/i.exec(text.slice(start, start + 170));
  if (item?.[1] !== undefined) {
    cuts.add(start + item[0].length, start + item[0].length + item[1].length, NAMED);
    return true;
  }
  const secret = found?.[1] ?? "";
  if (found === null || !isMixed(secret) || /[:=(){}<>[\]/"'`,;]/.test(secret)) return false;
  cuts.add(start + found[0].length, start + found[0].length + secret.length, NAMED);
  return true;
}

/** Whether the value behind a word for passwords is one: alone with its name on a line, or of a command or a login. */
function isNamed(text: string, start: number, value: Value, from: number): boolean {
  const before = text.slice(Math.max(0, start - MAX_COMMAND_DISTANCE), start);
  if (/(?:\b(?:with|using|and)|,) $|\bnmcli\b[^\n]{1,100}$/.test(before)) return true;
  const [, prefix] = /(?:^|\n)[ \t]{0,24}([\w.-]{0,60})$/.exec(before) ?? [];
  if (prefix === undefined || !/^[ \t]*(?:\r?\n|$)/.test(text.slice(value.end, value.end + 40))) return false;
  return prefix !== "" || /\t| {2}/.test(text.slice(from - 2, from));
}

/** `use "…" as the password`. */
function quotedBefore(scan: Scan, start: number): void {
  const from = Math.max(0, start - 90);
  const found = /["'`](\S{6,60})["'`] (?:as|for) (?:the |your |my |its )?(?:[\w-]{1,12} )?$/.exec(
    scan.text.slice(from, start),
  );
  if (found?.[1] === undefined || !isMixed(found[1])) return;
  if (!isChosenWord(found[1]) && !/[^\w.-]|[a-z][A-Z].*\d|\d.*[a-z]/.test(found[1])) return;
  const at = from + found.index + 1;
  judgeData(scan, PASSWORD, { start: at, end: at + found[1].length, isQuoted: true });
}

/** `IDENTIFIED BY '…'`, by where `by` begins. */
export function identifiedBy(scan: Scan, start: number): void {
  const { text } = scan;
  if (!/\bidentified(?:\s+with\s+\S{1,60})?\s+$/i.test(text.slice(Math.max(0, start - 90), start))) return;
  const from = start + 2;
  const value = /\s/.test(text[from] ?? "") ? valueAfter(scan, from, 0) : undefined;
  if (value === undefined || text[value.start - 1] === "`") return;
  if (value.isQuoted || isMixed(text.slice(value.start, Math.min(value.end, value.start + 300))))
    judgeData(scan, PASSWORD, value);
}

/** `vault login …`, `npm config set …_authToken …` and `variable "db_password"`: commands whose next word is a secret. */
export function secretCommand(scan: Scan, start: number): void {
  const { text } = scan;
  const config =
    /^(?:config set|set|export|setenv|setx|Set-Item|setq|ENV|ARG|define|secret set|secrets put)\s{1,4}(?:-{1,2}[a-zA-Z-]{1,12} ){0,2}(?:Env:)?["']?([\w./:@-]{3,120})["']?\s{1,4}(?:--?(?:body|value|data|b|v)[ =])?/.exec(
      text.slice(start, start + 190),
    );
  if (config?.[1] === undefined) return;
  const name = secretName(/[\w.-]*$/.exec(config[1])?.[0] ?? "");
  if (name === undefined) return;
  const value = valueAfter(scan, start + config[0].length, 0);
  if (value !== undefined && isAlnum(text.charCodeAt(value.start)))
    judgeData(scan, name.kind === "token" ? TOKEN : name, { ...value });
}

/** `storePassword "…"`, a setting of Gradle, which has no sign. */
export function gradlePassword(scan: Scan, start: number): void {
  const { text } = scan;
  const found = /^(?:store|key)Password (?=["'])/.exec(text.slice(start, start + 20));
  const value = found === null ? undefined : valueAfter(scan, start + found[0].length, 0);
  if (value?.isQuoted === true) judgeData(scan, PASSWORD, value);
}

/** Commands that take a password behind others: what stands before it, and how they begin. */
const positional: readonly RegExp[] = [
  /^sqlplus (?:-\w+ ){0,4}[\w$#]{1,60}\/(?=([^\s@/"']{4,100})(?:@|\s|$))/,
  /^(?:requirepass|masterauth|bindpw|rootpw) (?:--\w{1,12} )?(?=(\S{4,100})(?:\s|$))/,
  /^rabbitmqctl (?:add_user|change_password) [\w.@-]{1,60} (?=(\S{4,100})(?:\s|$))/,
  /^htpasswd (?:-\w+ ){1,4}\S{1,100} [\w.@-]{1,60} (?=(\S{4,100})(?:\s|$))/,
  /^AUTH (?:[\w-]{1,40} )?(?=((?=\S*\d)\S{6,100})(?:\s|$))/,
  /^REG_SZ[ \t]{1,12}(?=(\S{4,100})(?:\s|$))/,
  /^net use (?:[A-Z*]: )?\\{2,4}\S{1,100} (?=([^\s/]\S{3,100})\s)/,
  /^htpasswd (?:-\w+ ){0,3}-\w*n\w* (?:-\w+ ){0,3}[\w.@-]{1,60} (?=(\S{4,100})(?:\s|$))/,
  /^net user (?:\/\w+ )?[\w.\\-]{1,60} (?=([^\s/]{4,100})(?:\s|$))/,
  /^wpa_passphrase \S{1,40} (?=(\S{8,63})(?:\s|$))/,
  /^jdbc:oracle:thin:[\w$#]{1,60}\/(?=([^\s@/"']{4,100})@)/,
  /^user [\w.-]{1,60} on (?:\S{1,20} ){0,4}>(?=(\S{4,100})(?:\s|$))/,
  /^(?:PSK|XAUTH|EAP) "(?=([^"\s]{8,100})")/,
  /^echo (?:-\w )?["']?(?:[\w.-]{1,40}:)?(?=([^\s"'$:]{4,100})["']?\s{0,4}\|[^\n]{0,80}(?:chpasswd|\|\s{0,4}passwd\b|--pass(?:word|wd)?-(?:on-)?stdin|--(?:with-)?(?:api-)?(?:token|key)(?:-stdin)?\b|sudo -S))/,
];

/** `requirepass …`, `rabbitmqctl add_user NAME …`, `echo … | chpasswd`: by where the command begins. */
export function positionalPassword(scan: Scan, start: number): void {
  const piece = scan.text.slice(start, start + 320);
  for (const form of positional) {
    const found = form.exec(piece);
    if (found?.[1] === undefined || found[1].startsWith("-")) continue;
    // A value of the Windows registry stands behind its name and its type.
    if (found[0].startsWith("REG_SZ") && !registryName.test(scan.text.slice(Math.max(0, start - 60), start))) continue;
    const from = start + found[0].length;
    judgeData(scan, PASSWORD, { start: from, end: from + found[1].length, isQuoted: true });
  }
}
const registryName = /(?:password|passwd|pwd|passphrase|secret)[ \t]{1,12}$/i;

/** `--password-command 'echo …'`, `--password-file=<(echo …)`: by where `echo` begins. */
export function echoedPassword(scan: Scan, start: number): void {
  const { text } = scan;
  const found = /^echo (?:-n )?(?=([^\s"'()$]{4,100})["')])/.exec(text.slice(start, start + 115));
  if (
    found?.[1] === undefined ||
    !/(?:pass(?:word|wd|phrase)?|private-key|secret|token)[\w-]{0,12}[= ](?:["']|<\()$/.test(
      text.slice(Math.max(0, start - 40), start),
    )
  )
    return;
  const from = start + found[0].length;
  judgeData(scan, PASSWORD, { start: from, end: from + found[1].length, isQuoted: true });
}

/** `send "…\r"`, of expect, behind a question for a password. */
export function sentPassword(scan: Scan, start: number): void {
  const found = /^send (?:-- )?"(?=([^"\n]{4,100}?)(?:\\[rn])?")/.exec(scan.text.slice(start, start + 120));
  if (
    found?.[1] === undefined ||
    !/ass(?:word|phrase)[^\n]{0,20}\n[^\n]{0,10}$/.test(scan.text.slice(Math.max(0, start - 60), start))
  )
    return;
  const from = start + found[0].length;
  judgeData(scan, PASSWORD, { start: from, end: from + found[1].length, isQuoted: true });
}

/** `wandb login …`, `snyk auth …`, `ngrok config add-authtoken …`: commands whose next word is a generated secret. */
export function loginCommand(scan: Scan, start: number): void {
  const { text } = scan;
  const found = /^(?:login|auth|add-authtoken|authtoken)\s{1,4}(?=([\w-]{20,100})(?![\w./:@-]))/.exec(
    text.slice(start, start + 130),
  );
  if (found?.[1] === undefined || !/^[ \t]$/.test(text[start - 1] ?? "")) return;
  if (isRandom(found[1])) scan.cuts.add(start + found[0].length, start + found[0].length + found[1].length, NAMED);
}

/** Passwords in the settings of network devices: `secret 0 …`, `snmp-server community …`; and `net use … /user:NAME …`. */
export function deviceSecret(scan: Scan, start: number): void {
  const { text } = scan;
  const before = text.slice(Math.max(0, start - MAX_COMMAND_DISTANCE), start).replace(/^[^]*\n/, "");
  const found = /^(?:(?:secret|password) [05789] |community |user:\S{1,60} )(?=([^\s"']{4,100})(?:\s|$))/.exec(
    text.slice(start, start + 180),
  );
  if (found?.[1] === undefined) return;
  const isDevice = /^(?:secret|password)/.test(found[0])
    ? /^\s*(?:enable|username|ppp|line|tacacs|radius|neighbor)\b/.test(before)
    : found[0].startsWith("community")
      ? /\bsnmp-server $/.test(before)
      : /\bnet use\b.*\/$/i.test(before);
  if (!isDevice) return;
  const from = start + found[0].length;
  judgeData(scan, PASSWORD, { start: from, end: from + found[1].length, isQuoted: true });
}

/** `host:port:database:user:password`, a line of `.pgpass`, by its first colon. */
export function pgpassLine(scan: Scan, colon: number): void {
  const { text } = scan;
  if (!/^:(?:\d{4}|\*)/.test(text.slice(colon, colon + 5))) return;
  const found = /^:(?:\d{4,5}|\*):([^\s:]{1,63}):[^\s:]{1,63}:(?=((?:[^\s:]|\\:){6,200})(?:\r?\n|$))/.exec(
    text.slice(colon, colon + 350),
  );
  if (found?.[2] === undefined || /^\d+$/.test(found[1] ?? "") || !isMixed(found[2])) return;
  if (!/(?:^|\n)[\w.*-]{1,80}$/.test(text.slice(Math.max(0, colon - 81), colon))) return;
  const from = colon + found[0].length;
  judgeData(scan, PASSWORD, { start: from, end: from + found[2].length, isQuoted: true });
}

/** `ConvertTo-SecureString "…" -AsPlainText`, of PowerShell. */
export function secureString(scan: Scan, start: number): void {
  const found = /^ConvertTo-SecureString\s{1,4}(?:-String\s{1,4})?/.exec(scan.text.slice(start, start + 60));
  const value = found === null ? undefined : valueAfter(scan, start + found[0].length, 0);
  if (value?.isQuoted === true) judgeData(scan, PASSWORD, value);
}

/** `variable "db_password" { default = "…" }`: the default is the variable's value. */
export function variableBlock(scan: Scan, start: number): void {
  const found = /^variable\s{1,4}"([\w-]{2,80})"/.exec(scan.text.slice(start, start + 110));
  const name = found?.[1] === undefined ? undefined : secretName(found[1]);
  // Its brace belongs to the block.
  if (found !== null && name !== undefined) scan.pairName = { name, end: start + found[0].length + 3 };
}
