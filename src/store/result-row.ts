import { sentHash } from "../sent-hash.ts";
import { storableMetadata, storableText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { redactKey } from "./redact/redact.ts";
import type { Redactions, Redactor } from "./redact/redact.ts";

export type CuttableColumn = "prompt" | "output" | "error_message" | "metadata";

export interface NewFiedlerResult {
  correlation_id: string;
  model: string;
  output: string;
  /** A UUID chosen by the caller. Repeating a result with its id stores nothing. */
  result_id?: string | undefined;
  prompt?: string | undefined;
  tokens_prompt?: number | undefined;
  tokens_completion?: number | undefined;
  duration_seconds?: number | undefined;
  status?: string | undefined;
  error_message?: string | undefined;
  metadata?: Metadata | undefined;
  conversation_id?: string | undefined;
  /** ISO 8601. */
  created_at?: string | undefined;
  /** Also accept a conversation in the trash; the result is hidden and restored with it. */
  follow_to_trash?: boolean | undefined;
}

/** Values that PostgreSQL cannot hold unchanged, by column. */
export type Exact = Partial<{
  prompt: string | null;
  output: string;
  error_message: string | null;
  metadata: Metadata | null;
}>;

/** A result without its secrets, and its values as the database takes them. */
export interface PreparedResult {
  /** Of the result as sent: equal hashes mark a repetition. */
  hash: string;
  kept: NewFiedlerResult;
  stored: {
    output: string;
    prompt: string | null;
    errorMessage: string | null;
    metadata: string | null;
    exact: string | null;
  };
}

/** Prepares a result for the database. */
export function preparedResult(redactor: Redactor, id: string, input: NewFiedlerResult): PreparedResult {
  const { follow_to_trash: _, ...sent } = input;
  const kept = redactResult(redactor, input);
  return { hash: sentHash({ ...sent, result_id: id }), kept, stored: storable(kept) };
}

/** Cuts secrets from all texts, and counts them in the metadata, as for a message. */
function redactResult(redactor: Redactor, input: NewFiedlerResult): NewFiedlerResult {
  const found: Redactions = {};
  const text = (given: string | undefined) => (given === undefined ? undefined : redactor.text(given, found));
  const [output, prompt, error_message] = [
    redactor.text(input.output, found),
    text(input.prompt),
    text(input.error_message),
  ];
  const metadata = input.metadata && redactor.metadata(input.metadata, found);
  const [correlation_id, model] = [redactKey(redactor, input.correlation_id), redactKey(redactor, input.model)];
  const kept = { ...input, correlation_id, model };
  if (Object.keys(found).length === 0) return kept;
  return { ...kept, output, prompt, error_message, metadata: { ...metadata, redactions: found } };
}

function storable(input: NewFiedlerResult): PreparedResult["stored"] {
  const output = storableText(input.output);
  const prompt = input.prompt === undefined ? undefined : storableText(input.prompt);
  const errorMessage = input.error_message === undefined ? undefined : storableText(input.error_message);
  const metadata = storableMetadata(input.metadata);
  const exact: Exact = {
    ...(output.exact === null ? {} : { output: input.output }),
    ...(prompt?.exact ? { prompt: input.prompt ?? null } : {}),
    ...(errorMessage?.exact ? { error_message: input.error_message ?? null } : {}),
    ...(metadata.exact === null ? {} : { metadata: input.metadata ?? null }),
  };
  return {
    output: output.readable,
    prompt: prompt?.readable ?? null,
    errorMessage: errorMessage?.readable ?? null,
    metadata: metadata.readable,
    exact: Object.keys(exact).length === 0 ? null : JSON.stringify(exact),
  };
}
