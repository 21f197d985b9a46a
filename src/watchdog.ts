import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** A turn of the event loop that takes this long is reported: every client waits for it. */
const LONGEST_TURN_MS = 1000;
/** Interval at which the event loop shows that it turns; a turn is measured as up to this much shorter. */
const TICK_MS = 100;

// One event loop per process, so one list of what runs on it.
const running = new Map<string, number>();
const endedSinceTick = new Set<string>();

/**
 * Does the work under a name, until it returns or its promise settles. Names come from a fixed set and never hold anything
 * of a caller's: a log line about a long turn quotes them.
 */
export function doing<Result>(name: string, work: () => Result): Result {
  running.set(name, (running.get(name) ?? 0) + 1);
  let isAsync = false;
  try {
    const result = work();
    if (!(result instanceof Promise)) return result;
    isAsync = true;
    return result.finally(() => ended(name)) as Result;
  } finally {
    if (!isAsync) ended(name);
  }
}

function ended(name: string): void {
  const left = (running.get(name) ?? 0) - 1;
  if (left > 0) running.set(name, left);
  else running.delete(name);
  endedSinceTick.add(name);
}

/** Reports turns of the event loop that take long, in the log and the metrics, with what was running. */
export class Watchdog {
  readonly #log: Log;
  #tickMs = performance.now();
  #processor = process.cpuUsage();
  #turns = 0;
  #seconds = 0;
  readonly #delayed: (ms: number) => void;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(log: Log, metrics?: Metrics) {
    this.#log = log;
    metrics?.counted(
      "dewey_event_loop_long_turns_total",
      `Turns of the event loop of more than ${LONGEST_TURN_MS / 1000} s, for which every client waited.`,
      () => this.#turns,
    );
    metrics?.counted("dewey_event_loop_long_turn_seconds_total", "Duration of these turns.", () => this.#seconds);
    this.#delayed =
      metrics?.durations(
        "dewey_event_loop_delay_seconds",
        `By how much the event loop was late, looked at every ${TICK_MS} ms.`,
      )() ?? (() => {});
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#tickMs;
    this.#delayed(Math.max(0, tookMs - TICK_MS));
    if (tookMs >= LONGEST_TURN_MS) this.#report(tookMs);
    this.#tickMs = nowMs;
    this.#processor = process.cpuUsage();
    endedSinceTick.clear();
  }

  #report(tookMs: number): void {
    this.#turns += 1;
    this.#seconds += tookMs / 1000;
    const { user, system } = process.cpuUsage(this.#processor);
    this.#log.warn("a turn of the event loop took long; every client waited for it", {
      ms: Math.round(tookMs),
      // Far less than the turn itself: the process was suspended, waited for a disk, or had no processor.
      processor_ms: Math.round((user + system) / 1000),
      running: [...new Set([...running.keys(), ...endedSinceTick])].join(", ") || "nothing that has a name",
    });
  }
}
