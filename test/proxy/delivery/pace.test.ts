import { expect, test } from "bun:test";
import { Pace } from "../../../src/proxy/delivery/pace.ts";
import type { PaceOptions } from "../../../src/proxy/delivery/pace.ts";

/** The pace beside a relay that passes so many frames a second. */
function paceAt(framesPerSecond: number, options: Partial<PaceOptions> = {}): Pace {
  const frames = () => (performance.now() / 1000) * framesPerSecond;
  return new Pace({ frames, isQuiet: () => true, isFilling: () => false, ...options });
}

test("delivery takes small turns, and seldom, while frames pass, and large ones when none do", async () => {
  const busy = paceAt(100_000);
  // The rate is known after a moment.
  await Bun.sleep(60);
  const startedMs = performance.now();
  const small = await busy.turn(Date.now());
  expect(performance.now() - startedMs).toBeGreaterThan(900);
  expect(small).toBeLessThan((await paceAt(0).turn(Date.now())) / 10);
});

test("delivery goes before relaying when what waits is old, the spool fills up, or the recorder stops", async () => {
  const stopped = paceAt(100_000);
  stopped.stop();
  const usual = await paceAt(0).turn(Date.now());
  const turns = [
    paceAt(100_000).turn(Date.now() - 60_000),
    paceAt(100_000, { isFilling: () => true }).turn(Date.now()),
    stopped.turn(Date.now()),
  ];
  expect(await Promise.all(turns)).toEqual([usual, usual, usual]);
});

test("the longer the store takes while frames pass, the longer delivery pauses", async () => {
  let isQuiet = false;
  const pace = paceAt(100, { isQuiet: () => isQuiet });
  const pauseMs = async () => {
    const startedMs = performance.now();
    await pace.turn(Date.now());
    return performance.now() - startedMs;
  };
  await pauseMs();
  const settled = pace.settled();
  await Bun.sleep(200);
  isQuiet = true;
  await settled;
  expect(await pauseMs()).toBeGreaterThan(600);
});

test("what the store does not take is not waited for for ever", async () => {
  await paceAt(0, { isQuiet: () => false }).settled();
});
