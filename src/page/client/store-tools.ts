import type { CallList, Context, ContextHistory, ContextSummary, NewMessages, Stats } from "./replies.ts";

/** The tools that tell of the whole store: counts, calls, contexts, and what comes in. */
export interface StoreTools {
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
