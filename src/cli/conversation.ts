import type { ConversationPage } from "../store/page.ts";
import type { Talk } from "./client-command.ts";
import { oneLine } from "../visible.ts";

/** Clients name their sessions so: it tells a person nothing. */
export const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The facts by which a person recognises a conversation. */
interface Recognised {
  title: string | null;
  client: string | null;
  folder: string | null;
  session_id: string | null;
  parent_id?: string | null;
  forked_from?: string | null;
}

/**
 * Describes a conversation in one line: its title, its origin, its client and folder, and the caller's own key unless that is
 * an id.
 */
export function about({ title, client, folder, session_id, parent_id, forked_from }: Recognised): string {
  const origin = parent_id ? "sub-agent" : forked_from ? "fork" : null;
  const session = session_id !== null && isId.test(session_id) ? null : session_id;
  return [title, origin, client, folder, session]
    .flatMap((part) => (part === null || part === "" ? [] : [oneLine(part)]))
    .join(" · ");
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
