import { readFileSync, readdirSync } from "node:fs";
import { until } from "./rpc.ts";

/** The background processes that deliver hook events from a data folder, found by their command lines. */
export function deliverersOf(dataDir: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return words.includes("--deliver") && words.includes(dataDir);
      } catch {
        return false;
      }
    });
}

/** Stops them: each would wait a minute for more events. */
export async function stopDeliverers(dataDir: string): Promise<void> {
  for (const pid of deliverersOf(dataDir)) process.kill(pid, "SIGTERM");
  await until("the end of the deliverer", () => deliverersOf(dataDir).length === 0);
}
