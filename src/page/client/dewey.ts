import { Connection } from "./connection.ts";
import type { CallOptions } from "./connection.ts";
import type { Conversation, ConversationList, SearchReply } from "./replies.ts";
import { isSignedOut } from "./session.ts";
import type { StoreTools } from "./store-tools.ts";

/** Each tool that the page calls: what it takes and what it replies. A view that needs another adds it here. */
export interface Tools extends StoreTools {
  dewey_list_conversations: { takes: ListArguments; gives: ConversationList };
  dewey_get_conversation: { takes: ReadArguments; gives: Conversation };
  dewey_search: { takes: SearchArguments; gives: SearchReply };
  dewey_update_conversation: { takes: { conversation_id: string; title?: string; starred?: boolean }; gives: object };
  dewey_delete_conversation: { takes: { conversation_id: string; force?: boolean }; gives: object };
  dewey_restore_conversation: { takes: { conversation_id: string }; gives: object };
}

/** Where conversations were held. */
interface Narrowing {
  client?: string | undefined;
  folder?: string | undefined;
  start_date?: string | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

interface ListArguments extends Narrowing {
  starred?: boolean | undefined;
  in_trash?: boolean | undefined;
  facets?: boolean | undefined;
  sort_by?: "updated_at" | "created_at" | undefined;
}

export interface ReadArguments {
  conversation_id: string;
  after_turn?: number | undefined;
  limit?: number | undefined;
  turn?: number | undefined;
  content_offset?: number | undefined;
  everything?: boolean | undefined;
  outline?: boolean | undefined;
  full?: boolean | undefined;
}

interface SearchArguments extends Narrowing {
  query: string;
  conversation_id?: string | undefined;
  role?: string | undefined;
  source?: string | undefined;
  end_date?: string | undefined;
}

export type ToolName = keyof Tools;

/** The connection to the server that the page came from. */
export const connection = new Connection(
  `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/mcp`,
  isSignedOut,
);

/** Calls a tool of the server. Throws a `CallError`. */
export async function call<Name extends ToolName>(
  tool: Name,
  args: Tools[Name]["takes"],
  options?: CallOptions,
): Promise<Tools[Name]["gives"]> {
  return connection.call(tool, args, options);
}
