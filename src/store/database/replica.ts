import type { SQL } from "bun";
import { within } from "../../deadline.ts";
import { asDeweyError, DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Connection } from "./connection.ts";
import { Database, isCollision } from "./database.ts";
import type { DatabaseOptions } from "./database.ts";
import { one } from "./one.ts";
import { sqlState } from "./lost.ts";
import { Late } from "./pool.ts";
import type { PoolUse } from "./pool.ts";
import { SharedQuestion } from "./shared-question.ts";

/** Maximum wait for the replay. A healthy replica lags by some milliseconds; a longer wait costs more than the primary. */
const MOST_LAG_MS = 100;
const LAG_POLL_MS = 5;
/** How long a replica may take to report its state; one that hangs must not use up its callers' deadline. */
const ANSWER_LIMIT_MS = 1000;
/** Interval between probes of a replica that does not serve. */
const PROBE_INTERVAL_MS = 1000;
/** Share of a caller's deadline for a read on the replica; the rest is for the primary. */
const DEADLINE_SHARE = 0.5;

/** The state that a replica must reach before it may answer: everything committed on the primary at one moment. */
export interface Goal {
  /** The end of the primary's write-ahead log. */
  wal: string;
  timeline: number;
  /**
   * The primary's snapshot at that moment. A search is limited to it, because its cursor needs a snapshot that lists the
   * transactions in progress, and `pg_current_snapshot()` on a standby does not.
   */
  snapshot: string;
}

export interface ReplicaHealth {
  status: "ok" | "unavailable";
  /** Present when the replica does not serve. */
  reason?: string;
  since?: string;
}

interface Trouble {
  reason: string;
  since: string;
}

/**
 * A streaming replica of the primary for reads. Before every read, and on its connection, the replica is asked whether it
 * has everything that the primary had committed before the call. So writers read their own writes through any server, and
 * several replicas may share one address. While it is down, hangs, lags or is not a replica of this database, reads go to
 * the primary.
 */
export class Replica {
  readonly database: Database;
  readonly #primary: Database;
  readonly #log: Log;
  readonly #system: string;
  readonly #goals = new SharedQuestion(() => this.#askPrimary());
  #trouble: Trouble | undefined;
  #probing: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(primary: Database, system: string, options: DatabaseOptions) {
    this.#primary = primary;
    this.#system = system;
    this.#log = options.log;
    this.database = new Database({ ...options, deadlineMs: options.deadlineMs * DEADLINE_SHARE, repeats: false });
  }

  /**
   * Throws `conflict` when the database is not a replica of the primary. A replica that is down is probed in the background.
   * `options` are those of the primary.
   */
  static async open(primary: Database, connection: Connection, options: DatabaseOptions): Promise<Replica> {
    const system = await primary.retried(systemOf);
    const replica = new Replica(primary, system, { ...options, connection });
    const error = await replica.#probe();
    if (replica.database.isPooled) {
      await replica.close();
      const remedy = "DEWEY_DB_READ_URL must lead to the replica itself";
      throw new DeweyError("conflict", `a pooler stands before the read replica, and would mix its servers; ${remedy}`);
    }
    if (error?.code === "conflict") {
      await replica.close();
      throw new DeweyError("conflict", `the database at DEWEY_DB_READ_URL cannot be read from: ${error.message}`);
    }
    if (error) replica.failed(error);
    return replica;
  }

  /** The goal of a read that begins now; absent while the replica does not serve, or the primary does not answer. */
  async goal(): Promise<Goal | undefined> {
    // The read on the primary then reports what is wrong.
    return this.#trouble ? undefined : this.#goals.ask().catch(() => undefined);
  }

  /** Waits briefly until the replica reaches the goal. Throws when it does not, or is not a replica of the primary. */
  async caughtUp(sql: SQL, goal: Goal): Promise<void> {
    const untilMs = performance.now() + MOST_LAG_MS;
    for (;;) {
      // A statement of its own: the snapshot of a statement that also reads would be older than the answer.
      const behindBytes = await within(ANSWER_LIMIT_MS, this.#bytesBehind(sql, goal), tooLate);
      if (behindBytes <= 0) return;
      if (performance.now() > untilMs) {
        throw new DeweyError("unavailable", `it is ${behindBytes} bytes of the write-ahead log behind`);
      }
      await Bun.sleep(LAG_POLL_MS);
    }
  }

  /** Records a failed read. One that was cancelled by the replay tells nothing about other reads. */
  failed(error: unknown): void {
    if (isCollision(asDeweyError(error).cause) || this.#trouble || this.#isClosed) return;
    this.#trouble = { reason: reasonOf(error), since: new Date().toISOString() };
    this.#probeLater(false);
  }

  async health(): Promise<ReplicaHealth> {
    if (!this.#trouble) {
      const error = await this.#probe();
      if (error) this.failed(error);
    }
    return this.#trouble ? { status: "unavailable", ...this.#trouble } : { status: "ok" };
  }

  /** Usage of its pools, by name. */
  use(): Record<string, PoolUse> {
    return Object.fromEntries(Object.entries(this.database.use()).map(([pool, use]) => [`replica_${pool}`, use]));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#probing);
    await this.database.close();
  }

  /** Probes until it serves again. Trouble that has passed at the first probe is not logged. */
  #probeLater(isTold: boolean): void {
    this.#probing = setTimeout(() => void this.#probeAgain(isTold), PROBE_INTERVAL_MS);
  }

  async #probeAgain(isTold: boolean): Promise<void> {
    const error = await this.#probe();
    if (this.#isClosed) return;
    if (!error) {
      this.#trouble = undefined;
      if (isTold) this.#log.info("the read replica serves again");
      return;
    }
    const reason = reasonOf(error);
    if (!isTold) this.#log.warn("the read replica does not serve; reads go to the primary", { reason });
    if (this.#trouble) this.#trouble.reason = reason;
    this.#probeLater(true);
  }

  /** Returns the error that keeps the replica from serving, if there is one. */
  async #probe(): Promise<DeweyError | undefined> {
    try {
      const goal = await this.#goals.ask();
      await this.database.retried((sql) => this.caughtUp(sql, goal));
      return undefined;
    } catch (error) {
      return asDeweyError(error);
    }
  }

  /**
   * Asks for the end of the flushed log. With `synchronous_commit` off, commits are acknowledged before they are flushed, so
   * then for the end of the inserted log.
   */
  async #askPrimary(): Promise<Goal> {
    return this.#primary.retried((sql) =>
      one<Goal>(sql`select pg_current_snapshot()::text as snapshot,
        (case when current_setting('synchronous_commit') = 'off' then pg_current_wal_insert_lsn()
          else pg_current_wal_flush_lsn() end)::text as wal,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer as timeline`),
    );
  }

  /**
   * How far the replica is behind the goal. After a failover, a standby of the old primary has a different history, which its
   * timeline shows. Its control file has a new timeline only after the next restartpoint, so it may be refused for minutes.
   */
  async #bytesBehind(sql: SQL, { wal, timeline }: Goal): Promise<number> {
    const row = await one<{ standby: boolean; timeline: number; behind: number | null }>(
      sql`select pg_is_in_recovery() as standby,
        (select timeline_id from pg_control_checkpoint()) as timeline,
        pg_wal_lsn_diff(${wal}::pg_lsn, pg_last_wal_replay_lsn())::float8 as behind`,
    );
    if (!row.standby) throw new DeweyError("conflict", "it is no standby: it takes writes of its own");
    if ((await systemOf(sql)) !== this.#system) throw new DeweyError("conflict", "it is a standby of another database");
    if (row.timeline !== timeline) {
      throw new DeweyError("unavailable", `it is on timeline ${row.timeline}, and the primary on ${timeline}`);
    }
    return row.behind ?? Infinity;
  }
}

/** Identifies the cluster and the database in it; both are the same on a standby. */
async function systemOf(sql: SQL): Promise<string> {
  const { system } = await one<{ system: string }>(
    sql`select concat_ws('/', (select system_identifier from pg_control_system()),
      (select oid from pg_database where datname = current_database())) as system`,
  );
  return system;
}

/** Throws `Late`, which gives the connection up. */
function tooLate(): never {
  throw new Late(ANSWER_LIMIT_MS);
}

/** A reason about the replica; the database's own messages are about the primary. */
function reasonOf(error: unknown): string {
  const { message, cause } = asDeweyError(error);
  const refused = /^(28|3D000)/.test(sqlState(cause) ?? "");
  return refused ? "it refuses the user, the password or the database's name in DEWEY_DB_READ_URL" : message;
}
