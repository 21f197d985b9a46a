import type { SQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { one } from "../database/one.ts";
import type { Filter } from "./filter.ts";
import { holds } from "./holding.ts";
import { anyOf } from "./query.ts";

/** Arbitrary key, the same on every server: one server at a time creates the extension and the index. */
const TRIGRAMS_LOCK = 3_393_900_003;
/** Limit on the words of a query that are corrected. */
const MAX_CORRECTED = 8;
/** Two words that differ by few typing errors are rarely less similar than this (pg_trgm's measure). */
const LEAST_SIMILARITY = 0.2;
/** Words with similar trigrams whose typing errors are counted. */
const MAX_ALIKE = 50;
/** The closest of them whose messages are counted. */
const MAX_TRIED = 5;
/** Limit on counting the messages with a word. */
const MAX_COUNTED = 100;
/** Words shorter than this may have one error, longer ones two, as in Lucene's fuzzy queries. */
const TWO_ERRORS_CHARACTERS = 6;

/** A word of a query that no message holds, and the lexeme that is searched instead. */
export interface Correction {
  from: string;
  to: string;
}

/**
 * Creates `pg_trgm` and its index over the vocabulary where missing. Some databases refuse the extension; search then works
 * without corrections.
 */
export async function prepareCorrections(database: Database, log: Log): Promise<void> {
  if (await database.retried(canCorrect)) return;
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

/** Returns whether typing errors are corrected in this database. */
export async function canCorrect(sql: SQL): Promise<boolean> {
  const { ready } = await one<{ ready: boolean }>(
    sql`select to_regclass('dewey_vocabulary_trigrams') is not null as ready`,
  );
  return ready;
}

/**
 * Corrects words that no message holds: the word with the fewest typing errors wins, and among equals the most common one
 * in messages that pass the filter. A word in the vocabulary is spelled correctly and only absent here; it is kept.
 */
export async function correctionsOf(sql: SQL, unknown: string[], filter: Filter): Promise<Correction[]> {
  const typed = unknown.filter((word) => /^\p{L}{4,40}$/u.test(word)).slice(0, MAX_CORRECTED);
  if (typed.length === 0 || !(await canCorrect(sql))) return [];
  const right = new Set(await spelledRight(sql, typed, filter));
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

/**
 * Returns the words that the vocabulary or any message holds. After much was stored the vocabulary is behind, and a look at
 * the index takes far less than a search for words that are spelled alike.
 */
async function spelledRight(sql: SQL, words: string[], { sections }: Filter): Promise<string[]> {
  const queries = words.map((word) => anyOf([word]));
  const isHeld = sql.unsafe(holds("typed.query::tsquery", sections !== undefined));
  const right: { word: string }[] = await sql`
    select word from unnest(${sql.array(words, "TEXT")}::text[], ${sql.array(queries, "TEXT")}::text[]) as typed (word, query)
    where exists (select from dewey_vocabulary v where v.word = typed.word)
      or exists (select from messages m where ${isHeld})`;
  return right.map(({ word }) => word);
}

async function commonest(sql: SQL, candidates: { word: string; errors: number }[], filter: Filter) {
  const last = filter.values.length;
  const counted: { word: string; errors: number; count: number }[] = [];
  for (const candidate of candidates) {
    const { count } = await one<{ count: number }>(
      sql.unsafe(
        `select count(*)::integer as count from (
          select from messages m where ${holds(`$${last + 1}::text::tsquery`, filter.sections !== undefined)} and ${filter.condition} limit ${MAX_COUNTED}
        ) as found`,
        [...filter.values, anyOf([candidate.word])],
      ),
    );
    if (count > 0) counted.push({ ...candidate, count });
  }
  return counted.toSorted((a, b) => a.errors - b.errors || b.count - a.count).at(0)?.word;
}

/** Counts the letters to add, remove, change or swap with the next to get from one word to the other. */
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
