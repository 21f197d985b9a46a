/** A kind of secret, and how it is recognised in a text. */
interface Pattern {
  kind: string;
  /** The expression runs only on texts that contain one of these; nearly none does, and the check is fast. */
  anchors: string[];
  expression: RegExp;
}

/** Names of secrets, with any prefix (`dbPassword`, `PGPASSWORD`, `githubToken`). */
const strongName =
  "(?:password|passwd|passphrase|pwd|psk|secret|(?:client|app|shared|signing)[_-]?secret|api[_-]?key|secret[_-]?key(?:_base)?|(?:private|encryption|signing|master|consumer)[_-]?key|(?:secret[_-]?)?access[_-]?key|(?:access|auth|refresh|id|api|bot|session|bearer|github|gitlab|slack|npm|deploy|service|admin)[_-]?token)";
/** Names of secrets only alone or after a separator; page tokens and tokens of a text are not meant. */
const weakName =
  "(?:(?<!(?:page|next|progress|continuation|sync|eos|bos|pad|unk|sep|cls|mask|start|end)[_.-])token|authorization)";
const anyName = `(?:[\\w.-]{0,40}${strongName}|(?:[\\w.-]{0,40}[_.-])?${weakName})`;

/** Matches the names of fields whose whole value is cut. */
export const secretField = new RegExp(`^(?:.*${strongName}|(?:.*[_.-])?${weakName})$`, "i");

/** Names of secrets that people choose themselves, and that may therefore be short. */
const chosenByPeople = /pass|pwd|psk|secret|identified by|-u|--user/i;
/** Names that code and error messages also use for other things. */
const weakBefore =
  /(?<!(?:access|auth|refresh|id|api|bot|session|bearer|github|gitlab|slack|npm|deploy|service|admin)[_-]?)token\W*$/i;

/**
 * Stand-ins for a secret in examples and code, and names of types. A value that begins like a variable or a call is code
 * that reads a secret, not the secret.
 */
const placeholder =
  /^(?:[<{[(*$%]|\.\.\.|x{3,}|your|my[_-]|example|placeholder|changeme|redacted|undefined|null|none|true|false|string|number|required|optional|arn:|process\.|os\.|env\.|getenv|config\.)|^\W*$|[([{]|\.(?:get|env)\b/i;
const words = /^[A-Za-z]+(?:[-_. ][A-Za-z]+)*[.,;!?)]*$/;
/** Property accesses such as `this.options.apiKey`, and paths of files. */
const path = /^(?:[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+[.,;)]*|[~.]{0,2}(?:\/[\w.-]+){2,})$/;

/**
 * Whether the value of a field is a secret; `before` ends with the field's name. Prose and code mention passwords all the
 * time; a secret mixes letters and digits, is long, or stands in quotes like `correct-horse-battery`.
 */
export function looksSecret(value: string, { before, isQuoted }: { before: string; isQuoted: boolean }): boolean {
  if (placeholder.test(value)) return false;
  const isChosen = chosenByPeople.test(before);
  if (words.test(value))
    return isChosen && value.length >= 12 && !value.includes(" ") && (isQuoted || before.endsWith("="));
  if (!isQuoted && path.test(value)) return false;
  const isMixed = /[0-9]/.test(value) && /[a-z]/i.test(value);
  if (weakBefore.test(before)) return isMixed && value.length >= 20;
  if (value.length >= 12) return true;
  return isChosen && ((value.length >= 4 && isMixed) || /[!@#^&*].*\w/.test(value));
}

/** The text of a group named `keep` stays in front of the cut. */
export const patterns: readonly Pattern[] = [
  {
    kind: "private key",
    anchors: ["PRIVATE KEY"],
    expression:
      /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:(?:[A-Za-z0-9+/=\s\\:.,]|-(?!-)){40,}?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{40,})/g,
  },
  {
    kind: "API key",
    anchors: [
      "sk-",
      "sk_",
      "rk_",
      "whsec_",
      "hf_",
      "npm_",
      "pypi-",
      "dop_v1_",
      "SG.",
      "AIza",
      "GOCSPX-",
      "ya29.",
      "glpat-",
      "xai-",
      "gsk_",
      "lin_api_",
      "shpat_",
      "r8_",
      "hvs.",
      "dapi",
      "ntn_",
      "pplx-",
      "sbp_",
      "figd_",
      "dckr_pat_",
      "tskey-",
      "SK",
      "key-",
      "PMAK-",
      "sntry",
      "shpss_",
      "gldt-",
      "glrt-",
      "1//0",
      "ATATT3",
    ],
    expression:
      /\b(?:sk-(?=[\w-]{0,40}?(?=[A-Za-z0-9]{16})[A-Za-z]{0,15}\d)[\w-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|dop_v1_[a-f0-9]{64}|SG\.[\w-]{16,100}\.[\w-]{16,}|AIza[\w-]{35}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}|gl(?:pat|dt|rt)-[\w-]{20,}|xai-[A-Za-z0-9]{40,}|gsk_[A-Za-z0-9]{40,}|lin_api_[A-Za-z0-9]{32,}|shp(?:at|ss)_[a-f0-9]{32}|r8_[A-Za-z0-9]{30,}|hvs\.[\w-]{24,}|dapi[a-f0-9]{32}|ntn_[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|sbp_[a-f0-9]{40}|figd_[\w-]{40,}|dckr_pat_[\w-]{20,}|tskey-[a-z]{1,20}-[\w-]{16,}|SK[a-f0-9]{32}|key-[a-f0-9]{32}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|sntry[su]_[\w+/=-]{40,}|1\/\/0[\w-]{30,}|ATATT3[\w=-]{60,})/g,
  },
  {
    kind: "GitHub token",
    anchors: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    expression: /\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_\w{22,255})/g,
  },
  { kind: "private key", anchors: ["AGE-SECRET-KEY-1"], expression: /\bAGE-SECRET-KEY-1[A-Z0-9]{50,}/g },
  { kind: "AWS key", anchors: ["AKIA", "ASIA"], expression: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g },
  {
    kind: "Slack token",
    anchors: ["xox", "xapp-", "hooks.slack.com"],
    expression:
      /\b(?:xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,})|(?<keep>hooks\.slack\.com\/services\/)[A-Za-z0-9/]{20,}/g,
  },
  { kind: "JSON Web Token", anchors: ["eyJ"], expression: /\beyJ[\w-]{10,1000}\.eyJ[\w-]{10,4000}\.[\w-]{10,}/g },
  { kind: "Azure key", anchors: ["AccountKey="], expression: /(?<keep>AccountKey=)[A-Za-z0-9+/]{40,}={0,2}/g },
  { kind: "bot token", anchors: [":AA"], expression: /\b\d{8,10}:AA[\w-]{32,}/g },
  {
    kind: "bearer token",
    anchors: ["earer ", "EARER ", "asic ", "oken "],
    expression:
      /(?<keep>\b(?:bearer|authorization:\s*(?:basic|token))\s+)(?=[\w.~+/-]{0,100}[0-9])[\w.~+/-]{16,}={0,2}/gi,
  },
  {
    kind: "signed address",
    anchors: ["sig=", "Signature=", "Security-Token="],
    expression: /(?<keep>[?&](?:sig|X-(?:Amz|Goog)-(?:Signature|Security-Token))=)[A-Za-z0-9%+/=_-]{16,}/g,
  },
  {
    kind: "cookie",
    anchors: ["ookie: "],
    expression: /(?<keep>\bcookie: *[\w.-]{1,60}=)(?=[\w%+/.-]{0,60}\d)[\w%+/=.-]{20,}/gi,
  },
  {
    kind: "password in URL",
    anchors: ["://"],
    expression:
      /(?<keep>\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:@/"'<>]{0,200}:)(?![{$<*]|(?:password|passwd|pass|pwd|secret)@)[^\s@/"'<>]{1,500}(?=@[^\s@])/gi,
  },
];

/** The value of a field, quoted or bare. */
const value =
  "(?:(?<quote>\\\\?[\"'`])(?<quoted>(?:(?!\\k<quote>)[^\\n\\\\]){1,4096})|(?<bare>[^\\s\"'`,;&<>\\\\]{1,4096}))";

interface Assignment {
  /** The expression runs only on texts that match this. */
  anchor: RegExp;
  expression: RegExp;
}

/** Every repetition is bounded; otherwise a long line of underscores would take quadratic time. */
export const assignments: readonly Assignment[] = [
  // `password = "…"`, `API_KEY: …`, `"token": "…"`
  assignment(/[:=]/, String.raw`(?<keep>(?<![A-Za-z0-9:])${anyName}\\?["']?\s*(?:::=|=>|[:=])\s*)${value}`),
  // `--client-secret …`
  assignment(/--[a-z]/i, String.raw`(?<keep>--${anyName}\s{1,10})(?!-)${value}`),
  // `<password>…</password>`
  assignment(/<\//, String.raw`(?<keep><${anyName}>)(?<bare>[^<\s]{1,500})(?=<\/)`),
  // `curl -u name:…`
  assignment(
    /\s(?:-u|--user)\s/,
    String.raw`(?<keep>\s(?:-u|--user)\s{0,10}["']?[\w.@-]{1,100}:)(?<bare>[^\s"'\`]{1,500})`,
  ),
  // `{"name": "password", "value": "…"}`
  assignment(
    /"value":/,
    String.raw`(?<keep>"(?:name|key)":\s{0,10}"${anyName}",\s{0,10}"value":\s{0,10})(?=")${value}`,
  ),
  // `WITH PASSWORD '…'`, `IDENTIFIED BY '…'`
  assignment(/(?:password|by) +'/i, String.raw`(?<keep>\b(?:password|identified by)\s{1,10})(?=')${value}`),
  // `the password is …`, `sshpass -p …`
  assignment(/password is|sshpass/i, String.raw`(?<keep>\b(?:password is|sshpass -p)\s{0,10})${value}`),
  // `login name password …`, as in .netrc
  assignment(/login\s/i, String.raw`(?<keep>\blogin\s{1,10}\S{1,100}\s{1,10}password\s{1,10})(?<bare>\S{1,500})`),
];

function assignment(anchor: RegExp, source: string): Assignment {
  return { anchor, expression: new RegExp(source, "gi") };
}

/** A fast check: most texts contain no assignment of this kind. */
export const assignmentHint = /pass|pwd|psk|secret|key|token|authorization|identified by|-u|--user/i;
