import { expect, test } from "bun:test";
import { Backoff } from "../src/backoff.ts";

const pauses = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

test("pauses double up to the longest, and begin again after a reset", () => {
  const backoff = new Backoff({ firstMs: 100, longestMs: 500 });
  expect(pauses(backoff, 5)).toEqual([100, 200, 400, 500, 500]);
  backoff.reset();
  expect(pauses(backoff, 2)).toEqual([100, 200]);
});

test("jitter adds a share of the pause and does not change the next one", () => {
  const shares = [0, 0.5, 0.25, 0.75];
  const backoff = new Backoff({ firstMs: 100, longestMs: 400, jitter: () => shares.shift() ?? 0 });
  expect(pauses(backoff, 4)).toEqual([100, 300, 500, 700]);
});
