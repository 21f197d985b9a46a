import { readFileSync, readdirSync } from "node:fs";

export const BYTES_PER_MB = 1_000_000;

/** A process and its descendants, itself first. */
export function familyOf(pid: number): number[] {
  const parents = new Map(processes().map((each) => [each, parentOf(each)]));
  const family = [pid];
  for (const member of family) for (const [each, parent] of parents) if (parent === member) family.push(each);
  return family;
}

function processes(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

/** Proportional set size: shared pages count by their share. 0 when the process has exited. */
export function proportionalMb(pid: number): number {
  return fieldMb(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m);
}

/**
 * Peak memory of the process; 0 when it has exited. The `resourceUsage` of a child is no substitute: it includes the peak
 * of its parent, because the kernel counts what both shared before exec.
 */
export function peakMb(pid: number): number {
  return fieldMb(`/proc/${pid}/status`, /^VmHWM:\s+(\d+) kB/m);
}

function fieldMb(file: string, pattern: RegExp): number {
  try {
    return (Number(pattern.exec(readFileSync(file, "utf8"))?.[1] ?? 0) * 1024) / BYTES_PER_MB;
  } catch {
    return 0;
  }
}
