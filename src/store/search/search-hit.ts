import type { SQL } from "bun";
import { lengthInCodePoints, positionBehind } from "../code-points.ts";
import { exactMetadata, exactText } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { factsOf } from "../facts.ts";
import { beginning } from "../reply.ts";
import { hitColumns, hitSizes } from "./hit-row.ts";
import type { HitRow } from "./hit-row.ts";
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

/** Shows the matches, up to `most` bytes of each text; `near` are the turns around them, by id. */
export async function readSearchHits(
  sql: SQL,
  matches: Match[],
  near: Map<string, NearTurn>,
  hasContext: boolean,
  most: number,
): Promise<SearchHit[]> {
  const rest = await readRest(sql, matches, most);
  return matches.map((match) => {
    const { turn } = match.row;
    const turns = match.near.flatMap(({ id }) => near.get(id) ?? []).toSorted((a, b) => a.turn - b.turn);
    const sides = {
      before: turns.filter((each) => each.turn < turn),
      after: turns.filter((each) => each.turn > turn),
    };
    return hit(rest.get(match.row.id) ?? { ...match.row, content_exact: null }, match, most, hasContext ? sides : {});
  });
}

/** A row with everything that is shown. */
interface WholeRow extends HitRow {
  content_exact: string | null;
}

/** Reads what did not come with the texts, of the few matches that have more. */
async function readRest(sql: SQL, matches: Match[], most: number): Promise<Map<string, WholeRow>> {
  const ids = matches.flatMap(({ row, has_more }) => (has_more ? [row.id] : []));
  if (ids.length === 0) return new Map();
  const rows: WholeRow[] = await sql`
    select ${hitColumns(sql, most)}, m.content_exact
    from messages m join conversations c on c.id = m.conversation_id cross join ${hitSizes(sql)}
    where m.id = any(${sql.array(ids, "UUID")})`;
  return new Map(rows.map((row) => [row.id, row]));
}

function hit(row: WholeRow, match: Match, most: number, sides: Pick<SearchHit, "before" | "after">): SearchHit {
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
    metadata: metadata_bytes > most ? null : exactMetadata(row.metadata, row.metadata_exact),
    ...(metadata_bytes > most ? { metadata_bytes } : {}),
    conversation_metadata:
      conversation_metadata_bytes > most
        ? null
        : exactMetadata(row.conversation_metadata, row.conversation_metadata_exact),
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
