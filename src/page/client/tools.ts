import type {
  CallList,
  Context,
  ContextHistory,
  ContextSummary,
  Conversation,
  ConversationList,
  NewMessages,
  SearchReply,
  Stats,
} from "./replies.ts";

// What the page asks of Dewey's tools. Beside the server's own schemas, which are in src/tools, a test holds these types.

/** Each tool that the page calls: what it takes and what it replies. A view that needs another adds it here. */
export interface Tools {
  dewey_list_conversations: { takes: ListArguments; gives: ConversationList };
  dewey_get_conversation: { takes: ReadArguments; gives: Conversation };
  dewey_search: { takes: SearchArguments; gives: SearchReply };
  dewey_update_conversation: { takes: { conversation_id: string; title?: string; starred?: boolean }; gives: object };
  dewey_delete_conversation: { takes: { conversation_id: string; force?: boolean }; gives: object };
  dewey_restore_conversation: { takes: { conversation_id: string }; gives: object };
  dewey_stats: { takes: { days?: number; time_zone?: string }; gives: Stats };
  dewey_list_calls: { takes: CallArguments; gives: CallList };
  dewey_new_messages: { takes: NewMessageArguments; gives: NewMessages };
  dewey_list_startup_contexts: { takes: { include_content?: boolean }; gives: { contexts: ContextSummary[] } };
  dewey_get_startup_context: { takes: { name: string }; gives: { context: Context | null } };
  dewey_startup_context_history: { takes: HistoryArguments; gives: ContextHistory };
  dewey_set_startup_context: { takes: { name: string; content: string; set_active: boolean }; gives: object };
  dewey_tie_startup_context: { takes: { folder: string; name?: string | undefined }; gives: object };
  dewey_delete_startup_context: { takes: { name: string; force?: boolean }; gives: object };
}

/** Who speaks in a message. */
type Role = "user" | "assistant" | "system" | "tool";

export type ToolName = keyof Tools;

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
  facets?: boolean | undefined;
  conversation_id?: string | undefined;
  role?: Role | undefined;
  source?: string | undefined;
  end_date?: string | undefined;
}

interface CallArguments {
  conversation_id?: string | undefined;
  upstream?: string | undefined;
  tool?: string | undefined;
  failed?: boolean | undefined;
  start_date?: string | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

interface NewMessageArguments {
  cursor?: string | undefined;
  conversation_id?: string | undefined;
  limit?: number | undefined;
}

interface HistoryArguments {
  name: string;
  version?: number | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}
