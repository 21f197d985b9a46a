import type { SQL } from "bun";
import { asDeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { pause } from "../../pause.ts";
import type { Database } from "./database.ts";
import { ReadOnly, isReadOnly, sqlState } from "./lost.ts";
import { one } from "./one.ts";

/** Interval between looks: how long reads may at most go to a server that has been replaced. */
const WATCH_INTERVAL_MS = 10_000;

/**
 * Knows whether the database takes writes, and notices a failover: the new primary continues on a timeline of its own.
 * Looking writes nothing, because a write would have an idle database archive its log. Only after a call has failed, a look
 * writes a record of a few bytes into the log, which also finds a full disk or a synchronous standby that is missing.
 */
export class Primary {
  readonly #database: Database;
  readonly #log: Log;
  #timeline: number | undefined;
  #isUp = true;
  #isWritable = true;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** The number of the database's history; undefined where it cannot be known. */
  get timeline(): number | undefined {
    return this.#timeline;
  }

  /** Whether the database answered at the last look. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Whether it took writes then. */
  get isWritable(): boolean {
    return this.#isWritable;
  }

  /**
   * Names the history in which commits end: the cluster and its timeline, which a failover or a recovery changes. Undefined
   * where it cannot be known. Throws `unavailable` while the database takes no writes.
   */
  async history(): Promise<string | undefined> {
    return this.#database.retried(async (sql) => {
      await refuseReadOnly(sql);
      return historyOf(sql);
    });
  }

  /** Throws `unavailable`, with the reason, while the database takes no writes. */
  async check(): Promise<void> {
    this.#isUp = await this.#look().then(
      () => true,
      (error: unknown) => {
        this.#isWritable = false;
        this.#isUp = answered(error);
        throw error;
      },
    );
    this.#isWritable = true;
  }

  async #look(): Promise<void> {
    const timeline = await this.#database.retried(async (sql) => {
      await refuseReadOnly(sql);
      return timelineOf(sql);
    });
    this.#saw(timeline);
    if (!this.#database.isDoubted) return;
    await this.#write();
    this.#database.trust();
  }

  /** Looks from time to time until the signal aborts, and logs when the database stops taking writes, or takes them again. */
  async keep(signal: AbortSignal): Promise<void> {
    let wasWritable = true;
    for (; !signal.aborted; await pause(WATCH_INTERVAL_MS, signal)) {
      try {
        await this.check();
        if (!wasWritable) this.#log.info("the database takes writes again");
        wasWritable = true;
      } catch (error) {
        if (wasWritable && !signal.aborted) this.#log.warn("the database takes no writes", { error });
        wasWritable = false;
      }
    }
  }

  async #write(): Promise<void> {
    try {
      await this.#database.retried((sql) => sql`select pg_logical_emit_message(true, 'dewey', ''::text)`);
    } catch (error) {
      // Where an administrator has withdrawn the function, what the look saw has to do.
      if (!/^42(501|883)$/.test(sqlState(asDeweyError(error).cause) ?? "")) throw error;
    }
  }

  #saw(timeline: number | undefined): void {
    const before = this.#timeline;
    this.#timeline = timeline ?? before;
    if (before === undefined || timeline === undefined || before === timeline) return;
    this.#log.warn("the database is on another timeline: another server has become the primary, or it was recovered", {
      before,
      now: timeline,
      hint: "without synchronous replication, what was committed last before may be missing",
    });
    this.#database.renew();
  }
}

/** Whether a failed look was answered by a database, which refused: it is read-only, or its disk is full. */
function answered(error: unknown): boolean {
  const { cause } = asDeweyError(error);
  return isReadOnly(cause) || /^53[12]00$/.test(sqlState(cause) ?? "");
}

async function refuseReadOnly(sql: SQL): Promise<void> {
  const { read_only } = await one<{ read_only: boolean }>(
    sql`select current_setting('transaction_read_only') = 'on' as read_only`,
  );
  if (read_only) throw new ReadOnly();
}

/** Some services that speak PostgreSQL's protocol have no log to look at. */
async function timelineOf(sql: SQL): Promise<number | undefined> {
  const asked = one<{ timeline: number }>(
    sql`select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer as timeline`,
  );
  return asked.then(
    (row) => row.timeline,
    () => undefined,
  );
}

/** SQLSTATEs of services that speak PostgreSQL's protocol and have no log, and of roles that may not look at it. */
const UNKNOWABLE = /^(42501|42883|0A000)$/;

async function historyOf(sql: SQL): Promise<string | undefined> {
  const asked = one<{ history: string }>(
    sql`select system_identifier || '-' || left(pg_walfile_name(pg_current_wal_lsn()), 8) as history from pg_control_system()`,
  );
  return asked.then(
    (row) => row.history,
    (error: unknown) => {
      if (UNKNOWABLE.test(sqlState(error) ?? "")) return undefined;
      throw error;
    },
  );
}
