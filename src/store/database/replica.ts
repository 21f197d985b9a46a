import type { SQL } from "bun";
import { within } from "../../deadline.ts";
import { asDeweyError, DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Connection } from "./connection.ts";
import { Database, isCollision } from "./database.ts";
import type { DatabaseOptions } from "./database.ts";
import { one } from "./one.ts";
import { Late, sqlState } from "./pool.ts";
import type { PoolUse } from "./pool.ts";
import { SharedQuestion } from "./shared-question.ts";

/** A replica that is well is some milliseconds behind. Waiting longer than this costs more than reading on the primary. */
const MOST_LAG_MS = 100;
const LAG_POLL_MS = 5;
/** How long a replica may take to say how it is; one that hangs must not cost its callers their deadline. */
const ANSWER_LIMIT_MS = 1000;
/** How often one that does not serve is asked whether it does again. */
const PROBE_INTERVAL_MS = 1000;
/** Of a caller's deadline, what a read may take there; in the rest it is done on the primary. */
const DEADLINE_SHARE = 0.5;

/** What a replica must have before it may answer: all that was committed on the primary at one moment. */
export interface Goal {
  /** The end of the primary's write-ahead log. */
  wal: string;
  timeline: number;
  /**
   * What the primary saw then. A search keeps to it, because its cursor needs a snapshot that lists what was under way,
   * and those of a standby do not (`pg_current_snapshot()` there names no transaction in progress).
   */
  snapshot: string;
}

export interface ReplicaHealth {
  status: "ok" | "unavailable";
  /** Of one that does not serve. */
  reason?: string;
  since?: string;
}

interface Trouble {
  reason: string;
  since: string;
}

/**
 * A streaming replica of the primary, on which reads may run. It is asked before every read, on the connection of that
 * read, whether it has what the primary had committed when the caller asked; so whoever has written something reads it,
 * whichever server it went over, and several replicas may stand behind one address. When it is away, hangs, lags or
 * is no replica of this database (any more), reads go to the primary until it is well again.
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
   * Throws `conflict` when what is there is no replica of the primary. One that is away is waited for in the background.
   * `options` are those of the primary.
   */
  static async open(primary: Database, connection: Connection, options: DatabaseOptions): Promise<Replica> {
    const system = await primary.repeatable(systemOf);
    const replica = new Replica(primary, system, { ...options, connection });
    const error = await replica.#probe();
    if (error?.code === "conflict") {
      await replica.close();
      throw new DeweyError("conflict", `the database at DEWEY_DB_READ_URL cannot be read from: ${error.message}`);
    }
    if (error) replica.failed(error);
    return replica;
  }

  /** What a read that begins now must see; absent while the replica does not serve, or the primary does not say. */
  async goal(): Promise<Goal | undefined> {
    // The primary itself then tells the caller what is wrong.
    return this.#trouble ? undefined : this.#goals.ask().catch(() => undefined);
  }

  /** Waits a little until the replica has reached the goal. Throws when it does not, or is no replica of the primary. */
  async caughtUp(sql: SQL, goal: Goal): Promise<void> {
    const untilMs = performance.now() + MOST_LAG_MS;
    for (;;) {
      // A statement of its own: the view of one that asks would be older than its answer.
      const behindBytes = await within(ANSWER_LIMIT_MS, this.#bytesBehind(sql, goal), tooLate);
      if (behindBytes <= 0) return;
      if (performance.now() > untilMs) {
        throw new DeweyError("unavailable", `it is ${behindBytes} bytes of the write-ahead log behind`);
      }
      await Bun.sleep(LAG_POLL_MS);
    }
  }

  /** Takes note of a read that has failed there. A read that stood in the way of the replay says nothing of the others. */
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

  /** How much of its pools is in use. */
  use(): Record<string, PoolUse> {
    return Object.fromEntries(Object.entries(this.database.use()).map(([pool, use]) => [`replica_${pool}`, use]));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#probing);
    await this.database.close();
  }

  /** Until it is well. What is over at the first look was a hiccup and is not worth a line of the log. */
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

  /** What keeps it from serving, if anything does. */
  async #probe(): Promise<DeweyError | undefined> {
    try {
      const goal = await this.#goals.ask();
      await this.database.repeatable((sql) => this.caughtUp(sql, goal));
      return undefined;
    } catch (error) {
      return asDeweyError(error);
    }
  }

  /**
   * Of commits that are acknowledged before they are on the disk, which a person may choose, the end of what is flushed
   * knows nothing.
   */
  async #askPrimary(): Promise<Goal> {
    return this.#primary.repeatable((sql) =>
      one<Goal>(sql`select pg_current_snapshot()::text as snapshot,
        (case when current_setting('synchronous_commit') = 'off' then pg_current_wal_insert_lsn()
          else pg_current_wal_flush_lsn() end)::text as wal,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer as timeline`),
    );
  }

  /**
   * A standby that follows a primary which was given up has another history from some moment on, which the timeline tells.
   * Its control file knows a new timeline from its next restartpoint on, so after a failover it may be refused for minutes.
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

/** Which cluster and which database of it: a standby has the same of both. */
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

/** In words about the replica: the database's own are about the primary. */
function reasonOf(error: unknown): string {
  const { message, cause } = asDeweyError(error);
  const refused = /^(28|3D000)/.test(sqlState(cause) ?? "");
  return refused ? "it refuses the user, the password or the database's name in DEWEY_DB_READ_URL" : message;
}
