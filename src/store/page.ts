import type { SQL } from "bun";
import { DeweyError } from "../errors.ts";
import { notFound } from "./conversation-errors.ts";
import { exactMetadata, exactText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { factColumns, factsOf } from "./facts.ts";
import type { ConversationFacts } from "./facts.ts";
import { readOutline } from "./outline.ts";
import type { Outline } from "./outline.ts";
import { FULL_REPLY_BYTES, REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, beginning, largestWhole } from "./reply.ts";

/** Share of the reply for the conversation's own metadata; the rest is for the messages. */
const CONVERSATION_METADATA_BYTES = REPLY_BUDGET_BYTES / 4;
/** Maximum number of sub-agents and forks named in a page: more are found by their own entries in lists. */
const MAX_RELATED = 100;
/** Less than every turn: the prototype's callers could choose any number. */
const BEFORE_ALL_TURNS = -2_147_483_648;

interface MessageView {
  id: string;
  turn: number;
  role: string;
  content: string;
  metadata: Metadata | null;
  created_at: string;
  /** What it is: prompt, answer, thinking …; absent when nothing says so. */
  kind?: string;
  bookkeeping?: true;
  /** On a branch that the conversation has left. */
  abandoned?: true;
  /** Full length in code points, present when the content is incomplete. */
  content_length?: number;
  /** Offset of the rest; absent when the content includes its end. */
  next_content_offset?: number;
  /** Size as JSON of metadata that is left out because it does not fit into the reply. */
  metadata_bytes?: number;
}

/** A conversation that names this one as its parent or origin. */
interface Related {
  id: string;
  relation: "sub-agent" | "fork";
  title: string | null;
  created_at: string;
}

export interface ConversationPage extends ConversationFacts, Partial<Pick<Outline, "turns" | "prompts">> {
  conversation_id: string;
  session_id: string | null;
  created_at: string;
  updated_at: string;
  metadata: Metadata | null;
  /** As in a message. */
  metadata_bytes?: number;
  /** Sub-agents and forks; on the first page, when there are any. */
  related?: Related[];
  messages: MessageView[];
  /** The `after_turn` of the next page; absent on the last one. */
  next_after_turn?: number;
}

export interface PageRequest {
  conversation_id: string;
  after_turn?: number | undefined;
  limit?: number | undefined;
  /** Only the message of this turn … */
  turn?: number | undefined;
  /** … from this code point. */
  content_offset?: number | undefined;
  /** The prompts' beginnings and the ranges of turns, in place of messages. */
  outline?: boolean | undefined;
  /** Also bookkeeping and abandoned branches. A message that `turn` names is read in any case. */
  everything?: boolean | undefined;
  /** Raises the reply's budget to the maximum of a frame. */
  full?: boolean | undefined;
}

interface MessageSizeRow {
  turn_number: number;
  content_bytes: number;
  metadata_bytes: number;
}

interface MessageRow {
  id: string;
  turn_number: number;
  role: string;
  content: string;
  content_exact: string | null;
  metadata: Metadata | null;
  metadata_exact: string | null;
  created_at: Date;
  kind: string | null;
  bookkeeping: boolean;
  abandoned: boolean;
}

interface PagedConversationRow extends ConversationFacts {
  id: string;
  session_id: string | null;
  created_at: Date;
  updated_at: Date;
  metadata_bytes: number;
  metadata: Metadata | null;
  metadata_exact: string | null;
}

/** A page of a conversation, in the order of turns. Reads hardly more from the database than fits into the reply. */
export async function readConversation(sql: SQL, input: PageRequest): Promise<ConversationPage> {
  const most = input.full ? FULL_REPLY_BYTES : CONVERSATION_METADATA_BYTES;
  const [row]: PagedConversationRow[] = await sql`
    with found as (
      select *, coalesce(octet_length(coalesce(metadata_exact, metadata::text)), 0) as metadata_bytes
      from conversations where id = ${input.conversation_id} and deleted_at is null
    )
    select id, session_id, created_at, updated_at, metadata_bytes, ${factColumns(sql)},
      case when metadata_bytes <= ${most}::integer then metadata end as metadata,
      case when metadata_bytes <= ${most}::integer then metadata_exact end as metadata_exact
    from found c`;
  if (!row) throw notFound(input.conversation_id);
  const left = row.metadata_bytes > most;
  const budgetBytes = (input.full ? FULL_REPLY_BYTES : REPLY_BUDGET_BYTES) - (left ? 0 : row.metadata_bytes);
  const page = await readPart(sql, input, budgetBytes);
  return {
    conversation_id: row.id,
    session_id: row.session_id,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    ...factsOf(row),
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    ...(left ? { metadata_bytes: row.metadata_bytes } : {}),
    ...(input.turn === undefined && input.after_turn === undefined ? await readRelated(sql, row.id) : {}),
    ...page,
  };
}

/** What is asked for of the messages: an outline, one of them, or a page. */
async function readPart(
  sql: SQL,
  input: PageRequest,
  budgetBytes: number,
): Promise<Pick<ConversationPage, "messages" | "turns" | "prompts" | "next_after_turn">> {
  const { conversation_id, after_turn = BEFORE_ALL_TURNS } = input;
  if (input.outline) {
    return {
      messages: [],
      ...(await readOutline(sql, { conversation_id, after_turn }, isShown(sql, input), budgetBytes)),
    };
  }
  if (input.turn === undefined) return readMessages(sql, input, budgetBytes);
  return { messages: [await readMessage(sql, input, input.turn, budgetBytes)] };
}

function isShown(sql: SQL, { everything }: PageRequest) {
  return everything ? sql`true` : sql`not bookkeeping and not abandoned`;
}

async function readRelated(sql: SQL, id: string): Promise<{ related?: Related[] }> {
  const rows: (Omit<Related, "created_at"> & { created_at: Date })[] = await sql`
    select id, case when parent_id = ${id} then 'sub-agent' else 'fork' end as relation, title, created_at
    from conversations where (parent_id = ${id} or forked_from = ${id}) and deleted_at is null
    order by created_at, id limit ${MAX_RELATED}`;
  if (rows.length === 0) return {};
  return { related: rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() })) };
}

/** The messages after a turn, up to the budget and the limit. Sizes are read first, without reading contents. */
async function readMessages(
  sql: SQL,
  input: PageRequest,
  budgetBytes: number,
): Promise<{ messages: MessageView[]; next_after_turn?: number }> {
  const { conversation_id, after_turn = BEFORE_ALL_TURNS } = input;
  const most = Math.min(input.limit ?? Infinity, Math.max(1, Math.floor(budgetBytes / ROW_OVERHEAD_BYTES)));
  const shown = isShown(sql, input);
  const sizes: MessageSizeRow[] = await sql`
    select turn_number, octet_length(coalesce(content_exact, content)) as content_bytes,
      coalesce(octet_length(coalesce(metadata_exact, metadata::text)), 0) as metadata_bytes
    from messages where conversation_id = ${conversation_id} and turn_number > ${after_turn} and ${shown}
    order by turn_number limit ${most + 1}`;
  const taken = withinBudget(sizes.slice(0, most), budgetBytes);
  const last = taken.at(-1);
  if (last === undefined) return { messages: [] };
  const more = sizes.length > taken.length ? { next_after_turn: last.turn_number } : {};
  if (taken.length === 1) {
    const whole = { conversation_id, full: input.full };
    return { messages: [await readMessage(sql, whole, last.turn_number, budgetBytes)], ...more };
  }
  const rows: MessageRow[] = await sql`
    select id, turn_number, role, content, content_exact, metadata, metadata_exact, created_at, kind, bookkeeping,
      abandoned
    from messages where conversation_id = ${conversation_id} and turn_number > ${after_turn}
      and turn_number <= ${last.turn_number} and ${shown} order by turn_number`;
  return { messages: rows.map((row) => view(row, exactText(row.content, row.content_exact))), ...more };
}

/** The first rows that fit, but at least one, so that every page makes progress. */
function withinBudget(rows: MessageSizeRow[], budgetBytes: number): MessageSizeRow[] {
  let bytes = 0;
  const end = rows.findIndex((row) => {
    bytes += row.content_bytes + row.metadata_bytes + ROW_OVERHEAD_BYTES;
    return bytes > budgetBytes;
  });
  return end === -1 ? rows : rows.slice(0, Math.max(1, end));
}

/** One message from an offset: whole with `full`, otherwise cut to the budget. */
async function readMessage(
  sql: SQL,
  input: Pick<PageRequest, "conversation_id" | "content_offset" | "full">,
  turn: number,
  budgetBytes: number,
): Promise<MessageView> {
  const { conversation_id, content_offset: offset = 0 } = input;
  const [size]: (MessageSizeRow & { length: number })[] = await sql`
    select length(content) as length, octet_length(coalesce(content_exact, content)) as content_bytes,
      coalesce(octet_length(coalesce(metadata_exact, metadata::text)), 0) as metadata_bytes
    from messages where conversation_id = ${conversation_id} and turn_number = ${turn}`;
  if (!size) {
    throw new DeweyError("not_found", `conversation ${conversation_id} has no turn ${turn}`, { field: "turn" });
  }
  if (offset > size.length) {
    const message = `content_offset should be at most ${size.length}, the length of turn ${turn}`;
    throw new DeweyError("invalid", message, { field: "content_offset" });
  }
  const { content_bytes, metadata_bytes } = size;
  const most = input.full
    ? Math.max(content_bytes, metadata_bytes)
    : largestWhole([content_bytes, metadata_bytes], budgetBytes - ROW_OVERHEAD_BYTES);
  const left = metadata_bytes > most;
  const [row]: MessageRow[] = await sql`
    select id, turn_number, role, created_at, content_exact, kind, bookkeeping, abandoned,
      substr(content, ${offset + 1}::integer, ${most}::integer) as content,
      case when ${left} then null else metadata end as metadata,
      case when ${left} then null else metadata_exact end as metadata_exact
    from messages where conversation_id = ${conversation_id} and turn_number = ${turn}`;
  if (!row) throw notFound(conversation_id);
  const rest =
    row.content_exact === null ? row.content : Array.from(exactText("", row.content_exact)).slice(offset).join("");
  const cut = input.full ? { text: rest, characters: size.length - offset } : beginning(rest, most);
  const end = offset + cut.characters;
  return {
    ...view(row, cut.text),
    ...(left ? { metadata_bytes } : {}),
    ...(offset > 0 || end < size.length ? { content_length: size.length } : {}),
    ...(end < size.length ? { next_content_offset: end } : {}),
  };
}

function view(row: MessageRow, content: string): MessageView {
  return {
    id: row.id,
    turn: row.turn_number,
    role: row.role,
    content,
    metadata: exactMetadata(row.metadata, row.metadata_exact),
    created_at: row.created_at.toISOString(),
    ...(row.kind === null ? {} : { kind: row.kind }),
    ...(row.bookkeeping ? { bookkeeping: true } : {}),
    ...(row.abandoned ? { abandoned: true } : {}),
  };
}
