import type { SQL } from "bun";
import { exactMetadata } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { factColumns, factsOf } from "./facts.ts";
import type { ConversationFacts } from "./facts.ts";
import { REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, largestWhole } from "./reply.ts";

/** A conversation as a list shows it. */
export interface ConversationSummary extends ConversationFacts {
  id: string;
  session_id: string | null;
  created_at: string;
  /** Times of the first and the last message. */
  updated_at: string;
  /** Without bookkeeping. */
  message_count: number;
  metadata: Metadata | null;
  /** Size as JSON of metadata that is left out because it does not fit into the reply. */
  metadata_bytes?: number;
}

/** The sizes that decide how much of a conversation is read. */
export interface ConversationSize {
  id: string;
  metadata_bytes: number;
  time: string;
}

interface ConversationRow extends ConversationFacts {
  id: string;
  session_id: string | null;
  created_at: Date;
  updated_at: Date;
  message_count: number;
  metadata: Metadata | null;
  metadata_exact: string | null;
}

/** Reads the conversations, with as much metadata as fits into a reply. */
export async function readSummaries(sql: SQL, sizes: ConversationSize[]): Promise<ConversationSummary[]> {
  const most = largestWhole(
    sizes.map((each) => each.metadata_bytes),
    REPLY_BUDGET_BYTES - sizes.length * ROW_OVERHEAD_BYTES,
  );
  const ids = sizes.map((each) => each.id);
  const rows: ConversationRow[] = await sql`
    select id, session_id, created_at, updated_at, message_count, ${factColumns(sql)},
      case when octet_length(coalesce(metadata_exact, metadata::text)) <= ${most}::integer then metadata end as metadata,
      case when octet_length(metadata_exact) <= ${most}::integer then metadata_exact end as metadata_exact
    from conversations c where id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.id, row]));
  return sizes.flatMap(({ id, metadata_bytes }) => {
    const row = found.get(id);
    if (!row) return [];
    return [metadata_bytes <= most ? summary(row) : { ...summary(row), metadata_bytes }];
  });
}

function summary(row: ConversationRow): ConversationSummary {
  return {
    id: row.id,
    session_id: row.session_id,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    message_count: row.message_count,
    ...factsOf(row),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
  };
}
