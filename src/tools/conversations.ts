import { z } from "zod";
import { titleSources } from "../store/facts.ts";
import {
  abandoned,
  adds,
  anyMetadata,
  changes,
  contentLength,
  cursor,
  destroys,
  key,
  limit,
  messageIds,
  messageKind,
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

/** What people look for a conversation by. */
const facts = {
  title: z.string().nullable(),
  title_source: z.enum(titleSources).nullable().describe("who named it"),
  client: z.string().nullable().describe("the program that held it"),
  folder: z.string().nullable(),
  branch: z.string().nullable(),
  parent_id: z.string().nullable().describe("the conversation that started this sub-agent"),
  forked_from: z.string().nullable().describe("the conversation that this one continues"),
  starred: z.boolean(),
};

const messageView = z.object({
  id: z.string(),
  turn: z.int(),
  role: z.string(),
  content: z.string(),
  metadata: anyMetadata,
  metadata_bytes: metadataBytes,
  created_at: time,
  kind: messageKind,
  bookkeeping: z.literal(true).optional().describe("noted by a program for itself"),
  abandoned,
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
    everything: z.boolean().optional().describe("also bookkeeping and abandoned branches, hidden by default"),
    full: z.boolean().optional().describe("do not limit the reply's size"),
  }),
  output: z.object({
    conversation_id: z.string(),
    session_id: z.string().nullable(),
    created_at: time,
    updated_at: time,
    ...facts,
    metadata: anyMetadata,
    metadata_bytes: metadataBytes,
    related: z
      .array(
        z.object({
          id: z.string(),
          relation: z.enum(["sub-agent", "fork"]),
          title: z.string().nullable(),
          created_at: time,
        }),
      )
      .optional()
      .describe("its sub-agents and forks, on the first page"),
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
    "Lists conversations, the latest first, each with its title and number of messages. To find what was said, use dewey_search.",
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
        ...facts,
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

export const updateConversation = defineTool({
  name: "dewey_update_conversation",
  title: "Rename or star a conversation",
  description:
    "Sets a conversation's title, or stars it. The other fields are for importers. Fields left out stay as they are; a title " +
    "that a person gave is replaced only by a person's.",
  input: z
    .strictObject({
      conversation_id: uuid("which conversation").optional(),
      of_message: metadata("instead: the conversation with a message whose metadata contains this").optional(),
      title: key("its new title").optional(),
      title_source: z
        .enum(["person", "client", "prompt"], "should be person, client or prompt")
        .default("person")
        .describe("who gives the title"),
      starred: z.boolean().optional().describe("whether it is starred"),
      client: key("the program that held it").optional(),
      folder: key("its working directory").optional(),
      branch: key("its branch of version control").optional(),
      parent_id: uuid("the conversation that started this one as a sub-agent").optional(),
      forked_from: uuid("the conversation that this one continues").optional(),
      abandoned: messageIds("messages on branches that it has left").optional(),
      current: messageIds("messages to mark as not abandoned").optional(),
      metadata: metadata("fields to add to its metadata, or to replace there").optional(),
    })
    .refine((input) => (input.conversation_id === undefined) !== (input.of_message === undefined), {
      path: ["conversation_id"],
      message: "should be given, or of_message in its place",
    }),
  output: z.object({ conversation_id: z.string(), ...facts }),
  annotations: changes,
  handle: (store, input) => store.conversations.update(input),
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
