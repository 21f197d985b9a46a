import { readFileSync } from "node:fs";
import { familyOf } from "./memory.ts";

/** Processor time, in milliseconds, that a process and all that it has started have used, those too that have ended. */
export function familyCpuMs(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + withEndedMs(member), 0);
}

/** Linux counts it in hundredths of a second: in user mode and in the kernel, its own and that of ended children. */
function withEndedMs(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) * 10;
  } catch {
    // It has ended since it was seen.
    return 0;
  }
}
