import { z } from "zod";
import {
  adds,
  anyMetadata,
  changes,
  contentLength,
  cursor,
  destroys,
  key,
  limit,
  metadata,
  metadataBytes,
  moment,
  nextCursor,
  offset,
  reads,
  time,
  total,
  totalIsLowerBound,
  uuid,
  whole,
} from "./fields.ts";
import { defineTool } from "./tool.ts";

const messageView = z.object({
  id: z.string(),
  turn: z.int(),
  role: z.string(),
  content: z.string(),
  metadata: anyMetadata,
  metadata_bytes: metadataBytes,
  created_at: time,
  content_length: contentLength,
  next_content_offset: z.int().optional().describe("content is cut: read on with turn and content_offset"),
});

export const beginConversation = defineTool({
  name: "dewey_begin_conversation",
  title: "Begin a conversation",
  description:
    "Begins a new conversation in Dewey's store and returns its conversation_id, which the other tools take. " +
    "Use session_id to group conversations that belong together. " +
    "With a conversation_id of your own the call is idempotent: repeating it returns the same result.",
  input: z.strictObject({
    session_id: key("your own key for conversations that belong together").optional(),
    metadata: metadata("anything worth keeping about the conversation").optional(),
    conversation_id: uuid("an id of your own, to make the call idempotent").optional(),
    created_at: moment("when it began, for imported conversations; default: now").optional(),
  }),
  output: z.object({ conversation_id: z.string(), session_id: z.string().nullable(), created_at: time }),
  annotations: adds,
  handle: (store, input) => store.conversations.begin(input),
});

export const getConversation = defineTool({
  name: "dewey_get_conversation",
  title: "Read a conversation",
  description:
    "Reads a conversation's messages in order, from turn 1 or after after_turn. A reply holds up to about 20,000 tokens; " +
    "when there is more, pass next_after_turn as after_turn to read on. The content of a message too large for a reply is cut, " +
    "with its content_length: read on with turn and content_offset. full lifts the limit, for programs.",
  input: z.strictObject({
    conversation_id: uuid("which conversation"),
    after_turn: whole(0, "only messages after this turn").optional(),
    limit: whole(1, "maximum number of messages").optional(),
    turn: whole(1, "only this one message").optional(),
    content_offset: whole(0, "with turn: start at this character of its content").optional(),
    full: z.boolean().optional().describe("do not limit the reply's size"),
  }),
  output: z.object({
    conversation_id: z.string(),
    session_id: z.string().nullable(),
    created_at: time,
    updated_at: time,
    metadata: anyMetadata,
    metadata_bytes: metadataBytes,
    messages: z.array(messageView),
    next_after_turn: z.int().optional().describe("there is more: pass this as after_turn"),
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.messages.page(input),
});

export const listConversations = defineTool({
  name: "dewey_list_conversations",
  title: "List conversations",
  description:
    "Lists conversations, the latest first, each with its number of messages. To find what was said, use dewey_search.",
  input: z.strictObject({
    session_id: key("only conversations with this session_id").optional(),
    limit,
    offset,
    cursor,
    sort_by: z
      .enum(["updated_at", "created_at"], "should be updated_at or created_at")
      .default("updated_at")
      .describe("the time to sort by, latest first"),
  }),
  output: z.object({
    conversations: z.array(
      z.object({
        id: z.string(),
        session_id: z.string().nullable(),
        created_at: time,
        updated_at: time,
        message_count: z.int(),
        metadata: anyMetadata,
        metadata_bytes: metadataBytes,
      }),
    ),
    total,
    limit: z.int(),
    offset: z.int(),
    total_is_lower_bound: totalIsLowerBound,
    next_cursor: nextCursor,
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.conversations.list(input),
});

export const deleteConversation = defineTool({
  name: "dewey_delete_conversation",
  title: "Delete a conversation",
  description:
    "Moves a conversation with all its messages to the trash, hidden from all tools; until restorable_until " +
    "dewey_restore_conversation brings it back. force deletes it permanently at once: use it only when the user asked for that.",
  input: z.strictObject({
    conversation_id: uuid("which conversation"),
    force: z.boolean().default(false).describe("delete permanently instead of moving to the trash"),
  }),
  output: z.object({ deleted: z.literal(true), messages_deleted: z.int(), restorable_until: time.optional() }),
  annotations: destroys,
  handle: (store, input) => store.conversations.delete(input),
});

export const restoreConversation = defineTool({
  name: "dewey_restore_conversation",
  title: "Restore a conversation",
  description: "Restores a conversation with all its messages from the trash.",
  input: z.strictObject({ conversation_id: uuid("which conversation") }),
  output: z.object({
    restored: z.boolean().describe("false when it was not in the trash"),
    message_count: z.int(),
  }),
  annotations: changes,
  handle: (store, input) => store.conversations.restore(input),
});
