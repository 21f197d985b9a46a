import type { SQL } from "bun";

/** Characters on average above which a list of texts is sent as one parameter each: below, an array is as quick. */
const LONG_CHARACTERS = 2000;
/** Each number of parameters is a statement of its own, for which every connection keeps 40 kB. */
const MAX_PARAMETERS = 16;

/**
 * Texts as an array of the statement that this becomes a part of. Within an array each character is looked at for its quoting, by
 * Bun and again by PostgreSQL, which for long texts costs several times as much as sending them.
 */
export function textArray(sql: SQL, texts: readonly (string | null)[]): SQL.Query<unknown> {
  const characters = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  const [first, ...others] = texts;
  if (first === undefined || texts.length > MAX_PARAMETERS || characters < LONG_CHARACTERS * texts.length)
    return sql`${sql.array([...texts], "TEXT")}::text[]`;
  const list = others.reduce((before, text) => sql`${before}, ${text}::text`, sql`${first}::text`);
  return sql`array[${list}]`;
}
