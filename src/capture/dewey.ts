import type { Json } from "../wire/frame.ts";
import { parseRow } from "./captured.ts";
import type { Captured, CapturedContext, CapturedConversation, CapturedMessage, SourceReader } from "./captured.ts";

/** The first line of an export: what it is, and in which version of the form. */
export const EXPORT_HEADER = JSON.stringify({ type: "dewey_export", version: 1 });

/** Reads what `dewey export --format jsonl` wrote: ids, times and turns are kept as they are. */
export class DeweyReader implements SourceReader {
  take(text: string): Captured[] {
    const parsed = parseRow(text);
    if ("broken" in parsed) return parsed.broken;
    const { type, ...fields } = parsed.row;
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
        return [{ kind: "conversation", begin: fields as unknown as CapturedConversation }];
      case "message":
        return [messageOf(fields)];
      case "startup_context":
        return [{ kind: "context", context: fields as unknown as CapturedContext }];
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

function messageOf(fields: Json): Captured {
  const { conversation_id, ...message } = fields;
  return { kind: "message", conversation: String(conversation_id), message: message as unknown as CapturedMessage };
}
