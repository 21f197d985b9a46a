import { Database } from "bun:sqlite";

/** Held until `release` or until the process ends, for any reason: then the operating system releases it. */
export interface Lock {
  release(): void;
}

/**
 * Locks a file. Returns undefined when another process, or another holder in this one, has the lock.
 *
 * Bun has no `flock`. An exclusive SQLite transaction locks the file against other processes, and kill -9 releases it;
 * nothing is ever stored in the file.
 */
export function acquireLock(file: string): Lock | undefined {
  const database = new Database(file, { create: true });
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return undefined;
    throw error;
  }
}
