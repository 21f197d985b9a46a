import { lstatSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { acquireLock } from "../lock.ts";
import type { Lock } from "../lock.ts";

// Where the system does not tell whose a socket is, a server proves it by a lock: it holds one on a file for its port, in a
// folder that only this user can open. Two processes cannot listen on one address, so while the lock is held, the port is
// the user's. The lock ends with its process, for any reason, so that another user's server on the same port later has none.
// What it does not tell apart: two servers on one port, of which one listens on 127.0.0.1 and the other on [::1].

/** In the default data folder, whatever folder a server was given: its clients know no other. */
const FOLDER = join(homedir(), ".local/share/dewey/listening");
/** A client that looks holds the lock for a moment; a server tries again for so long. */
const ATTEMPTS = 50;
const ATTEMPT_INTERVAL_MS = 20;

/**
 * Locks the file of a port that this process listens on. Undefined when somebody else has it, who then listens there on another
 * address. Throws when the folder cannot be written.
 */
export async function lockPort(port: number, folder = FOLDER): Promise<Lock | undefined> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const lock = acquireLock(fileOf(port, folder));
    if (lock !== undefined) return lock;
    await Bun.sleep(ATTEMPT_INTERVAL_MS);
  }
  return undefined;
}

/** Whether a process of this user has locked the file of a port, in a folder that is nobody else's. */
export function isPortLocked(port: number, folder = FOLDER): boolean {
  const file = fileOf(port, folder);
  if (![dirname(file), file].every(isOurs)) return false;
  const lock = acquireLock(file);
  lock?.release();
  return lock === undefined;
}

function fileOf(port: number, folder: string): string {
  return join(folder, `${port}.lock`);
}

/** Whether a file or folder is this user's, and nobody else can write it; a link is not. */
function isOurs(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isSymbolicLink()) return false;
  return process.getuid === undefined || (found.uid === process.getuid() && (found.mode & 0o022) === 0);
}
