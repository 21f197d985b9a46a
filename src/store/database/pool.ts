import { SQL } from "bun";
import { within } from "../../deadline.ts";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Connection } from "./connection.ts";

/** How long connecting may take: a caller should hear that the database is down before its deadline. */
const CONNECT_DEADLINE_SECONDS = 5;
/** Idle time after which a connection beyond the kept ones closes. */
const IDLE_LIMIT_SECONDS = 30;

export type Statement<Result> = (sql: SQL) => Promise<Result>;

export interface PoolOptions {
  connection: Connection;
  /** Connections that stay open once opened. */
  kept: number;
  /** Maximum number of connections. */
  most: number;
  /** PostgreSQL settings of each connection. */
  settings: Record<string, number | string>;
  /** Whether connections keep prepared statements, which run faster when repeated. */
  keepsStatements: boolean;
  /** Idle time after which a connection beyond `kept` closes; shorter in tests. */
  idleSeconds?: number;
  log: Log;
}

/** How much of a pool is in use. */
export interface PoolUse {
  busy: number;
  idle: number;
  most: number;
  /** Callers waiting for a connection. */
  waiting: number;
}

interface Slot {
  sql: SQL;
  kept: boolean;
}

/** Passes a step's value on, or throws `Late` when the caller's deadline comes first. */
type InTime = <Value>(step: Promise<Value>) => Promise<Value>;

/** The work missed its deadline. */
export class Late extends Error {
  constructor(limitMs: number) {
    super(`the database did not answer within ${Math.round(limitMs) / 1000} s; it may be down or busy; try again`);
  }
}

/**
 * Connections that each run one caller's work at a time. Bun's own pool sends statements of several callers over one
 * connection, where a fast one waits behind a slow one, and must be replaced as a whole when one connection hangs. Here
 * only the hanging connection is given up.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #slots = new Set<Slot>();
  #idle: Slot[] = [];
  #waiting: ((slot: Slot) => void)[] = [];
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  use(): PoolUse {
    const { size } = this.#slots;
    const idle = this.#idle.length;
    return { busy: size - idle, idle, most: this.#options.most, waiting: this.#waiting.length };
  }

  /** Runs the work on a connection of its own. Throws `Late` when waiting and working exceed the limit together. */
  async run<Result>(work: Statement<Result>, limitMs: number): Promise<Result> {
    const untilMs = performance.now() + limitMs;
    const inTime = <Value>(step: Promise<Value>) =>
      within(untilMs - performance.now(), step, () => {
        throw new Late(limitMs);
      });
    const slot = await this.#acquire(inTime);
    return this.#use(slot, work, inTime);
  }

  /** Opens the kept connections. */
  async warm(limitMs: number): Promise<void> {
    const all = Promise.withResolvers<void>();
    let held = 0;
    const hold: Statement<void> = async (sql) => {
      await sql`select`;
      held += 1;
      // Each waits for the others, so that no two share a connection.
      if (held === this.#options.kept) all.resolve();
      await all.promise;
    };
    await Promise.all(Array.from({ length: this.#options.kept }, () => this.run(hold, limitMs)));
  }

  /** Closes all connections. Work in flight may run until the limit; a frozen database cannot hold up the shutdown. */
  async close(limitMs: number): Promise<void> {
    this.#closed = true;
    const timeout = limitMs / 1000;
    await Promise.all([...this.#slots].map((slot) => slot.sql.close({ timeout }).catch(() => {})));
  }

  async #acquire(inTime: InTime): Promise<Slot> {
    if (this.#closed) throw new DeweyError("unavailable", "Dewey is stopping; try again once it is back");
    const free = this.#idle.pop() ?? (this.#slots.size < this.#options.most ? this.#open() : undefined);
    if (free) return free;
    const turn = Promise.withResolvers<Slot>();
    this.#waiting.push(turn.resolve);
    try {
      return await inTime(turn.promise);
    } catch (error) {
      this.#waiting = this.#waiting.filter((resolve) => resolve !== turn.resolve);
      throw error;
    }
  }

  async #use<Result>(slot: Slot, work: Statement<Result>, inTime: InTime): Promise<Result> {
    try {
      const result = await inTime(work(slot.sql));
      this.#release(slot);
      return result;
    } catch (error) {
      if (error instanceof Late || isConnectionLost(error)) this.#giveUp(slot, error);
      else this.#release(slot);
      throw error;
    }
  }

  #release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#idle.push(slot);
  }

  /**
   * A statement to a frozen server hangs forever and cannot be cancelled, so its connection is given up. When one connection
   * is lost, the idle ones most likely are too, and a retry should not run into each of them.
   */
  #giveUp(slot: Slot, reason: unknown): void {
    if (reason instanceof Late)
      this.#options.log.warn("a connection to the database hangs and is given up", { reason });
    const others = this.#idle;
    this.#idle = [];
    for (const gone of [slot, ...others]) {
      this.#slots.delete(gone);
      void gone.sql.close({ timeout: 0 }).catch(() => {});
    }
    while (!this.#closed && this.#slots.size < this.#options.most) {
      const next = this.#waiting.shift();
      if (!next) return;
      next(this.#open());
    }
  }

  #open(): Slot {
    const kept = [...this.#slots].filter((slot) => slot.kept).length < this.#options.kept;
    const { connection, settings, keepsStatements, idleSeconds = IDLE_LIMIT_SECONDS } = this.#options;
    const sql = connect(connection, { settings, keepsStatements, idleSeconds: kept ? 0 : idleSeconds });
    const slot = { sql, kept };
    this.#slots.add(slot);
    return slot;
  }
}

/** A single connection, opened by its first statement. */
export function connect(
  connection: Connection,
  options: Pick<PoolOptions, "settings" | "keepsStatements"> & { idleSeconds: number },
): SQL {
  const socket = connection.host.startsWith("/");
  return new SQL({
    adapter: "postgres",
    ...(socket
      ? { path: `${connection.host}/.s.PGSQL.${connection.port}` }
      : { hostname: connection.host, port: connection.port }),
    username: connection.user,
    password: connection.password ?? "",
    database: connection.database,
    tls: connection.tls ?? false,
    max: 1,
    idleTimeout: options.idleSeconds,
    connectionTimeout: CONNECT_DEADLINE_SECONDS,
    prepare: options.keepsStatements,
    connection: options.settings,
  });
}

/** SQLSTATE of an error from PostgreSQL; Bun has it in `errno`. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof SQL.PostgresError && typeof error.errno === "string" ? error.errno : undefined;
}

/** Whether a connection was lost, or could not be opened. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // 08: connection exceptions; 57P01 to 57P03: the server is stopping, has crashed, or is starting.
  if (/^(08|57P0[123])/.test(sqlState(error) ?? "")) return true;
  const code = "code" in error ? String(error.code) : "";
  return /CONNECTION|ECONN|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|FailedToOpenSocket|EAI_/.test(code);
}
