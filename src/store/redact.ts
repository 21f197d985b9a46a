import type { Metadata } from "./exact.ts";

/** A kind of secret, and how it is recognised in a text. */
interface Pattern {
  kind: string;
  /** The text is looked at closely only when it holds one of these; nearly none does, and that is quick to see. */
  anchors: string[];
  expression: RegExp;
}

/** What was cut, by kind. */
export type Redactions = Record<string, number>;

/** Takes secrets out of what is to be stored. */
export interface Redactor {
  text(text: string, found: Redactions): string;
  /** Texts anywhere in it, and whole values of fields that are named like secrets. */
  metadata(metadata: Metadata, found: Redactions): Metadata;
}

/** Names under which people keep secrets. `token` alone counts, and `progressToken` does not. */
const secretName =
  "(?:password|passwd|passphrase|pwd|secret|(?:client|app|shared|signing)[_-]?secret|api[_-]?key|secret[_-]?key|private[_-]?key|access[_-]?key|secret[_-]?access[_-]?key|(?:access|auth|refresh|id|api|bot|session|bearer)[_-]?token|token|authorization)";
const secretField = new RegExp(`^(?:.*[_.-])?${secretName}$`, "i");

/**
 * What stands in the place of a secret in examples and code, or is the name of a type. A value that begins like a
 * variable or a call is code that reads a secret, not the secret.
 */
const placeholder =
  /^(?:[<{[(*$%]|\.\.\.|x{3,}|your|my[_-]|example|placeholder|changeme|redacted|undefined|null|none|true|false|string|number|required|optional|process\.|os\.|env\.|getenv|config\.)|^\W*$|[([{]|\.(?:get|env)\b/i;

/** A word could be prose; a password mixes, or is long. */
function looksSecret(value: string): boolean {
  if (placeholder.test(value)) return false;
  return (
    value.length >= 12 ||
    (value.length >= 4 && /[0-9]/.test(value) && /[a-z]/i.test(value)) ||
    /[!@#^&*].*\w/.test(value)
  );
}

/** A group `keep` stays as it is, before the cut. */
const patterns: readonly Pattern[] = [
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
      "pk_",
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
    ],
    expression:
      /\b(?:sk-(?=[\w-]{0,100}\d)[A-Za-z0-9_-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|dop_v1_[a-f0-9]{64}|SG\.[\w-]{16,100}\.[\w-]{16,}|AIza[\w-]{35}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}|glpat-[\w-]{20,}|xai-[A-Za-z0-9]{40,}|gsk_[A-Za-z0-9]{40,}|lin_api_[A-Za-z0-9]{32,}|shpat_[a-f0-9]{32}|r8_[A-Za-z0-9]{30,})/g,
  },
  {
    kind: "GitHub token",
    anchors: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    expression: /\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_\w{22,255})/g,
  },
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
    kind: "password in URL",
    anchors: ["://"],
    expression: /(?<keep>\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:@/"'<>]{0,200}:)(?![{$<*])[^\s@/"'<>]{1,500}(?=@[^\s@])/gi,
  },
];

/** `password = "…"`, `API_KEY: …`, `"token": "…"`: the value is looked at by itself. Every run is bounded, or a long
 * line of underscores would take time by its square. */
const assignment = new RegExp(
  `(?<keep>(?<![A-Za-z0-9])(?:[\\w.-]{0,40}[_.-])?${secretName}\\\\?["']?\\s*(?::=|=>|[:=])\\s*)(?:(?<quote>\\\\?["'\`])(?<quoted>(?:(?!\\k<quote>)[^\\n\\\\]){1,500})|(?<bare>[^\\s"'\`,;&<>\\\\]{1,500}))`,
  "gi",
);
const assignmentHint = /passw|passphrase|pwd|secret|key|token|authorization/i;

/** Recognises the common kinds of secrets, and the patterns that are added (by their kind). */
export function createRedactor(added: Record<string, RegExp> = {}): Redactor {
  const own = Object.entries(added).map(([kind, expression]) => ({ kind, expression: new RegExp(expression, "g") }));
  const text = (given: string, found: Redactions): string => {
    let result = given;
    for (const { kind, anchors, expression } of patterns) {
      if (anchors.some((anchor) => result.includes(anchor))) result = cut(result, expression, kind, found);
    }
    for (const { kind, expression } of own) result = cut(result, expression, kind, found);
    return assignmentHint.test(result) ? cutAssignments(result, found) : result;
  };
  const value = (given: unknown, found: Redactions): unknown => {
    if (typeof given === "string") return text(given, found);
    if (given === null || typeof given !== "object") return given;
    if (Array.isArray(given)) return given.map((each) => value(each, found));
    return metadata(given as Metadata, found);
  };
  const metadata = (given: Metadata, found: Redactions): Metadata =>
    Object.fromEntries(
      Object.entries(given).map(([name, each]) => {
        const isSecret = typeof each === "string" && each !== "" && secretField.test(name) && !isMark(each);
        return [name, isSecret ? mark("secret field", found) : value(each, found)];
      }),
    );
  return { text, metadata };
}

/** A message's text and metadata without secrets; what was cut is counted in the metadata, by kind. */
export function redactMessage<Message extends { content: string; metadata?: Metadata | null | undefined }>(
  redactor: Redactor,
  message: Message,
): Message {
  const found: Redactions = {};
  const content = redactor.text(message.content, found);
  const metadata = message.metadata ? redactor.metadata(message.metadata, found) : message.metadata;
  if (Object.keys(found).length === 0) return message;
  return { ...message, content, metadata: { ...metadata, redactions: found } };
}

/** Metadata that belongs to no message: without secrets, and with their count. */
export function redactMetadata(redactor: Redactor, metadata: Metadata | null | undefined): Metadata | undefined {
  return redactMessage(redactor, { content: "", metadata }).metadata ?? undefined;
}

/** Stores everything as it comes. */
export const noRedactor: Redactor = { text: (text) => text, metadata: (metadata) => metadata };

function cut(text: string, expression: RegExp, kind: string, found: Redactions): string {
  return text.replace(expression, (...match) => {
    const groups: unknown = match.at(-1);
    const kept = typeof groups === "object" && groups !== null ? (groups as { keep?: string }).keep : undefined;
    return `${kept ?? ""}${mark(kind, found)}`;
  });
}

function cutAssignments(text: string, found: Redactions): string {
  return text.replace(assignment, (...match) => {
    const [whole] = match as [string];
    const { keep = "", quote = "", quoted, bare } = match.at(-1) as Record<string, string | undefined>;
    const secret = quoted ?? bare ?? "";
    if (isMark(secret) || !looksSecret(secret)) return whole;
    return `${keep}${quote}${mark("secret field", found)}`;
  });
}

function mark(kind: string, found: Redactions): string {
  found[kind] = (found[kind] ?? 0) + 1;
  return `[redacted: ${kind}]`;
}

function isMark(text: string): boolean {
  return text.startsWith("[redacted");
}
