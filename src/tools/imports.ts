import { z } from "zod";
import { adds, changes, content, metadata, moment, reads, role, uuid, whole } from "./fields.ts";
import { defineTool } from "./tool.ts";

// The tools by which Dewey's own programs store what other programs have written: imports, hooks and the watch.

/** Messages of one call. */
const MAX_MESSAGES = 10_000;
/** Files of one call, and conversations of each. */
const MAX_FILES = 1000;
const MAX_CONVERSATIONS = 10_000;

const digest = z.string().regex(/^[0-9a-f]{64}$/, "should be a SHA-256 in hexadecimal");

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
    known_ids: z.array(z.string()).optional(),
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

export const listImportedFiles = defineTool({
  name: "dewey_list_imported_files",
  title: "List imported files",
  description: "Tells which files are stored in full, and what they were then.",
  input: z.strictObject({ files: z.array(digest).max(MAX_FILES, `should contain at most ${MAX_FILES} files`) }),
  output: z.object({ files: z.array(z.object({ file: z.string(), digest: z.string(), told: z.looseObject({}) })) }),
  annotations: reads,
  ownOnly: true,
  handle: (store, input) => store.importedFiles.list(input),
});

export const noteImportedFiles = defineTool({
  name: "dewey_note_imported_files",
  title: "Note imported files",
  description: "Notes that everything in files is stored, in conversations that are all there.",
  input: z.strictObject({
    files: z
      .array(
        z.strictObject({
          file: digest,
          digest,
          conversations: z
            .array(uuid())
            .max(MAX_CONVERSATIONS, `should contain at most ${MAX_CONVERSATIONS} conversations`),
          told: metadata(),
        }),
      )
      .max(MAX_FILES, `should contain at most ${MAX_FILES} files`),
  }),
  output: z.object({ noted: z.int() }),
  annotations: changes,
  ownOnly: true,
  handle: (store, input) => store.importedFiles.note(input),
});
