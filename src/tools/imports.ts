import { z } from "zod";
import { adds, content, metadata, moment, reads, role, uuid, whole } from "./fields.ts";
import { defineTool } from "./tool.ts";

// The tools by which Dewey's own programs store what other programs have written: imports, hooks and the watch.

/** Messages of one call. */
const MAX_MESSAGES = 10_000;

export const importMessages = defineTool({
  name: "dewey_import_messages",
  title: "Import messages",
  description:
    "Stores the messages that no conversation has yet, in order, and reports which of the others have other content. " +
    "Messages of an earlier build are recognised by former_id, and take the new form in their place.",
  input: z.strictObject({
    conversation_id: uuid(),
    messages: z
      .array(
        z.strictObject({
          role,
          content: content(),
          message_id: uuid(),
          former_id: uuid().optional(),
          metadata: metadata().optional(),
          created_at: moment().optional(),
          turn_number: whole(1).optional(),
        }),
        "should be a list of messages",
      )
      .min(1, "should contain at least one message")
      .max(MAX_MESSAGES, `should contain at most ${MAX_MESSAGES} messages`),
  }),
  output: z.object({
    stored: z.int(),
    known: z.int(),
    changed: z.array(z.string()).optional(),
    elsewhere: z.array(z.string()).optional(),
  }),
  annotations: adds,
  ownOnly: true,
  handle: (store, input) => store.imports.store(input),
});

export const listKnownMessages = defineTool({
  name: "dewey_list_known_messages",
  title: "List known messages",
  description: "Tells which messages of a source the store does not have as they are, by their ids and hashes.",
  input: z.strictObject({
    conversation_id: uuid(),
    messages: z
      .array(z.strictObject({ id: uuid(), hash: z.string() }), "should be a list of ids and hashes")
      .max(MAX_MESSAGES, `should contain at most ${MAX_MESSAGES} messages`),
  }),
  output: z.object({
    missing: z.array(z.int()).describe("their places in the list"),
    elsewhere: z.array(z.string()).optional().describe("other conversations that have some"),
    former: z.boolean().describe("whether the conversation has messages of an earlier build"),
  }),
  annotations: reads,
  ownOnly: true,
  handle: (store, input) => store.imports.known(input),
});
