import type { SQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { one } from "../database/one.ts";

/**
 * Characters of contents stored before the GIN pending list is flushed. In conversations that is about 4 MB of list, and 2 MB in
 * long texts: every search reads it, 5 ms for 4 MB, and flushing more often costs more in total, since each flush rewrites the
 * postings of all common words.
 */
const SORTED_CHARACTERS = 2_000_000;
/** Time for flushing beyond the deadline: measured a quarter of a second; a full list on a slow disk takes many. */
const EXTRA_MS = 60_000;
/** Statistics older than this part of the messages tell little of the words of all, as after the first import. */
const MAX_NEW_PART = 0.8;
/**
 * In a store of more messages, autovacuum renews them alone. With long texts it takes a second for this many, and while a
 * transcript of 28,000 was imported, statistics of all of them took a quarter of the database's time.
 */
const MAX_RENEWED_MESSAGES = 10_000;
/**
 * The same for the bytes of the table, once there are statistics: those of so many messages of conversations, or of a thousand long
 * texts, which tell enough of the others until autovacuum comes.
 */
const MAX_RENEWED_BYTES = 16_000_000;

/**
 * Flushes the pending list of the search index in the background. PostgreSQL collects new words in that list, and the insert
 * that exceeds its limit flushes it. The server flushes it earlier, on another connection, so that no caller has to wait. Then
 * it renews the statistics by which a search weighs words, if nearly all messages are newer: autovacuum does so within a minute, and
 * until then an import would be searched by what words there were before it.
 */
export class IndexSorter {
  readonly #database: Database;
  readonly #log: Log;
  #characters = 0;
  #isSorting = false;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** Counts new characters of contents, and starts a flush in the background when there are many. A failed flush is only logged. */
  stored(characters: number): void {
    this.#characters += characters;
    if (this.#characters < SORTED_CHARACTERS || this.#isSorting) return;
    this.#characters = 0;
    this.#isSorting = true;
    void this.#sort().finally(() => (this.#isSorting = false));
  }

  async #sort(): Promise<void> {
    try {
      await this.#database.retried(async (sql) => {
        await sql`select gin_clean_pending_list('messages_search'), gin_clean_pending_list('message_sections_search')`;
        if (await hasGrown(sql)) await sql`analyze messages (search, created_at)`;
      }, EXTRA_MS);
    } catch (error) {
      this.#log.warn("the search index could not be tended: a later write may have to flush its pending list", {
        error,
      });
    }
  }
}

async function hasGrown(sql: SQL): Promise<boolean> {
  const { grown } = await one<{ grown: boolean }>(sql`
    select coalesce(n_mod_since_analyze > ${MAX_NEW_PART} * n_live_tup and n_live_tup <= ${MAX_RENEWED_MESSAGES}
      and (analyze_count + autoanalyze_count = 0 or pg_table_size(relid) <= ${MAX_RENEWED_BYTES}), false) as grown
    from pg_stat_all_tables where relid = 'messages'::regclass`);
  return grown;
}
