import { Backoff } from "../../backoff.ts";
import { within } from "../../deadline.ts";
import { DeweyError } from "../../errors.ts";
import { LineSplitter } from "../../lines.ts";
import type { Log } from "../../log.ts";
import { engineEnvironment } from "./engine.ts";
import type { Identity } from "./engine.ts";

/** How long PostgreSQL may take, and the pauses between restarts. */
export interface SupervisorLimits {
  /** Deadline of a start. Recovery after a crash reads the log written since the last checkpoint. */
  startMs: number;
  /** How long a start is repeated while remains of a killed PostgreSQL are in its way. */
  takeoverMs: number;
  /** How long PostgreSQL may take to stop before it is killed, which costs only a recovery at the next start. */
  stopMs: number;
  firstPauseMs: number;
  /** Cap of the pauses. A PostgreSQL that ran for longer than this is restarted after the first pause again. */
  longestPauseMs: number;
}

const LIMITS: SupervisorLimits = {
  startMs: 120_000,
  takeoverMs: 30_000,
  stopMs: 10_000,
  firstPauseMs: 100,
  longestPauseMs: 5000,
};
/** PostgreSQL logs statements that fail, of whatever length; the beginning tells what went wrong. */
const MAX_LINE_BYTES = 64 * 1024;

/**
 * A shell between Dewey and PostgreSQL reads a pipe from Dewey. The pipe closes when Dewey ends, even by kill -9, and the
 * shell then asks PostgreSQL to stop. It needs nothing installed, and works on Linux and macOS. It repeats the request until
 * PostgreSQL is gone: a shell starts its background jobs with this signal ignored, and PostgreSQL begins to handle it only
 * some moments after its start.
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
  /** Resolves with true when it accepts connections, or with false when it ends before. */
  ready: Promise<boolean>;
  /** Resolves when it ends, with the gravest line that it logged. */
  ended: Promise<string>;
}

export interface SupervisorOptions {
  command: string[];
  identity: Identity;
  log: Log;
  /** Removes the remains of a killed Dewey's PostgreSQL, which may leave more while it ends. */
  clear(): Promise<void>;
  /** Shorter limits, for tests. */
  limits?: Partial<SupervisorLimits>;
}

/** Keeps one PostgreSQL running until it is stopped. */
export class Supervisor {
  #life: Life | undefined;
  #stopping = false;
  readonly #options: SupervisorOptions;
  readonly #limits: SupervisorLimits;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  /**
   * Resolves when PostgreSQL accepts connections. The start is retried for a while, because the processes of a killed
   * PostgreSQL keep its shared memory for some moments, and a new one is refused until they are gone.
   */
  async start(): Promise<void> {
    const deadlineMs = performance.now() + this.#limits.takeoverMs;
    for (;;) {
      await this.#options.clear();
      const life = this.#begin();
      const outcome = await within(this.#limits.startMs, life.ready, () => undefined);
      if (outcome === true) {
        void this.#keepAlive(life);
        return;
      }
      if (outcome === undefined) await end(life, this.#limits.stopMs);
      const reason = outcome === undefined ? "it takes too long" : await life.ended;
      if (performance.now() > deadlineMs || !/shared memory|lock file/.test(reason)) {
        throw new DeweyError("unavailable", `the embedded PostgreSQL does not start: ${reason}`);
      }
      await Bun.sleep(this.#limits.firstPauseMs);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#life) await end(this.#life, this.#limits.stopMs);
  }

  async #keepAlive(first: Life): Promise<void> {
    let life = first;
    const { firstPauseMs, longestPauseMs } = this.#limits;
    const backoff = new Backoff({ firstMs: firstPauseMs, longestMs: longestPauseMs });
    for (;;) {
      const bornMs = performance.now();
      const reason = await life.ended;
      if (performance.now() - bornMs > longestPauseMs) backoff.reset();
      if (this.#stopping) return;
      const pauseMs = backoff.next();
      this.#options.log.error("the embedded PostgreSQL has died; restarting it", { reason, pauseMs });
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
      // Ctrl-C in a terminal reaches the whole process group, and PostgreSQL must outlive Dewey's shutdown.
      detached: true,
      ...user,
    });
    const ready = Promise.withResolvers<boolean>();
    const ended = this.#follow(child, () => ready.resolve(true)).finally(() => ready.resolve(false));
    this.#life = { child, ready: ready.promise, ended };
    return this.#life;
  }

  /** Reads what PostgreSQL logs until it ends. */
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

/** Asks PostgreSQL to stop by closing the guard's pipe, and kills it if it does not, for example because it is frozen. */
async function end({ child, ended }: Life, graceMs: number): Promise<void> {
  await child.stdin.end();
  if ((await within(graceMs, ended, () => undefined)) !== undefined) return;
  // The guard leads the postmaster's process group; PostgreSQL's other processes end when the postmaster has ended.
  process.kill(-child.pid, "SIGKILL");
  await ended;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  for await (const chunk of stream) for (const line of splitter.push(chunk)) yield line.text;
  if (splitter.unfinishedBytes > 0) yield splitter.unfinished.text;
}
