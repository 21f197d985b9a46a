import { createHash } from "node:crypto";
import { newRow } from "../append/row.ts";
import type { NewMessage } from "../append/row.ts";
import { storableMetadata, storableText } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { redactMessage, redactMetadata } from "../redact/redact.ts";
import type { Redactor } from "../redact/redact.ts";
import { preparedResult } from "../result-row.ts";
import { writtenWords } from "../search/sections.ts";

/** What is made of values before they are stored or shared. Each takes time linear in its values, and nothing but them. */
const works = {
  row: newRow,
  result: preparedResult,
  metadata: (redactor: Redactor, given: Metadata | null | undefined) =>
    storableMetadata(redactMetadata(redactor, given)),
  redacted: (redactor: Redactor, message: { content: string; metadata: Metadata | null }) =>
    redactMessage(redactor, message),
  words: (_: Redactor, content: string) => writtenWords(content),
  /** The hashes that a stored content may have: a pattern may have been added since, so that what is cut now was stored whole. */
  hashes: (redactor: Redactor, message: NewMessage) =>
    [message.content, redactMessage(redactor, message).content].map((text) => {
      const { readable, exact } = storableText(text);
      return createHash("sha256")
        .update(exact ?? readable)
        .digest("hex");
    }),
};

export type WorkName = keyof typeof works;

/** The values of a work, behind the redactor. */
export type Given<Name extends WorkName> =
  Parameters<(typeof works)[Name]> extends [Redactor, ...infer Rest] ? Rest : never;

export type Made<Name extends WorkName> = ReturnType<(typeof works)[Name]>;

/** Does a work. */
export function make<Name extends WorkName>(redactor: Redactor, name: Name, given: Given<Name>): Made<Name> {
  const work = works[name] as unknown as (redactor: Redactor, ...given: unknown[]) => Made<Name>;
  return work(redactor, ...given);
}
