import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { askHealth } from "./health.ts";
import { selfCommand } from "./self.ts";
import { isLoopback } from "../wire/guard.ts";

/** Long enough for a client to be closed and opened again, short enough that nothing stays behind for a day. */
const IDLE_EXIT_SECONDS = 600;
/** A first start unpacks and makes a database: about a second, many times that on a busy machine. */
const START_DEADLINE_MS = 60_000;
/** How often the server that is starting is asked whether it is ready. */
const POLL_INTERVAL_MS = 50;

export interface LocalServerOptions {
  /** Where the server should be. */
  url: string;
  dataDir: string;
  /** The environment of this command: the server gets the same settings. */
  env: Record<string, string | undefined>;
  log: Log;
}

/**
 * Makes sure that a server answers at `url`. When none does and the address is this machine's, one is started in the
 * background; it outlives this command and ends when its clients have left. Several commands may do so at once: the
 * one that comes second finds the port or the data folder taken and ends, and everybody waits for the first.
 */
export async function ensureLocalServer(options: LocalServerOptions): Promise<void> {
  const { url, log } = options;
  if (await askHealth(url)) return;
  const address = new URL(url);
  if (!isLoopback(address.hostname)) {
    throw new DeweyError("unavailable", `no Dewey server answers at ${url}; start one there, or correct DEWEY_URL`);
  }
  const logFile = startInBackground(address, options);
  log.info("started a server in the background", { url, logFile });
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  while (!(await askHealth(url))?.ok) {
    if (performance.now() > deadlineMs) {
      throw new DeweyError("unavailable", `the server started for ${url} does not answer; its log is ${logFile}`);
    }
    await Bun.sleep(POLL_INTERVAL_MS);
  }
}

function startInBackground(address: URL, options: LocalServerOptions): string {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const logFile = join(options.dataDir, "serve.log");
  const output = openSync(logFile, "a", 0o600);
  const host = address.hostname === "localhost" ? "127.0.0.1" : address.hostname.replace(/^\[|\]$/g, "");
  const port = address.port || (address.protocol === "wss:" ? "443" : "80");
  const flags = ["--host", host, "--port", port, "--data-dir", options.dataDir, "--idle-exit", `${IDLE_EXIT_SECONDS}`];
  const child = Bun.spawn([...selfCommand(), "serve", ...flags], {
    env: options.env,
    stdin: "ignore",
    stdout: output,
    stderr: output,
    // A process group of its own: Ctrl-C in the client's terminal is not meant for a server that others use too.
    detached: true,
  });
  child.unref();
  closeSync(output);
  return logFile;
}
