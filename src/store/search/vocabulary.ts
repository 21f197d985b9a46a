import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { pause } from "../../pause.ts";

/** Any number, the same for all: one server at a time reads the words. */
export const VOCABULARY_LOCK = 3_393_900_002;
/** Blocks of the table that one statement reads: 2 MB, so that it stays far from the deadline. */
const BLOCKS_AT_ONCE = 256;
/** Blocks before the end that are read again, since messages that are stored at once may fill them side by side. */
const UNSETTLED_BLOCKS = 16;
/** How often all is read anew: for messages in the room that deleted ones left, and to forget the words of those. */
const PASS_HOURS = 24;
/** What is no word of a language is not corrected: short ones are too alike, and ids are not typed. */
const WORDS = "^[[:alpha:]]{4,40}$";
/** Words at most: more come from what is no language. */
const MAX_WORDS = 1_000_000;
/** How often it is looked whether anything was stored … */
const INTERVAL_MS = 5000;
/** … but reading takes a twentieth of the time at most. */
const REST_PER_WORK = 20;
/** Steps of one turn, so that the loop looks around now and then. */
const MAX_STEPS = 20;

/** Keeps the vocabulary: the words that messages hold, from which mistyped ones are corrected. */
export class Vocabulary {
  readonly #database: Database;
  readonly #log: Log;
  /** What was committed when there was nothing left to read. */
  #settledAt = "";

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** Reads what was stored since the last time, now and then, until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedMs = performance.now();
      try {
        for (let step = 0; step < MAX_STEPS && !signal.aborted && (await this.#step()); step += 1);
      } catch (error) {
        if (!signal.aborted)
          this.#log.warn("the words of messages could not be read; the next round tries again", { error });
      }
      await pause(Math.max(INTERVAL_MS, REST_PER_WORK * (performance.now() - startedMs)), signal);
    }
  }

  /** Reads all that was stored until now. */
  async refresh(): Promise<void> {
    while (await this.#step());
  }

  /** Reads the next blocks. Answers whether there are more. */
  async #step(): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      const [before] = await sql`select pg_current_snapshot()::text as now,
        pg_relation_size('messages') / current_setting('block_size')::integer as blocks,
        pg_try_advisory_xact_lock(${VOCABULARY_LOCK}) as locked`;
      if (!before.locked || before.now === this.#settledAt) return false;
      const [row] = await sql`select pass, next_block, started_at < now() - make_interval(hours => ${PASS_HOURS}) as old
        from dewey_vocabulary_progress`;
      const blocks = Number(before.blocks);
      const start = Math.min(Number(row.next_block), Math.max(0, blocks - UNSETTLED_BLOCKS));
      const end = Math.min(start + BLOCKS_AT_ONCE, blocks);
      // As a tid range the blocks are read without an index: one on when a message was stored would cost every insert.
      const read = `select search from messages where ctid >= '(${start},0)' and ctid < '(${end},0)'`;
      await sql`insert into dewey_vocabulary as known (word, pass)
        select word, ${row.pass}::integer from ts_stat(${read}) where word ~ ${WORDS}
          and (select reltuples from pg_class where oid = 'dewey_vocabulary'::regclass) < ${MAX_WORDS}
        on conflict (word) do update set pass = excluded.pass where known.pass <> excluded.pass`;
      if (end !== Number(row.next_block)) await sql`update dewey_vocabulary_progress set next_block = ${end}`;
      if (end < blocks) return true;
      if (row.old) {
        await sql`delete from dewey_vocabulary where pass < ${row.pass}`;
        await sql`update dewey_vocabulary_progress set pass = pass + 1, next_block = 0, started_at = now()`;
      }
      this.#settledAt = before.now;
      return false;
    });
  }
}
