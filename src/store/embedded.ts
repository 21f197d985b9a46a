import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { DeweyError } from "../errors.ts";
import { acquireLock } from "../lock.ts";
import type { Lock } from "../lock.ts";
import type { Log } from "../log.ts";
import { EMBEDDED_DATABASE, EMBEDDED_USER, engineIdentity, makeFolder, placesIn, prepareEngine } from "./engine.ts";
import type { Identity } from "./engine.ts";
import type { Connection } from "./connection.ts";
import { Supervisor } from "./supervisor.ts";

/** The kernel's limit for the path of a socket, in bytes, with the name of the socket in it. */
const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_PORT = 5432;
/** Where the socket goes when its path would be too long: everybody may pass through /tmp, and its name is short. */
const SHORT_FOLDER = "/tmp/dewey-";
/** How long the PostgreSQL of a Dewey that was killed gets to end by itself, before it is killed. */
const LEFTOVER_GRACE_MS = 10_000;
/** How long a folder that another Dewey has is asked for. */
const LOCK_PATIENCE_MS = 500;
const POLL_INTERVAL_MS = 20;
/** PostgreSQL's default, and what a store of a million messages takes, of at most this part of the memory. */
const MIN_BUFFER_MB = 128;
const MAX_BUFFER_MB = 1024;
const MEMORY_SHARE = 8;

export interface EmbeddedOptions {
  /** An absolute folder for the programs and the cluster. */
  dataDir: string;
  log: Log;
  onProgress?: (step: "unpacking" | "initializing" | "starting") => void;
}

export interface Embedded {
  connection: Connection;
  stop(): Promise<void>;
}

/**
 * Starts the PostgreSQL that the binary carries, as a child that ends when this process ends, in whatever way.
 * When it dies while it should run, it is started again; callers see `unavailable` until then.
 * Throws `conflict` when another Dewey has the folder, `invalid` when the folder cannot be used.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { dataDir, log } = options;
  makeFolder(dataDir);
  await using stack = new AsyncDisposableStack();
  const lock = await lockFolder(dataDir);
  stack.defer(() => lock.release());
  const places = placesIn(dataDir);
  const identity = engineIdentity(dataDir, places.cluster);
  await endLeftover(places.cluster);
  await prepareEngine(dataDir, places, identity, (step) => options.onProgress?.(step));
  options.onProgress?.("starting");
  const socketFolder = makeSocketFolder(dataDir, identity);
  stack.defer(() => removeSocketFolder(dataDir));
  const bufferMb = bufferSizeMb(dataBytes(places.cluster), memoryBytes());
  const command = serverCommand(places.programs, places.cluster, socketFolder, bufferMb);
  const supervisor = new Supervisor(command, identity, log);
  await supervisor.start();
  stack.defer(() => supervisor.stop());
  const running = stack.move();
  return {
    connection: { host: socketFolder, port: SOCKET_PORT, database: EMBEDDED_DATABASE, user: EMBEDDED_USER },
    stop: () => running.disposeAsync(),
  };
}

/**
 * The lock lasts as long as the process; the number beside it only tells a person who has it. Somebody who has the
 * lock may be about to end or to write his number, so he is given a moment.
 */
async function lockFolder(dataDir: string): Promise<Lock> {
  const owner = join(dataDir, "owner");
  const deadlineMs = performance.now() + LOCK_PATIENCE_MS;
  do {
    const lock = acquireLock(`${owner}.lock`);
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

/**
 * A PostgreSQL that still runs here belonged to a Dewey that was killed, since the folder's lock is ours: it is on its
 * way out, or has lost its guard too, or is frozen. Ending it is right in every case. What remains of one that is gone
 * is its file: PostgreSQL would refuse to start while any process has the number in it, as happens in containers,
 * where numbers are low, and after a restart of the machine. (Its own check for processes that still use the cluster's
 * shared memory does not need that file.)
 */
async function endLeftover(cluster: string): Promise<void> {
  // Without /proc nothing tells whose the number is; the start is repeated until PostgreSQL's own check lets it pass.
  if (!existsSync("/proc/self/cmdline")) return;
  const file = join(cluster, "postmaster.pid");
  const graceEndMs = performance.now() + LEFTOVER_GRACE_MS;
  for (let pid = postmasterIn(file, cluster); pid !== undefined; pid = postmasterIn(file, cluster)) {
    signal(pid, performance.now() < graceEndMs ? "SIGINT" : "SIGKILL");
    await Bun.sleep(POLL_INTERVAL_MS);
  }
  rmSync(file, { force: true });
}

/** The process that the file names, when that process really is a PostgreSQL of this cluster. */
function postmasterIn(file: string, cluster: string): number | undefined {
  const pid = Number(readOr(file, "").split("\n")[0]);
  return pid > 0 && readOr(`/proc/${pid}/cmdline`, "").includes(cluster) ? pid : undefined;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended in between.
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}

/**
 * A private folder for the socket: beside the cluster, or elsewhere with a short path when that one is too long. Then a
 * link stands in its place, so that the next start finds what a killed one left.
 */
function makeSocketFolder(dataDir: string, { user }: Identity): string {
  removeSocketFolder(dataDir);
  const place = join(dataDir, "socket");
  const fits = Buffer.byteLength(join(place, `.s.PGSQL.${SOCKET_PORT}`)) <= MAX_SOCKET_PATH_BYTES;
  const folder = fits ? place : mkdtempSync(SHORT_FOLDER);
  if (fits) mkdirSync(folder);
  else symlinkSync(folder, place);
  chmodSync(folder, 0o700);
  if (user) chownSync(folder, user.uid, user.gid);
  return folder;
}

function removeSocketFolder(dataDir: string): void {
  const place = join(dataDir, "socket");
  const isLink = lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  const target = isLink ? readlinkSync(place) : "";
  // Root may be at work in somebody else's folder: whatever else they make the link point to is not ours to remove.
  if (dirname(target) === dirname(SHORT_FOLDER) && target.startsWith(SHORT_FOLDER)) {
    rmSync(target, { recursive: true, force: true });
  }
  rmSync(place, { recursive: true, force: true });
}

/**
 * What PostgreSQL gets for pages of its own: as much as there is data, since a page out of the system's cache costs a search
 * several times as much. A small store keeps PostgreSQL's default, which starts soonest.
 */
export function bufferSizeMb(dataBytes: number, memoryBytes: number): number {
  const most = Math.min(MAX_BUFFER_MB, memoryBytes / 2 ** 20 / MEMORY_SHARE);
  return Math.floor(Math.max(MIN_BUFFER_MB, Math.min(most, dataBytes / 2 ** 20)));
}

function dataBytes(cluster: string): number {
  const base = join(cluster, "base");
  const names = readdirSync(base, { recursive: true }).map(String);
  return names.reduce((sum, name) => sum + (statSync(join(base, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Of the machine, or of the container that we are in. */
function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

function serverCommand(programs: string, cluster: string, socketFolder: string, bufferMb: number): string[] {
  const settings = {
    listen_addresses: "",
    port: SOCKET_PORT,
    unix_socket_directories: socketFolder,
    unix_socket_permissions: "0700",
    shared_buffers: `${bufferMb}MB`,
    // What is read is in the system's cache most of the time; handing it to another process took twice as long.
    io_method: "sync",
    // Compiling a plan takes longer than any of Dewey's statements.
    jit: "off",
    // An error would quote the statement, and so what callers have said: only the server's own events are logged.
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
    log_checkpoints: "off",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return [join(programs, "bin/postgres"), "-D", cluster, ...flags];
}
