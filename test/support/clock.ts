import { jest } from "bun:test";

/**
 * Timers, sleeps, `performance.now` and `Date.now`, advanced only by the test. Real time is back when the block ends.
 * Sockets, files and `setImmediate` are not affected.
 */
export interface StoppedClock extends Disposable {
  /** Milliseconds since the clock was stopped. */
  readonly nowMs: number;
  /** Advances time in steps of `stepMs` (default 1), with a turn of the event loop after each. */
  pass(ms: number, stepMs?: number): Promise<void>;
  /** Advances time until `ask` returns a value, and resolves with it. Throws after five minutes of that time. */
  passUntil<Value>(what: string, ask: () => Value | undefined | false, stepMs?: number): Promise<Value>;
}

/** Longer than any limit for which a test uses `passUntil`. */
const PATIENCE_MS = 5 * 60_000;

export function stopClock(): StoppedClock {
  jest.useFakeTimers();
  const startedMs = performance.now();
  const clock = {
    get nowMs() {
      return performance.now() - startedMs;
    },
    async pass(ms: number, stepMs = 1) {
      const endMs = clock.nowMs + ms;
      await new Promise(setImmediate);
      while (clock.nowMs < endMs) {
        jest.advanceTimersByTime(stepMs);
        await new Promise(setImmediate);
      }
    },
    async passUntil<Value>(what: string, ask: () => Value | undefined | false, stepMs = 1): Promise<Value> {
      const endMs = clock.nowMs + PATIENCE_MS;
      for (;;) {
        const value = ask();
        if (value !== undefined && value !== false) return value;
        if (clock.nowMs >= endMs) throw new Error(`waited in vain for ${what}`);
        await clock.pass(stepMs, stepMs);
      }
    },
    [Symbol.dispose]: () => void jest.useRealTimers(),
  };
  return clock;
}
