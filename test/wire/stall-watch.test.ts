import { afterEach, beforeEach, expect, test } from "bun:test";
import { StallWatch } from "../../src/wire/stall-watch.ts";
import { stopClock } from "../support/clock.ts";
import type { StoppedClock } from "../support/clock.ts";

let clock: StoppedClock;
beforeEach(() => void (clock = stopClock()));
afterEach(() => clock[Symbol.dispose]());

function watching() {
  const state = { takenBytes: 0, stalls: 0 };
  const watch = new StallWatch({
    takenBytes: () => state.takenBytes,
    stalled: () => void (state.stalls += 1),
    limitMs: 1000,
  });
  return { state, watch };
}

test("a client that takes a byte per limit is slow, and one that takes none has stalled", async () => {
  const { state, watch } = watching();
  watch.start();
  for (let limit = 0; limit < 20; limit += 1) {
    state.takenBytes += 1;
    await clock.pass(1000, 100);
  }
  expect([state.stalls, watch.isRunning]).toEqual([0, true]);
  await clock.pass(1000, 100);
  expect([state.stalls, watch.isRunning]).toEqual([1, false]);
  await clock.pass(3000, 100);
  expect(state.stalls).toBe(1);
});

test("nothing stalls while the watch is stopped", async () => {
  const { state, watch } = watching();
  watch.start();
  await clock.pass(900, 100);
  watch.stop();
  await clock.pass(5000, 100);
  expect(state.stalls).toBe(0);
  watch.start();
  await clock.pass(900, 100);
  expect(state.stalls).toBe(0);
  // Starting again does not restart the limit.
  watch.start();
  await clock.pass(100, 100);
  expect(state.stalls).toBe(1);
});
