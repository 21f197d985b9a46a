import { z } from "zod";
import type { Store } from "../store/store.ts";
import { paramsOf } from "./protocol-error.ts";
import { CONTEXT_TEMPLATE, CONVERSATION_TEMPLATE, latestConversations, titleOf } from "./resources.ts";

/** MCP allows no more values in a reply. */
const MAX_VALUES = 100;

const completeParams = z.looseObject({
  ref: z.union(
    [
      z.looseObject({ type: z.literal("ref/prompt"), name: z.string() }),
      z.looseObject({ type: z.literal("ref/resource"), uri: z.string() }),
    ],
    "should name a prompt or a resource template",
  ),
  argument: z.looseObject({ name: z.string(), value: z.string() }, "should have a name and a value"),
});

/** Suggests values for an argument of a prompt or a variable of a template. Throws a `ProtocolError` for a malformed request. */
export async function complete(params: unknown, store: Store) {
  const { ref, argument } = paramsOf(completeParams, params);
  const of = ref.type === "ref/prompt" ? ref.name : ref.uri;
  const values = (await suggestions(`${of} ${argument.name}`, store))(argument.value.toLowerCase());
  const shown = values.slice(0, MAX_VALUES);
  return { completion: { values: shown, total: values.length, hasMore: values.length > shown.length } };
}

/** The values that begin with a text, or whose titles contain it. */
async function suggestions(what: string, store: Store): Promise<(text: string) => string[]> {
  switch (what) {
    case `${CONTEXT_TEMPLATE} name`: {
      const contexts = await store.contexts.list({ include_content: false });
      return (text) => contexts.map(({ name }) => name).filter((name) => name.toLowerCase().startsWith(text));
    }
    case `${CONVERSATION_TEMPLATE} id`:
    case "summarise conversation": {
      const { conversations } = await latestConversations(store);
      return (text) =>
        conversations
          .filter((each) => each.id.startsWith(text) || titleOf(each).toLowerCase().includes(text))
          .map(({ id }) => id);
    }
    case "continue folder": {
      const { conversations } = await latestConversations(store);
      const folders = conversations.flatMap(({ folder }) => folder ?? []);
      return (text) => [...new Set(folders)].filter((folder) => folder.toLowerCase().startsWith(text));
    }
    default:
      return () => [];
  }
}
