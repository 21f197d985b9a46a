import { z } from "zod";
import { adds, content, followToTrash, key, metadata, moment, role, time, uuid, whole } from "./fields.ts";
import { defineTool } from "./tool.ts";

/** Messages of one bulk call; a larger import takes several calls, each of them atomic. */
const MAX_BULK_MESSAGES = 10_000;

const message = {
  role: role.describe("who said it: user, assistant, system, or tool for a tool's result"),
  content: content("what was said, in full"),
  metadata: metadata("anything worth keeping about the message").optional(),
  message_id: uuid("an id of your own: a message that is sent again with the same id is stored once").optional(),
  created_at: moment("when it was said; default: now").optional(),
};

const turnNumber = whole(1, "a turn number of your own, not yet taken; default: the next one");

export const storeMessage = defineTool({
  name: "dewey_store_message",
  title: "Store a message",
  description:
    "Stores one message at the end of a conversation and returns its turn_number. The message is committed when the call returns.",
  input: z.strictObject({
    conversation_id: uuid("the conversation"),
    ...message,
    turn_number: turnNumber.optional(),
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
        .array(z.strictObject({ ...message, turn_number: turnNumber.optional() }), "should be a list of messages")
        .min(1, "should contain at least one message")
        .max(MAX_BULK_MESSAGES, `should contain at most ${MAX_BULK_MESSAGES} messages`)
        .describe("the messages, in order"),
      conversation_id: uuid("the conversation; default: a new one").optional(),
      session_id: key("for a new conversation: your own key for conversations that belong together").optional(),
      metadata: metadata("for a new conversation: anything worth keeping about it").optional(),
      follow_to_trash: followToTrash,
      skip_known: z
        .boolean()
        .default(false)
        .describe("skip messages whose message_id is already in the conversation, even with other content"),
      skip_copies: z
        .boolean()
        .optional()
        .describe("skip those in other conversations too, and report them, and those with other content"),
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
    known: z.int().optional().describe("with skip_known: number of messages skipped, not counted in stored"),
    changed: z
      .array(z.string())
      .optional()
      .describe("with skip_copies: ids among the known ones whose stored content is another"),
    elsewhere: z
      .array(z.string())
      .optional()
      .describe("with skip_copies: other conversations that have some of the known ones"),
    first_turn: z.int().optional().describe("absent when all were skipped, like last_turn"),
    last_turn: z.int().optional(),
    message_ids: z.array(z.string()).optional().describe("present for at most 100 messages"),
  }),
  annotations: adds,
  handle: (store, input) => store.messages.storeBulk(input),
});

/** With numbers for only some messages, a number could be assigned to another message first. */
function numbersTurnsWell(turns: (number | undefined)[]): boolean {
  const given = turns.filter((turn) => turn !== undefined);
  return given.length === 0 || (given.length === turns.length && new Set(given).size === given.length);
}
