import type { SQL, TransactionSQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { one } from "../database/one.ts";
import type { IndexSorter } from "./index-sorter.ts";
import { pause } from "../../pause.ts";
import { LANGUAGE_LOCK, beginReindexing, readReindexing } from "./language.ts";
import type { Reindexing } from "./language.ts";
import { MAX_SEARCHED_CHARACTERS, searchable } from "./text.ts";

/** Limit on the messages of one step: few enough that no caller waits long for the connection or a row. */
const STEP_MESSAGES = 200;
/** Limit on the bytes of their contents; a larger message is a step of its own. */
const STEP_BYTES = 500_000;
/** Time for a single large message beyond a call's deadline. */
const STEP_EXTRA_MS = 60_000;
/** Shorter than PostgreSQL's deadlock timeout of a second, so that a caller who deletes a locked message waits less. */
const LOCK_TIMEOUT_MS = 500;
/** Poll interval for a rebuild that another server has started or left unfinished. */
const INTERVAL_MS = 2000;
/** Poll interval for the end of transactions that were writing when the language changed. */
const WRITERS_INTERVAL_MS = 50;

/** Outcome of a step; `waiting` is for transactions that were writing when the change was made or announced. */
type StepOutcome = "idle" | "waiting" | "announced" | "more" | "done";

/**
 * Rebuilds the search vectors of all messages, in steps in the order of their ids, while callers store and search. Each step
 * is a transaction that also saves its progress, so a killed server loses nothing and any other server on the database
 * continues, one at a time. A message whose vector is unchanged is not written.
 */
export class Reindexer {
  readonly #database: Database;
  readonly #log: Log;
  readonly #wanted: string | undefined;
  readonly #sorter: IndexSorter;
  #woken = new AbortController();
  #isWalking = false;
  /** The change whose rebuild waits, and the transactions that it waits for. */
  #change: { startedAt: string; isAnnounced: boolean; writers: Set<string> | undefined } | undefined;

  /** `wanted` is the configured language, if any. */
  constructor(database: Database, wanted: string | undefined, sorter: IndexSorter, log: Log) {
    this.#database = database;
    this.#wanted = wanted;
    this.#sorter = sorter;
    this.#log = log;
  }

  /** Whether a rebuild was in progress at the last poll. */
  get isWalking(): boolean {
    return this.#isWalking;
  }

  /** Begins in the named language, else in the configured one, else in the current one. See `beginReindexing`. */
  async begin(named: string | undefined): Promise<Reindexing> {
    const begun = await beginReindexing(this.#database, named ?? this.#wanted);
    this.#woken.abort();
    return begun;
  }

  state(): Promise<Reindexing> {
    return this.#database.retried(readReindexing);
  }

  /** Rebuilds whenever that is requested, until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken = new AbortController();
      const startedMs = performance.now();
      let outcome: StepOutcome = "idle";
      try {
        outcome = await this.#step();
        this.#isWalking = outcome !== "idle" && outcome !== "done";
        if (outcome === "announced" && this.#change !== undefined)
          this.#change = { ...this.#change, isAnnounced: true, writers: undefined };
        if (outcome === "done") await this.#finished();
      } catch (error) {
        if (!signal.aborted)
          this.#log.warn("a step of rebuilding the search index failed; it will be retried", { error });
      }
      // Half of the time is left to callers that store and search.
      const restsMs = {
        idle: INTERVAL_MS,
        waiting: WRITERS_INTERVAL_MS,
        announced: 0,
        more: performance.now() - startedMs,
        done: 0,
      };
      await pause(restsMs[outcome], AbortSignal.any([signal, this.#woken.signal]));
    }
  }

  async #step(): Promise<StepOutcome> {
    return this.#database.transaction(async (sql) => {
      const lock = await one<{ taken: boolean }>(sql`select pg_try_advisory_xact_lock(${LANGUAGE_LOCK}) as taken`);
      const [walk]: { startedAt: string; walkedTo: string | null }[] = await sql`
        select started_at::text as "startedAt", walked_to as "walkedTo" from dewey_search_language
        where started_at is not null`;
      if (!lock.taken || !walk) return "idle";
      const pending = walk.walkedTo === null ? await this.#settle(sql, walk.startedAt) : undefined;
      if (pending !== undefined) return pending;
      await sql.unsafe(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
      const messages = await nextMessages(sql, walk.walkedTo);
      const last = messages.at(-1);
      if (!last) {
        await sql`update dewey_search_language set started_at = null, walked_to = null, earlier = '{}',
          earlier_form = false`;
        return "done";
      }
      await makeWords(sql, messages);
      this.#sorter.stored(messages.reduce((sum, { beginning }) => sum + beginning.length, 0));
      await sql`update dewey_search_language set walked_to = ${last.id}, walked = walked + ${messages.length}`;
      return "more";
    }, STEP_EXTRA_MS);
  }

  /**
   * Waits until no transaction stores words in the earlier language: those that were writing messages when the language changed
   * may have planned their statements before. A connection that was planning at that moment may even keep such a plan, since
   * PostgreSQL takes it for valid when the invalidation comes before the plan is complete. So the change is announced once more
   * after those transactions, which ends these plans, and the transactions that are writing then are waited for too.
   */
  async #settle(sql: SQL, startedAt: string): Promise<"waiting" | "announced" | undefined> {
    const now = await writingTransactions(sql);
    const known = this.#change?.startedAt === startedAt ? this.#change : undefined;
    const change = {
      startedAt,
      isAnnounced: known?.isAnnounced ?? false,
      writers: known?.writers?.intersection(now) ?? now,
    };
    this.#change = change;
    if (change.writers.size > 0) return "waiting";
    if (change.isAnnounced) return undefined;
    await sql`select dewey_search_with(language::regconfig) from dewey_search_language`;
    return "announced";
  }

  async #finished(): Promise<void> {
    const { language, walked } = await this.state();
    this.#log.info("the search index is rebuilt", { language, messages: walked });
    // Search weighs words by the statistics of ANALYZE. Autovacuum would run it too, but later.
    await this.#database.exclusive((sql) => sql.unsafe("analyze messages (search)"));
  }
}

/**
 * The transactions that are writing messages. One that locks the table after a change's commit sees the change with that lock,
 * as with `create index concurrently`; the advisory lock of the change is released only after its invalidations are sent.
 */
async function writingTransactions(sql: SQL): Promise<Set<string>> {
  const rows: { transaction: string }[] = await sql`select virtualtransaction as transaction from pg_locks
    where locktype = 'relation' and relation = 'messages'::regclass and granted
      and database = (select oid from pg_database where datname = current_database())
      and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;
  return new Set(rows.map(({ transaction }) => transaction));
}

interface Walked {
  id: string;
  /** Its beginning, as far as `searchable` reads it. */
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
