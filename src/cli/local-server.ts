import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { makeDataFolder } from "../data-folder.ts";
import { DeweyError } from "../errors.ts";
import { stderrLog } from "../log.ts";
import type { Log, LogLevel } from "../log.ts";
import { askHealth, portOf } from "./health.ts";
import { selfCommand } from "./self.ts";
import { withoutSecrets } from "../wire/address.ts";
import { isLoopback } from "../loopback.ts";
import { requireOwnServer } from "../wire/owner.ts";

/** Long enough for a client to be restarted, short enough that no server is left running for a day. */
const IDLE_EXIT_SECONDS = 600;
/** The first start unpacks PostgreSQL and creates a database: about a second, and many times that on a busy machine. */
const START_DEADLINE_MS = 60_000;
/** The errors of a server that finds its folder or its port in use. */
const IS_TAKEN = /another (?:Dewey|program) /;
/** Interval between health checks of the starting server. */
const POLL_INTERVAL_MS = 50;

export interface LocalServerOptions {
  /** The server's address. */
  url: string;
  /** Proves a server that is another user's. */
  token: string | undefined;
  dataDir: string;
  /** This command's environment; the server gets the same settings. */
  env: Record<string, string | undefined>;
  log: Log;
}

/**
 * Ensures that a server answers at `url`. If none does and the address is local, starts one in the background, which
 * outlives this command and ends when it has had no clients for a while. Several commands may do this at once: a second
 * server finds the port or the data folder in use and exits, and all commands wait for the first. Throws `unavailable` when
 * the address is remote, the server ends or does not become healthy in time, or it is another user's and there is no token.
 */
export async function ensureLocalServer(options: LocalServerOptions): Promise<void> {
  const { url, log } = options;
  if (await askHealth(url)) return requireOwnServer(options);
  const address = new URL(url);
  const place = withoutSecrets(url);
  if (!isLoopback(address.hostname)) {
    throw new DeweyError("unavailable", `no Dewey server answers at ${place}; start one there, or correct DEWEY_URL`);
  }
  let started = startInBackground(address, options);
  log.info("started a server in the background", { url: place, logFile: started.logFile });
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  while (!(await askHealth(url))?.ok) {
    const { logFile, logBytes } = started;
    const isLate = performance.now() > deadlineMs;
    if (started.hasEnded()) {
      const why = lastError(logFile, logBytes) ?? `it ended; its log is ${logFile}`;
      if (isLate || !IS_TAKEN.test(why))
        throw new DeweyError("unavailable", `no server could be started for ${place}: ${why}`);
      // The other one is starting, or was about to end.
      if (!(await isAnotherComing(address, options.dataDir))) started = startInBackground(address, options);
    } else if (isLate)
      throw new DeweyError("unavailable", `the server started for ${place} does not answer; its log is ${logFile}`);
    await Bun.sleep(POLL_INTERVAL_MS);
  }
  // Another user's server may have taken the port meanwhile.
  requireOwnServer(options);
}

/** Whether a server that this command did not start may answer soon: one has the port, or the data folder. */
async function isAnotherComing(address: URL, dataDir: string): Promise<boolean> {
  if (await takesConnections(address.hostname, portOf(address.href))) return true;
  const { isFolderInUse } = await import("../store/engine/embedded.ts");
  return isFolderInUse(join(dataDir, "postgres"));
}

/** The error with which the server ended, from what was added to its log; it includes the remedy. */
function lastError(logFile: string, fromByte: number): string | undefined {
  const added = readFileSync(logFile).subarray(fromByte).toString();
  const [, error] = /^dewey: (.*(?:\n(?!\{).+)*)/m.exec(added) ?? [];
  return error?.replaceAll(/\n\s*/g, " ");
}

/** The settings of a command that asks the server. */
type Asking = Pick<LocalServerOptions, "url" | "token" | "dataDir"> & { logLevel: LogLevel };

/**
 * Starts a server for a command when nothing listens at a local address, and tells a person at a terminal about it. At an
 * address elsewhere, or when a server there is busy, it does nothing: the command's own request says what is wrong.
 */
export async function startServerIfAway(
  { logLevel, ...config }: Asking,
  env: LocalServerOptions["env"],
): Promise<void> {
  const { hostname } = new URL(config.url);
  if (!isLoopback(hostname) || (await takesConnections(hostname, portOf(config.url)))) return;
  if (process.stderr.isTTY) process.stderr.write("Starting a Dewey server …\n");
  const log = stderrLog(logLevel === "info" ? "warn" : logLevel);
  await ensureLocalServer({ ...config, env, log });
}

function takesConnections(hostname: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port });
  socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

interface Started {
  logFile: string;
  /** Size of the log before the server started. */
  logBytes: number;
  hasEnded: () => boolean;
}

function startInBackground(address: URL, options: LocalServerOptions): Started {
  makeDataFolder(options.dataDir);
  const logFile = join(options.dataDir, "serve.log");
  const output = openSync(logFile, "a", 0o600);
  const logBytes = fstatSync(output).size;
  const host = address.hostname === "localhost" ? "127.0.0.1" : address.hostname.replace(/^\[|\]$/g, "");
  const port = address.port || (address.protocol === "wss:" ? "443" : "80");
  const flags = [
    "--host",
    host,
    "--port",
    port,
    "--data-dir",
    options.dataDir,
    "--idle-exit",
    `${IDLE_EXIT_SECONDS}`,
    "--watch",
  ];
  const child = Bun.spawn([...selfCommand(), "serve", ...flags], {
    env: options.env,
    stdin: "ignore",
    stdout: output,
    stderr: output,
    // In its own process group, so that Ctrl-C in the client's terminal does not stop a server that others use.
    detached: true,
  });
  child.unref();
  closeSync(output);
  return { logFile, logBytes, hasEnded: () => child.exitCode !== null || child.signalCode !== null };
}
