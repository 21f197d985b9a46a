import { expect, test } from "bun:test";
import { Metrics } from "../src/metrics.ts";

test("counts and readings come out in Prometheus' text format, whatever is in a label", async () => {
  const metrics = new Metrics();
  const calls = metrics.counter("dewey_calls_total", "Calls.");
  calls({ tool: "a" });
  calls({ tool: "a" }, 2);
  calls({ tool: 'odd"\\\n' });
  metrics.gauge("dewey_open", "Open things.", () => 7);
  metrics.counted("dewey_seen_total", "Seen things.", () => 8);
  expect(await metrics.response().text()).toBe(
    [
      "# HELP dewey_calls_total Calls.",
      "# TYPE dewey_calls_total counter",
      'dewey_calls_total{tool="a"} 3',
      'dewey_calls_total{tool="odd\\"\\\\\\n"} 1',
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
