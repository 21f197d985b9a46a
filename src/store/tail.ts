import type { SQL } from "bun";
import { DeweyError } from "../errors.ts";
import { lengthInCodePoints } from "./code-points.ts";
import type { Database } from "./database/database.ts";
import { exactMetadata } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { redactKey } from "./redact/redact.ts";
import type { Redactor } from "./redact/redact.ts";
import { parseSnapshot } from "./snapshot.ts";
import { REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, largestWhole } from "./reply.ts";

/** A message stored since the previous call. */
interface TailMessage {
  id: string;
  conversation_id: string;
  session_id: string | null;
  turn: number;
  role: string;
  content: string;
  created_at: string;
  metadata: Metadata | null;
  /** Full length in code points, present when the content is cut. */
  content_length?: number;
}

export interface TailReply {
  messages: TailMessage[];
  /** For the next call. */
  cursor: string;
  /** Whether more messages are waiting. */
  more: boolean;
}

interface TailRow extends Omit<TailMessage, "created_at" | "content_length"> {
  metadata_exact: string | null;
  created_at: Date;
  length: number;
}

/**
 * A reader's position: it has seen everything visible in the snapshot `seen`, and the first `offset` of the messages that
 * are new in the snapshot `next`. `at` is the time of the snapshot `seen`, in seconds.
 */
interface Cursor {
  at: number;
  seen: string;
  next: string | undefined;
  offset: number;
}

/** Upper bound for a transaction: its rows carry the time of its start and become visible at its end. */
const LONGEST_TRANSACTION_SECONDS = 120;
/** Messages at the end of each conversation among which new ones are sought. */
const NEWEST_TURNS = 1000;

/**
 * Returns what was stored since an earlier call, each message once, whatever its time and turn, and however transactions
 * overlap. No value in the rows could tell: callers choose ids and times, and a transaction that begins first may end last.
 * PostgreSQL's snapshots can: a message is new when the transaction that stored it was not visible in the earlier snapshot.
 * The message holds that transaction's number, because its row may be rewritten later. Writers pay nothing for it.
 */
export class Tail {
  readonly #database: Database;

  readonly #redactor: Redactor;

  constructor(database: Database, redactor: Redactor) {
    this.#database = database;
    this.#redactor = redactor;
  }

  /** Without a cursor, returns no messages and the cursor to start with. Throws `invalid` for a malformed cursor. */
  async read(input: {
    cursor?: string | undefined;
    session_id?: string | undefined;
    conversation_id?: string | undefined;
    limit: number;
  }): Promise<TailReply> {
    const from = input.cursor === undefined ? undefined : parseCursor(input.cursor);
    // The snapshot's own name and what is visible in it are read in one snapshot.
    return this.#database.search(async (sql) => {
      const [now]: { at: number; snapshot: string }[] = await sql`
          select extract(epoch from now())::float8 as at, pg_current_snapshot()::text as snapshot`;
      if (!now) throw new DeweyError("internal", "the database has no snapshot");
      const start = { at: now.at, seen: now.snapshot, next: undefined, offset: 0 };
      if (from === undefined) return { messages: [], cursor: cursorText(start), more: false };
      const next = from.next ?? now.snapshot;
      const session_id = redactKey(this.#redactor, input.session_id);
      const rows = await newRows(sql, { ...input, session_id, from, next });
      const messages = rows.slice(0, input.limit).map(view);
      const more = rows.length > input.limit;
      // The rest is read in the same snapshot, in which it does not change.
      const rest = { ...from, next, offset: from.offset + messages.length };
      // The time of a snapshot that was read on in is not known any more; an earlier one does as well.
      const done = { at: from.next === undefined ? now.at : from.at, seen: next, next: undefined, offset: 0 };
      return { messages, cursor: cursorText(more ? rest : done), more };
    });
  }
}

async function newRows(
  sql: SQL,
  input: {
    from: Cursor;
    next: string;
    session_id?: string | undefined;
    conversation_id?: string | undefined;
    limit: number;
  },
): Promise<TailRow[]> {
  const { from, next, limit } = input;
  const since = from.at - LONGEST_TRANSACTION_SECONDS;
  const found: { id: string; bytes: number }[] = await sql`
    with recent as (
      select m.id, m.created_at, m.conversation_id, m.turn_number, m.bytes, m.writer
      from conversations c cross join lateral (
        select id, created_at, conversation_id, turn_number, octet_length(content) as bytes,
          stored_in::text::xid8 as writer
        from messages where conversation_id = c.id and not bookkeeping order by turn_number desc limit ${NEWEST_TURNS}
      ) m
      where c.changed_at > to_timestamp(${since}) and c.deleted_at is null
        and (${input.session_id ?? null}::text is null or c.session_id = ${input.session_id ?? null})
        and (${input.conversation_id ?? null}::uuid is null or c.id = ${input.conversation_id ?? null})
    )
    select id, bytes from recent
    where not pg_visible_in_snapshot(writer, ${from.seen}::pg_snapshot)
      and pg_visible_in_snapshot(writer, ${next}::pg_snapshot)
    order by created_at, conversation_id, turn_number limit ${limit + 1} offset ${from.offset}`;
  const most = largestWhole(
    found.slice(0, limit).map((each) => each.bytes),
    REPLY_BUDGET_BYTES - limit * ROW_OVERHEAD_BYTES * 2,
  );
  // A character takes at most four bytes.
  return sql`
    select m.id, m.conversation_id, c.session_id, m.turn_number as turn, m.role, length(m.content) as length,
      case when octet_length(m.content) <= ${most}::integer then m.content
        else left(m.content, ${Math.floor(most / 4)}::integer) end as content, m.created_at,
      case when octet_length(m.metadata::text) <= ${ROW_OVERHEAD_BYTES} then m.metadata end as metadata,
      case when octet_length(m.metadata::text) <= ${ROW_OVERHEAD_BYTES} then m.metadata_exact end as metadata_exact
    from messages m join conversations c on c.id = m.conversation_id
    where m.id = any(${sql.array(
      found.map((each) => each.id),
      "UUID",
    )}) order by m.created_at, m.conversation_id, m.turn_number`;
}

function view(row: TailRow): TailMessage {
  const { length, metadata_exact, ...message } = row;
  return {
    ...message,
    created_at: row.created_at.toISOString(),
    metadata: exactMetadata(row.metadata, metadata_exact),
    ...(lengthInCodePoints(row.content) < length ? { content_length: length } : {}),
  };
}

function cursorText({ at, seen, next, offset }: Cursor): string {
  return [at, seen, next ?? "", offset].join("|");
}

function parseCursor(text: string): Cursor {
  const [, at, seen = "", next, offset] =
    /^(\d{1,12}(?:\.\d{1,9})?)\|([\d:,]+)\|([\d:,]*)\|(\d{1,9})$/.exec(text) ?? [];
  const snapshots = next ? [seen, next] : [seen];
  if (at === undefined || snapshots.some((snapshot) => parseSnapshot(snapshot) === undefined))
    throw new DeweyError("invalid", "cursor should be the cursor of an earlier call", { field: "cursor" });
  return { at: Number(at), seen, next: next || undefined, offset: Number(offset) };
}
