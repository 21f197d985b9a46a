import { readFileSync, readdirSync } from "node:fs";
import type { Metrics } from "./metrics.ts";

const MICROSECONDS = 1_000_000;

/** What this process is and uses, under the names that Prometheus' client libraries give. What a system does not tell is absent. */
export function meterProcess(metrics: Metrics, version: string): void {
  metrics.gauge("dewey_build_info", "1, with the version of Dewey and of its runtime.", () => [
    [{ version, runtime: `bun ${Bun.version}`, platform: `${process.platform}-${process.arch}` }, 1],
  ]);
  metrics.counted("process_cpu_seconds_total", "Processor time used, user and system.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / MICROSECONDS;
  });
  const startedSeconds = (Date.now() - performance.now()) / 1000;
  metrics.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", () => startedSeconds);
  metrics.gauge("process_resident_memory_bytes", "Memory that is in use.", () => process.memoryUsage.rss());
  if (process.platform !== "linux") return;
  metrics.gauge("process_virtual_memory_bytes", "Address space that is reserved.", () => read(virtualBytes));
  metrics.gauge("process_open_fds", "Open files and sockets.", () => read(() => readdirSync("/proc/self/fd").length));
  metrics.gauge("process_max_fds", "Limit on open files and sockets.", () => read(fileLimit));
}

/** The samples of a gauge; none where the kernel hides its files. */
function read(value: () => number | undefined): [Record<string, string>, number][] {
  try {
    const found = value();
    return found === undefined || !Number.isFinite(found) ? [] : [[{}, found]];
  } catch {
    return [];
  }
}

function virtualBytes(): number | undefined {
  const kilobytes = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** The soft limit; undefined when there is none. */
function fileLimit(): number | undefined {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return limit === undefined ? undefined : Number(limit);
}
