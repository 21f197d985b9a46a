import type { SQL } from "bun";
import { conversationConditions, meantBy } from "../narrowing.ts";
import type { Narrowing } from "../search/filter.ts";

/** Conversations that are named to the index; a filter that more of them meet is checked afterwards. */
const MAX_NAMED = 20_000;

/** The conversations that a narrowing by their facts is limited to; undefined when it names none, or too many. */
export async function conversationsIn(sql: SQL, narrowing: Narrowing): Promise<string[] | undefined> {
  const { conversation_id } = narrowing;
  if (conversation_id !== undefined) return [conversation_id.toLowerCase()];
  const values: string[] = [];
  const value = (given: string, type: string) => `$${values.push(given)}::${type}`;
  const conditions = conversationConditions(narrowing, await meantBy(sql, narrowing), value);
  if (conditions.length === 0) return undefined;
  const rows: { id: string }[] = await sql.unsafe(
    `select id from conversations where ${conditions.join(" and ")} limit ${MAX_NAMED + 1}`,
    values,
  );
  return rows.length > MAX_NAMED ? undefined : rows.map(({ id }) => id);
}
