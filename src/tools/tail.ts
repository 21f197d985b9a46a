import { z } from "zod";
import { anyMetadata, contentLength, key, limit, reads, time, uuid } from "./fields.ts";
import { defineTool } from "./tool.ts";

export const newMessages = defineTool({
  name: "dewey_new_messages",
  title: "Follow new messages",
  description:
    "Returns the messages stored since an earlier call, each once. The first call, without a cursor, returns no messages and " +
    "the cursor for the next call. Long contents are cut. To find earlier messages, use dewey_search.",
  input: z.strictObject({
    cursor: z
      .string()
      .max(20_000, "should be the cursor of an earlier call")
      .describe("cursor of the previous call")
      .optional(),
    session_id: key("only conversations with this session_id").optional(),
    conversation_id: uuid("only this conversation").optional(),
    limit,
  }),
  output: z.object({
    messages: z.array(
      z.object({
        id: z.string(),
        conversation_id: z.string(),
        session_id: z.string().nullable(),
        turn: z.int(),
        role: z.string(),
        content: z.string(),
        content_length: contentLength,
        created_at: time,
        metadata: anyMetadata.describe("null also when too large for the reply"),
      }),
    ),
    cursor: z.string().describe("for the next call"),
    more: z.boolean().describe("there are more already: call again at once"),
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.tail.read(input),
});
