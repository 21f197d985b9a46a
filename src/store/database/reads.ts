import type { SQL } from "bun";
import { DeweyError } from "../../errors.ts";
import { wasTooSlow } from "./database.ts";
import type { Database } from "./database.ts";
import type { Statement } from "./pool.ts";
import type { Replica } from "./replica.ts";

/**
 * A search's statements. `seen` is the snapshot of the primary to which it keeps: absent when it runs there, where the
 * transaction has its own.
 */
export type SearchStatement<Result> = (sql: SQL, seen: string | undefined) => Promise<Result>;

/** How often reads were answered where. */
export interface ReadCounts {
  primary: number;
  replica: number;
}

/**
 * Where searching, listing and reading go: to the replica, if there is one that has everything that was committed when
 * the caller asked, and else to the primary. So no answer depends on where it came from, and nobody has to remember who
 * wrote what over which server.
 */
export class Reads {
  readonly #primary: Database;
  readonly #replica: Replica | undefined;
  readonly #counts: ReadCounts = { primary: 0, replica: 0 };

  constructor(primary: Database, replica: Replica | undefined) {
    this.#primary = primary;
    this.#replica = replica;
  }

  /** Runs what only looks rows up. */
  async lookUp<Result>(statement: Statement<Result>): Promise<Result> {
    return this.#read({
      there: (replica, _, first) => replica.repeatable((sql) => first(sql).then(() => statement(sql))),
      here: (spentMs) => this.#primary.repeatable(statement, -spentMs),
      isAnswer: isCallersFault,
    });
  }

  /** Runs a search, as `Database.search` does. One that is too slow on the replica would be on the primary. */
  async search<Result>(statement: SearchStatement<Result>, signal?: AbortSignal): Promise<Result> {
    return this.#read({
      there: (replica, seen, first) => replica.search((sql) => statement(sql, seen), signal, { first }),
      here: (spentMs) => this.#primary.search((sql) => statement(sql, undefined), signal, { extraMs: -spentMs }),
      isAnswer: (error) => isCallersFault(error) || wasTooSlow(error) || signal?.aborted === true,
    });
  }

  counts(): ReadCounts {
    return { ...this.#counts };
  }

  async #read<Result>(ways: {
    /** `first` is to run before all else on the connection. */
    there(replica: Database, seen: string, first: Statement<void>): Promise<Result>;
    here(spentMs: number): Promise<Result>;
    /** Whether a failure there is what the caller is to be told. */
    isAnswer(error: unknown): boolean;
  }): Promise<Result> {
    const startedMs = performance.now();
    const replica = this.#replica;
    const goal = await replica?.goal();
    if (replica && goal) {
      let isReading = false;
      const first: Statement<void> = async (sql) => {
        await replica.caughtUp(sql, goal);
        isReading = true;
      };
      try {
        const result = await ways.there(replica.database, goal.snapshot, first);
        this.#counts.replica += 1;
        return result;
      } catch (error) {
        if (isReading && ways.isAnswer(error)) throw error;
        replica.failed(error);
      }
    }
    this.#counts.primary += 1;
    return ways.here(performance.now() - startedMs);
  }
}

function isCallersFault(error: unknown): boolean {
  return error instanceof DeweyError && error.code !== "unavailable" && error.code !== "internal";
}
