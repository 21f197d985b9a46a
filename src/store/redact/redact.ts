import type { Metadata } from "../exact.ts";
import { assignmentHint, assignments, looksSecret, patterns, secretField } from "./secret-patterns.ts";

/** How many secrets were cut, by kind. */
export type Redactions = Record<string, number>;

/** Removes secrets from what is about to be stored. */
export interface Redactor {
  text(text: string, found: Redactions): string;
  /** Cuts secrets in all texts, and the whole values of fields that are named like secrets. */
  metadata(metadata: Metadata, found: Redactions): Metadata;
}

/** Recognises the common kinds of secrets, and added patterns, which are named by their kind. */
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
  const metadata = (given: Metadata, found: Redactions): Metadata => {
    // Headers and variables are often lists of name and value.
    const pairName = given["name"] ?? given["key"];
    const isPair = typeof pairName === "string" && secretField.test(pairName);
    return Object.fromEntries(
      Object.entries(given).map(([name, each]) => {
        const isNamed = secretField.test(name) || (isPair && name === "value");
        const isSecret = typeof each === "string" && each !== "" && isNamed && !isMark(each);
        return [name, isSecret ? mark("secret field", found) : value(each, found)];
      }),
    );
  };
  return { text, metadata };
}

/** Cuts secrets from a message's text and metadata, and counts them by kind in `metadata.redactions`. */
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

/** Cuts secrets from metadata without a message, and counts them there. */
export function redactMetadata(redactor: Redactor, metadata: Metadata | null | undefined): Metadata | undefined {
  return redactMessage(redactor, { content: "", metadata }).metadata ?? undefined;
}

/** Stores everything unchanged. */
export const noRedactor: Redactor = { text: (text) => text, metadata: (metadata) => metadata };

function cut(text: string, expression: RegExp, kind: string, found: Redactions): string {
  return text.replace(expression, (...match) => {
    const groups: unknown = match.at(-1);
    const kept = typeof groups === "object" && groups !== null ? (groups as { keep?: string }).keep : undefined;
    return `${kept ?? ""}${mark(kind, found)}`;
  });
}

function cutAssignments(text: string, found: Redactions): string {
  let result = text;
  for (const { anchor, expression } of assignments) {
    if (!anchor.test(result)) continue;
    result = result.replace(expression, (...match) => {
      const [whole] = match as [string];
      const { keep = "", quote = "", quoted, bare } = match.at(-1) as Record<string, string | undefined>;
      const secret = quoted ?? bare ?? "";
      if (!looksSecret(secret, { before: keep, isQuoted: quoted !== undefined })) return whole;
      return `${keep}${quote}${mark("secret field", found)}`;
    });
  }
  return result;
}

function mark(kind: string, found: Redactions): string {
  found[kind] = (found[kind] ?? 0) + 1;
  return `[redacted: ${kind}]`;
}

function isMark(text: string): boolean {
  return text.startsWith("[redacted");
}
