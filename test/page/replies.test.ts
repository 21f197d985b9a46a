import { expect, test } from "bun:test";
import type { z } from "zod";
import type { ToolName, Tools } from "../../src/page/client/tools.ts";
import * as calls from "../../src/tools/calls.ts";
import * as contexts from "../../src/tools/contexts.ts";
import * as conversations from "../../src/tools/conversations.ts";
import * as search from "../../src/tools/search.ts";
import * as stats from "../../src/tools/stats.ts";
import * as tail from "../../src/tools/tail.ts";

// The page imports nothing of the server, so it has types of its own for what it asks and is told. The compiler holds them
// beside the tools' schemas here: `bun run check` fails when one of them changes alone.

const tools = {
  dewey_list_conversations: conversations.listConversations,
  dewey_get_conversation: conversations.getConversation,
  dewey_search: search.search,
  dewey_update_conversation: conversations.updateConversation,
  dewey_delete_conversation: conversations.deleteConversation,
  dewey_restore_conversation: conversations.restoreConversation,
  dewey_stats: stats.stats,
  dewey_list_calls: calls.listCalls,
  dewey_new_messages: tail.newMessages,
  dewey_list_startup_contexts: contexts.listStartupContexts,
  dewey_get_startup_context: contexts.getStartupContext,
  dewey_startup_context_history: contexts.startupContextHistory,
  dewey_set_startup_context: contexts.setStartupContext,
  dewey_tie_startup_context: contexts.tieStartupContext,
  dewey_delete_startup_context: contexts.deleteStartupContext,
} satisfies Record<ToolName, unknown>;

type Schemas = typeof tools;
type Takes<Name extends ToolName> = z.input<Schemas[Name]["input"]>;
type Gives<Name extends ToolName> = z.output<Schemas[Name]["output"]>;

/** Without the undefined of optional fields: a schema's optional field may be undefined, and JSON has none. */
type Given<Value> = Value extends readonly (infer Item)[]
  ? Given<Item>[]
  : Value extends object
    ? { [Key in keyof Value]: Given<Exclude<Value[Key], undefined>> }
    : Value;

/** The fields, at any depth, that `Mine` has and `Theirs` has not. */
type Unknown<Mine, Theirs> = Mine extends readonly (infer Item)[]
  ? Theirs extends readonly (infer Other)[]
    ? Unknown<Item, Other>
    : never
  : Mine extends object
    ? Theirs extends object
      ? string extends keyof Theirs
        ? never
        : | Exclude<keyof Mine, keyof Theirs>
          | {
              [Key in keyof Mine & keyof Theirs]: Unknown<NonNullable<Mine[Key]>, NonNullable<Theirs[Key]>>;
            }[keyof Mine & keyof Theirs]
      : never
    : never;

type Wrong = {
  [Name in ToolName]: [
    Given<Tools[Name]["takes"]> extends Given<Takes<Name>> ? never : "takes",
    Given<Gives<Name>> extends Given<Tools[Name]["gives"]> ? never : "gives",
    Unknown<Tools[Name]["takes"], Takes<Name>>,
    Unknown<Tools[Name]["gives"], Gives<Name>>,
  ][number];
};
/** Has one key for each tool with a difference, whose type names it. */
type Differences = { [Name in ToolName as [Wrong[Name]] extends [never] ? never : Name]: Wrong[Name] };

test("what the page asks and shows is what the tools take and reply", () => {
  const differences: Differences = {};
  expect(differences).toEqual({});
  for (const [name, tool] of Object.entries(tools)) expect<string>(tool.name).toBe(name);
});
