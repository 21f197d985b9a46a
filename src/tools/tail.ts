import { z } from "zod";
import { anyMetadata, contentLength, key, limit, reads, shownBy, time, uuid } from "./fields.ts";
import { defineTool } from "./tool.ts";

export const newMessages = defineTool({
  name: "dewey_new_messages",
  title: "Follow new messages",
  description:
    "Returns the messages stored since an earlier call, each once. The first call, without a cursor, returns only the cursor for " +
    "the next. Long contents are cut.",
  input: z.strictObject({
    cursor: z.string().max(20_000, "should be the cursor of an earlier call").optional(),
    session_id: key().optional(),
    conversation_id: uuid().optional(),
    limit,
  }),
  output: z.object({
    messages: z.array(
      shownBy(
        z.object({
          id: z.string(),
          conversation_id: z.string(),
          session_id: z.string().nullable(),
          turn: z.int(),
          role: z.string(),
          content: z.string(),
          content_length: contentLength,
          created_at: time,
          metadata: anyMetadata,
        }),
        "a message as in dewey_get_conversation, with its conversation_id and session_id",
      ),
    ),
    cursor: z.string(),
    more: z.boolean().describe("call again at once"),
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.tail.read(input),
});
