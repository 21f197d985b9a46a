import { z } from "zod";
import { adds, content, followToTrash, key, metadata, moment, role, time, uuid, whole } from "./fields.ts";
import { defineTool } from "./tool.ts";

/** Messages of one bulk call: a larger import goes in several, each of which is all or nothing. */
const MAX_BULK_MESSAGES = 10_000;

const message = {
  role: role.describe("who said it: user, assistant, system, or tool for what a tool answered"),
  content: content("what was said, whole; at most the size of a request"),
  metadata: metadata("anything worth keeping about the message").optional(),
  message_id: uuid("an id of your own: the same message again with the same id is stored once").optional(),
  created_at: moment("when it was said; now when left out").optional(),
};

const turnNumber = whole(1, "a number of your own for the turn, which must be free; the next one when left out");

export const storeMessage = defineTool({
  name: "dewey_store_message",
  title: "Store a message",
  description:
    "Stores one message at the end of a conversation and answers its turn_number. When it answers, the message is safe on disk.",
  input: z.strictObject({
    conversation_id: uuid("which conversation"),
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
    `Stores 1 to ${MAX_BULK_MESSAGES} messages in their order: all of them, or none when one is refused. ` +
    "Into the conversation that conversation_id names, or into a new one (with session_id and metadata) when it is left out.",
  input: z
    .strictObject({
      messages: z
        .array(z.strictObject({ ...message, turn_number: turnNumber.optional() }), "should be a list of messages")
        .min(1, "should hold at least one message")
        .max(MAX_BULK_MESSAGES, `should hold at most ${MAX_BULK_MESSAGES} messages`)
        .describe("the messages, in their order"),
      conversation_id: uuid("which conversation; a new one when left out").optional(),
      session_id: key("for a new conversation: your own key for conversations that belong together").optional(),
      metadata: metadata("for a new conversation: anything worth keeping about it").optional(),
      follow_to_trash: followToTrash,
      skip_known: z
        .boolean()
        .default(false)
        .describe("pass over messages whose message_id the conversation holds already, whatever they say now"),
    })
    .refine((input) => input.conversation_id === undefined || input.session_id === undefined, {
      path: ["session_id"],
      message: "is for a new conversation; leave it out with conversation_id",
    })
    .refine((input) => input.conversation_id === undefined || input.metadata === undefined, {
      path: ["metadata"],
      message: "is for a new conversation; leave it out with conversation_id",
    })
    .refine((input) => numbersTurnsWell(input.messages.map((each) => each.turn_number)), {
      path: ["messages"],
      message: "should have turn_number all or none of them, each another",
    }),
  output: z.object({
    conversation_id: z.string(),
    stored: z.int(),
    known: z.int().optional().describe("with skip_known: how many were passed over; they are not in stored"),
    first_turn: z.int().optional().describe("absent when all were passed over, like last_turn"),
    last_turn: z.int().optional(),
    message_ids: z.array(z.string()).optional().describe("when there are at most 100"),
  }),
  annotations: adds,
  handle: (store, input) => store.messages.storeBulk(input),
});

/** A call with numbers for some of its messages only could give one of them to another message. */
function numbersTurnsWell(turns: (number | undefined)[]): boolean {
  const given = turns.filter((turn) => turn !== undefined);
  return given.length === 0 || (given.length === turns.length && new Set(given).size === given.length);
}
