import { z } from "zod";
import {
  BEGINS_AFTER_ITS_END,
  abandoned,
  adds,
  anyMetadata,
  beginsBeforeItEnds,
  changes,
  contentLength,
  cursor,
  destroys,
  facetValues,
  key,
  limit,
  messageIds,
  messageKind,
  metadata,
  metadataBytes,
  moment,
  nextCursor,
  offset,
  narrowingAsInSearch,
  reads,
  shownBy,
  time,
  total,
  totalIsLowerBound,
  unmatched,
  uuid,
  whole,
} from "./fields.ts";
import { defineTool } from "./tool.ts";

/** What people look for a conversation by. */
/** The client is the program that held it, and `title_source` says who named it. */
const facts = {
  title: z.string().nullable(),
  title_source: z.string().nullable(),
  client: z.string().nullable(),
  folder: z.string().nullable(),
  branch: z.string().nullable(),
  /** The conversation that started this one as a sub-agent, and the one that it continues. */
  parent_id: z.string().nullable(),
  forked_from: z.string().nullable(),
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
  bookkeeping: z.literal(true).optional(),
  abandoned,
  content_length: contentLength,
  next_content_offset: z.int().optional().describe("if cut"),
});

export const beginConversation = defineTool({
  name: "dewey_begin_conversation",
  title: "Begin a conversation",
  description:
    "Begins a new conversation and returns its conversation_id, which the other tools take. " +
    "With a conversation_id of your own, repeating the call returns the same result.",
  input: z.strictObject({
    session_id: key("your own key for conversations that belong together").optional(),
    metadata: metadata().optional(),
    conversation_id: uuid("an id of your own").optional(),
    created_at: moment("when it began; default: now").optional(),
  }),
  output: z.object({ conversation_id: z.string(), session_id: z.string().nullable(), created_at: time }),
  annotations: adds,
  handle: (store, input) => store.conversations.begin(input),
});

export const getConversation = defineTool({
  name: "dewey_get_conversation",
  title: "Read a conversation",
  description:
    "Reads a conversation's messages in order, from turn 1 or after after_turn. When there is a next_after_turn, pass it as " +
    "after_turn to read on. A larger content is cut, and content_length is its whole " +
    "length: read on with turn and its next_content_offset as content_offset.",
  input: z.strictObject({
    conversation_id: uuid(),
    after_turn: whole(0, "only messages after this turn").optional(),
    limit: whole(1, "maximum number of messages").optional(),
    turn: whole(1, "only this one message").optional(),
    content_offset: whole(0, "with turn: from this character").optional(),
    everything: z.boolean().optional().describe("bookkeeping and abandoned branches too"),
    outline: z.boolean().optional().describe("which turns there are, and prompts' beginnings, not messages"),
    full: z.boolean().optional().describe("whole, for programs"),
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
        shownBy(
          z.object({
            id: z.string(),
            relation: z.enum(["sub-agent", "fork"]),
            title: z.string().nullable(),
            created_at: time,
          }),
          "id, relation (sub-agent or fork), title, created_at",
        ),
      )
      .optional(),
    messages: z.array(messageView),
    turns: z.array(z.array(z.int())).optional().describe("first and last of each stretch"),
    prompts: z
      .array(shownBy(z.object({ turn: z.int(), text: z.string(), created_at: time }), "turn, text, created_at"))
      .optional(),
    next_after_turn: z.int().optional(),
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.messages.page(input),
});

export const listConversations = defineTool({
  name: "dewey_list_conversations",
  title: "List conversations",
  description:
    "Lists conversations, the latest first, each with its title and number of messages. To find what was said, use dewey_search; " +
    "filters are as there.",
  input: z
    .strictObject({
      ...narrowingAsInSearch,
      starred: z.boolean().optional(),
      in_trash: z.boolean().optional(),
      id_prefix: z
        .string()
        .regex(/^[0-9a-f-]{1,36}$/i, "should be the beginning of a conversation_id")
        .optional(),
      limit,
      offset,
      cursor,
      facets: z.boolean().optional(),
      sort_by: z
        .enum(["updated_at", "created_at"], "should be updated_at or created_at")
        .default("updated_at")
        .describe("latest first"),
    })
    .refine(beginsBeforeItEnds, BEGINS_AFTER_ITS_END),
  output: z.object({
    conversations: z.array(
      shownBy(
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
        "id, message_count, and the rest as in dewey_get_conversation",
      ),
    ),
    total,
    limit: z.int(),
    offset: z.int(),
    total_is_lower_bound: totalIsLowerBound,
    unmatched,
    next_cursor: nextCursor,
    facets: shownBy(z.object({ client: facetValues, folder: facetValues }), "counts by client and folder").optional(),
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.conversations.list(input),
});

export const updateConversation = defineTool({
  name: "dewey_update_conversation",
  title: "Rename or star a conversation",
  description:
    "Sets a conversation's title, or stars it; the other fields are for importers. A title that a person gave is replaced " +
    "only by a person's.",
  input: z
    .strictObject({
      conversation_id: uuid().optional(),
      of_message: metadata("instead: of a message with this metadata").optional(),
      title: key().optional(),
      title_source: z.enum(["person", "client", "prompt"], "should be person, client or prompt").default("person"),
      starred: z.boolean().optional(),
      client: key().optional(),
      folder: key().optional(),
      branch: key().optional(),
      parent_id: uuid("that started it as a sub-agent").optional(),
      forked_from: uuid("that it continues").optional(),
      abandoned: messageIds("on branches that it has left").optional(),
      current: messageIds("on none of them").optional(),
      metadata: metadata("fields to add or replace").optional(),
    })
    .refine((input) => (input.conversation_id === undefined) !== (input.of_message === undefined), {
      path: ["conversation_id"],
      message: "should be given, or of_message in its place",
    }),
  output: shownBy(z.object({ conversation_id: z.string(), ...facts }), "as in dewey_get_conversation"),
  annotations: changes,
  handle: (store, input, actor) => store.conversations.update(input, actor),
});

export const deleteConversation = defineTool({
  name: "dewey_delete_conversation",
  title: "Delete a conversation",
  description:
    "Moves a conversation with all its messages to the trash, hidden from all tools; until restorable_until " +
    "dewey_restore_conversation brings it back. force deletes it permanently at once: use it only when the user asked for that.",
  input: z.strictObject({
    conversation_id: uuid(),
    force: z.boolean().default(false).describe("delete permanently"),
  }),
  output: z.object({ deleted: z.literal(true), messages_deleted: z.int(), restorable_until: time.optional() }),
  annotations: destroys,
  handle: (store, input, actor) => store.conversations.delete(input, actor),
});

export const restoreConversation = defineTool({
  name: "dewey_restore_conversation",
  title: "Restore a conversation",
  description: "Restores a conversation with all its messages from the trash.",
  input: z.strictObject({ conversation_id: uuid() }),
  output: z.object({
    restored: z.boolean().describe("false when it was not in the trash"),
    message_count: z.int(),
  }),
  annotations: changes,
  handle: (store, input, actor) => store.conversations.restore(input, actor),
});
