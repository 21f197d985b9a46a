import { Database } from "bun:sqlite";

/** Held until `release`, or until the process ends in whatever way: the operating system lets go of it then. */
export interface Lock {
  release(): void;
}

/**
 * Locks a file, or answers undefined when another process (or another holder in this one) has it.
 *
 * Bun has no `flock`. SQLite's exclusive transaction is a lock on the file that a second process is refused and that
 * kill -9 releases; nothing is ever stored in it.
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
