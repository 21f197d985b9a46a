import type { SQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { anyOf } from "./query.ts";
import type { Filter } from "./rank.ts";

/** Any number, the same for all: one server at a time makes the extension and the index. */
const TRIGRAMS_LOCK = 3_393_900_003;
/** Words of a query that are corrected at most. */
const MAX_CORRECTED = 8;
/** Less alike than this (pg_trgm's measure) two words with few typing errors hardly are. */
const LEAST_SIMILARITY = 0.2;
/** Words that are alike by their trigrams, whose difference is counted; and those of them that are looked for. */
const MAX_ALIKE = 50;
const MAX_TRIED = 5;
/** How often a word occurs is counted up to here. */
const MAX_COUNTED = 100;
/** Words shorter than this may have one error, longer ones two (as Lucene's fuzzy queries do). */
const TWO_ERRORS_CHARACTERS = 6;

/** A word of a query that no message holds, and the lexeme that is looked for instead. */
export interface Correction {
  from: string;
  to: string;
}

/**
 * Sees to `pg_trgm` and its index over the vocabulary. Some databases refuse it; then search works without corrections.
 */
export async function prepareCorrections(database: Database, log: Log): Promise<void> {
  const isReady = (sql: SQL) => sql`select to_regclass('dewey_vocabulary_trigrams') is not null as ready`;
  const [known] = await database.repeatable(isReady);
  if (known.ready) return;
  try {
    await database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${TRIGRAMS_LOCK})`;
      await sql`create extension if not exists pg_trgm`;
      await sql`create index if not exists dewey_vocabulary_trigrams on dewey_vocabulary using gin (word gin_trgm_ops)`;
    });
  } catch (error) {
    log.warn("typing errors in searches are not corrected: the database refuses the extension pg_trgm", { error });
  }
}

/** Whether typing errors are corrected in this database. */
export async function canCorrect(sql: SQL): Promise<boolean> {
  const [row] = await sql`select to_regclass('dewey_vocabulary_trigrams') is not null as ready`;
  return row.ready;
}

/**
 * What may have been meant by words that no message holds: those that differ by the fewest typing errors, and of these
 * the most common that the filter lets through. A word that is in the vocabulary is right, it only does not occur here.
 */
export async function correctionsOf(sql: SQL, unknown: string[], filter: Filter): Promise<Correction[]> {
  const typed = unknown.filter((word) => /^\p{L}{4,40}$/u.test(word)).slice(0, MAX_CORRECTED);
  if (typed.length === 0 || !(await canCorrect(sql))) return [];
  const known: { word: string }[] = await sql`
    select word from dewey_vocabulary where word = any(${sql.array(typed, "TEXT")})`;
  const right = new Set(known.map(({ word }) => word));
  await sql`select set_config('pg_trgm.similarity_threshold', ${String(LEAST_SIMILARITY)}, true)`;
  const corrections: Correction[] = [];
  for (const word of typed.filter((each) => !right.has(each))) {
    const alike: { word: string }[] = await sql`
      select word from dewey_vocabulary where word % ${word} order by similarity(word, ${word}) desc, word limit ${MAX_ALIKE}`;
    const most = word.length < TWO_ERRORS_CHARACTERS ? 1 : 2;
    const candidates = alike
      .map((each) => ({ word: each.word, errors: typingErrors(word, each.word) }))
      .filter((each) => each.errors <= most)
      .toSorted((a, b) => a.errors - b.errors);
    const to = await commonest(sql, candidates.slice(0, MAX_TRIED), filter);
    if (to !== undefined) corrections.push({ from: word, to });
  }
  return corrections;
}

async function commonest(sql: SQL, candidates: { word: string; errors: number }[], filter: Filter) {
  const last = filter.values.length;
  const counted: { word: string; errors: number; count: number }[] = [];
  for (const candidate of candidates) {
    const [row] = await sql.unsafe(
      `select count(*)::integer as count from (
        select from messages m where m.search @@ $${last + 1}::text::tsquery and ${filter.condition} limit ${MAX_COUNTED}
      ) as found`,
      [...filter.values, anyOf([candidate.word])],
    );
    if (row.count > 0) counted.push({ ...candidate, count: row.count });
  }
  return counted.toSorted((a, b) => a.errors - b.errors || b.count - a.count).at(0)?.word;
}

/** How many letters one must add, leave out, change or swap with the next to come from one word to the other. */
export function typingErrors(from: string, to: string): number {
  const [a, b] = [Array.from(from), Array.from(to)];
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= a.length; row += 1) {
    rows.push([row]);
    for (let column = 1; column <= b.length; column += 1) {
      const changed = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = isSwap ? at(row - 2, column - 2) + 1 : Infinity;
      rows[row]?.push(Math.min(changed, at(row - 1, column) + 1, at(row, column - 1) + 1, swapped));
    }
  }
  return at(a.length, b.length);
}
