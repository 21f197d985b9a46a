import { readFileSync } from "node:fs";
import { familyOf } from "./memory.ts";

/** CPU time of a process and its descendants in milliseconds, including those that have exited. */
export function familyCpuMs(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + withEndedMs(member), 0);
}

/** Linux counts in steps of 10 ms: user and kernel time, its own and that of reaped children. */
function withEndedMs(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) * 10;
  } catch {
    // It has exited in the meantime.
    return 0;
  }
}
