import type { ConversationPage } from "../store/page.ts";
import type { Talk } from "./client-command.ts";
import { oneLine } from "./terminal.ts";

/** What tells a person which conversation it is: what the recorder and importers keep of it, and the caller's own key. */
export function about(metadata: Record<string, unknown> | null, session: string | null): string {
  const known = ["title", "client_name", "upstream", "cwd", "source"].map((name) => metadata?.[name]);
  return [...known, session]
    .filter((part) => typeof part === "string" && part !== "")
    .map((part) => oneLine(String(part)))
    .join(" · ");
}

export type Pages = AsyncGenerator<ConversationPage>;

/** A conversation's pages, each asked for when the one before it is written. */
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
