import { errorCodes } from "../errors.ts";
import type { Metrics } from "../metrics.ts";
import { tools } from "../tools/tools.ts";
import type { CallOptions } from "./tool-calls.ts";

/** Meters those who call tools, and their calls by tool and outcome; `underWay` tells how many calls are not answered yet. */
export function meterCalls(
  metrics: Metrics,
  clients: () => number,
): Pick<CallOptions, "onBegin" | "onCall"> & { underWay: () => number } {
  const calls = metrics.counter("dewey_tool_calls_total", "Tool calls, by tool and outcome.");
  metrics.gauge("dewey_clients", "Open WebSocket connections and HTTP sessions.", clients);
  const durations = metrics.durations("dewey_tool_call_duration_seconds", "Durations of tool calls, by tool.");
  for (const tool of tools.keys()) {
    durations({ tool });
    for (const outcome of ["ok", ...errorCodes]) calls({ tool, outcome });
  }
  let underWay = 0;
  return {
    underWay: () => underWay,
    onBegin: () => void (underWay += 1),
    onCall: (tool, outcome, ms) => {
      underWay -= 1;
      calls({ tool, outcome })(1);
      durations({ tool })(ms);
    },
  };
}
