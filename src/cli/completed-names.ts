import { clientConfig } from "../config.ts";
import { within } from "../deadline.ts";
import type { StartupContext } from "../store/contexts.ts";
import type { ConversationList } from "../store/conversations.ts";
import { ToolClient } from "../tool-client.ts";
import { askHealth } from "./health.ts";
import type { Invocation } from "./command.ts";
import { shortIds, titleOf } from "./listing.ts";
import { oneLine } from "../visible.ts";

// What a shell completes by asking `dewey completions --names KIND`, at each press of the key.

/** Conversations whose ids, titles and places are offered. */
const RECENT = 100;
/** Nobody waits longer for a key. */
const DEADLINE_MS = 2000;

/** A name, and what it stands for. */
type Named = [name: string, meaning: string];
type Call = (tool: string, args: Record<string, unknown>) => Promise<unknown>;

const kinds = {
  ids: async (call: Call, text: string) => {
    const entries = await recent(call);
    const short = shortIds(entries.map(({ id }) => id));
    const all = entries.map((entry, index): Named => [short[index] ?? entry.id, titleOf(entry)]);
    const begun = all.filter(([id]) => id.startsWith(text));
    // People know titles, not ids.
    return begun.length > 0 ? begun : all.filter(([, title]) => title.toLowerCase().includes(text.toLowerCase()));
  },
  titles: async (call: Call, text: string) =>
    begins(
      text,
      (await recent(call)).map(({ title }) => title),
    ),
  clients: async (call: Call, text: string) =>
    begins(
      text,
      (await recent(call)).map(({ client }) => client),
    ),
  folders: async (call: Call, text: string) =>
    begins(
      text,
      (await recent(call)).map(({ folder }) => folder),
    ),
  branches: async (call: Call, text: string) =>
    begins(
      text,
      (await recent(call)).map(({ branch }) => branch),
    ),
  contexts: async (call: Call, text: string) => {
    const { contexts } = (await call("dewey_list_startup_contexts", {})) as { contexts: StartupContext[] };
    return begins(
      text,
      contexts.map(({ name }) => name),
    );
  },
};

export type NameKind = keyof typeof kinds;

/** The names of a kind that a text may be the beginning of; none for another kind, and while no server answers. */
export async function completedNames(kind: string, text: string, invocation: Invocation): Promise<Named[]> {
  const find = Object.hasOwn(kinds, kind) ? kinds[kind as NameKind] : undefined;
  const { url, token } = clientConfig(invocation);
  if (find === undefined || (await askHealth(url)) === undefined) return [];
  const client = new ToolClient({ url, token });
  try {
    const found = find((tool, args) => client.call(tool, args), text);
    return await within(DEADLINE_MS, found, () => []);
  } catch {
    // A line that is being typed is no place for errors.
    return [];
  } finally {
    await client.close();
  }
}

async function recent(call: Call): Promise<ConversationList["conversations"]> {
  return ((await call("dewey_list_conversations", { limit: RECENT })) as ConversationList).conversations;
}

function begins(text: string, names: (string | null)[]): Named[] {
  const known = new Set(names.flatMap((name) => (name === null ? [] : [oneLine(name)])));
  return [...known].filter((name) => name.toLowerCase().startsWith(text.toLowerCase())).map((name) => [name, ""]);
}
