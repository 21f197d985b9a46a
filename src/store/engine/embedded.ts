import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeweyError } from "../../errors.ts";
import { acquireLock } from "../../lock.ts";
import type { Lock } from "../../lock.ts";
import type { Log } from "../../log.ts";
import { readOr, runCluster } from "./cluster.ts";
import type { Embedded } from "./cluster.ts";
import {
  earlierPlaces,
  engineIdentity,
  makeFolder,
  placesIn,
  prepareEngine,
  refuseUnquotable,
  refuseWithoutEngine,
} from "./engine.ts";
import { carryOver } from "./upgrade.ts";

/** How long to wait for the lock of a folder that another Dewey uses. */
const LOCK_PATIENCE_MS = 500;
const POLL_INTERVAL_MS = 20;

export interface EmbeddedOptions {
  /** An absolute folder for the programs and the cluster. */
  dataDir: string;
  log: Log;
  onProgress?: (step: "unpacking" | "initializing" | "carrying over" | "starting") => void;
}

/**
 * Starts the PostgreSQL in the binary as a child that ends with this process, even if that is killed. If PostgreSQL dies,
 * it is restarted; callers see `unavailable` until then.
 * Throws `conflict` when another Dewey has the folder, `invalid` when the folder cannot be used.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { dataDir, log } = options;
  refuseWithoutEngine();
  refuseUnquotable(dataDir);
  makeFolder(dataDir);
  await using stack = new AsyncDisposableStack();
  const lock = await lockFolder(dataDir);
  stack.defer(() => lock.release());
  const places = placesIn(dataDir);
  const identity = engineIdentity(dataDir, places.cluster);
  const earlier = earlierPlaces(dataDir, places);
  await prepareEngine(dataDir, places, earlier ? undefined : identity, (step) => options.onProgress?.(step));
  if (earlier) {
    options.onProgress?.("carrying over");
    await carryOver({ dataDir, from: earlier, to: places, identity, log });
  }
  options.onProgress?.("starting");
  const running = await runCluster({ ...places, dataDir, socket: "socket", engine: "ours", identity, log });
  stack.defer(() => running.stop());
  const all = stack.move();
  return { connection: running.connection, stop: () => all.disposeAsync() };
}

/** Whether a server has the folder now, or is starting in it. */
export function isFolderInUse(dataDir: string): boolean {
  if (!existsSync(lockIn(dataDir))) return false;
  const lock = acquireLock(lockIn(dataDir));
  lock?.release();
  return lock === undefined;
}

const ownerIn = (dataDir: string) => join(dataDir, "owner");
const lockIn = (dataDir: string) => `${ownerIn(dataDir)}.lock`;

/**
 * Locks the folder for the life of this process. The pid in the file beside the lock is only for people. Another holder may
 * be about to end, or to write its pid, so the lock is retried for a moment.
 */
async function lockFolder(dataDir: string): Promise<Lock> {
  const owner = ownerIn(dataDir);
  const deadlineMs = performance.now() + LOCK_PATIENCE_MS;
  do {
    const lock = acquireLock(lockIn(dataDir));
    if (lock) {
      writeFileSync(owner, `${process.pid}`);
      return lock;
    }
    await Bun.sleep(POLL_INTERVAL_MS);
  } while (performance.now() < deadlineMs);
  throw new DeweyError(
    "conflict",
    `another Dewey (process ${readOr(owner, "unknown")}) uses ${dataDir}; stop it, connect to it, or set another DEWEY_DATA_DIR`,
    { field: "DEWEY_DATA_DIR" },
  );
}
