import { z } from "zod";
import { adds, content, followToTrash, key, metadata, moment, role, shownBy, time, uuid, whole } from "./fields.ts";
import { defineTool } from "./tool.ts";

/** Messages of one bulk call; a larger import takes several calls, each of them atomic. */
const MAX_BULK_MESSAGES = 10_000;

const message = {
  role,
  content: content(),
  metadata: metadata().optional(),
  message_id: uuid().optional(),
  created_at: moment().optional(),
  turn_number: whole(1).optional(),
};

export const storeMessage = defineTool({
  name: "dewey_store_message",
  title: "Store a message",
  description:
    "Stores one message at the end of a conversation and returns its turn_number. The message is committed when the call returns.",
  input: z.strictObject({
    conversation_id: uuid(),
    role: message.role.describe("who said it; tool for a tool's result"),
    content: message.content.describe("what was said, in full"),
    metadata: message.metadata.describe("anything worth keeping"),
    message_id: message.message_id.describe("an id of your own; sent again, it is stored once"),
    created_at: message.created_at.describe("when it was said; default: now"),
    turn_number: message.turn_number.describe("a free one of your own; default: the next"),
  }),
  output: z.object({ message_id: z.string(), turn_number: z.int(), created_at: time }),
  annotations: adds,
  handle: (store, input) => store.messages.store(input),
});

export const storeMessagesBulk = defineTool({
  name: "dewey_store_messages_bulk",
  title: "Store many messages",
  description:
    `Stores 1 to ${MAX_BULK_MESSAGES} messages in order: all of them, or none when one is refused. ` +
    "They go into the conversation conversation_id, or into a new one (with session_id and metadata) when it is omitted.",
  input: z
    .strictObject({
      messages: z
        .array(
          shownBy(z.strictObject(message), "role, content, and the rest as in dewey_store_message"),
          "should be a list of messages",
        )
        .min(1, "should contain at least one message")
        .max(MAX_BULK_MESSAGES, `should contain at most ${MAX_BULK_MESSAGES} messages`)
        .describe("in order"),
      conversation_id: uuid("default: a new one").optional(),
      session_id: key("of a new conversation").optional(),
      metadata: metadata("of a new conversation").optional(),
      follow_to_trash: followToTrash,
      skip_known: z.boolean().default(false).describe("skip known message_ids, even with other content"),
    })
    .refine((input) => input.conversation_id === undefined || input.session_id === undefined, {
      path: ["session_id"],
      message: "is for a new conversation; omit it with conversation_id",
    })
    .refine((input) => input.conversation_id === undefined || input.metadata === undefined, {
      path: ["metadata"],
      message: "is for a new conversation; omit it with conversation_id",
    })
    .refine((input) => numbersTurnsWell(input.messages.map((each) => each.turn_number)), {
      path: ["messages"],
      message: "should all have different turn_numbers, or all none",
    }),
  output: z.object({
    conversation_id: z.string(),
    stored: z.int(),
    known: z.int().optional().describe("skipped"),
    first_turn: z.int().optional(),
    last_turn: z.int().optional(),
    message_ids: z.array(z.string()).optional().describe("up to 100"),
  }),
  annotations: adds,
  handle: (store, input) => store.messages.storeBulk(input),
});

/** With numbers for only some messages, a number could be assigned to another message first. */
function numbersTurnsWell(turns: (number | undefined)[]): boolean {
  const given = turns.filter((turn) => turn !== undefined);
  return given.length === 0 || (given.length === turns.length && new Set(given).size === given.length);
}
