import type { SQL } from "bun";
import { exactText } from "../exact.ts";
import { beginning } from "../reply.ts";

/** A turn around a hit. */
export interface NearTurn {
  message_id: string;
  turn: number;
  role: string;
  content: string;
  /** Full length in code points, present when content is cut. */
  content_length?: number;
  created_at: string;
}

/** A turn around a hit before its content is read. */
export interface NearSize {
  hit: string;
  id: string;
  bytes: number;
}

/** Reads the sizes of the turns around each hit. Turn numbers may have gaps: the nearest existing turns count. */
export async function nearSizes(sql: SQL, ids: unknown, context: number): Promise<Map<string, NearSize[]>> {
  if (context === 0) return new Map();
  const rows: NearSize[] = await sql`
    select m.id as hit, n.id, octet_length(coalesce(n.content_exact, n.content)) as bytes
    from messages m cross join lateral (
      (select * from messages b where b.conversation_id = m.conversation_id and b.turn_number < m.turn_number
        order by b.turn_number desc limit ${context})
      union all
      (select * from messages a where a.conversation_id = m.conversation_id and a.turn_number > m.turn_number
        order by a.turn_number limit ${context})
    ) as n where m.id = any(${ids})`;
  return Map.groupBy(rows, (row) => row.hit);
}

interface NearRow {
  id: string;
  turn: number;
  role: string;
  created_at: Date;
  content: string;
  content_exact: string | null;
  content_length: number | null;
}

/** Reads the turns around the hits, by their ids, and shows up to `most` bytes of each. One may be near several hits. */
export async function readNear(sql: SQL, near: NearSize[], most: number): Promise<Map<string, NearTurn>> {
  if (near.length === 0) return new Map();
  const ids = near.map((each) => each.id);
  const rows: NearRow[] = await sql`
    select id, turn_number as turn, role, created_at, left(content, ${most}::integer) as content, content_exact,
      case when octet_length(coalesce(content_exact, content)) > ${most}::integer then length(content) end as content_length
    from messages where id = any(${sql.array(ids, "UUID")})`;
  return new Map(
    rows.map((row) => {
      const content = exactText(row.content, row.content_exact);
      const { id: message_id, turn, role } = row;
      const shown =
        row.content_length === null
          ? { content }
          : { content: beginning(content, most).text, content_length: row.content_length };
      return [message_id, { message_id, turn, role, ...shown, created_at: row.created_at.toISOString() }];
    }),
  );
}
