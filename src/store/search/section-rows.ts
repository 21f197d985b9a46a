import type { SQL } from "bun";
import type { Section } from "./sections.ts";

/** Characters of words that are sent at once: writing them for the database takes a hundredth of a second. */
const CHARACTERS_AT_ONCE = 1_000_000;

/** A message with the sections of its content; null when it is not long. */
export interface Sectioned {
  id: string;
  sections: Section[] | null;
}

/** A section of a message. */
interface Row extends Section {
  id: string;
  section: number;
}

/** Stores the sections of the long ones among messages in place of those that they have, in the caller's transaction. */
export async function storeSections(sql: SQL, messages: Sectioned[]): Promise<void> {
  const long = messages.flatMap(({ id, sections }) => (sections === null ? [] : [{ id, sections }]));
  if (long.length === 0) return;
  const rows = long.flatMap(({ id, sections }) => sections.map((each, section) => ({ id, section, ...each })));
  for (const some of batchesOf(rows)) await upsert(sql, some);
  const ids = sql.array(
    long.map(({ id }) => id),
    "UUID",
  );
  const counts = sql.array(
    long.map(({ sections }) => sections.length),
    "INTEGER",
  );
  await sql`delete from message_sections s using unnest(${ids}::uuid[], ${counts}::integer[]) as made (id, sections)
    where s.message_id = made.id and s.section >= made.sections`;
  await sql`delete from message_sections_due where message_id = any(${ids}::uuid[])`;
}

/** One whose words are the same is not written. */
async function upsert(sql: SQL, rows: Row[]): Promise<void> {
  const numbers = (key: "section" | "from" | "characters") =>
    sql.array(
      rows.map((row) => row[key]),
      "INTEGER",
    );
  const ids = sql.array(
    rows.map(({ id }) => id),
    "UUID",
  );
  const words = sql.array(
    rows.map((row) => row.words),
    "TEXT",
  );
  await sql`insert into message_sections as known (message_id, section, from_character, characters, search)
    select g.id, g.section, g.from_character, g.characters, dewey_search_vector(g.words)
    from unnest(${ids}::uuid[], ${numbers("section")}::integer[], ${numbers("from")}::integer[],
      ${numbers("characters")}::integer[], ${words}::text[]) as g (id, section, from_character, characters, words)
    on conflict (message_id, section) do update
      set from_character = excluded.from_character, characters = excluded.characters, search = excluded.search
      where (known.from_character, known.characters, known.search)
        is distinct from (excluded.from_character, excluded.characters, excluded.search)`;
}

function batchesOf(rows: Row[]): Row[][] {
  const batches: Row[][] = [];
  let characters = Infinity;
  for (const row of rows) {
    if (characters >= CHARACTERS_AT_ONCE) {
      batches.push([]);
      characters = 0;
    }
    batches.at(-1)?.push(row);
    characters += row.words.length;
  }
  return batches;
}
