import type { SQL, TransactionSQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import type { IndexSorter } from "./index-sorter.ts";
import { pause } from "../../pause.ts";
import { LANGUAGE_LOCK, beginReindexing, readReindexing } from "./language.ts";
import type { Reindexing } from "./language.ts";
import { MAX_SEARCHED_CHARACTERS, searchable } from "./text.ts";

/** Messages of one step, and bytes of their contents: few enough that nobody waits long for the connection or a row. */
const STEP_MESSAGES = 200;
const STEP_BYTES = 500_000;
/** A single large message may take so much longer than a call's deadline. */
const STEP_EXTRA_MS = 60_000;
/** Whoever deletes a message that a step holds should not wait for PostgreSQL to find a deadlock, which takes a second. */
const LOCK_TIMEOUT_MS = 500;
/** How often it is looked whether another server has begun to reindex, or has left it unfinished … */
const INTERVAL_MS = 2000;
/** … and whether those have ended that were writing when the language changed. */
const WRITERS_INTERVAL_MS = 50;

/** What became of a step. */
type StepOutcome = "idle" | "waiting" | "more" | "done";

/**
 * Makes the words of all messages anew, step by step in the order of their ids, while others store and search. Each step
 * is a transaction that also writes down how far it has come, so whoever is killed has lost nothing, and any server on the
 * database goes on; one at a time does. A message whose words are the same is left as it is.
 */
export class Reindexer {
  readonly #database: Database;
  readonly #log: Log;
  readonly #wanted: string | undefined;
  readonly #sorter: IndexSorter;
  #woken = new AbortController();
  #isWalking = false;
  /** The transactions that were writing when a walk began. */
  #writers: { startedAt: string; transactions: Set<string> } | undefined;

  /** `wanted` is the language that is set, if one is. */
  constructor(database: Database, wanted: string | undefined, sorter: IndexSorter, log: Log) {
    this.#database = database;
    this.#wanted = wanted;
    this.#sorter = sorter;
    this.#log = log;
  }

  /** Whether there was something to do at the last look. */
  get isWalking(): boolean {
    return this.#isWalking;
  }

  /** In the language that is named, else in the one that is set, else in the one there is. See `beginReindexing`. */
  async begin(named: string | undefined): Promise<Reindexing> {
    const begun = await beginReindexing(this.#database, named ?? this.#wanted);
    this.#woken.abort();
    return begun;
  }

  state(): Promise<Reindexing> {
    return this.#database.repeatable(readReindexing);
  }

  /** Walks whenever there is something to walk, until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken = new AbortController();
      const startedMs = performance.now();
      let outcome: StepOutcome = "idle";
      try {
        outcome = await this.#step();
        this.#isWalking = outcome === "more" || outcome === "waiting";
        if (outcome === "done") await this.#finished();
      } catch (error) {
        if (!signal.aborted)
          this.#log.warn("the words of messages could not be made anew; the next round goes on", { error });
      }
      // Half of the time belongs to those who store and search.
      const restsMs = { idle: INTERVAL_MS, waiting: WRITERS_INTERVAL_MS, more: performance.now() - startedMs, done: 0 };
      await pause(restsMs[outcome], AbortSignal.any([signal, this.#woken.signal]));
    }
  }

  async #step(): Promise<StepOutcome> {
    return this.#database.transaction(async (sql) => {
      const [lock] = await sql`select pg_try_advisory_xact_lock(${LANGUAGE_LOCK}) as taken`;
      const [walk]: { startedAt: string; walkedTo: string | null }[] = await sql`
        select started_at::text as "startedAt", walked_to as "walkedTo" from dewey_search_language
        where started_at is not null`;
      if (!lock.taken || !walk) return "idle";
      if (walk.walkedTo === null && (await this.#areWriting(sql, walk.startedAt))) return "waiting";
      await sql.unsafe(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
      const messages = await nextMessages(sql, walk.walkedTo);
      const last = messages.at(-1);
      if (!last) {
        await sql`update dewey_search_language set started_at = null, walked_to = null, earlier = '{}'`;
        return "done";
      }
      await makeWords(sql, messages);
      this.#sorter.stored(messages.reduce((sum, { beginning }) => sum + beginning.length, 0));
      await sql`update dewey_search_language set walked_to = ${last.id}, walked = walked + ${messages.length}`;
      return "more";
    }, STEP_EXTRA_MS);
  }

  /**
   * Whether any transaction goes on that was writing messages when the language changed: it may have planned before, and
   * store words in the earlier one. Whoever locks the table afterwards hears of the change with that, as it does when an
   * index is made concurrently. The lock that the change was made under is let go when all have been told.
   */
  async #areWriting(sql: SQL, startedAt: string): Promise<boolean> {
    const rows: { transaction: string }[] = await sql`select virtualtransaction as transaction from pg_locks
      where locktype = 'relation' and relation = 'messages'::regclass and granted
        and database = (select oid from pg_database where datname = current_database())
        and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;
    const now = new Set(rows.map(({ transaction }) => transaction));
    const known = this.#writers?.startedAt === startedAt ? this.#writers.transactions : now;
    this.#writers = { startedAt, transactions: known.intersection(now) };
    return this.#writers.transactions.size > 0;
  }

  async #finished(): Promise<void> {
    const { language, walked } = await this.state();
    this.#log.info("the words of all messages are made anew", { language, messages: walked });
    // Search weighs words by what ANALYZE finds. PostgreSQL would do it by itself, but somewhat later.
    await this.#database.exclusive((sql) => sql.unsafe("analyze messages (search)"));
  }
}

interface Walked {
  id: string;
  /** Its beginning, as far as that is looked at outside of the database. */
  beginning: string;
}

async function nextMessages(sql: TransactionSQL, walkedTo: string | null): Promise<Walked[]> {
  return sql.unsafe(
    `select id, left(content, ${MAX_SEARCHED_CHARACTERS}) as beginning from (
      select id, content, sum(octet_length(content)) over (order by id) - octet_length(content) as before from (
        select id, content from messages ${walkedTo === null ? "" : "where id > $1::uuid"} order by id limit ${STEP_MESSAGES}
      ) as next
    ) as sized where before < ${STEP_BYTES} order by id`,
    walkedTo === null ? [] : [walkedTo],
  );
}

async function makeWords(sql: TransactionSQL, messages: Walked[]): Promise<void> {
  const ids = messages.map(({ id }) => id);
  const searchables = messages.map(({ beginning }) => searchable(beginning));
  await sql`update messages m set search = made.search from (
      select k.id, dewey_search_vector(coalesce(given.searchable, k.content)) as search
      from unnest(${sql.array(ids, "UUID")}::uuid[], ${sql.array(searchables, "TEXT")}::text[]) as given (id, searchable)
      join messages k on k.id = given.id offset 0
    ) as made where made.id = m.id and m.search is distinct from made.search`;
}
