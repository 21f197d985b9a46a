/**
 * What the name of a field says about its value.
 * - `password`: chosen by people, and so perhaps short or a word
 * - `secret`: as likely chosen as generated
 * - `key`: generated
 * - `token`, `weak`: secret only if it looks generated, because other things bear such names too
 * - `pin`: some digits
 * - `authorization`, `basic`, `cookie`: has a syntax of its own
 */
type SecretKind = "password" | "secret" | "key" | "token" | "weak" | "pin" | "authorization" | "basic" | "cookie";

export interface SecretName {
  kind: SecretKind;
  /** Several words in capitals: a variable of the environment, whose value is never prose. */
  isVariable: boolean;
  /** Several of them: `api_keys`. */
  isPlural: boolean;
}

/** Longer names are no names; the limit bounds what is read before each separator. */
export const MAX_NAME_CHARACTERS = 80;
/** Names of which the verdict is remembered; texts repeat few. */
const MAX_REMEMBERED = 5000;

const set = (words: string) => new Set(words.split(" "));

/** Words behind the one that tells, which say only which of them or in what form. */
const qualifiers = set(
  "base value plain plaintext raw prod production dev development staging stage test testing live old new current default primary secondary main backup encoded confirm confirmation again repeat string str text data env b64 base64 v1 v2 v3 eu us",
);
const passwords = set(
  "password passwords passwd passphrase passphrases passcode pwd psk passin passout passwort kennwort motdepasse senha contrasena contrasenya wachtwoord losenord haslo heslo parola salasana jelszo adgangskode passord sifre userpass passkey mypassword sshpass pswd passw storepass keypass requirepass masterauth bindpw rootpw srcstorepass deststorepass",
);
const passwordEnds = /(?:password|passwd|passphrase|pwd)s?$/;
const secrets = set("secret secrets seckey apisecret clientsecret appsecret credential credentials creds");
const secretEnds = /(?:secret)s?$/;
/** Words before `key` that make it a secret … */
const secretKeys = set(
  "api secret private priv access encryption encrypt decryption signing sign master account auth service storage shared license deploy ssh subscription consumer write webhook admin hmac aes crypto cipher pre preshared session app application client server unseal wg rsa pgp gpg jwt token ssl tls project user ingest integration",
);
/** … and those that make it something else. */
const otherKeys = set(
  "primary foreign sort cache partition public pub map object index unique row hash cell group dict i18n translation query keyboard hot short shortcut arrow lookup routing idempotency dedup s3 pressed property registry range composite natural surrogate parent child item list node json config entry label state react field meta escape enter tab shift ctrl alt any each by on for the a an this that one which no is of and or with if name host known socket websocket",
);
const keyEnds = /(?:api|secret|private|access|auth|account|encryption|signing|master|license|preshared)keys?$/;
/** Words before `token` that make it no secret: parts of texts, places in lists, signals. */
const otherTokens = set(
  "page next prev previous progress continuation continue sync eos bos pad unk sep cls mask start end max min total prompt completion input output num stop special cancellation cancel change resume pagination delta lex current last first per count invalid unexpected missing expired bad wrong illegal unknown unrecognized css design color syntax string parse lexer abort reasoning cached reminder the a an this that each of no text word image audio sub is for with or and any one",
);
const tokenEnds = /(?:access|auth|refresh|bearer|api|session|bot|identity|registry)tokens?$/;
const sessions = set("session sessionid sessid phpsessid jsessionid sid");

const remembered = new Map<string, SecretName | undefined>();

/** What a field's name says; undefined when nothing secret is behind it. */
export function secretName(name: string): SecretName | undefined {
  if (name.length < 2 || name.length > MAX_NAME_CHARACTERS) return undefined;
  const known = remembered.get(name);
  if (known !== undefined || remembered.has(name)) return known;
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  const kind = judged(name);
  const verdict = kind && {
    kind,
    isVariable: /^[A-Z0-9]+_[A-Z0-9_]+$|^PG[A-Z]+$/.test(name),
    isPlural: /s['"\]]*$/i.test(name),
  };
  remembered.set(name, verdict);
  return verdict;
}

/** Whether the field gives the name of a secret whose value is in a field beside it, or is that value. */
export function pairPart(name: string): "name" | "value" | undefined {
  if (pairNames.has(name)) return "name";
  return pairValues.has(name) ? "value" : undefined;
}
const pairNames = set("name Name key Key field Field header Header variable param parameter id k n");
const pairValues = set("value Value val Val content contents Default default v string stringValue");

/** A fast check: nearly no name has one of these. */
const stem =
  /pass|pwd|pw|psk|wort|senha|contras|wacht|losen|hasl|hesl|parol|salas|jelsz|adgang|sifre|verif|login|mot|phrase|word|secret|key|token|auth|cred|cookie|sess|sid|jwt|pin|cv[vc]|otp|code|bearer|pat|sas|signature|sign|salt|honeycomb/i;

function judged(name: string): SecretKind | undefined {
  if (!stem.test(name)) return undefined;
  const words = wordsOf(name);
  while (words.length > 1 && isQualifier(words.at(-1) ?? "")) words.pop();
  const last = words.at(-1);
  if (last === undefined) return undefined;
  const before = words.at(-2) ?? "";
  const whole = words.join("");
  if (before === "key" && words.at(-3) === "public") return undefined;
  return (
    ofPassword(last, before, words.length) ??
    ofSecret(last, before) ??
    ofKey(last, before, whole, name) ??
    ofToken(last, before, whole, words.length) ??
    ofOther(last, before, whole, name)
  );
}

function ofPassword(last: string, before: string, words: number): SecretKind | undefined {
  if (passwords.has(last) || passwordEnds.test(last) || (last === "passe" && before === "de"))
    return before === "no" || before === "without" ? undefined : "password";
  if (
    (last === "pass" || last === "pw") &&
    words > 1 &&
    !/^(?:first|second|one|two|by|to|will|did|not|tests?|must|may|can|should|render|single|multi|low|high|band)$/.test(
      before,
    )
  )
    return "password";
  if (last === "word" && before === "pass") return "password";
  if (last === "phrase" && before === "pass") return "password";
  if (last === "pass" || last === "pw") return "secret";
  return /^(?:pin|cvv|cvc|otp)$/.test(last) ||
    (last === "code" && /^(?:pin|pass|otp|verification|mfa|2fa|security|auth)$/.test(before))
    ? "pin"
    : undefined;
}

function ofSecret(last: string, before: string): SecretKind | undefined {
  if (!secrets.has(last) && !secretEnds.test(last)) return undefined;
  return before === "no" || before === "image" ? undefined : "secret";
}

function ofKey(last: string, before: string, whole: string, name: string): SecretKind | undefined {
  if (keyEnds.test(whole) && !/public/.test(whole)) return "key";
  if (last !== "key" && last !== "keys")
    return /^(?:recovery|backup)codes?$/.test(whole.slice(-13)) ? "weak" : undefined;
  if (before === "") return undefined;
  if (secretKeys.has(before)) return "key";
  if (otherKeys.has(before)) return undefined;
  return /^[A-Z0-9_]+$/.test(name) ? "key" : "weak";
}

function ofToken(last: string, before: string, whole: string, words: number): SecretKind | undefined {
  if (
    /^(?:jwt|bearer|apikey|authkey|authtoken|accesstoken|sas|pat)$/.test(last) &&
    whole !== "pat" &&
    whole !== "bearer"
  )
    return last === "pat" || last === "sas" ? "weak" : "key";
  if (last === "signature" && /^(?:sharedaccess|amz|goog)/.test(whole)) return "key";
  if (last === "tokens") return otherTokens.has(before) ? undefined : "weak";
  if (tokenEnds.test(whole)) return "key";
  if (last !== "token")
    return last.endsWith("token") && last.length > 5 && !otherTokens.has(last.slice(0, -5)) ? "key" : undefined;
  if (words === 1) return "token";
  return otherTokens.has(before) ? undefined : "key";
}

function ofOther(last: string, before: string, whole: string, name: string): SecretKind | undefined {
  if (whole === "rediscliauth") return "password";
  if (whole === "codeverifier" || whole.endsWith("sonarlogin")) return "key";
  if (last === "authorization") return "authorization";
  if (last === "cookie" || last === "cookies") return "cookie";
  if (last === "auth") return "basic";
  if (last === "oauth" || (last === "salt" && before !== "")) return "weak";
  if (last === "id" && before === "secret") return "key";
  if (whole === "xhoneycombteam") return "key";
  if (sessions.has(whole) || (last === "id" && before === "session") || whole === "connectsid") return "weak";
  if (last === "key" && /^[A-Z0-9_]+$/.test(name)) return "weak";
  return undefined;
}

function isQualifier(word: string): boolean {
  return qualifiers.has(word) || /^\d{1,3}$/.test(word);
}

/** `dbPassword`, `DB_PASSWORD`, `db-password`, `db.password`: db, password. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .replace(/([A-Za-z]{3})(\d{1,3})$/, "$1 $2")
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .filter((word) => word !== "");
}
