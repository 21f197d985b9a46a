import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeweyError } from "../errors.ts";
import { acquireLock } from "../lock.ts";
import type { Lock } from "../lock.ts";
import type { Log } from "../log.ts";
import {
  EMBEDDED_DATABASE,
  EMBEDDED_USER,
  engineEnvironment,
  engineUser,
  makeFolder,
  prepareEngine,
} from "./engine.ts";
import type { EngineUser } from "./engine.ts";
import type { Connection } from "./store.ts";

/** PostgreSQL's own limit for the path of a socket, in bytes, with the name of the socket in it. */
const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_PORT = 5432;
/** How long a start may take: recovery after a crash reads the log that has been written since the last checkpoint. */
const START_DEADLINE_MS = 120_000;
/** How long the PostgreSQL of a Dewey that was killed gets to end, and a start that it disturbed is repeated. */
const TAKEOVER_DEADLINE_MS = 30_000;
/** Pauses between restarts of a PostgreSQL that keeps dying. */
const FIRST_RESTART_PAUSE_MS = 100;
const LONGEST_RESTART_PAUSE_MS = 5000;

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
 * Throws `conflict` when another Dewey has the folder.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { dataDir, log } = options;
  makeFolder(dataDir);
  const user = engineUser(dataDir);
  const lock = lockFolder(dataDir);
  try {
    const folders = await prepareEngine(dataDir, user, (step) => options.onProgress?.(step));
    options.onProgress?.("starting");
    await endLeftover(folders.cluster);
    const socketFolder = makeSocketFolder(dataDir, user);
    const command = serverCommand(folders.programs, folders.cluster, socketFolder.path);
    const supervisor = new Supervisor(command, user, log);
    await supervisor.start();
    return {
      connection: { host: socketFolder.path, port: SOCKET_PORT, database: EMBEDDED_DATABASE, user: EMBEDDED_USER },
      async stop() {
        await supervisor.stop();
        socketFolder.remove();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The lock lasts as long as the process; the number beside it only tells a person who has it. */
function lockFolder(dataDir: string): Lock {
  const owner = join(dataDir, "owner");
  const lock = acquireLock(`${owner}.lock`);
  if (lock) {
    writeFileSync(owner, `${process.pid}`);
    return lock;
  }
  throw new DeweyError(
    "conflict",
    `another Dewey (process ${readFileSync(owner, "utf8")}) uses ${dataDir}; stop it, connect to it, or set another DEWEY_DATA_DIR`,
  );
}

/**
 * A PostgreSQL that still runs here belonged to a Dewey that was killed, since the folder's lock is ours: it is on its
 * way out, or has lost its guard too. Asking it to end is right in both cases.
 */
async function endLeftover(cluster: string): Promise<void> {
  const deadlineMs = performance.now() + TAKEOVER_DEADLINE_MS;
  for (let pid = postmasterOf(cluster); pid !== undefined && isAlive(pid); pid = postmasterOf(cluster)) {
    if (performance.now() > deadlineMs) {
      throw new DeweyError(
        "unavailable",
        `a PostgreSQL (process ${pid}) still runs in ${cluster} and does not end; stop it`,
      );
    }
    process.kill(pid, "SIGINT");
    await Bun.sleep(50);
  }
}

/** The process that `postmaster.pid` names, when that process really is a PostgreSQL of this cluster. */
function postmasterOf(cluster: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n")[0]);
    // After a restart of the machine the number may be somebody else's; /proc tells, where there is one.
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return commandLine.includes(cluster) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A private folder for the socket: beside the cluster, or a short path of its own when that one is too long. */
function makeSocketFolder(dataDir: string, user: EngineUser | undefined): { path: string; remove(): void } {
  const own = join(dataDir, "socket");
  const fits = Buffer.byteLength(join(own, `.s.PGSQL.${SOCKET_PORT}`)) <= MAX_SOCKET_PATH_BYTES;
  const path = fits ? own : mkdtempSync(join(tmpdir(), "dewey-"));
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o700);
  if (user) chownSync(path, user.uid, user.gid);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

function serverCommand(programs: string, cluster: string, socketFolder: string): string[] {
  const settings = {
    listen_addresses: "",
    port: SOCKET_PORT,
    unix_socket_directories: socketFolder,
    unix_socket_permissions: "0700",
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

/**
 * Between us and PostgreSQL stands a shell that reads a pipe from us: it ends when we end, even by kill -9, and then
 * PostgreSQL is asked to stop. It needs nothing installed, and works alike on Linux and macOS.
 */
const GUARD = `
"$@" 3<&- </dev/null & server=$!
{ read -r _ <&3; kill -INT "$server"; } 2>/dev/null & reader=$!
exec 3<&-
wait "$server"; status=$?
kill "$reader" 2>/dev/null
exit "$status"`;

/** Keeps one PostgreSQL running. */
class Supervisor {
  #child: Bun.Subprocess<"pipe", "ignore", "pipe"> | undefined;
  #stopping = false;
  readonly #command: string[];
  readonly #user: EngineUser | undefined;
  readonly #log: Log;

  constructor(command: string[], user: EngineUser | undefined, log: Log) {
    this.#command = command;
    this.#user = user;
    this.#log = log;
  }

  /**
   * Resolves when PostgreSQL takes connections. A start is repeated for a while: the processes of a PostgreSQL that was
   * killed hold its shared memory for some moments, and a new one is refused until they are gone.
   */
  async start(): Promise<void> {
    const deadlineMs = performance.now() + TAKEOVER_DEADLINE_MS;
    for (;;) {
      const failure = await this.#launch();
      if (failure === undefined) return;
      if (performance.now() > deadlineMs || !/shared memory|lock file/.test(failure)) {
        throw new DeweyError("unavailable", `the embedded PostgreSQL does not start: ${failure}`);
      }
      await Bun.sleep(FIRST_RESTART_PAUSE_MS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#child?.stdin.end();
    await this.#child?.exited;
  }

  /** Starts it once. Answers undefined when it is ready, and else the last thing that it said. */
  async #launch(): Promise<string | undefined> {
    const child = Bun.spawn(["/bin/sh", "-c", `exec 3<&0\n${GUARD}`, "sh", ...this.#command], {
      cwd: "/",
      env: engineEnvironment,
      stdin: "pipe",
      stdout: "ignore",
      stderr: "pipe",
      // Ctrl-C in a terminal goes to the whole process group; PostgreSQL ends after us, not with us.
      detached: true,
      ...this.#user,
    });
    this.#child = child;
    const ready = Promise.withResolvers<string | undefined>();
    const timer = setTimeout(() => ready.resolve("it was not ready in time"), START_DEADLINE_MS);
    void this.#watch(child, ready);
    const failure = await ready.promise;
    clearTimeout(timer);
    if (failure !== undefined) {
      void child.stdin.end();
      await child.exited;
    }
    return failure;
  }

  /** Follows one PostgreSQL through its life: its log, its readiness, its end. */
  async #watch(
    child: Bun.Subprocess<"pipe", "ignore", "pipe">,
    ready: PromiseWithResolvers<string | undefined>,
  ): Promise<void> {
    let last = "it said nothing";
    let wasReady = false;
    for await (const line of lines(child.stderr)) {
      if (/FATAL|PANIC/.test(line)) last = line;
      this.#log.debug("PostgreSQL", { line });
      if (line.includes("database system is ready to accept connections")) {
        wasReady = true;
        ready.resolve(undefined);
      }
    }
    await child.exited;
    ready.resolve(last);
    if (wasReady && !this.#stopping) await this.#restart(last);
  }

  async #restart(last: string): Promise<void> {
    this.#log.error("the embedded PostgreSQL has died; it is started again", { last });
    let pauseMs = FIRST_RESTART_PAUSE_MS;
    while (!this.#stopping) {
      const failure = await this.#launch();
      if (failure === undefined) return;
      this.#log.error("the embedded PostgreSQL does not start", { failure, pauseMs });
      await Bun.sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_RESTART_PAUSE_MS);
    }
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest) yield rest;
}
