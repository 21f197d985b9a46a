import type { AuditEntry } from "../../store/audit.ts";
import { oneLine } from "../../visible.ts";
import { clientCommand, jsonText, limitFlag, textFlag } from "../client-command.ts";
import { sinceMoment } from "../moment.ts";
import { pages } from "../pages.ts";
import { localTime, table } from "../terminal.ts";

const DEFAULT_LIMIT = 50;

export const audit = clientCommand({
  name: "audit",
  summary: "lists who changed or deleted what, and who was refused",
  usage: ["dewey audit [--action ACTION] [--since T] [--limit N] [--json]"],
  about: [
    "Latest first. What was deleted or written is not kept, only its id or name. WHO is the client as it names itself, FROM the",
    "network address at the other end, which may be a balancer's. Actions: conversation.delete, .purge (for good), .restore",
    "and .rename; context.set, .tie and .delete; page.sign_in; request.refused; store.backup and .recover.",
  ].join(" "),
  examples: ["dewey audit --since 3d", "dewey audit --action conversation.purge --json"],
  flags: {
    action: { value: "ACTION", summary: "only this kind, such as conversation.delete" },
    since: { value: "T", summary: "only from then on, such as 3d or yesterday" },
    limit: { value: "N", summary: `maximum number of entries (default ${DEFAULT_LIMIT})` },
  },
  operands: 0,
  paged: true,
  async work({ call, out, terminal, json, invocation }) {
    const [action, since] = [textFlag(invocation, "action"), textFlag(invocation, "since")];
    const args = {
      ...(action === undefined ? {} : { action }),
      ...(since === undefined ? {} : { start_date: sinceMoment("--since", since) }),
    };
    const reply = await pages(limitFlag(audit, invocation) ?? DEFAULT_LIMIT, "entries", (page) =>
      call<{ entries: AuditEntry[]; limit: number; next_cursor?: string }>(
        "dewey_list_audit",
        { ...page, ...args },
        { "--action": "action", "--since": "start_date" },
      ),
    );
    if (json) return out.write(jsonText(reply));
    if (reply.entries.length === 0) return out.write("There are no entries.\n");
    await out.write(table(terminal, ["WHEN", "ACTION", "OUTCOME", "WHO", "FROM", "WHAT"], reply.entries.map(row)));
  },
});

function row(entry: AuditEntry): string[] {
  const { at, action, outcome, client_name, client_version, address, target, count } = entry;
  const who = [client_name, client_version].filter(Boolean).join(" ");
  const what = [target, count > 1 ? `${count} times` : null].filter(Boolean).join(", ");
  return [localTime(at, "second"), action, outcome, oneLine(who) || "-", address ?? "-", oneLine(what) || "-"];
}
