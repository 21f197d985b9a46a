import { SQL } from "bun";
import type { TransactionSQL } from "bun";
import { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Connection, StoreOptions } from "./store.ts";

/** Searches have connections of their own, so that a slow one never stands before a store: one in five, at least one. */
const SEARCH_SHARE = 5;
/** How long a new connection may take; a database that is away should be known before a caller's deadline. */
const CONNECT_DEADLINE_SECONDS = 5;

export type Statement<Result> = (sql: SQL) => Promise<Result>;

/**
 * The connections to one PostgreSQL. Whatever happens there, a caller has an answer within the deadline: the result, or
 * a DeweyError that says `unavailable`.
 */
export class Database {
  readonly #options: StoreOptions;
  readonly #main: Pool;
  readonly #searches: Pool;

  constructor(options: StoreOptions) {
    this.#options = options;
    const searches = Math.max(1, Math.floor(options.maxConnections / SEARCH_SHARE));
    this.#main = new Pool(options, Math.max(1, options.maxConnections - searches));
    this.#searches = new Pool(options, searches);
  }

  /** Runs what may run twice, as every read may: it is tried again once after a lost connection. */
  async repeatable<Result>(statement: Statement<Result>): Promise<Result> {
    return this.#main.run(statement, true);
  }

  /** Runs a transaction, which is rolled back when it throws. It is not repeated. */
  async transaction<Result>(work: (sql: TransactionSQL) => Promise<Result>): Promise<Result> {
    return this.#main.run((sql) => sql.begin(work), false);
  }

  /** Runs a search on the searches' own connections. */
  async search<Result>(statement: Statement<Result>): Promise<Result> {
    return this.#searches.run(statement, true);
  }

  /** Runs long work without a deadline on a connection that is opened for it and closed after it. */
  async exclusive<Result>(work: Statement<Result>): Promise<Result> {
    const sql = connect(this.#options.connection, 1, {});
    try {
      return await work(sql);
    } catch (error) {
      throw translated(error);
    } finally {
      await sql.close();
    }
  }

  /** Opens the connections that are to be kept. */
  async warm(): Promise<void> {
    await this.#main.run(async (sql) => {
      const wanted = Math.min(this.#options.minConnections, this.#options.maxConnections);
      const reserved = await Promise.all(Array.from({ length: wanted }, () => sql.reserve()));
      await Promise.all(reserved.map((connection) => connection.release()));
    }, true);
  }

  async close(): Promise<void> {
    await Promise.all([this.#main.close(), this.#searches.close()]);
  }
}

/** Some connections that are replaced together when one of them hangs. */
class Pool {
  readonly #connection: Connection;
  readonly #size: number;
  readonly #deadlineMs: number;
  readonly #log: Log;
  #sql: SQL;

  constructor(options: StoreOptions, size: number) {
    this.#connection = options.connection;
    this.#deadlineMs = options.deadlineMs;
    this.#log = options.log;
    this.#size = size;
    this.#sql = this.#open();
  }

  async run<Result>(statement: Statement<Result>, repeatable: boolean): Promise<Result> {
    const deadlineMs = performance.now() + this.#deadlineMs;
    try {
      return await this.#attempt(statement, deadlineMs);
    } catch (error) {
      // A pooled connection that has died fails one call, and the next gets a new one.
      if (!repeatable || !isConnectionLost(error)) throw translated(error);
    }
    try {
      return await this.#attempt(statement, deadlineMs);
    } catch (error) {
      throw translated(error);
    }
  }

  async close(): Promise<void> {
    // What still runs gets the deadline; a frozen database must not keep us.
    await this.#sql.close({ timeout: this.#deadlineMs / 1000 }).catch(() => {});
  }

  async #attempt<Result>(statement: Statement<Result>, deadlineMs: number): Promise<Result> {
    const sql = this.#sql;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Late(this.#deadlineMs)),
      Math.max(0, deadlineMs - performance.now()),
    );
    const work = statement(sql);
    // After the deadline nobody listens any more; without this its failure would count as unhandled.
    work.catch(() => {});
    try {
      return await Promise.race([work, late.promise]);
    } catch (error) {
      if (error instanceof Late) this.#replace(sql);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A query to a frozen server hangs for ever and cannot be cancelled, so the connections are given up with it. */
  #replace(stuck: SQL): void {
    if (this.#sql !== stuck) return;
    this.#log.warn("the database did not answer in time; its connections are replaced");
    this.#sql = this.#open();
    void stuck.close({ timeout: 0 }).catch(() => {});
  }

  #open(): SQL {
    return connect(this.#connection, this.#size, { statement_timeout: this.#deadlineMs });
  }
}

class Late extends Error {
  constructor(deadlineMs: number) {
    super(`the database did not answer within ${deadlineMs / 1000} s; it may be away, or busy: try again`);
  }
}

function connect(connection: Connection, max: number, settings: Record<string, number>): SQL {
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
    max,
    idleTimeout: 0,
    connectionTimeout: CONNECT_DEADLINE_SECONDS,
    connection: settings,
  });
}

/** SQLSTATE of an error of PostgreSQL's own; Bun keeps it in `errno`. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof SQL.PostgresError && typeof error.errno === "string" ? error.errno : undefined;
}

/** Lost while it was used, or never had. */
function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const state = sqlState(error) ?? "";
  // 08: connection exceptions; 57P01 to 57P03: the server is stopping, has crashed, or is starting.
  if (/^(08|57P0[123])/.test(state)) return true;
  const code = "code" in error ? String(error.code) : "";
  return /CONNECTION|ECONN|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|FailedToOpenSocket|EAI_/.test(code);
}

/** SQLSTATEs that mean "not now", with the words for them: trying again, or an administrator, helps. */
const passing: [RegExp, string][] = [
  [/^28/, "the database refuses Dewey's user or password"],
  [/^3D000/, "the database that is configured does not exist"],
  [/^53300/, "the database has no connection left for Dewey"],
  [/^53/, "the database has run out of room"],
  [/^57014/, "the database needed longer than it may"],
  [/^25006/, "the database takes no writes at the moment"],
  [/^(40001|40P01)/, "the database was too busy with the same rows"],
];

/** The one translation of the database's errors. Their own words may quote what a caller sent, so they go no further. */
export function translated(error: unknown): DeweyError {
  if (error instanceof DeweyError) return error;
  if (error instanceof Late) return new DeweyError("unavailable", error.message);
  if (isConnectionLost(error)) {
    return new DeweyError("unavailable", "the database cannot be reached; try again when it is back", { cause: error });
  }
  const state = sqlState(error);
  const words = passing.find(([pattern]) => state !== undefined && pattern.test(state))?.[1];
  if (words !== undefined) return new DeweyError("unavailable", `${words}; try again later`, { cause: error });
  if (state === undefined)
    return new DeweyError("internal", "the database's answer was not understood", { cause: error });
  return new DeweyError("internal", `the database refused a statement (SQLSTATE ${state})`, { cause: error });
}
