import { readFileSync, readdirSync, readlinkSync } from "node:fs";

export interface Process {
  pid: number;
  parent: number;
  /** Its arguments, with a space between each. */
  command: string;
  /** The files that it has open. */
  files(): string[];
}

/**
 * The processes that belong to a folder: it stands in their environment or arguments, or they work in it (as PostgreSQL's
 * do, which overwrite both). So are those found that nobody waits for any more.
 */
export function processesOf(folder: string): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        const isOurs =
          command.includes(folder) ||
          readFileSync(`/proc/${pid}/environ`, "utf8").includes(folder) ||
          readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
        const [, state, parent] = /\) (\S) (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
        // One that has ended, and whose parent has not asked yet how, is no process that runs.
        if (!isOurs || state === "Z") return [];
        const files = () => openFiles(pid);
        return [{ pid: Number(pid), parent: Number(parent), command: command.replaceAll("\0", " ").trim(), files }];
      } catch {
        // It has ended while it was looked at.
        return [];
      }
    });
}

function openFiles(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((descriptor) => readlinkSync(`/proc/${pid}/fd/${descriptor}`));
  } catch {
    return [];
  }
}

/** Sends a signal to a process that may have ended. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has.
  }
}
