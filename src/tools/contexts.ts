import { z } from "zod";
import { changes, contentLength, destroys, key, plainContent, reads, time } from "./fields.ts";
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
    "Reads the named startup context, or the active one when no name is given; context is null when there is none.",
  input: z.strictObject({ name: name.optional() }),
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
  handle: (store, input) => store.contexts.set(input),
});

export const listStartupContexts = defineTool({
  name: "dewey_list_startup_contexts",
  title: "List startup contexts",
  description: "Lists the startup contexts by name, with their content when include_content asks for it.",
  input: z.strictObject({ include_content: z.boolean().default(false).describe("with the contents") }),
  output: z.object({
    contexts: z.array(contextView.partial({ content: true }).extend({ content_length: contentLength })),
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
  handle: (store, input) => store.contexts.delete(input),
});
