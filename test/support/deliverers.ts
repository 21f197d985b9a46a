import { processesWith } from "./processes.ts";
import { until } from "./rpc.ts";

/** The background processes that deliver hook events from a data folder, found by their command lines. */
export function deliverersOf(dataDir: string): number[] {
  return processesWith("--deliver", dataDir);
}

/** Stops them: each would wait a minute for more events. */
export async function stopDeliverers(dataDir: string): Promise<void> {
  for (const pid of deliverersOf(dataDir)) process.kill(pid, "SIGTERM");
  await until("the end of the deliverer", () => deliverersOf(dataDir).length === 0);
}
