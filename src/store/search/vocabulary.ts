import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { one } from "../database/one.ts";
import { pause } from "../../pause.ts";

/** Arbitrary key, the same on every server: one server at a time reads the words. */
export const VOCABULARY_LOCK = 3_393_900_002;
/** Blocks of the table that one statement reads: 2 MB, far within the deadline. */
const BLOCKS_AT_ONCE = 256;
/** Last blocks of the table, read again each time because concurrent inserts fill several of them. */
const UNSETTLED_BLOCKS = 16;
/** Interval of full passes, which find messages in space freed by deleted ones and drop the words of those. */
const PASS_HOURS = 24;
/** Words that are corrected: shorter ones are too similar, and ids are not typed by hand. */
const WORDS = "^[[:alpha:]]{4,40}$";
/** Limit on words; more than this come from text that is no language. */
const MAX_WORDS = 1_000_000;
/** Poll interval for new messages. */
const INTERVAL_MS = 5000;
/** Pause relative to the time that reading took: reading takes at most a twentieth of the time. */
const REST_PER_WORK = 20;
/** Limit on the steps between two pauses. */
const MAX_STEPS = 20;
/**
 * Growth of the table between two polls, in bytes, at which words are left until later: much is being stored, and with long texts
 * reading took a quarter of the database's time meanwhile.
 */
const MUCH_GROWTH = 4_000_000;
/** Polls for which they are left at most: a minute. Until then no word is corrected to a new one. */
export const MAX_LEFT_POLLS = 12;

/** Maintains the vocabulary: the words of all messages, to which mistyped words are corrected. */
export class Vocabulary {
  readonly #database: Database;
  readonly #log: Log;
  /** Snapshot at which nothing was left to read. */
  #settledAt = "";
  /** Size of the table at the last poll, and the polls since which it has grown much each time. */
  #size: number | undefined;
  #leftPolls = 0;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** Reads new messages periodically until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedMs = performance.now();
      try {
        await this.poll(signal);
      } catch (error) {
        if (!signal.aborted)
          this.#log.warn("the words of new messages could not be read; it will be retried", { error });
      }
      await pause(Math.max(INTERVAL_MS, REST_PER_WORK * (performance.now() - startedMs)), signal);
    }
  }

  /** Reads new messages, unless much is being stored. */
  async poll(signal: AbortSignal): Promise<void> {
    if (await this.#growsMuch()) return;
    for (let step = 0; step < MAX_STEPS && !signal.aborted && (await this.#step()); step += 1);
  }

  /** Reads all messages stored until now. */
  async refresh(): Promise<void> {
    while (await this.#step());
  }

  /** Whether much was stored since the last poll; after too many such polls it no longer counts. */
  async #growsMuch(): Promise<boolean> {
    const { size } = await one<{ size: number }>(
      this.#database.retried((sql) => sql`select pg_table_size('messages')::float8 as size`),
    );
    const grows = size - (this.#size ?? size) > MUCH_GROWTH;
    this.#size = size;
    this.#leftPolls = grows && this.#leftPolls < MAX_LEFT_POLLS ? this.#leftPolls + 1 : 0;
    return this.#leftPolls > 0;
  }

  /** Reads the next blocks. Returns whether there are more. */
  async #step(): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      const { now, blocks, locked } = await one<{ now: string; blocks: number; locked: boolean }>(
        sql`select pg_current_snapshot()::text as now,
          (pg_relation_size('messages') / current_setting('block_size')::integer)::float8 as blocks,
          pg_try_advisory_xact_lock(${VOCABULARY_LOCK}) as locked`,
      );
      if (!locked || now === this.#settledAt) return false;
      const { pass, nextBlock, isOld } = await one<{ pass: number; nextBlock: number; isOld: boolean }>(
        sql`select pass, next_block::float8 as "nextBlock",
          started_at < now() - make_interval(hours => ${PASS_HOURS}) as "isOld" from dewey_vocabulary_progress`,
      );
      const start = Math.min(nextBlock, Math.max(0, blocks - UNSETTLED_BLOCKS));
      const end = Math.min(start + BLOCKS_AT_ONCE, blocks);
      // A tid range reads the blocks without an index; one on the time of storing would cost every insert.
      const read = `select search from messages where ctid >= '(${start},0)' and ctid < '(${end},0)'`;
      // Known words are passed over before the insert, which would lock each of them, and so write its row.
      await sql`insert into dewey_vocabulary as known (word, pass)
        select word, ${pass}::integer from ts_stat(${read}) as read where word ~ ${WORDS}
          and not exists (select from dewey_vocabulary v where v.word = read.word and v.pass = ${pass}::integer)
          and (select reltuples from pg_class where oid = 'dewey_vocabulary'::regclass) < ${MAX_WORDS}
        on conflict (word) do update set pass = excluded.pass where known.pass <> excluded.pass`;
      if (end !== nextBlock) await sql`update dewey_vocabulary_progress set next_block = ${end}`;
      if (end < blocks) return true;
      if (isOld) {
        await sql`delete from dewey_vocabulary where pass < ${pass}`;
        await sql`update dewey_vocabulary_progress set pass = pass + 1, next_block = 0, started_at = now()`;
      }
      this.#settledAt = now;
      return false;
    });
  }
}
