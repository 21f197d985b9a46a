import type { ConversationList } from "../../store/conversations.ts";
import { choiceFlag, clientCommand, jsonText, limitFlag } from "../client-command.ts";
import type { Invocation } from "../command.ts";
import { NOTHING_YET, narrowingFields, narrowingFlags, narrowingOf, nothingMeets } from "../filters.ts";
import { rememberListing } from "../last-listing.ts";
import { drawnListing } from "../listing.ts";
import { pages } from "../pages.ts";
import { counted } from "../terminal.ts";

const DEFAULT_LIMIT = 20;

const SORTS = ["updated", "created"] as const;

export const list = clientCommand({
  name: "list",
  summary: "lists conversations, latest first",
  usage: ["dewey list [--folder F] [--client C] [--since T] [--starred] [--trash] [--limit N] [--json]"],
  about: "The numbers and the short ids stand for the conversations in other commands, until the next list.",
  examples: ["dewey list --folder . --since 3d", "dewey list --client codex --starred", "dewey show 2"],
  flags: {
    ...narrowingFlags,
    starred: { summary: "only favourites" },
    trash: { summary: "only those in the trash" },
    sort: { value: "updated|created", choices: SORTS, summary: "time to sort by (default updated)" },
    limit: { value: "N", summary: `maximum number of conversations (default ${DEFAULT_LIMIT})` },
  },
  operands: 0,
  paged: true,
  async work(talk) {
    const { call, out, terminal, json, invocation, dataDir } = talk;
    const sort = choiceFlag(list, invocation, "sort", SORTS) ?? "updated";
    const args = { sort_by: `${sort}_at`, ...narrowing(invocation) };
    const limit = limitFlag(list, invocation) ?? DEFAULT_LIMIT;
    const reply = await pages(limit, "conversations", (page) =>
      call<ConversationList>("dewey_list_conversations", { ...page, ...args }, narrowingFields),
    );
    if (json) return out.write(jsonText(reply));
    const ids = reply.conversations.map((each) => each.id);
    rememberListing(dataDir, ids);
    if (ids.length === 0) return out.write(`${terminal.prose(nothingFound(reply, args, invocation.typed))}\n`);
    await out.write(drawnListing(reply.conversations, terminal, `${sort}_at`));
    const more = reply.total_is_lower_bound ? "more than " : "";
    const shown = ids.length < reply.total ? `${ids.length} of ${more}` : "";
    await out.write(terminal.paint("quiet", `${shown}${counted(reply.total, "conversation")}\n`));
  },
});

function narrowing(invocation: Invocation): Record<string, unknown> {
  return {
    ...narrowingOf(invocation),
    ...(invocation.flags["starred"] === true ? { starred: true } : {}),
    ...(invocation.flags["trash"] === true ? { in_trash: true } : {}),
  };
}

/** Names the filters that nothing meets, and what could have been meant. */
function nothingFound(reply: ConversationList, args: Record<string, unknown>, typed: Invocation["typed"]): string {
  const place = args["in_trash"] === true ? " in the trash" : "";
  const none = `There are no ${args["starred"] === true ? "favourites" : "conversations"}${place}`;
  const why = nothingMeets(reply.unmatched, args);
  if (why !== undefined) return why;
  return Object.keys(args).length > 1 || place !== "" ? `${none}.` : typed(NOTHING_YET);
}
