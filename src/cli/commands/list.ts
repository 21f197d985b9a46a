import type { ConversationList } from "../../store/conversations.ts";
import { choiceFlag, clientCommand, jsonText, limitFlag, textFlag } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import type { Invocation } from "../command.ts";
import { folderFlag } from "../folder-flag.ts";
import { rememberListing } from "../last-listing.ts";
import { drawnListing } from "../listing.ts";
import { MOMENT_FORMS } from "../../moment.ts";
import { sinceMoment } from "../moment.ts";
import { nearest } from "../../nearest.ts";
import { pages } from "../pages.ts";
import { counted } from "../terminal.ts";
import { oneLine } from "../../visible.ts";

const DEFAULT_LIMIT = 20;
/** Conversations whose clients are looked at when none has the client asked for. */
const RECENT_LIMIT = 100;

export const list = clientCommand({
  name: "list",
  summary: "lists conversations, latest first",
  usage: ["dewey list [--folder F] [--client C] [--since T] [--starred] [--trash] [--limit N] [--json]"],
  about: "The numbers and the short ids stand for the conversations in other commands, until the next list.",
  examples: ["dewey list --folder . --since 3d", "dewey list --client codex --starred", "dewey show 2"],
  flags: {
    folder: { value: "F", summary: "only this folder and those below it: a path, or a name" },
    client: { value: "C", summary: "only conversations held with this program, such as codex" },
    since: { value: "T", summary: `only those with a message since then: ${MOMENT_FORMS}` },
    starred: { summary: "only favourites" },
    trash: { summary: "only those in the trash" },
    session: { value: "S", summary: "only conversations with this session_id" },
    sort: { value: "updated|created", summary: "time to sort by (default updated)" },
    limit: { value: "N", summary: `maximum number of conversations (default ${DEFAULT_LIMIT})` },
  },
  operands: 0,
  paged: true,
  async work(talk) {
    const { call, out, terminal, json, invocation, dataDir } = talk;
    const sort = choiceFlag(list, invocation, "sort", ["updated", "created"]) ?? "updated";
    const args = { sort_by: `${sort}_at`, ...narrowing(invocation) };
    const limit = limitFlag(list, invocation) ?? DEFAULT_LIMIT;
    const reply = await pages(limit, "conversations", (page) =>
      call<ConversationList>("dewey_list_conversations", { ...page, ...args }, flagFields),
    );
    if (json) return out.write(jsonText(reply));
    const ids = reply.conversations.map((each) => each.id);
    rememberListing(dataDir, ids);
    if (ids.length === 0) return out.write(`${await nothingFound(talk)}\n`);
    await out.write(drawnListing(reply.conversations, terminal, `${sort}_at`));
    const more = reply.total_is_lower_bound ? "more than " : "";
    const shown = ids.length < reply.total ? `${ids.length} of ${more}` : "";
    await out.write(terminal.paint("quiet", `${shown}${counted(reply.total, "conversation")}\n`));
  },
});

const flagFields = { "--session": "session_id", "--folder": "folder", "--client": "client" };

function narrowing(invocation: Invocation): Record<string, unknown> {
  const [folder, client, since, session] = ["folder", "client", "since", "session"].map((name) =>
    textFlag(invocation, name),
  );
  return {
    ...(session === undefined ? {} : { session_id: session }),
    ...(folder === undefined ? {} : { folder: folderFlag(folder) }),
    ...(client === undefined ? {} : { client }),
    ...(since === undefined ? {} : { start_date: sinceMoment("--since", since) }),
    ...(invocation.flags["starred"] === true ? { starred: true } : {}),
    ...(invocation.flags["trash"] === true ? { in_trash: true } : {}),
  };
}

/** Names the filters that nothing meets, and the clients there are when the one asked for is not among them. */
async function nothingFound({ call, invocation }: Talk): Promise<string> {
  const place = invocation.flags["trash"] === true ? "in the trash" : "";
  const filters = ["folder", "client", "since", "starred", "session"].flatMap((name) => {
    const value = invocation.flags[name];
    return value === undefined ? [] : [value === true ? `--${name}` : `--${name} ${oneLine(String(value))}`];
  });
  const subject = ["There are no conversations", place, filters.length > 0 ? `with ${filters.join(" ")}` : ""];
  const sentence = `${subject.filter((part) => part !== "").join(" ")}.`;
  const client = textFlag(invocation, "client");
  if (client === undefined) return sentence;
  const recent = await call<ConversationList>("dewey_list_conversations", { limit: RECENT_LIMIT });
  const clients = [...new Set(recent.conversations.flatMap((each) => (each.client === null ? [] : [each.client])))];
  if (clients.length === 0 || clients.some((each) => each.toLowerCase() === client.toLowerCase())) return sentence;
  const meant = nearest(client, clients);
  const known = `The clients are ${clients.map(oneLine).join(", ")}.`;
  return `${sentence} ${meant === undefined ? known : `Did you mean ${oneLine(meant)}? ${known}`}`;
}
