import type { SQL } from "bun";
import { lengthInCodePoints, positionBehind } from "../code-points.ts";
import { exactMetadata, exactText } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { factColumns, factsOf } from "../facts.ts";
import type { ConversationFacts } from "../facts.ts";
import { beginning } from "../reply.ts";
import type { Match } from "./matches.ts";
import type { NearTurn } from "./near-turns.ts";
import type { FoundBy } from "./ranked.ts";
import type { Repetition } from "./repetitions.ts";
import { pieceAround, pieceFrom } from "./snippet.ts";

/** A message that is found, as a reply shows it. */
export interface SearchHit {
  message_id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  /** Excerpts around the matches, each matching word between double asterisks. */
  snippet: string;
  /** Where the matching words are in it, without their asterisks, in code points. */
  snippet_matches: [start: number, end: number][];
  content: string;
  /** Full length in code points, present when content is cut to fit the reply. */
  content_length?: number;
  /** Where the shown piece starts, in code points; absent when that is at the beginning. */
  content_offset?: number;
  /** The turns before and after it, in order, present when requested. */
  before?: NearTurn[];
  after?: NearTurn[];
  rank: number;
  created_at: string;
  metadata: Metadata | null;
  /** Size as JSON, present when metadata is left out to fit the reply. */
  metadata_bytes?: number;
  conversation_metadata: Metadata | null;
  conversation_metadata_bytes?: number;
  /** Of its conversation: the title, the client and the folder. */
  title: string | null;
  client: string | null;
  folder: string | null;
  /** What it is: prompt, answer, thinking …; absent when nothing says so. */
  kind?: string;
  /** On a branch that the conversation has left. */
  abandoned?: true;
  /** What found it; present when it was looked for by meaning too. */
  found_by?: FoundBy;
  /** Present when several messages that match say the same: they are one hit, of the newest or best of them. */
  repeated?: Repetition;
}

interface HitRow extends ConversationFacts {
  id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  created_at: Date;
  content_exact: string | null;
  metadata: Metadata | null;
  metadata_exact: string | null;
  conversation_metadata: Metadata | null;
  conversation_metadata_exact: string | null;
  kind: string | null;
  abandoned: boolean;
}

/** Reads what a reply shows of the matches, up to `most` bytes of each text; `near` are the turns around them, by id. */
export async function readSearchHits(
  sql: SQL,
  matches: Match[],
  near: Map<string, NearTurn>,
  hasContext: boolean,
  most: number,
): Promise<SearchHit[]> {
  const ids = matches.map((match) => match.id);
  const rows: HitRow[] = await sql`
    select m.id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, m.created_at, m.content_exact,
      m.kind, m.abandoned, ${factColumns(sql)},
      case when octet_length(coalesce(m.metadata_exact, m.metadata::text)) <= ${most}::integer then m.metadata end as metadata,
      case when octet_length(m.metadata_exact) <= ${most}::integer then m.metadata_exact end as metadata_exact,
      case when octet_length(coalesce(c.metadata_exact, c.metadata::text)) <= ${most}::integer then c.metadata end
        as conversation_metadata,
      case when octet_length(c.metadata_exact) <= ${most}::integer then c.metadata_exact end as conversation_metadata_exact
    from messages m join conversations c on c.id = m.conversation_id where m.id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.id, row]));
  return matches.flatMap((match) => {
    const row = found.get(match.id);
    if (!row) return [];
    const turns = match.near.flatMap(({ id }) => near.get(id) ?? []).toSorted((a, b) => a.turn - b.turn);
    const sides = {
      before: turns.filter((turn) => turn.turn < row.turn),
      after: turns.filter((turn) => turn.turn > row.turn),
    };
    return [hit(row, match, most, hasContext ? sides : {})];
  });
}

function hit(row: HitRow, match: Match, most: number, sides: Pick<SearchHit, "before" | "after">): SearchHit {
  const { rank, repeated, snippet, metadata_bytes, conversation_metadata_bytes } = match;
  const { title, client, folder } = factsOf(row);
  return {
    message_id: row.id,
    conversation_id: row.conversation_id,
    session_id: row.session_id,
    turn: row.turn,
    role: row.role,
    snippet: snippet.text,
    snippet_matches: snippet.matches,
    ...contentOf(match, row.content_exact, most),
    ...sides,
    rank,
    created_at: row.created_at.toISOString(),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    ...(metadata_bytes > most ? { metadata_bytes } : {}),
    conversation_metadata: exactMetadata(row.conversation_metadata, row.conversation_metadata_exact),
    ...(conversation_metadata_bytes > most ? { conversation_metadata_bytes } : {}),
    title,
    client,
    folder,
    ...(row.kind === null ? {} : { kind: row.kind }),
    ...(row.abandoned ? { abandoned: true } : {}),
    ...(match.found_by ? { found_by: match.found_by } : {}),
    ...(repeated ? { repeated } : {}),
  };
}

/** The content, or its best piece. The exact form has the same length, so positions in the readable one apply to it. */
function contentOf(
  match: Match,
  contentExact: string | null,
  most: number,
): Pick<SearchHit, "content" | "content_length" | "content_offset"> {
  const exact = exactText(match.text, contentExact);
  const text = contentExact === null ? exact : exact.slice(positionBehind(exact, match.from));
  if (match.whole && match.content_bytes <= most) return { content: text };
  const { start } = match.meant
    ? pieceFrom(match.text, match.meant.start, most)
    : pieceAround(match.text, match.marks, most);
  const content = beginning(text.slice(start), most).text;
  const content_offset = match.from + lengthInCodePoints(text.slice(0, start));
  return { content, content_length: match.content_length, ...(content_offset > 0 ? { content_offset } : {}) };
}
