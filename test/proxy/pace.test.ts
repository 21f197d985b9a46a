import { expect, test } from "bun:test";
import { Pace } from "../../src/proxy/pace.ts";
import type { PaceOptions } from "../../src/proxy/pace.ts";

/** The pace beside a relay that passes so many frames a second. */
function paceAt(framesPerSecond: number, options: Partial<PaceOptions> = {}): Pace {
  const frames = () => (performance.now() / 1000) * framesPerSecond;
  return new Pace({ frames, isQuiet: () => true, isFilling: () => false, ...options });
}

test("delivery takes small turns while the relay is under load, and large ones when it is not", async () => {
  const busy = paceAt(100_000);
  const [small, large] = await Promise.all([busy.turn(Date.now()), paceAt(100).turn(Date.now())]);
  expect(small).toBeLessThan(large / 10);
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

test("what is read next waits until the store has taken what was read before, or for a while", async () => {
  let isQuiet = false;
  const pace = paceAt(0, { isQuiet: () => isQuiet });
  let isOver = false;
  const turn = pace.turn(Date.now()).then(() => (isOver = true));
  for (let time = 0; time < 10; time++) await new Promise(setImmediate);
  expect(isOver).toBe(false);
  isQuiet = true;
  await turn;
  await paceAt(0, { isQuiet: () => false }).turn(Date.now());
});
