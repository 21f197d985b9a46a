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
} from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { Log } from "../../log.ts";
import type { Connection } from "../database/connection.ts";
import { EMBEDDED_DATABASE, EMBEDDED_USER } from "./engine.ts";
import type { Identity, EngineFolders } from "./engine.ts";
import { Supervisor } from "./supervisor.ts";

/** The kernel's limit for the path of a socket, in bytes, with the name of the socket in it. */
const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_PORT = 5432;
/** Where the socket goes when its path would be too long: everybody may pass through /tmp, and its name is short. */
const SHORT_FOLDER = "/tmp/dewey-";

/** How long the PostgreSQL of a Dewey that was killed gets to end by itself, before it is killed. */
const LEFTOVER_GRACE_MS = 10_000;
const POLL_INTERVAL_MS = 20;

/** PostgreSQL's default, and what a store of a million messages takes, of at most this part of the memory. */
const MIN_BUFFER_MB = 128;
const MAX_BUFFER_MB = 1024;
const MEMORY_SHARE = 8;

export interface Embedded {
  connection: Connection;
  stop(): Promise<void>;
}

export interface ClusterOptions extends EngineFolders {
  /** Where the socket's folder goes, and its name. */
  dataDir: string;
  socket: string;
  /** Whose programs they are: an earlier engine does not know all that ours can be told. */
  engine: "ours" | "earlier";
  identity: Identity;
  log: Log;
}

/** Runs an engine on a cluster, with a private socket, until it is stopped or this process ends. */
export async function runCluster(options: ClusterOptions): Promise<Embedded> {
  const { cluster, dataDir, socket, identity, log } = options;
  await using stack = new AsyncDisposableStack();
  const place = join(dataDir, socket);
  const folder = makeSocketFolder(place, identity);
  stack.defer(() => removeSocketFolder(place));
  const supervisor = new Supervisor({
    command: serverCommand(options, folder, bufferSizeMb(dataBytes(cluster), memoryBytes())),
    identity,
    log,
    clear: () => endLeftover(cluster),
  });
  await supervisor.start();
  stack.defer(() => supervisor.stop());
  const running = stack.move();
  return {
    connection: { host: folder, port: SOCKET_PORT, database: EMBEDDED_DATABASE, user: EMBEDDED_USER },
    stop: () => running.disposeAsync(),
  };
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

/**
 * A private folder for the socket: beside the cluster, or elsewhere with a short path when that one is too long. Then a
 * link stands in its place, so that the next start finds what a killed one left.
 */
function makeSocketFolder(place: string, { user }: Identity): string {
  removeSocketFolder(place);
  const fits = Buffer.byteLength(join(place, `.s.PGSQL.${SOCKET_PORT}`)) <= MAX_SOCKET_PATH_BYTES;
  const folder = fits ? place : mkdtempSync(SHORT_FOLDER);
  if (fits) mkdirSync(folder);
  else symlinkSync(folder, place);
  chmodSync(folder, 0o700);
  if (user) chownSync(folder, user.uid, user.gid);
  return folder;
}

function removeSocketFolder(place: string): void {
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

function serverCommand(
  { programs, cluster, engine }: ClusterOptions,
  socketFolder: string,
  bufferMb: number,
): string[] {
  const settings = {
    listen_addresses: "",
    port: SOCKET_PORT,
    unix_socket_directories: socketFolder,
    unix_socket_permissions: "0700",
    shared_buffers: `${bufferMb}MB`,
    // What is read is in the system's cache most of the time; handing it to another process took twice as long.
    ...(engine === "ours" ? { io_method: "sync" } : {}),
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

/** A small file's text, or what stands for one that cannot be read. */
export function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}
