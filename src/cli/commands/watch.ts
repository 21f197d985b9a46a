import { setPriority } from "node:os";
import { join } from "node:path";
import { Backoff } from "../../backoff.ts";
import { homeOf, placesAt } from "../../capture/home.ts";
import { sessionDatabases, sessionFolders } from "../../capture/source-kinds.ts";
import { Watcher } from "../../capture/watcher.ts";
import { WatchState } from "../../capture/watch-state.ts";
import { clientConfig, obeyed } from "../../config.ts";
import type { ClientConfig } from "../../config.ts";
import { makeDataFolder } from "../../data-folder.ts";
import { asDeweyError } from "../../errors.ts";
import { acquireLock } from "../../lock.ts";
import type { Lock } from "../../lock.ts";
import { stderrLog } from "../../log.ts";
import type { Log } from "../../log.ts";
import { pause } from "../../pause.ts";
import { ToolClient } from "../../tool-client.ts";
import { isLoopback } from "../../loopback.ts";
import type { Json } from "../../wire/frame.ts";
import type { Command, Invocation } from "../command.ts";
import { ensureLocalServer } from "../local-server.ts";
import { warnOfUnknownVariables } from "../signals.ts";

/** Pauses while the server is down: doubled each time. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 15_000;
/** How often a process that waits for its turn asks for it. */
const LOCK_INTERVAL_MS = 5000;
/** Reading all of a user's sessions must not slow what the user is doing. */
const NICENESS = 10;

export const watch: Command = {
  name: "watch",
  summary: "follows the sessions of all agents on this machine and stores them as they grow",
  usage: ["dewey watch [--attached]"],
  examples: ["dewey watch", "dewey unit watch > dewey-watch.service"],
  about: [
    "Reads the session files of every agent that dewey import knows, first those that are there, then what is added, until it",
    "is stopped. It remembers how far it was, so that a restart reads only what is new. It waits for a server that is down,",
    "and starts one if the address is local and none runs. dewey up and a server that clients start do the same unless",
    "DEWEY_WATCH=off; one process per data folder does the work. As a service: dewey unit watch.",
  ].join(" "),
  settings: obeyed.client,
  flags: { attached: { summary: "for other commands: end with the standard input, and start no server" } },
  operands: 0,
  async run(invocation) {
    const config = clientConfig(invocation);
    const log = stderrLog(config.logLevel);
    warnOfUnknownVariables(invocation.env, log);
    const isAttached = invocation.flags["attached"] === true;
    const stopping = isAttached ? AbortSignal.any([invocation.stopping, endOfInput()]) : invocation.stopping;
    makeDataFolder(config.dataDir);
    const lock = await lockWhenFree(join(config.dataDir, "watch.lock"), stopping, log);
    if (lock === undefined) return 0;
    try {
      await follow(config, invocation.env, { isAttached, stopping }, log);
    } finally {
      lock.release();
    }
    return 0;
  },
};

/** The lock of the one process that follows; undefined when asked to stop before it is free. */
async function lockWhenFree(path: string, stopping: AbortSignal, log: Log): Promise<Lock | undefined> {
  for (let isFirst = true; !stopping.aborted; isFirst = false) {
    const lock = acquireLock(path);
    if (lock !== undefined) return lock;
    if (isFirst) log.info("another process follows the sessions; waiting for it to end", { lock: path });
    await pause(LOCK_INTERVAL_MS, stopping);
  }
  return undefined;
}

interface Life {
  isAttached: boolean;
  stopping: AbortSignal;
}

async function follow(
  config: ClientConfig,
  env: Invocation["env"],
  { isAttached, stopping }: Life,
  log: Log,
): Promise<void> {
  lowerPriority();
  const home = homeOf(env);
  const folders = sessionFolders(home);
  const databases = sessionDatabases(home);
  const state = new WatchState(join(config.dataDir, "watch.sqlite"), config.url);
  const server = new PatientServer(config, isAttached ? undefined : env, stopping, log);
  log.info("watching", { folders: placesAt(folders), databases: placesAt(databases) });
  const call = (tool: string, args: Json) => server.call(tool, args);
  const onIdle = () => server.disconnect();
  try {
    await new Watcher({ folders, databases, state, call, log, onIdle, stopping }).run();
  } finally {
    server.disconnect();
    state.close();
  }
}

/** Calls tools, and waits while the server is down. Between calls it may be disconnected, so that an idle server can end. */
class PatientServer {
  readonly #config: ClientConfig;
  /** The environment of a server to start; undefined to start none. */
  readonly #env: Invocation["env"] | undefined;
  readonly #stopping: AbortSignal;
  readonly #log: Log;
  #client: ToolClient | undefined;

  constructor(config: ClientConfig, env: Invocation["env"] | undefined, stopping: AbortSignal, log: Log) {
    this.#config = config;
    this.#env = isLoopback(new URL(config.url).hostname) ? env : undefined;
    this.#stopping = stopping;
    this.#log = log;
  }

  async call(tool: string, args: Json): Promise<Json> {
    const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS });
    for (let isFirst = true; ; isFirst = false) {
      try {
        this.#client ??= new ToolClient({ url: this.#config.url, token: this.#config.token });
        return await this.#client.call(tool, args);
      } catch (error) {
        if (asDeweyError(error).code !== "unavailable" || this.#stopping.aborted) throw error;
        if (isFirst) this.#log.warn("the server is down; waiting for it", { error });
      }
      await this.#startServer();
      await pause(backoff.next(), this.#stopping);
    }
  }

  disconnect(): void {
    void this.#client?.close();
    this.#client = undefined;
  }

  async #startServer(): Promise<void> {
    if (this.#env === undefined) return;
    const { url, token, dataDir } = this.#config;
    try {
      await ensureLocalServer({ url, token, dataDir, env: this.#env, log: this.#log });
    } catch (error) {
      this.#log.warn("cannot start a server", { error });
    }
  }
}

/** Aborts when the standard input ends: the process at its other end is gone. */
function endOfInput(): AbortSignal {
  const ended = new AbortController();
  void (async () => {
    try {
      for await (const _ of Bun.stdin.stream());
    } finally {
      ended.abort();
    }
  })().catch(() => {});
  return ended.signal;
}

function lowerPriority(): void {
  try {
    setPriority(NICENESS);
  } catch {
    // It works at any priority.
  }
}
