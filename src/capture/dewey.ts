import { z } from "zod";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { parseRow } from "./captured.ts";
import type { Captured, CapturedContext, CapturedConversation, CapturedMessage, SourceReader } from "./captured.ts";
import type { SourceKind } from "./source-kind.ts";

/** The first line of an export: what it is, and in which version of the form. */
export const EXPORT_HEADER = JSON.stringify({ type: "dewey_export", version: 1 });

const text = z.string("should be a text");
const metadata = z.custom<Json | null>((value) => value === null || isObject(value), "should be an object or null");

// Only the fields that an import reads itself: the store checks the rest, and refuses what it does not know.
const conversation = z.looseObject({
  conversation_id: text,
  session_id: text.exactOptional(),
  created_at: text.exactOptional(),
  metadata,
  title: text.exactOptional(),
  title_source: z.enum(["person", "client", "prompt"], "should be person, client or prompt").exactOptional(),
  starred: z.boolean("should be true or false").exactOptional(),
}) satisfies z.ZodType<CapturedConversation>;

const message = z.looseObject({
  conversation_id: text,
  message_id: text,
  role: z.enum(["user", "assistant", "system", "tool"], "should be user, assistant, system or tool"),
  content: text,
  created_at: text.exactOptional(),
  turn_number: z.int("should be a whole number").exactOptional(),
  metadata,
}) satisfies z.ZodType<CapturedMessage>;

const context = z.looseObject({
  name: text,
  content: text,
  is_active: z.boolean("should be true or false"),
}) satisfies z.ZodType<CapturedContext>;

/** Reads what `dewey export --format jsonl` wrote: ids, times and turns are kept as they are. */
export class DeweyReader implements SourceReader {
  take(line: string): Captured[] {
    const row = parseRow(line);
    if ("broken" in row) return row.broken;
    const { type, ...fields } = row.row;
    switch (type) {
      case "dewey_export":
        return fields["version"] === 1
          ? []
          : [
              {
                kind: "broken",
                reason: `version ${String(fields["version"])} of the form; this Dewey reads version 1`,
              },
            ];
      case "conversation":
        return parsed(conversation, fields, conversationPieces);
      case "message":
        return parsed(message, fields, ({ conversation_id, ...rest }) => [
          { kind: "message", conversation: conversation_id, message: rest },
        ]);
      case "startup_context":
        return parsed(context, fields, (each) => [{ kind: "context", context: each }]);
      case "orchestration_result":
        return [{ kind: "result", result: fields }];
      default:
        return [{ kind: "broken", reason: `an export has no rows of type ${JSON.stringify(type)}` }];
    }
  }

  end(): Captured[] {
    return [];
  }
}

/** Facts of the store's own, which metadata does not hold, come beside the beginning. */
function conversationPieces({ title, title_source, starred, ...begin }: z.output<typeof conversation>): Captured[] {
  const named = title === undefined || title_source === undefined ? {} : { title, title_source };
  const facts = { ...named, ...(starred === undefined ? {} : { starred }) };
  const { conversation_id } = begin;
  return [
    { kind: "conversation", begin },
    ...(Object.keys(facts).length === 0 ? [] : [{ kind: "facts" as const, facts: { conversation_id, ...facts } }]),
  ];
}

/** What a row says, or the names of its fields that are wrong. */
function parsed<Row>(schema: z.ZodType<Row>, fields: Json, captured: (row: Row) => Captured[]): Captured[] {
  const { success, data, error } = schema.safeParse(fields);
  if (success) return captured(data);
  const reason = error.issues.map(({ path, message: rule }) => `${path.join(".")} ${rule}`).join("; ");
  return [{ kind: "broken", reason }];
}

export const dewey: SourceKind = {
  name: "an export of Dewey",
  form: ({ rows }) => (rows.some((row) => row["type"] === "dewey_export") ? "lines" : undefined),
  reader: () => new DeweyReader(),
};
