import type { SQL } from "bun";
import { Writer } from "./text.ts";

/** How much a store holds. */
export interface Size {
  /** Conversations of one message each; every tenth belongs to one and the same session. */
  conversations: number;
  /** Turns of one conversation more. */
  turns: number;
}

export const BUSY_SESSION = "busy";
const CONTENT_CHARACTERS = 120;
/** Texts that the messages have, over and over: what words they are made of is the search benches' affair. */
const TEXTS = 1000;

/** The id of a conversation by its number, from 1 on; the long one has the number 0. */
export function conversationId(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}

/**
 * Fills an empty store as it would be after so much was stored in the course of time and autovacuum had been there: the
 * indexes complete and the statistics new.
 */
export async function fillStore(sql: SQL, { conversations, turns }: Size): Promise<void> {
  const writer = new Writer(7);
  const texts = Array.from({ length: TEXTS }, () => writer.text(CONTENT_CHARACTERS));
  const id = (number: string) => `('00000000-0000-4000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
  const time = (number: string) => `timestamptz '2025-01-01' + ${number} * interval '1 second'`;
  await sql.begin(async (within) => {
    // Nothing refers to what is missing, so nothing needs to be checked row by row.
    await within.unsafe("set local session_replication_role = replica; set local maintenance_work_mem = '512MB'");
    const indexes: { definition: string; name: string }[] = await within.unsafe(
      `select pg_get_indexdef(indexrelid) as definition, indexrelid::regclass::text as name
        from pg_index where indrelid = 'messages'::regclass and not indisunique`,
    );
    for (const { name } of indexes) await within.unsafe(`drop index ${name}`);
    await within`create temporary table texts on commit drop as
      select place, content, dewey_search_vector(content) as search
      from unnest(${within.array(texts, "TEXT")}::text[]) with ordinality as t (content, place)`;
    await within.unsafe(`insert into conversations
        (id, session_id, metadata, created_at, updated_at, last_turn, message_count)
      select ${id("n")}, case when n % 10 = 0 then '${BUSY_SESSION}' else 's' || n / 20 end,
        jsonb_build_object('title', 'conversation ' || n), ${time("n")}, ${time("n")}, 1, 1
      from generate_series(1, ${conversations}) n`);
    await within.unsafe(`insert into messages (id, conversation_id, turn_number, role, content, search, created_at)
      select gen_random_uuid(), ${id("n")}, 1, 'user', content, search, ${time("n")}
      from generate_series(1, ${conversations}) n join texts on place = n % ${TEXTS} + 1 order by n`);
    await within.unsafe(`insert into conversations (id, created_at, last_turn, message_count)
      values (${id("0")}, ${time("0")}, ${turns}, ${turns})`);
    await within.unsafe(`insert into messages (id, conversation_id, turn_number, role, content, search, created_at)
      select gen_random_uuid(), ${id("0")}, n, 'user', content, search, ${time("n")}
      from generate_series(1, ${turns}) n join texts on place = n % ${TEXTS} + 1 order by n`);
    for (const { definition } of indexes) await within.unsafe(definition);
  });
  for (const table of ["conversations", "messages"]) await sql.unsafe(`vacuum analyze ${table}`);
}
