import type { SQL, TransactionSQL } from "bun";
import { DeweyError } from "../../errors.ts";
import { inSnapshot } from "./snapshot.ts";
import { Dialler } from "./dialler.ts";
import { READ_ONLY, ReadOnly, isConnectionLost, isReadOnly, sqlState } from "./lost.ts";
import { Late, Pool } from "./pool.ts";
import type { PoolUse, Statement } from "./pool.ts";
import { one } from "./one.ts";
import { isThroughPooler, statementsOn } from "./pooler.ts";
import { TlsFailure } from "./tls.ts";
import { Unreachable } from "./unreachable.ts";
import type { Connection } from "./connection.ts";
import type { Log } from "../../log.ts";

/** One connection in this many, at least one, is reserved for searches, so that slow searches never delay writes. */
const SEARCH_SHARE = 5;
/** Share of the deadline after which PostgreSQL ends a statement, shortly before its connection would be given up. */
const STATEMENT_SHARE = 0.9;

export interface DatabaseOptions {
  connection: Connection;
  /** Opened at the start and kept. */
  minConnections: number;
  maxConnections: number;
  /** How long a call may wait for the database before it fails as `unavailable`. */
  deadlineMs: number;
  /**
   * Deadline of a statement of a search, because slow searches take the processors from everything else. Capped at that of
   * other statements. Absent where nothing is searched.
   */
  searchDeadlineMs?: number;
  /** Whether idempotent work is retried here; `false` where the caller retries elsewhere. */
  repeats?: boolean;
  log: Log;
}

/** Interval between cancel requests while a cancelled search keeps starting statements. */
const CANCEL_INTERVAL_MS = 50;
/** Every search has different words, so a generic plan would be bad, and compiling a plan takes longer than running it. */
const SEARCH_PLANNING = { jit: "off", plan_cache_mode: "force_custom_plan", enable_seqscan: "off" };
/** For long work, whatever limits the role or the database has. */
const UNLIMITED = { statement_timeout: 0, lock_timeout: 0, idle_in_transaction_session_timeout: 0 };
/** Kept connections for searches: a new one reads PostgreSQL's dictionaries and maps its memory, which takes longer than a search. */
const KEPT_SEARCHES = 1;

/**
 * The connections to one PostgreSQL. Whatever happens there, a caller gets an answer within the deadline: the result, or
 * the DeweyError `unavailable`.
 */
export class Database {
  /** How long a caller waits for an answer. */
  readonly deadlineMs: number;
  readonly #options: DatabaseOptions;
  readonly #searchDeadlineMs: number;
  readonly #dialler: Dialler;
  readonly #main: Pool;
  readonly #searches: Pool;
  #isDoubted = false;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.deadlineMs = options.deadlineMs;
    this.#dialler = new Dialler(options.connection);
    const dialler = this.#dialler;
    const { log, maxConnections, minConnections } = options;
    const searches = Math.max(1, Math.floor(maxConnections / SEARCH_SHARE));
    const main = Math.max(1, maxConnections - searches);
    const timeout = Math.ceil(this.deadlineMs * STATEMENT_SHARE);
    this.#searchDeadlineMs = Math.min(options.searchDeadlineMs ?? timeout, timeout);
    const settings = { statement_timeout: timeout, lock_timeout: timeout };
    this.#main = new Pool({
      dialler,
      // The other pool's idle connections may be the last that the server has for Dewey.
      onFull: () => this.#searches.shed(),
      kept: Math.min(minConnections, main),
      most: main,
      settings,
      keepsStatements: true,
      log,
    });
    // With a limit of one, searches share the main connection.
    const searchSettings = { ...settings, statement_timeout: this.#searchDeadlineMs, ...SEARCH_PLANNING };
    this.#searches =
      maxConnections === 1
        ? this.#main
        : // Every search is a different statement, so prepared ones would only fill the memory.
          new Pool({
            dialler,
            onFull: () => this.#main.shed(),
            kept: KEPT_SEARCHES,
            most: searches,
            settings: searchSettings,
            keepsStatements: false,
            log,
          });
  }

  /**
   * Runs idempotent work: it is tried again once after a lost connection, or after others changed the same rows at the same
   * moment. `extraMs` is given beyond the deadline, for work whose size is known; less than 0 is taken from it, for what has
   * been tried elsewhere before. Each statement sees the commits before it; reads that must agree use `snapshot`.
   */
  async retried<Result>(statement: Statement<Result>, extraMs = 0): Promise<Result> {
    const work: Statement<Result> =
      extraMs > 0
        ? (sql) => sql.begin((transaction) => this.#allow(extraMs, transaction, statement))
        : (sql) => statementsOn(sql, statement);
    return this.#twice(this.#main, work, this.deadlineMs + extraMs);
  }

  /** Runs reads that form one reply, in one snapshot. `extraMs` and `first` are as for `search`. */
  async snapshot<Result>(
    reads: Statement<Result>,
    { extraMs = 0, first }: { extraMs?: number; first?: Statement<void> } = {},
  ): Promise<Result> {
    return this.#twice(
      this.#main,
      after(first, (sql) => inSnapshot(sql, reads)),
      this.deadlineMs + extraMs,
    );
  }

  /**
   * Runs a transaction, which is rolled back when it throws. It is repeated only where the server took no writes, so that
   * nothing was changed.
   */
  async transaction<Result>(work: (sql: TransactionSQL) => Promise<Result>, extraMs = 0): Promise<Result> {
    const transaction: Statement<Result> = (sql) => sql.begin((within) => this.#allow(extraMs, within, work));
    return this.#twice(this.#main, transaction, this.deadlineMs + extraMs, isReadOnly);
  }

  /**
   * Runs a search in one snapshot, on the searches' own connections. Once the signal aborts, what runs in the database for it
   * is cancelled, and it fails as `unavailable`. `extraMs` is as for `retried`; `first` runs before all else on the
   * connection, outside the snapshot.
   */
  async search<Result>(
    statement: Statement<Result>,
    signal?: AbortSignal,
    { extraMs = 0, first }: { extraMs?: number; first?: Statement<void> } = {},
  ): Promise<Result> {
    const reads: Statement<Result> = (sql) => inSnapshot(sql, statement);
    const search: Statement<Result> = signal ? (sql) => this.#cancellable(sql, reads, signal) : reads;
    const work = after(first, search);
    try {
      return await this.#twice(this.#searches, work, this.deadlineMs + extraMs);
    } catch (error) {
      throw wasTooSlow(error) ? tooSlow(this.#searchDeadlineMs, error) : error;
    }
  }

  /** Runs long work without a deadline, on a connection of its own. */
  async exclusive<Result>(work: Statement<Result>): Promise<Result> {
    let sql: SQL | undefined;
    try {
      sql = await this.#dialler.dial({ settings: UNLIMITED, keepsStatements: true, idleSeconds: 0 });
      return await work(sql);
    } catch (error) {
      throw translated(error);
    } finally {
      await sql?.close();
    }
  }

  /** Opens the kept connections. */
  async warm(): Promise<void> {
    try {
      await this.#main.warm(this.deadlineMs);
    } catch (error) {
      throw translated(error);
    }
  }

  /** Whether a pooler stands before the database; known once a call was answered. */
  get isPooled(): boolean {
    return this.#dialler.isPooled;
  }

  /** Whether a call has failed because of the database since it was last trusted. */
  get isDoubted(): boolean {
    return this.#isDoubted;
  }

  trust(): void {
    this.#isDoubted = false;
  }

  /** Replaces every connection, without failing the work on it. */
  renew(): void {
    this.#main.renew();
    this.#searches.renew();
  }

  /** Usage of each pool, by name. */
  use(): Record<string, PoolUse> {
    return this.#main === this.#searches
      ? { main: this.#main.use() }
      : { main: this.#main.use(), search: this.#searches.use() };
  }

  async close(): Promise<void> {
    await Promise.all([this.#main.close(this.deadlineMs), this.#searches.close(this.deadlineMs)]);
  }

  async #cancellable<Result>(sql: SQL, work: Statement<Result>, signal: AbortSignal): Promise<Result> {
    if (signal.aborted) throw cancelled();
    // The session may serve another client by the time that a request to cancel arrives. The deadline ends the search.
    if (isThroughPooler(sql)) return work(sql);
    // Its start tells it from a process of the same number on another server behind the same address.
    const { pid, start } = await one<{ pid: number; start: string }>(
      sql`select pid, backend_start::text as start from pg_stat_activity where pid = pg_backend_pid()`,
    );
    const ended = new AbortController();
    let cancelling: Promise<void> | undefined;
    const cancel = () => {
      // On a connection of its own, because the pools may be exhausted. Later statements of the search are cancelled too; if
      // that fails, the search's deadline ends them.
      cancelling = this.exclusive(async (other) => {
        for (; !ended.signal.aborted; await Bun.sleep(CANCEL_INTERVAL_MS))
          await other`select pg_cancel_backend(pid) from pg_stat_activity
            where pid = ${pid} and backend_start = ${start}::timestamptz`;
      }).catch(() => {});
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await work(sql);
    } catch (error) {
      throw signal.aborted ? cancelled() : error;
    } finally {
      ended.abort();
      signal.removeEventListener("abort", cancel);
      // Otherwise a late request could cancel the next search on this connection.
      await cancelling;
    }
  }

  async #twice<Result>(
    pool: Pool,
    work: Statement<Result>,
    limitMs: number,
    mayHelp: (error: unknown) => boolean = mayHelpIdempotent,
  ): Promise<Result> {
    const startedMs = performance.now();
    try {
      return await pool.run(work, limitMs);
    } catch (error) {
      // Every connection may lead to the server that takes no writes.
      if (isReadOnly(error)) this.renew();
      if (!mayHelp(error) || this.#options.repeats === false) throw this.#failed(error);
    }
    try {
      return await pool.run(work, Math.max(0, limitMs - (performance.now() - startedMs)));
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): DeweyError {
    const failure = translated(error);
    this.#isDoubted ||= failure.code === "unavailable";
    return failure;
  }

  async #allow<Result, Sql extends TransactionSQL>(
    extraMs: number,
    sql: Sql,
    work: (sql: Sql) => Promise<Result>,
  ): Promise<Result> {
    const timeoutMs = Math.ceil((this.deadlineMs + extraMs) * STATEMENT_SHARE);
    if (extraMs > 0) await sql.unsafe(`set local statement_timeout = ${timeoutMs}`);
    return work(sql);
  }
}

/** The work after the first step, if there is one. */
function after<Result>(first: Statement<void> | undefined, work: Statement<Result>): Statement<Result> {
  return first ? (sql) => first(sql).then(() => work(sql)) : work;
}

/** Whether work that may run twice should be tried again. */
function mayHelpIdempotent(error: unknown): boolean {
  return isConnectionLost(error) || isReadOnly(error) || isCollision(error);
}

/** SQLSTATE of a statement that was cancelled, by its deadline or by somebody. */
const QUERY_CANCELED = "57014";

/** Whether a statement exceeded its own deadline, as it would elsewhere too. */
export function wasTooSlow(error: unknown): boolean {
  return error instanceof DeweyError && sqlState(error.cause) === QUERY_CANCELED;
}

function tooSlow(limitMs: number, error: unknown): DeweyError {
  const remedy = "search for rarer words, narrow the search, or raise DEWEY_SEARCH_DEADLINE_SECONDS";
  const cause = error instanceof DeweyError ? error.cause : error;
  return new DeweyError("unavailable", `the search took longer than ${limitMs / 1000} s; ${remedy}`, { cause });
}

function cancelled(): DeweyError {
  return new DeweyError("unavailable", "the search was cancelled by its caller");
}

/**
 * Whether others wrote the same keys (23505) or rows (40001, 40P01) at the same moment; a retry sees their writes. On a
 * replica, the last two mean that rows being read were removed because the primary removed them.
 */
export function isCollision(error: unknown): boolean {
  return /^(23505|40001|40P01)$/.test(sqlState(error) ?? "");
}

/** SQLSTATEs of temporary conditions, with their messages: a retry or an administrator helps. */
const passing: [RegExp, string][] = [
  [
    /^28000/,
    "the database does not let Dewey's user in this way; correct DEWEY_DB_USER, TLS (sslmode, sslcert) or its pg_hba.conf",
  ],
  [/^28/, "the database refuses Dewey's user or password; correct DEWEY_DB_USER and DEWEY_DB_PASSWORD"],
  [/^3D000/, "the configured database does not exist; create it, or correct DEWEY_DB_NAME"],
  [
    /^42501/,
    "the database does not give Dewey's user the rights that it needs: let it own the tables, or grant them to it",
  ],
  [/^53300/, "the database has no free connection for Dewey; try again later"],
  [/^53/, "the database has run out of space; try again later"],
  [/^(57014|55P03)/, "the database took too long; try again later"],
  [/^25006/, "the database accepts no writes at the moment: it is a standby, or set to read-only; try again later"],
  [/^(40001|40P01)/, "too many callers write the same rows; try again later"],
];

/**
 * SQLSTATEs of values that PostgreSQL does not have: characters, numbers as text and times out of its range, and what is
 * nested too deeply. The fields' own rules come first and say more; this is for what they let through.
 */
const unstorable = /^(22021|22P0[25]|2200[78]|54001)$/;

/** The only translation of the database's errors. Their messages may quote callers' data, so they are not passed on. */
export function translated(error: unknown): DeweyError {
  if (error instanceof DeweyError) return error;
  if (error instanceof Late) return new DeweyError("unavailable", error.message);
  if (error instanceof TlsFailure)
    return new DeweyError("unavailable", `the database: ${error.message}`, { cause: error });
  if (isConnectionLost(error)) {
    const where = error instanceof Unreachable ? ` (${error.message})` : "";
    const message = `the database cannot be reached${where}; try again once it is back`;
    return new DeweyError("unavailable", message, { cause: error });
  }
  const state = error instanceof ReadOnly ? READ_ONLY : sqlState(error);
  const words = passing.find(([pattern]) => state !== undefined && pattern.test(state))?.[1];
  if (words !== undefined) return new DeweyError("unavailable", words, { cause: error });
  if (state !== undefined && unstorable.test(state)) {
    const message = `a value of this call is none that PostgreSQL can read (SQLSTATE ${state}); correct it, or leave it out`;
    return new DeweyError("invalid", message, { cause: error });
  }
  if (state === undefined)
    return new DeweyError("internal", "the database's reply could not be understood", { cause: error });
  return new DeweyError("internal", `the database refused a statement (SQLSTATE ${state})`, { cause: error });
}
