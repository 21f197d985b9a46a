import { z } from "zod";
import { key, reads } from "./fields.ts";
import { lastDigest } from "./session-digest.ts";
import { defineTool } from "./tool.ts";

export const lastSessions = defineTool({
  name: "dewey_last_sessions",
  title: "Tell where the last sessions ended",
  description:
    "Tells where the last sessions in a folder, or anywhere, ended: title, the person's last prompts, files changed, open " +
    "to-dos, and ids.",
  input: z.strictObject({
    folder: key("the working folder, as an absolute path").optional(),
    session: key("a session to leave out, with its sub-agents: the current one").optional(),
  }),
  output: z.object({
    /** At most `MAX_DIGEST_CHARACTERS`; all quotations are JSON strings. Null when there are no sessions. */
    digest: z.string().nullable(),
  }),
  annotations: reads,
  quotes: true,
  handle: async (store, input) => ({ digest: (await lastDigest(store, input)) ?? null }),
});
