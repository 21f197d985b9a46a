import type { SQL } from "bun";
import { Writer } from "./text.ts";

/** Size of a store. */
export interface Size {
  /** Conversations of one message each; every tenth belongs to the same session. */
  conversations: number;
  /** Turns of one additional conversation. */
  turns: number;
}

export const BUSY_SESSION = "busy";
const CONTENT_CHARACTERS = 120;
/** Texts that the messages repeat; realistic words matter only in the search benches. */
const TEXTS = 1000;

/** The id of a conversation by its number, starting at 1; the long one is number 0. */
export function conversationId(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}

/**
 * Fills an empty store to the state after storing this much over time and an autovacuum: indexes complete, statistics up
 * to date.
 */
export async function fillStore(sql: SQL, { conversations, turns }: Size): Promise<void> {
  const writer = new Writer(7);
  const texts = Array.from({ length: TEXTS }, () => writer.text(CONTENT_CHARACTERS));
  const id = (number: string) => `('00000000-0000-4000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
  const time = (number: string) => `timestamptz '2025-01-01' + ${number} * interval '1 second'`;
  await sql.begin(async (within) => {
    // All references are valid, so foreign keys need no check row by row.
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
