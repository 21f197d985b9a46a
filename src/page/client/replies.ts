// What Dewey's tools reply, as far as the page shows it. The tools' own schemas are in src/tools; tests hold these against
// a real server.

/** What people look for a conversation by. */
interface Facts {
  title: string | null;
  title_source: string | null;
  client: string | null;
  folder: string | null;
  branch: string | null;
  parent_id: string | null;
  forked_from: string | null;
  starred: boolean;
}

export interface ConversationSummary extends Facts {
  id: string;
  session_id: string | null;
  created_at: string;
  updated_at: string;
  message_count: number;
}

interface Page {
  total: number;
  total_is_lower_bound?: true;
  next_cursor?: string;
}

export interface ConversationList extends Page {
  conversations: ConversationSummary[];
  facets?: Record<"client" | "folder", FacetValue[]>;
}

/** A value that a list can be narrowed to, and how many have it. */
export interface FacetValue {
  value: string;
  count: number;
}

type Metadata = Record<string, unknown>;

export interface Message {
  id: string;
  turn: number;
  role: string;
  content: string;
  metadata: Metadata | null;
  created_at: string;
  kind?: string;
  bookkeeping?: true;
  abandoned?: true;
  content_length?: number;
  next_content_offset?: number;
  metadata_bytes?: number;
}

interface Related {
  id: string;
  relation: "sub-agent" | "fork";
  title: string | null;
  created_at: string;
}

/** The beginning of a prompt. */
export interface OutlinePrompt {
  turn: number;
  text: string;
  created_at: string;
}

export interface Conversation extends Facts {
  conversation_id: string;
  session_id: string | null;
  created_at: string;
  updated_at: string;
  metadata: Metadata | null;
  related?: Related[];
  messages: Message[];
  /** Of an outline: the first and the last turn of each stretch without gaps. */
  turns?: [first: number, last: number][];
  prompts?: OutlinePrompt[];
  next_after_turn?: number;
}

export interface SearchHit {
  message_id: string;
  conversation_id: string;
  turn: number;
  role: string;
  /** The passage, each match between double asterisks. */
  snippet: string;
  created_at: string;
  title: string | null;
  client: string | null;
  folder: string | null;
  kind?: string;
  metadata: Metadata | null;
  abandoned?: true;
}

export interface SearchReply extends Page {
  results: SearchHit[];
  corrected?: { from: string; to: string }[];
}
