import type { ConversationPage } from "../store/page.ts";
import type { Talk } from "./client-command.ts";
import { oneLine } from "./terminal.ts";

/** The facts by which a person recognises a conversation. */
interface Recognised {
  title: string | null;
  client: string | null;
  folder: string | null;
  session_id: string | null;
  parent_id?: string | null;
  forked_from?: string | null;
}

/** Describes a conversation in one line: its title, its origin, its client and folder, else the caller's own key. */
export function about({ title, client, folder, session_id, parent_id, forked_from }: Recognised): string {
  const origin = parent_id ? "sub-agent" : forked_from ? "fork" : null;
  const known = [title, origin, client, folder].filter((part) => part !== null && part !== "");
  return (known.length > 0 ? known : [session_id ?? ""]).map((part) => oneLine(part ?? "")).join(" · ");
}

export type Pages = AsyncGenerator<ConversationPage>;

/** A conversation's pages, each requested once the one before it was written. */
export async function* pagesOf({ call }: Talk, request: Record<string, unknown>, after?: number): Pages {
  let from = after;
  do {
    const page: ConversationPage = await call(
      "dewey_get_conversation",
      { ...request, ...(from === undefined ? {} : { after_turn: from }) },
      { ID: "conversation_id", "--turn": "turn", "--after": "after_turn" },
    );
    yield page;
    from = page.next_after_turn;
  } while (from !== undefined);
}
