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
import { EMBEDDED_USER, databaseIn } from "./engine.ts";
import type { Identity, EngineFolders } from "./engine.ts";
import { Supervisor } from "./supervisor.ts";

/** The kernel's limit for the path of a socket, including its file name. */
const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_PORT = 5432;
/** Prefix of the folder for a socket whose path would be too long: /tmp is short and open to every user. */
const SHORT_FOLDER = "/tmp/dewey-";

/** How long the PostgreSQL of a killed Dewey may take to stop before it is killed. */
const LEFTOVER_GRACE_MS = 10_000;
const POLL_INTERVAL_MS = 20;

/** PostgreSQL's default for its buffers; the needs of a store of a million messages; the maximum share of the memory. */
const MIN_BUFFER_MB = 128;
const MAX_BUFFER_MB = 1024;
const MEMORY_SHARE = 8;

/**
 * PostgreSQL's default keeps a gigabyte of log, more than most people's stores. With a quarter of that, checkpoints are more
 * frequent, and each writes whole pages once again; compressing these makes up for it. A checkpoint takes its time, so the log
 * grows a file or two beyond the limit: this one keeps it within 256 MB. What is kept for reuse is little, since a store rests
 * most of the time.
 */
const WRITE_AHEAD_LOG = { max_wal_size: "224MB", min_wal_size: "64MB", wal_compression: "pglz" };

export interface Embedded {
  connection: Connection;
  stop(): Promise<void>;
}

export interface ClusterOptions extends EngineFolders {
  /** The folder in which the socket's folder is made, and that one's name. */
  dataDir: string;
  socket: string;
  /** Whether the programs are those of this binary; an earlier engine does not know all settings. */
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
    connection: { host: folder, port: SOCKET_PORT, database: databaseIn(cluster), user: EMBEDDED_USER },
    stop: () => running.disposeAsync(),
  };
}

/**
 * Stops the PostgreSQL of a killed Dewey. Because the folder's lock is ours, a PostgreSQL that still runs here is stopping,
 * frozen, or has lost its guard, so ending it is always right. A PostgreSQL that is gone leaves its pid file, and a new one
 * refuses to start while any process has that pid, as happens in containers, where pids are low, and after a reboot. (The
 * check for processes that still use the cluster's shared memory does not need the file.)
 */
async function endLeftover(cluster: string): Promise<void> {
  // Without /proc the owner of a pid is unknown; the start is retried until PostgreSQL's own check passes.
  if (!existsSync("/proc/self/cmdline")) return;
  const file = join(cluster, "postmaster.pid");
  const graceEndMs = performance.now() + LEFTOVER_GRACE_MS;
  for (let pid = postmasterIn(file, cluster); pid !== undefined; pid = postmasterIn(file, cluster)) {
    signal(pid, performance.now() < graceEndMs ? "SIGINT" : "SIGKILL");
    await Bun.sleep(POLL_INTERVAL_MS);
  }
  rmSync(file, { force: true });
}

/** The pid in the file, if that process really is a PostgreSQL of this cluster. */
function postmasterIn(file: string, cluster: string): number | undefined {
  const pid = Number(readOr(file, "").split("\n")[0]);
  return pid > 0 && readOr(`/proc/${pid}/cmdline`, "").includes(cluster) ? pid : undefined;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/**
 * Makes a private folder for the socket, beside the cluster. If its path would be too long, the folder is made in /tmp and
 * linked from there, so that the next start finds the remains of a killed one.
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
  // Root may work in another user's folder, where the link may point anywhere: remove only a folder made above.
  if (dirname(target) === dirname(SHORT_FOLDER) && target.startsWith(SHORT_FOLDER)) {
    rmSync(target, { recursive: true, force: true });
  }
  rmSync(place, { recursive: true, force: true });
}

/**
 * Size of PostgreSQL's shared buffers: that of the data, because a page from the system's cache costs a search several
 * times as much. A small store keeps PostgreSQL's default, which starts fastest.
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

/** Memory of the machine, or of the container. */
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
    // Most reads hit the system's cache; worker processes for I/O took twice as long.
    ...(engine === "ours" ? { io_method: "sync" } : {}),
    // Compiling a plan takes longer than running any of Dewey's statements.
    jit: "off",
    ...WRITE_AHEAD_LOG,
    // Errors quote the statement, and with it callers' data, so only the server's own events are logged.
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
    log_checkpoints: "off",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return [join(programs, "bin/postgres"), "-D", cluster, ...flags];
}

/** A small file's text, or `otherwise` if it cannot be read. */
export function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}
