import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Pace } from "../../../src/proxy/delivery/pace.ts";
import { stopClock } from "../../support/clock.ts";
import type { StoppedClock } from "../../support/clock.ts";

const LARGE_BYTES = 1024 * 1024;
const SMALL_BYTES = 64 * 1024;

let clock: StoppedClock;
beforeEach(() => (clock = stopClock()));
afterEach(() => clock[Symbol.dispose]());

/** A relay with a rate that the test sets, and a pace that has measured this rate. */
async function paceBeside(framesPerSecond: number) {
  const relay = { framesPerSecond, isQuiet: true, isFilling: false, frames: 0 };
  const counting = setInterval(() => (relay.frames += relay.framesPerSecond / 100), 10);
  counting.unref();
  const pace = new Pace({
    frames: () => relay.frames,
    isQuiet: () => relay.isQuiet,
    isFilling: () => relay.isFilling,
  });
  await clock.pass(100);
  return { pace, relay };
}

/** Waits for a turn; resolves with what it may read and how long it took to come. */
async function turn(pace: Pace, waitingSinceMs = Date.now()): Promise<{ bytes: number; tookMs: number }> {
  const startedMs = clock.nowMs;
  let bytes: number | undefined;
  void pace.turn(waitingSinceMs).then((given) => (bytes = given));
  return { bytes: await clock.passUntil("a turn", () => bytes), tookMs: clock.nowMs - startedMs };
}

/** Waits until the store has taken a turn's records; resolves with how long that took. */
async function settled(pace: Pace): Promise<number> {
  const startedMs = clock.nowMs;
  let isSettled = false;
  void pace.settled().then(() => (isSettled = true));
  await clock.passUntil("the store", () => isSettled);
  return clock.nowMs - startedMs;
}

describe("beside an idle relay", () => {
  test("delivery reads much, after a moment for more entries to arrive", async () => {
    const { pace } = await paceBeside(0);
    expect(await turn(pace)).toEqual({ bytes: LARGE_BYTES, tookMs: 10 });
  });

  test("delivery reads much as soon as the frames stop, even during a pause", async () => {
    const { pace, relay } = await paceBeside(10_000);
    const coming = turn(pace);
    await clock.pass(300);
    relay.framesPerSecond = 0;
    const { bytes, tookMs } = await coming;
    expect(bytes).toBe(LARGE_BYTES);
    expect(tookMs).toBeWithin(300, 500);
  });
});

describe("while frames pass", () => {
  test("delivery reads little, and without a pause when its last turn took no time", async () => {
    const { pace } = await paceBeside(400);
    expect(await turn(pace)).toEqual({ bytes: SMALL_BYTES, tookMs: 10 });
  });

  test("delivery pauses a second in a burst of hundreds of frames a second", async () => {
    const { pace } = await paceBeside(600);
    const { bytes, tookMs } = await turn(pace);
    expect(bytes).toBe(SMALL_BYTES);
    expect(tookMs).toBeWithin(1010, 1100);
  });

  test("delivery pauses four times as long as its last turn took, but at most five seconds", async () => {
    const { pace } = await paceBeside(400);
    for (const [turnMs, pauseMs] of [
      [100, 400],
      [600, 2400],
      [3000, 5000],
    ] as const) {
      await turn(pace);
      await clock.pass(turnMs);
      await settled(pace);
      const { bytes, tookMs } = await turn(pace);
      expect(bytes).toBe(SMALL_BYTES);
      expect(tookMs).toBeWithin(pauseMs, pauseMs + 100);
    }
  });

  test("the store's time counts as part of the turn", async () => {
    const { pace, relay } = await paceBeside(400);
    await turn(pace);
    relay.isQuiet = false;
    const settling = settled(pace);
    await clock.pass(300);
    relay.isQuiet = true;
    await settling;
    expect((await turn(pace)).tookMs).toBeWithin(1200, 1300);
  });

  test("the rate is measured over at least 50 ms", async () => {
    const { pace, relay } = await paceBeside(400);
    await turn(pace);
    // Two closely spaced samples would see no frame between them and take the relay for idle.
    relay.framesPerSecond = 0;
    await clock.pass(20);
    expect((await turn(pace)).bytes).toBe(SMALL_BYTES);
    await clock.pass(50);
    expect((await turn(pace)).bytes).toBe(LARGE_BYTES);
  });
});

describe("delivery goes before relaying", () => {
  test("when the next entry is more than ten seconds old", async () => {
    const { pace } = await paceBeside(10_000);
    expect(await turn(pace, Date.now() - 10_001)).toEqual({ bytes: LARGE_BYTES, tookMs: 10 });
    const { bytes, tookMs } = await turn(pace, Date.now() - 8000);
    expect(bytes).toBe(SMALL_BYTES);
    expect(tookMs).toBeGreaterThan(1000);
  });

  test("as soon as the next entry reaches that age during a pause", async () => {
    const { pace } = await paceBeside(10_000);
    const { bytes, tookMs } = await turn(pace, Date.now() - 9500);
    expect(bytes).toBe(LARGE_BYTES);
    expect(tookMs).toBeWithin(500, 600);
  });

  test("when the spool fills up", async () => {
    const { pace, relay } = await paceBeside(10_000);
    relay.isFilling = true;
    expect(await turn(pace)).toEqual({ bytes: LARGE_BYTES, tookMs: 10 });
  });

  test("when the recorder stops, even during a pause", async () => {
    const { pace } = await paceBeside(10_000);
    const coming = turn(pace);
    await clock.pass(300);
    pace.stop();
    const { bytes, tookMs } = await coming;
    expect(bytes).toBe(LARGE_BYTES);
    expect(tookMs).toBeLessThan(400);
    expect(await turn(pace)).toEqual({ bytes: LARGE_BYTES, tookMs: 10 });
  });
});

describe("delivery waits for the store", () => {
  test("until it has taken the turn's records", async () => {
    const { pace, relay } = await paceBeside(0);
    expect(await settled(pace)).toBeLessThan(5);
    relay.isQuiet = false;
    setTimeout(() => (relay.isQuiet = true), 500);
    expect(await settled(pace)).toBeWithin(500, 510);
  });

  test("at most for a second", async () => {
    const { pace, relay } = await paceBeside(0);
    relay.isQuiet = false;
    expect(await settled(pace)).toBeWithin(1000, 1010);
  });

  test("only until the recorder stops", async () => {
    const { pace, relay } = await paceBeside(0);
    relay.isQuiet = false;
    const settling = settled(pace);
    await clock.pass(100);
    pace.stop();
    expect(await settling).toBeWithin(100, 110);
  });
});
