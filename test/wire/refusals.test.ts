import { expect, test } from "bun:test";
import { Refusals } from "../../src/wire/refusals.ts";
import type { Refused } from "../../src/wire/refusals.ts";

/** A window that does not end by itself within a test. */
const LONG_MS = 3_600_000;

function told(): { refusals: Refusals; lines: Refused[] } {
  const lines: Refused[] = [];
  return { refusals: new Refusals((refused) => lines.push(refused), LONG_MS), lines };
}

test("the first refusal of an address is told at once, and the rest of a window together", () => {
  const { refusals, lines } = told();
  for (let count = 0; count < 5; count += 1) refusals.count(401, "192.0.2.1");
  refusals.count(403, "192.0.2.1");
  expect(lines).toEqual([
    { status: 401, address: "192.0.2.1", count: 1 },
    { status: 403, address: "192.0.2.1", count: 1 },
  ]);
  refusals.stop();
  expect(lines.slice(2)).toEqual([{ status: 401, address: "192.0.2.1", count: 4 }]);
  refusals.count(401, "192.0.2.1");
  expect(lines.slice(3)).toEqual([{ status: 401, address: "192.0.2.1", count: 1 }]);
  refusals.stop();
});

test("a window ends by itself", async () => {
  const done = Promise.withResolvers<Refused>();
  const refusals = new Refusals((refused) => refused.count > 1 && done.resolve(refused), 1);
  for (let count = 0; count < 3; count += 1) refusals.count(401, "192.0.2.1");
  expect(await done.promise).toEqual({ status: 401, address: "192.0.2.1", count: 2 });
});

test("a flood from many addresses is told in few lines, and none of it is lost", () => {
  const { refusals, lines } = told();
  for (let address = 0; address < 10_000; address += 1) refusals.count(401, `192.0.${address >> 8}.${address & 255}`);
  refusals.stop();
  expect(lines.length).toBeLessThan(250);
  expect(lines.reduce((sum, { count }) => sum + count, 0)).toBe(10_000);
});
