import { readFileSync, readdirSync } from "node:fs";

export const BYTES_PER_MB = 1_000_000;

/** A process and all that it has started, itself first. */
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

/** Memory that would be free without the process: shared pages count for their share only. Nothing when it has ended. */
export function proportionalMb(pid: number): number {
  return fieldMb(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m);
}

/**
 * The most memory that the process itself has had; nothing when it has ended. What `resourceUsage` says of a child is that of
 * its parent, if that is more: the kernel counts what the two shared before the child became another program.
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
