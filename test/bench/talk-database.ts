import type { SQL } from "bun";
import { searchable } from "../../src/store/search/text.ts";
import { LAST_TIME_MS, talk } from "./talk.ts";
import type { TalkMessage } from "./talk.ts";

/** Rows per chunk of COPY. */
const ROWS_AT_ONCE = 5000;

/**
 * Fills an empty database of Dewey's with generated messages, in the state after storing them one by one with ids and an
 * autovacuum: tables in order of time, indexes complete, statistics up to date. The last message is of `lastMs`. The server's
 * backfill gives the conversations their titles and times afterwards.
 */
export async function loadTalk(sql: SQL, messages: number, lastMs = LAST_TIME_MS): Promise<void> {
  await sql.unsafe(`create unlogged table talk (number integer, id uuid, conversation_id uuid, session_id text,
    begun_at timestamptz, turn_number integer, role text, content text, searchable text, metadata jsonb, created_at timestamptz)`);
  await copyInto(sql, messages, lastMs - LAST_TIME_MS);
  await sql.begin(async (within) => {
    // All references are valid, so foreign keys need no check row by row.
    await within.unsafe("set local session_replication_role = replica; set local maintenance_work_mem = '1GB'");
    await within.unsafe(`insert into conversations (id, session_id, created_at, updated_at, last_turn, message_count)
      select conversation_id, min(session_id), min(begun_at), max(created_at), max(turn_number), count(*)
      from talk group by conversation_id order by min(begun_at)`);
    const indexes: { definition: string; name: string }[] = await within.unsafe(
      `select pg_get_indexdef(indexrelid) as definition, indexrelid::regclass::text as name
        from pg_index where indrelid = 'messages'::regclass and not indisunique`,
    );
    for (const { name } of indexes) await within.unsafe(`drop index ${name}`);
    await within.unsafe(`insert into messages
        (id, conversation_id, turn_number, role, content, metadata, created_at, sent_hash, search)
      select id, conversation_id, turn_number, role, content, metadata, created_at,
        sha256(convert_to(content, 'UTF8')), dewey_search_vector(coalesce(searchable, content))
      from talk order by number`);
    for (const { definition } of indexes) await within.unsafe(definition);
  });
  await sql.unsafe("drop table talk");
  await sql.unsafe("update dewey_backfill set walked_to = null, is_done = false");
  for (const table of ["conversations", "messages"]) await sql.unsafe(`vacuum analyze ${table}`);
}

/** Stores the same messages in the prototype's tables, in a schema of their own, with its indexes. */
export async function loadPrototype(sql: SQL): Promise<void> {
  await sql.unsafe(`create schema prototype;
    set maintenance_work_mem = '1GB';
    create table prototype.conversations as
      select id, session_id, created_at, updated_at, metadata from conversations order by created_at;
    alter table prototype.conversations add primary key (id);
    create index on prototype.conversations (session_id);
    create table prototype.messages as
      select id, conversation_id, turn_number, role, content, metadata, created_at from messages order by created_at;
    alter table prototype.messages add primary key (id), add unique (conversation_id, turn_number);
    create index on prototype.messages (created_at desc);
    create index on prototype.messages (conversation_id, created_at);
    create index on prototype.messages using gin (to_tsvector('english', content));
    reset maintenance_work_mem`);
  for (const table of ["conversations", "messages"]) await sql.unsafe(`vacuum analyze prototype.${table}`);
}

async function copyInto(sql: SQL, messages: number, laterMs: number): Promise<void> {
  const copy = sql`copy talk from stdin`.writable();
  const writer = copy.getWriter();
  let rows: string[] = [];
  let number = 0;
  for (const message of talk(messages)) {
    rows.push(copyRow(number, message, laterMs));
    number += 1;
    if (rows.length < ROWS_AT_ONCE) continue;
    await writer.write(rows.join(""));
    rows = [];
  }
  await writer.write(rows.join(""));
  await writer.close();
}

/** A row in COPY's text format. The messages contain no tabs or backslashes; their searchable form has line breaks. */
function copyRow(number: number, message: TalkMessage, laterMs: number): string {
  const { conversation, metadata } = message;
  const time = (ms: number) => new Date(ms + laterMs).toISOString();
  const values = [
    number,
    message.id,
    conversation.id,
    conversation.sessionId,
    time(conversation.timeMs),
    message.turn,
    message.role,
    message.content,
    searchable(message.content)?.replaceAll("\n", "\\n") ?? "\\N",
    metadata === null ? "\\N" : JSON.stringify(metadata),
    time(message.timeMs),
  ];
  return `${values.join("\t")}\n`;
}
