import { z } from "zod";
import { anyMetadata, contentLength, key, limit, reads, time, uuid } from "./fields.ts";
import { defineTool } from "./tool.ts";

export const newMessages = defineTool({
  name: "dewey_new_messages",
  title: "Follow what is stored",
  description:
    "Answers what was stored since an earlier call, each message once. The first call, without a cursor, answers none and the " +
    "cursor to begin with. Long contents come cut. To find what was said before, use dewey_search.",
  input: z.strictObject({
    cursor: z
      .string()
      .max(20_000, "should be one that an earlier call answered")
      .describe("of the last call")
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
        metadata: anyMetadata.describe("null also when it is too large for the reply"),
      }),
    ),
    cursor: z.string().describe("for the next call"),
    more: z.boolean().describe("there is more already: call again at once"),
  }),
  annotations: reads,
  handle: (store, input) => store.tail.read(input),
});
