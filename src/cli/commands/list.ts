import type { ConversationList } from "../../store/conversations.ts";
import { clientCommand, jsonText, limitFlag, textFlag } from "../client-command.ts";
import { usageError } from "../command.ts";
import { about } from "../conversation.ts";
import { pages } from "../pages.ts";
import { counted, localTime, table } from "../terminal.ts";

const DEFAULT_LIMIT = 20;

export const list = clientCommand({
  name: "list",
  summary: "lists conversations, latest first",
  usage: ["dewey list [--session S] [--sort updated|created] [--limit N] [--json]"],
  flags: {
    session: { value: "S", summary: "only conversations with this session_id" },
    sort: { value: "updated|created", summary: "time to sort by (default updated)" },
    limit: { value: "N", summary: `maximum number of conversations (default ${DEFAULT_LIMIT})` },
  },
  operands: 0,
  paged: true,
  async work({ call, out, terminal, json, invocation }) {
    const session = textFlag(invocation, "session");
    const sort = textFlag(invocation, "sort") ?? "updated";
    if (sort !== "updated" && sort !== "created")
      throw usageError({ name: "list" }, "needs updated or created after --sort");
    const args = { sort_by: `${sort}_at`, ...(session === undefined ? {} : { session_id: session }) };
    const limit = limitFlag({ name: "list" }, invocation) ?? DEFAULT_LIMIT;
    const reply = await pages(limit, "conversations", (page) =>
      call<ConversationList>("dewey_list_conversations", { ...page, ...args }, { "--session": "session_id" }),
    );
    if (json) return out.write(jsonText(reply));
    if (reply.conversations.length === 0) return out.write("There are no conversations.\n");
    const rows = reply.conversations.map((each) => [
      each.id,
      localTime(sort === "created" ? each.created_at : each.updated_at),
      each.message_count.toLocaleString("en-US"),
      each.starred ? `★ ${about(each)}` : about(each),
    ]);
    await out.write(
      table(terminal, ["CONVERSATION", sort === "created" ? "CREATED" : "UPDATED", "MESSAGES", "ABOUT"], rows),
    );
    const more = reply.total_is_lower_bound ? "more than " : "";
    const shown = reply.conversations.length < reply.total ? `${rows.length} of ${more}` : "";
    await out.write(terminal.paint("quiet", `${shown}${counted(reply.total, "conversation")}\n`));
  },
});
