import type { SQL } from "bun";
import { DeweyError } from "../../errors.ts";
import { wasTooSlow } from "./database.ts";
import type { Database } from "./database.ts";
import type { Statement } from "./pool.ts";
import type { Replica } from "./replica.ts";

/**
 * The statements of a search, all in one snapshot. `seen` is the primary's snapshot, to which a search on a replica is limited; absent on the
 * primary, where the transaction has its own.
 */
export type SearchStatement<Result> = (sql: SQL, seen: string | undefined) => Promise<Result>;

/** Numbers of reads by the database that answered them. */
export interface ReadCounts {
  primary: number;
  replica: number;
}

/**
 * Routes searches, lists and reads: to the replica if it has everything committed before the call, and otherwise to the
 * primary. So a reply never depends on which database answered, and no server must track which caller wrote what.
 */
export class Reads {
  readonly #primary: Database;
  readonly #replica: Replica | undefined;
  readonly #counts: ReadCounts = { primary: 0, replica: 0 };

  constructor(primary: Database, replica: Replica | undefined) {
    this.#primary = primary;
    this.#replica = replica;
  }

  /** Runs the reads of one reply, which only look rows up, in one snapshot. */
  async lookUp<Result>(statement: Statement<Result>): Promise<Result> {
    return this.#read({
      there: (replica, _, first) => replica.snapshot(statement, { first }),
      here: (spentMs) => this.#primary.snapshot(statement, { extraMs: -spentMs }),
      isAnswer: isCallersFault,
    });
  }

  /** Runs a search like `Database.search`. A search too slow for the replica is not repeated on the primary. */
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
    /** `first` must run before all else on the connection. */
    there(replica: Database, seen: string, first: Statement<void>): Promise<Result>;
    here(spentMs: number): Promise<Result>;
    /** Whether the caller gets this failure, instead of a read on the primary. */
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
