import { afterEach, beforeEach, expect, test } from "bun:test";
import { createLog } from "../src/log.ts";
import { Metrics } from "../src/metrics.ts";
import { Watchdog, doing } from "../src/watchdog.ts";
import { until } from "./support/rpc.ts";

let lines: string[];
let metrics: Metrics;
let watchdog: Watchdog;

beforeEach(() => {
  lines = [];
  metrics = new Metrics();
  watchdog = new Watchdog(createLog({ level: "info", format: "json", write: (line) => lines.push(line) }), metrics);
});
afterEach(() => watchdog.stop());

function hold(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

const metric = async (name: string) =>
  Number(new RegExp(`^${name} (.*)$`, "m").exec(await metrics.response().text())?.[1]);

test("a turn of more than a second is logged and counted, with what was running and nothing else", async () => {
  await Bun.sleep(150);
  doing("dewey_over_before", () => {});
  await Bun.sleep(250);
  const later = Promise.withResolvers<void>();
  const waiting = doing("dewey_in_flight", () => later.promise);
  doing("dewey_search", () => hold(1200));
  expect(() =>
    doing("dewey_fails", () => {
      throw new Error("secret");
    }),
  ).toThrow("secret");
  const told = await until("the log", () => lines[0]);
  later.resolve();
  await waiting;
  const { level, event, ms, processor_ms: processorMs, running } = JSON.parse(told);
  expect([level, event]).toEqual(["warn", "a turn of the event loop took long; every client waited for it"]);
  expect(ms).toBeGreaterThanOrEqual(1200);
  expect(processorMs).toBeGreaterThan(0);
  expect(running.split(", ").toSorted()).toEqual(["dewey_fails", "dewey_in_flight", "dewey_search"]);
  expect(await metric("dewey_event_loop_long_turns_total")).toBeGreaterThanOrEqual(1);
  expect(await metric("dewey_event_loop_long_turn_seconds_total")).toBeGreaterThanOrEqual(1.2);
});

test("work under a name keeps its result, its promise's value and its errors", async () => {
  expect(doing("a", () => 1)).toBe(1);
  expect(await doing("a", () => Promise.resolve(2))).toBe(2);
  const failed: unknown = await doing("a", () => Promise.reject(new Error("no"))).catch((error: unknown) => error);
  expect(failed).toMatchObject({ message: "no" });
});
