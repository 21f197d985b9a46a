import { z } from "zod";
import { key, reads } from "./fields.ts";
import { MAX_DIGEST_CHARACTERS, sessionDigest } from "./session-digest.ts";
import { defineTool } from "./tool.ts";

export const lastSessions = defineTool({
  name: "dewey_last_sessions",
  title: "Tell where the last sessions ended",
  description:
    "Tells where the last sessions in a folder ended, to go on from there: when, title, the person's own last prompts, files " +
    "changed, open to-dos, and the conversations' ids. Without a folder the last sessions anywhere. digest is null when " +
    "there are none.",
  input: z.strictObject({
    folder: key("the working folder, as an absolute path").optional(),
    session: key("a session to leave out, with its sub-agents: the current one").optional(),
  }),
  output: z.object({
    digest: z
      .string()
      .nullable()
      .describe(`at most ${MAX_DIGEST_CHARACTERS} characters; all quotations are JSON strings`),
  }),
  annotations: reads,
  quotes: true,
  handle: async (store, input) => {
    const sessions = await store.lastSessions.read(input);
    return { digest: sessionDigest(sessions, input.folder) ?? null };
  },
});
