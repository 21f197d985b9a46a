// What Dewey's tools reply, as far as the page shows it. A test holds these types beside the tools' own schemas in src/tools.

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
  /** Where the matching words are in it, in code points. */
  snippet_matches: [start: number, end: number][];
  created_at: string;
  title: string | null;
  client: string | null;
  folder: string | null;
  kind?: string;
  metadata: Metadata | null;
  abandoned?: true;
  /** Present when it was looked for by meaning too. */
  found_by?: "words" | "meaning" | "both";
}

export interface SearchReply extends Page {
  results: SearchHit[];
  /** Why only words were searched, where meaning should have been. */
  meaning?: "away" | "loading" | "none";
  corrected?: { from: string; to: string }[];
  facets?: Partial<Record<"client" | "folder" | "role", FacetValue[]>>;
}

/** How a tool's calls went. */
export interface ToolStats {
  tool: string;
  calls: number;
  errors: number;
  p50_ms: number | null;
  p95_ms: number | null;
}

export interface Stats {
  conversations: number;
  in_trash: number;
  messages: number;
  database_bytes: number;
  days: { day: string; messages: number; conversations: number }[];
  tools: ToolStats[];
  sources: { source: string; conversations: number; latest: string }[];
}

/** A call that has ended; its result stands at `turn`, its arguments at `call_turn`. */
export interface Call {
  conversation_id: string;
  title: string | null;
  client: string | null;
  upstream: string | null;
  tool: string;
  started_at: string;
  duration_ms: number | null;
  outcome: string;
  turn: number;
  call_turn: number | null;
}

export interface CallList {
  calls: Call[];
  tools?: ToolStats[];
  next_cursor?: string;
}

export interface Context {
  id: string;
  name: string;
  content: string;
  is_active: boolean;
  created_at: string;
  updated_at: string;
}

export interface ContextSummary extends Omit<Context, "content"> {
  content?: string;
  content_length?: number;
  folders?: string[];
}

export interface ContextVersion {
  version: number;
  change: string;
  is_active: boolean;
  folder: string | null;
  changed_at: string;
  content_length: number;
  content?: string;
  session: string | null;
  client_name: string | null;
  client_version: string | null;
}

export interface ContextHistory extends Page {
  name: string;
  versions: ContextVersion[];
}

/** A message of any conversation. It names its kind in its metadata only. */
export interface NewMessage extends Omit<
  Message,
  "kind" | "bookkeeping" | "abandoned" | "next_content_offset" | "metadata_bytes"
> {
  conversation_id: string;
  session_id: string | null;
}

export interface NewMessages {
  messages: NewMessage[];
  cursor: string;
  more: boolean;
}
