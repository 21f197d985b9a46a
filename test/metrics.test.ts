import { expect, test } from "bun:test";
import { Metrics } from "../src/metrics.ts";

test("counters and gauges are rendered in Prometheus' text format, with any characters in a label", async () => {
  const metrics = new Metrics();
  const calls = metrics.counter("dewey_calls_total", "Calls.");
  calls({ tool: "a" })(1);
  calls({ tool: "a" })(2);
  calls({ tool: 'odd"\\\n' })(1);
  calls({ tool: "not called yet" });
  metrics.gauge("dewey_open", "Open things.", () => 7);
  metrics.counted("dewey_seen_total", "Seen things.", () => 8);
  expect(await metrics.response().text()).toBe(
    [
      "# HELP dewey_calls_total Calls.",
      "# TYPE dewey_calls_total counter",
      'dewey_calls_total{tool="a"} 3',
      'dewey_calls_total{tool="odd\\"\\\\\\n"} 1',
      'dewey_calls_total{tool="not called yet"} 0',
      "# HELP dewey_open Open things.",
      "# TYPE dewey_open gauge",
      "dewey_open 7",
      "# HELP dewey_seen_total Seen things.",
      "# TYPE dewey_seen_total counter",
      "dewey_seen_total 8",
      "",
    ].join("\n"),
  );
});

test("durations are rendered as a histogram with cumulative buckets", async () => {
  const metrics = new Metrics();
  const took = metrics.durations("dewey_call_duration_seconds", "Calls.");
  for (const ms of [0.5, 10, 11, 11, 500_000]) took({ tool: "a" })(ms);
  const lines = (await metrics.response().text()).split("\n");
  expect(lines[1]).toBe("# TYPE dewey_call_duration_seconds histogram");
  const buckets = lines.filter((line) => line.startsWith('dewey_call_duration_seconds_bucket{tool="a",le='));
  expect(buckets.map((line) => line.split(" ")[1])).toEqual([
    "1",
    "1",
    "2",
    "4",
    "4",
    "4",
    "4",
    "4",
    "4",
    "4",
    "4",
    "5",
  ]);
  expect(buckets.at(-1)).toContain('le="+Inf"');
  expect(lines.slice(-3, -1)).toEqual([
    'dewey_call_duration_seconds_sum{tool="a"} 500.0325',
    'dewey_call_duration_seconds_count{tool="a"} 5',
  ]);
});

test("a gauge may have labels", async () => {
  const metrics = new Metrics();
  metrics.gauge("dewey_up", "Up.", () => [
    [{ upstream: "a" }, 1],
    [{ upstream: "b" }, 0],
  ]);
  expect(await metrics.response().text()).toEndWith('dewey_up{upstream="a"} 1\ndewey_up{upstream="b"} 0\n');
});
