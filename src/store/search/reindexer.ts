import type { SQL, TransactionSQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import type { IndexSorter } from "./index-sorter.ts";
import { pause } from "../../pause.ts";
import { LANGUAGE_LOCK, beginReindexing, readReindexing } from "./language.ts";
import type { Reindexing } from "./language.ts";
import { storeSections } from "./section-rows.ts";
import { SECTIONED_BYTES } from "./sections.ts";
import type { WrittenWords } from "./sections.ts";
import type { Workshop } from "../workshop/workshop.ts";

/** Limit on the messages of one step: few enough that no caller waits long for the connection or a row. */
const STEP_MESSAGES = 200;
/** Limit on the bytes of their contents; a larger message is a step of its own. */
const STEP_BYTES = 500_000;
/** Time for a single large message beyond a call's deadline: one of 128 MB takes more than a minute. */
const STEP_EXTRA_MS = 300_000;
/** Shorter than PostgreSQL's deadlock timeout of a second, so that a caller who deletes a locked message waits less. */
const LOCK_TIMEOUT_MS = 500;
/** Poll interval for a rebuild that another server has started or left unfinished. */
const INTERVAL_MS = 2000;
/** Poll interval for the end of transactions that were writing when the language changed. */
const WRITERS_INTERVAL_MS = 50;

/**
 * Outcome of a step; `waiting` is for transactions that were writing when the change was made or announced, and `unlisted` for
 * the list of the long messages from before they had sections.
 */
type StepOutcome = "idle" | "waiting" | "announced" | "unlisted" | "more" | "done";

/**
 * Rebuilds the search vectors of all messages, in steps in the order of their ids, while callers store and search. Each step
 * is a transaction that also saves its progress, so a killed server loses nothing and any other server on the database
 * continues, one at a time. A message whose vector is unchanged is not written. Between rebuilds it makes the sections of long
 * messages that have none.
 */
export class Reindexer {
  readonly #database: Database;
  readonly #log: Log;
  readonly #wanted: string | undefined;
  readonly #workshop: Workshop;
  readonly #sorter: IndexSorter;
  #woken = new AbortController();
  #isWalking = false;
  /** The change whose rebuild waits, and the transactions that it waits for. */
  #change: { startedAt: string; isAnnounced: boolean; writers: Set<string> | undefined } | undefined;

  /** `wanted` is the configured language, if any. */
  constructor(
    database: Database,
    wanted: string | undefined,
    { workshop, sorter, log }: { workshop: Workshop; sorter: IndexSorter; log: Log },
  ) {
    this.#database = database;
    this.#wanted = wanted;
    this.#workshop = workshop;
    this.#sorter = sorter;
    this.#log = log;
  }

  /** Whether words were being made at the last poll. */
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
        if (outcome === "unlisted") await this.#listLong();
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
        unlisted: 0,
        more: performance.now() - startedMs,
        done: 0,
      };
      await pause(restsMs[outcome], AbortSignal.any([signal, this.#woken.signal]));
    }
  }

  async #step(): Promise<StepOutcome> {
    return this.#database.transaction(async (sql) => {
      const [lock]: { taken: boolean; isListed: boolean; due: string | null }[] = await sql`
        select pg_try_advisory_xact_lock(${LANGUAGE_LOCK}) as taken, sections_listed as "isListed",
          (select message_id from message_sections_due limit 1) as due
        from dewey_search_language`;
      const [walk]: { startedAt: string; walkedTo: string | null }[] = await sql`
        select started_at::text as "startedAt", walked_to as "walkedTo" from dewey_search_language
        where started_at is not null`;
      if (!lock?.taken) return "idle";
      if (!walk) return this.#makeSections(sql, lock);
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
      await this.#makeWords(sql, messages);
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

  /** Makes the sections of one message that lacks them. */
  async #makeSections(sql: TransactionSQL, state: { isListed: boolean; due: string | null }): Promise<StepOutcome> {
    if (!state.isListed) return "unlisted";
    if (state.due === null) return "idle";
    await sql.unsafe(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await this.#makeWords(sql, await sql`select id, content from messages where id = ${state.due}`);
    await sql`delete from message_sections_due where message_id = ${state.due}`;
    return "more";
  }

  /** Lists the long messages from before they had sections. It reads the whole table, but none of the texts. */
  async #listLong(): Promise<void> {
    await this.#database.exclusive((sql) =>
      sql.begin(async (within) => {
        await within`select pg_advisory_xact_lock(${LANGUAGE_LOCK})`;
        await within`insert into message_sections_due
          select id from messages m where octet_length(content) > ${SECTIONED_BYTES}::integer
            and not exists (select from message_sections s where s.message_id = m.id)
          on conflict do nothing`;
        await within`update dewey_search_language set sections_listed = true`;
      }),
    );
  }

  async #makeWords(sql: TransactionSQL, messages: Walked[]): Promise<void> {
    const written: (WrittenWords & { id: string })[] = [];
    // Long texts are read in the workshop's thread.
    for (const { id, content } of messages) written.push({ id, ...(await this.#workshop.make("words", content)) });
    const ids = written.map(({ id }) => id);
    const searchables = written.map((each) => each.searchable);
    await sql`update messages m set search = made.search from (
        select k.id, dewey_search_vector(coalesce(given.searchable, k.content)) as search
        from unnest(${sql.array(ids, "UUID")}::uuid[], ${sql.array(searchables, "TEXT")}::text[]) as given (id, searchable)
        join messages k on k.id = given.id offset 0
      ) as made where made.id = m.id and m.search is distinct from made.search`;
    await storeSections(sql, written);
    this.#sorter.stored(messages.reduce((sum, { content }) => sum + content.length, 0));
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
  content: string;
}

async function nextMessages(sql: TransactionSQL, walkedTo: string | null): Promise<Walked[]> {
  return sql.unsafe(
    `select id, content from (
      select id, content, sum(octet_length(content)) over (order by id) - octet_length(content) as before from (
        select id, content from messages ${walkedTo === null ? "" : "where id > $1::uuid"} order by id limit ${STEP_MESSAGES}
      ) as next
    ) as sized where before < ${STEP_BYTES} order by id`,
    walkedTo === null ? [] : [walkedTo],
  );
}
