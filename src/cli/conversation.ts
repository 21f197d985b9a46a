import type { ConversationPage } from "../store/page.ts";
import type { Talk } from "./client-command.ts";
import { oneLine } from "./terminal.ts";

/** Identifies a conversation for a person: the metadata of recorders and importers, and the caller's own key. */
export function about(metadata: Record<string, unknown> | null, session: string | null): string {
  const known = ["title", "client_name", "upstream", "cwd", "source"].map((name) => metadata?.[name]);
  return [...known, session]
    .filter((part) => typeof part === "string" && part !== "")
    .map((part) => oneLine(String(part)))
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
