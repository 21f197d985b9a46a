import { z } from "zod";
import {
  changes,
  contentLength,
  cursor,
  destroys,
  key,
  limit,
  nextCursor,
  offset,
  plainContent,
  reads,
  time,
  total,
  totalIsLowerBound,
  whole,
} from "./fields.ts";
import { defineTool } from "./tool.ts";

const name = key("the context's name");

const contextView = z.object({
  id: z.string(),
  name: z.string(),
  content: z.string(),
  is_active: z.boolean(),
  created_at: time,
  updated_at: time,
});

export const getStartupContext = defineTool({
  name: "dewey_get_startup_context",
  title: "Read a startup context",
  description:
    "Reads the named startup context; without a name the one that is tied to the folder or to the nearest one above it, " +
    "and else the active one. context is null when there is none.",
  input: z.strictObject({
    name: name.optional(),
    folder: key("the folder in which the session works, as an absolute path").optional(),
  }),
  output: z.object({ context: contextView.nullable() }),
  annotations: reads,
  handle: async (store, input) => ({ context: await store.contexts.get(input) }),
  bare: (output) => output.context,
});

export const setStartupContext = defineTool({
  name: "dewey_set_startup_context",
  title: "Set a startup context",
  description:
    "Makes a startup context, or gives an existing one new content. The active context reaches every new session, so write into " +
    "it what each should begin with; there is one at a time, and with set_active (the default) this one takes its place.",
  input: z.strictObject({
    name,
    content: plainContent("what a session should begin with"),
    set_active: z.boolean().default(true).describe("make it the active one"),
  }),
  output: z.object({ id: z.string(), name: z.string(), is_active: z.boolean(), created_at: time }),
  annotations: changes,
  handle: (store, input, author) => store.contexts.set(input, author),
});

export const listStartupContexts = defineTool({
  name: "dewey_list_startup_contexts",
  title: "List startup contexts",
  description: "Lists the startup contexts by name, with their content when include_content asks for it.",
  input: z.strictObject({ include_content: z.boolean().default(false).describe("with the contents") }),
  output: z.object({
    contexts: z.array(
      contextView.partial({ content: true }).extend({
        content_length: contentLength,
        folders: z.array(z.string()).optional().describe("folders that are tied to it, the first 20"),
      }),
    ),
  }),
  annotations: reads,
  handle: async (store, input) => ({ contexts: await store.contexts.list(input) }),
});

export const deleteStartupContext = defineTool({
  name: "dewey_delete_startup_context",
  title: "Delete a startup context",
  description: "Deletes a startup context. The active one only with force.",
  input: z.strictObject({ name, force: z.boolean().default(false).describe("also when it is the active one") }),
  output: z.object({ deleted: z.literal(true) }),
  annotations: destroys,
  handle: (store, input, author) => store.contexts.delete(input, author),
});

export const tieStartupContext = defineTool({
  name: "dewey_tie_startup_context",
  title: "Tie a startup context to a folder",
  description:
    "Ties a startup context to a folder: a session that begins in the folder, or below it, gets this context instead of " +
    "the active one. Without a name the folder's tie is taken away.",
  input: z.strictObject({ folder: key("the folder, as an absolute path"), name: name.optional() }),
  output: z.object({ folder: z.string(), name: z.string().nullable() }),
  annotations: changes,
  handle: (store, input, author) => store.contexts.tie(input, author),
});

export const startupContextHistory = defineTool({
  name: "dewey_startup_context_history",
  title: "Read a startup context's history",
  description:
    "Reads every change of a startup context, the latest first, with who made it; with a version that one alone, with its " +
    "content. To bring a content back, set it again. A deleted context's history stays.",
  input: z.strictObject({
    name,
    version: whole(1, "only this version, with its content").optional(),
    limit,
    offset,
    cursor,
  }),
  output: z.object({
    name: z.string(),
    versions: z.array(
      z.object({
        version: z.int(),
        change: z.string().describe("set, activated, deactivated, tied, untied or deleted"),
        is_active: z.boolean(),
        folder: z.string().nullable().describe("of tied and untied"),
        changed_at: time,
        content_length: z.int().describe("in characters"),
        content: z.string().optional(),
        session: z.string().nullable().describe("the connection of the client that made the change"),
        client_name: z.string().nullable(),
        client_version: z.string().nullable(),
      }),
    ),
    total,
    limit: z.int(),
    offset: z.int(),
    total_is_lower_bound: totalIsLowerBound,
    next_cursor: nextCursor,
  }),
  annotations: reads,
  handle: (store, input) => store.contexts.history(input),
});
