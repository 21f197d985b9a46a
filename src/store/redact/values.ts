import type { SecretName } from "./names.ts";

/** Of a longer value its beginning decides. */
const MAX_JUDGED_CHARACTERS = 300;

/** How a value stands behind its name. */
export interface Setting {
  isQuoted: boolean;
  /** Nothing stands between name, sign and value: `NAME=value`. */
  isTight: boolean;
  /** It is an argument of a command, or a field of data, and so not prose or code. */
  isData?: boolean;
}

/**
 * Stand-ins for a secret in examples and code, and names of types. A value that begins like a variable or a call is code
 * that reads a secret, not the secret.
 */
const placeholder =
  /^(?:[<{[(]|\.\.\.|\$(?:\{|\(|[A-Za-z_]\w*[$.,;)]*$)|%[A-Za-z_({]|%[sdv@]$|[x*•.#_-]{3,}$|your|my[_-](?:api|secret|token|key|password|pass\b)|(?:my|some|the|a)?[_-]?(?:secret|token|password|passwd|pwd|pass|key|apikey|passphrase)$|example|placeholder|change[_-]?(?:me|it|this)(?:$|[_-])|replace[_-]|insert[_-]|todo|tbd|dummy$|redacted|undefined$|null$|nil$|none$|true$|false$|yes$|no$|string$|str$|number$|int$|text$|bool(?:ean)?$|required|optional|hidden$|secretstr|sensitive|arn:|vault:|op:\/\/|ssm:|secretsmanager|!|this\.|self\.|\/[*/]|process\.|os\.|env[.:[]|getenv|config\.|secrets\.|data\.|var\.|local\.|\W+$)/i;
/** The same, by how it ends, and by a row of one sign in it. */
const placeholderEnd = /(?:EXAMPLE|EXAMPLEKEY|\.\.\.)$|[xX*]{6}/;
/** A call, a subscript or an access of a property: code that reads a value. */
const code =
  /^(?:await |new |!?[A-Za-z_$][\w$]{0,60}(?:\??\.[A-Za-z_$][\w$]{0,60}){0,8}(?:[([{]|\?\.|::|->|\)|\|\||&&))/;
/** A type of Rust, C or Go, or a choice between two values. */
const typeOrChoice =
  /^(?:[&*](?:'[a-z_]{1,20}(?:\s|$)|(?:mut|const|dyn|str|string|u8|bytes?|char)\b|\[|\()|!?[\w$.]{1,40}\?[\w$.]{1,40}[(.[])/;
const codeEnd = /(?:[([{]|\)[;,.]?)$/;
const property = /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+[.,;)]*$/;
/** A regular expression in code. */
const expression = /^\/.+\/[dgimsuvy]*[.,;)]*$/;
const path =
  /^(?:[~.]{0,2}(?:\/[\w.@-]+)+\/?|[A-Za-z]:\\.*|[\w-]+(?:\/[\w.-]+)+\.[a-z]{2,5}|[\w.-]+\.(?:pem|key|crt|cer|json|ya?ml|txt|env|ts|js|py|go|md|html|png|svg|toml|ini|cfg|conf|gpg|asc|p12|pfx|jks|sh))$/i;
const url = /^[a-z][a-z\d+.-]{1,20}:\/\//i;
const words = /^[A-Za-z]+(?:[-_. '][A-Za-z]+)*[.,;:!?)]*$/;
/** Also behind a word, which names what it is the id of. */
const uuid = /^(?:[a-z]{2,20}[-_:])?[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
const date =
  /^\d{4}-\d\d-\d\d(?:[T ][\d:.Z+-]*)?$|^\d+(?:\.\d+){1,3}$|^v\d+(?:\.\d+)*$|^\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?$/;
const digest = /^(?:\w{1,10}:)?(?:sha\d+|md5|blake\w+)[:-]/i;
/** Names of algorithms and forms, which mix letters and digits. */
const technical =
  /^(?:sha|md|base|utf|aes|rs|hs|es|ps|ed|curve|oauth|ipv|http|pbkdf|argon|bcrypt|scrypt|x|v|p|s|ec|h|tls|ssl|blake|rsa|dsa|hmac|cost|rounds|iso|latin|ascii|utf|win|node|php|python|nt)\d{1,5}$/i;
const algorithm = /(?:^|[-_])(?:bcrypt|scrypt|argon2\w*|pbkdf2|sha\d*|md5|hmac|aes|rsa|ed25519|x25519)(?:$|[-_])/i;
const measured =
  /^\d+[+]?[-_ ]?(?:chars?|characters?|bytes?|bits?|digits?|s|ms|sec|seconds?|min|minutes?|h|hours?|d|days?|k|kb|mb|px|em|rem|%)$/i;

/** A word and a number, as people choose them and code names nothing: `Walnut-402`. */
const chosen = /^[A-Z][a-z]{2,20}[-_.]?\d{2,6}[!?]?$/;

/** A variable with the value: `password = password2`. */
const ownName = /^[a-z_]*(?:password|passwd|passphrase|pass|pwd|pw|secret|token|key)_?v?\d{0,2}$/i;

export function isChosenWord(value: string): boolean {
  return chosen.test(value);
}

/** Whether the value of a field is a secret, by what its name says and how it looks. */
export function looksSecret(given: string, name: SecretName, setting: Setting): boolean {
  const value = given.length > MAX_JUDGED_CHARACTERS ? given.slice(0, MAX_JUDGED_CHARACTERS) : given;
  if (value === "" || isStandIn(value) || isOther(value, setting)) return false;
  switch (name.kind) {
    case "password":
    case "secret":
      return isChosen(value, name, setting);
    case "key":
    case "authorization":
      return isGenerated(value, 12);
    case "token":
      return isGenerated(value, 20) && isMixed(value);
    case "weak":
      return !uuid.test(value) && isGenerated(value, 20) && isMixed(value) && isRandom(value);
    case "pin":
      return /^\d{3,10}$/.test(value);
    case "basic":
      return isBasic(value) || (isGenerated(value, 24) && isMixed(value) && isRandom(value));
    case "cookie":
      return false;
    default:
      return name.kind satisfies never;
  }
}

/** Whether a value stands for a secret, as in examples. */
export function isPlaceholder(value: string): boolean {
  return value.length <= MAX_JUDGED_CHARACTERS && isStandIn(value);
}

function isStandIn(value: string): boolean {
  return placeholder.test(value) || placeholderEnd.test(value);
}

/** Whether a value is something else than a word or a secret: code, a path, an address, a date, a digest. */
function isOther(value: string, { isQuoted }: Setting): boolean {
  if (url.test(value) || date.test(value) || digest.test(value) || path.test(value)) return true;
  if (value.includes("${") || value.includes("{{")) return true;
  if (isQuoted) return false;
  return (
    code.test(value) ||
    typeOrChoice.test(value) ||
    codeEnd.test(value) ||
    value.includes("=>") ||
    expression.test(value) ||
    (property.test(value) && isIdentifier(value.replaceAll(/[$,;)]/g, "")))
  );
}

/** Prose and code mention passwords all the time; one that people chose mixes letters with digits or signs, or is data. */
function isChosen(value: string, name: SecretName, setting: Setting): boolean {
  const isPassword = name.kind === "password";
  if (/\s/.test(value)) return isPassword && hasMixedWord(value) && !/["'`{}<>]/.test(value);
  if (algorithm.test(value) || technical.test(value) || measured.test(value)) return false;
  const isData = setting.isData === true || (name.isVariable && setting.isTight) || (name.isVariable && isPassword);
  if (words.test(value)) {
    const bare = value.replace(/[.,;:!?)]+$/, "");
    if (isData) return bare.length >= (setting.isData === true && !setting.isQuoted && !setting.isTight ? 6 : 4);
    return isPassword && bare.length >= 12 && (setting.isQuoted || setting.isTight) && !isCamel(bare);
  }
  if (/^\d+$/.test(value)) return value.length >= (isPassword ? 4 : 6);
  if (isIdentifier(value) && !setting.isQuoted && !isData) {
    if (ownName.test(value)) return false;
    if (chosen.test(value) && (isPassword || !setting.isTight)) return true;
    if (!isPassword) return /^[A-Za-z][a-z]{3,}\d{1,4}$/.test(value) && !setting.isTight;
    return isMixed(value) && !value.includes("_") && !isCamel(value);
  }
  if (/[^\0-\x7f]/.test(value)) return isMixed(value) && setting.isQuoted;
  if (value.length >= 4 && isMixed(value)) return true;
  if (value.length >= 12) return !isIdentifier(value);
  return (
    value.length >= 4 &&
    /[!@#^&*]/.test(value) &&
    /\w/.test(value) &&
    (setting.isQuoted || /^[A-Za-z\d].*[!@#^&*].*\w/.test(value))
  );
}

/** Whether a value is as long as generated ones are, and no name, number or sentence. */
function isGenerated(value: string, least: number): boolean {
  if (value.length < least || /\s/.test(value)) return false;
  if (words.test(value)) return value.length >= 20 && /^[A-Za-z]+$/.test(value) && !isIdentifier(value);
  if (/^\d+$/.test(value)) return value.length >= 16;
  if (/[^\0-\x7f]/.test(value)) return false;
  return !isIdentifier(value);
}

/** Digits among letters, as no name has them, or letters in an order as no word has them. */
export function isRandom(value: string): boolean {
  const judged = value.slice(0, MAX_JUDGED_CHARACTERS);
  const digits = judged.replace(/\D+/g, "").length;
  return digits >= 2 && isMixed(judged) && new Set(judged).size >= 8 && !isIdentifier(judged);
}

export function isMixed(value: string): boolean {
  return /\d/.test(value) && /[a-z]/i.test(value);
}

function isCamel(value: string): boolean {
  return /[a-z][A-Z]/.test(value);
}

/** `p4ssphrase with spaces`, but not `must be 12+ characters`. */
function hasMixedWord(value: string): boolean {
  return value
    .split(/\s+/)
    .some(
      (word) =>
        /^[A-Za-z]+\d+[A-Za-z]+\w*$/.test(word) && word.length >= 6 && !technical.test(word) && !algorithm.test(word),
    );
}

/** Whether a value is composed of words and short numbers, like names in code and of files: `identifier_at_line_42`. */
function isIdentifier(value: string): boolean {
  const parts = value
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .split(/[-_.:/ ]+/)
    .filter((part) => part !== "");
  if (parts.length === 0 || value.length / parts.length < 3) return false;
  return parts.every((part) => isWord(part));
}

function isWord(part: string): boolean {
  if (/^(?:\d{1,4}|[A-Z]\d{2,4})$/.test(part) || technical.test(part)) return true;
  const [, letters, digits = ""] = /^([A-Za-z]+)(\d{0,4})$/.exec(part) ?? [];
  if (letters === undefined || letters.length > 24 || (digits !== "" && letters.length < 3)) return false;
  if (letters.length <= 3) return true;
  return (
    /[aeiouy]/i.test(letters) &&
    !/[bcdfghjklmnpqrstvwxz]{5}|[aeiou]{4}/i.test(letters) &&
    (/^[A-Z]?[a-z]+$/.test(letters) || /^[A-Z]+$/.test(letters))
  );
}

/** Base64 of `name:password`, as in Basic authentication, npm's `_auth` and docker's `auth`. */
export function isBasic(value: string): boolean {
  if (value.length < 8 || value.length > 2000 || !/^[A-Za-z\d+/]+={0,2}$/.test(value)) return false;
  const decoded = atobOrNothing(value);
  return /^[\x20-\x7e]+$/.test(decoded) && /^[^:]{0,200}:./.test(decoded);
}

export function atobOrNothing(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return "";
  }
}
