import { Backoff } from "../../backoff.ts";
import { within } from "../../deadline.ts";
import { DeweyError } from "../../errors.ts";
import { LineSplitter } from "../../lines.ts";
import type { Log } from "../../log.ts";
import { engineEnvironment } from "./engine.ts";
import type { Identity } from "./engine.ts";

/** How long the first start may take: recovery after a crash reads the log written since the last checkpoint. */
const START_DEADLINE_MS = 120_000;
/** How long a start is repeated that what is left of a killed PostgreSQL stands in the way of. */
const TAKEOVER_DEADLINE_MS = 30_000;
/** How long a PostgreSQL may take to stop before it is killed, which costs nothing but a recovery at the next start. */
const STOP_GRACE_MS = 10_000;
/** Pauses between restarts of a PostgreSQL that keeps dying; one that ran for longer than the longest begins anew. */
const FIRST_RESTART_PAUSE_MS = 100;
const LONGEST_RESTART_PAUSE_MS = 5000;
/** PostgreSQL logs statements that fail, of whatever length; the beginning tells what went wrong. */
const MAX_LINE_BYTES = 64 * 1024;

/**
 * Between us and PostgreSQL stands a shell that reads a pipe from us: it ends when we end, even by kill -9, and then
 * PostgreSQL is asked to stop. It needs nothing installed, and works alike on Linux and macOS. It asks again until
 * PostgreSQL is gone: a shell starts what runs beside it deaf to this signal, and in its first moments PostgreSQL has not
 * begun to listen to it.
 */
const GUARD = `
exec 3<&0
"$@" 3<&- </dev/null & server=$!
{ read -r _ <&3; while kill -INT "$server"; do sleep 1; done; } 2>/dev/null & reader=$!
exec 3<&-
wait "$server"; status=$?
kill "$reader" 2>/dev/null
exit "$status"`;

/** One life of PostgreSQL. */
interface Life {
  child: Bun.Subprocess<"pipe", "ignore", "pipe">;
  /** Resolves with true when it takes connections, with false when it ended before. */
  ready: Promise<boolean>;
  /** Resolves at its end with the gravest thing that it said. */
  ended: Promise<string>;
}

export interface SupervisorOptions {
  command: string[];
  identity: Identity;
  log: Log;
  /** Takes out of the way what a PostgreSQL of a killed Dewey has left; it may go on leaving things while it ends. */
  clear(): Promise<void>;
}

/** Keeps one PostgreSQL running until it is stopped. */
export class Supervisor {
  #life: Life | undefined;
  #stopping = false;
  readonly #options: SupervisorOptions;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /**
   * Resolves when PostgreSQL takes connections. A start is repeated for a while: the processes of a PostgreSQL that was
   * killed hold its shared memory for some moments, and a new one is refused until they are gone.
   */
  async start(): Promise<void> {
    const deadlineMs = performance.now() + TAKEOVER_DEADLINE_MS;
    for (;;) {
      await this.#options.clear();
      const life = this.#begin();
      const outcome = await within(START_DEADLINE_MS, life.ready, () => undefined);
      if (outcome === true) {
        void this.#keepAlive(life);
        return;
      }
      if (outcome === undefined) await end(life);
      const reason = outcome === undefined ? "it takes too long" : await life.ended;
      if (performance.now() > deadlineMs || !/shared memory|lock file/.test(reason)) {
        throw new DeweyError("unavailable", `the embedded PostgreSQL does not start: ${reason}`);
      }
      await Bun.sleep(FIRST_RESTART_PAUSE_MS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#life) await end(this.#life);
  }

  async #keepAlive(first: Life): Promise<void> {
    let life = first;
    const backoff = new Backoff({ firstMs: FIRST_RESTART_PAUSE_MS, longestMs: LONGEST_RESTART_PAUSE_MS });
    for (;;) {
      const bornMs = performance.now();
      const reason = await life.ended;
      if (performance.now() - bornMs > LONGEST_RESTART_PAUSE_MS) backoff.reset();
      if (this.#stopping) return;
      const pauseMs = backoff.next();
      this.#options.log.error("the embedded PostgreSQL has died; it is started again", { reason, pauseMs });
      await Bun.sleep(pauseMs);
      if (this.#stopping) return;
      life = this.#begin();
    }
  }

  #begin(): Life {
    const { prefix, user } = this.#options.identity;
    const child = Bun.spawn([...prefix, "/bin/sh", "-c", GUARD, "sh", ...this.#options.command], {
      cwd: "/",
      env: engineEnvironment,
      stdin: "pipe",
      stdout: "ignore",
      stderr: "pipe",
      // Ctrl-C in a terminal goes to the whole process group; PostgreSQL ends after us, not with us.
      detached: true,
      ...user,
    });
    const ready = Promise.withResolvers<boolean>();
    const ended = this.#follow(child, () => ready.resolve(true)).finally(() => ready.resolve(false));
    this.#life = { child, ready: ready.promise, ended };
    return this.#life;
  }

  /** Reads what PostgreSQL says to its end. */
  async #follow(child: Life["child"], onReady: () => void): Promise<string> {
    let gravest = "it said nothing";
    for await (const line of linesOf(child.stderr)) {
      if (/FATAL|PANIC|^(sh|unshare): /.test(line)) gravest = line;
      this.#options.log.debug("PostgreSQL", { line });
      if (line.includes("database system is ready to accept connections")) onReady();
    }
    await child.exited;
    return gravest;
  }
}

/** Asks PostgreSQL to stop, by ending the guard's pipe; one that does not (because it is frozen) is killed. */
async function end({ child, ended }: Life): Promise<void> {
  await child.stdin.end();
  if ((await within(STOP_GRACE_MS, ended, () => undefined)) !== undefined) return;
  // The guard leads the process group that the postmaster is in; PostgreSQL's other processes end when that one has.
  process.kill(-child.pid, "SIGKILL");
  await ended;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  for await (const chunk of stream) for (const line of splitter.push(chunk)) yield line.text;
  if (splitter.unfinishedBytes > 0) yield splitter.unfinished.text;
}
