import type { Log } from "../../log.ts";
import { pause } from "../../pause.ts";
import type { Database } from "./database.ts";
import { one } from "./one.ts";

/** Interval between looks: each asks the file system for the size of every file of the database. */
const LOOK_INTERVAL_MS = 60_000;

/** How much room the database takes on its disk, looked at once a minute. */
export class DatabaseSize {
  readonly #database: Database;
  readonly #log: Log;
  #bytes: number | undefined;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** At the last look; undefined before the first, and where the role may not ask. */
  get bytes(): number | undefined {
    return this.#bytes;
  }

  async look(): Promise<void> {
    const { bytes } = await this.#database.retried((sql) =>
      one<{ bytes: number }>(sql`select pg_database_size(current_database())::float8 as bytes`),
    );
    this.#bytes = bytes;
  }

  /** Looks from time to time until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    for (; !signal.aborted; await pause(LOOK_INTERVAL_MS, signal))
      await this.look().catch((error: unknown) => this.#log.debug("the size of the database is not known", { error }));
  }
}
