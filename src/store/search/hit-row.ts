import type { SQL } from "bun";
import type { Metadata } from "../exact.ts";
import { factColumns } from "../facts.ts";
import type { ConversationFacts } from "../facts.ts";

/** What a hit shows of its message and conversation, besides the content. */
export interface HitRow extends ConversationFacts {
  id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  created_at: Date;
  metadata: Metadata | null;
  metadata_exact: string | null;
  conversation_metadata: Metadata | null;
  conversation_metadata_exact: string | null;
  kind: string | null;
  abandoned: boolean;
}

/** Columns of `messages m`, `conversations c` and their `hitSizes` for a hit, with metadata of up to `most` bytes. */
export function hitColumns(sql: SQL, most: number) {
  const own = sql`sizes.metadata_bytes <= ${most}::integer`;
  const ofConversation = sql`sizes.conversation_metadata_bytes <= ${most}::integer`;
  return sql`m.id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, m.created_at, m.kind, m.abandoned,
    ${factColumns(sql)},
    case when ${own} then m.metadata end as metadata, case when ${own} then m.metadata_exact end as metadata_exact,
    case when ${ofConversation} then c.metadata end as conversation_metadata,
    case when ${ofConversation} then c.metadata_exact end as conversation_metadata_exact`;
}

/** The sizes of metadata as JSON, each written once; 0 without any. */
export function hitSizes(sql: SQL) {
  return sql`lateral (
    select coalesce(octet_length(coalesce(m.metadata_exact, m.metadata::text)), 0) as metadata_bytes,
      coalesce(octet_length(coalesce(c.metadata_exact, c.metadata::text)), 0) as conversation_metadata_bytes offset 0
  ) as sizes`;
}
