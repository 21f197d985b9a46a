import { readFileSync, readdirSync, readlinkSync } from "node:fs";

export interface Process {
  pid: number;
  parent: number;
  /** Its arguments, separated by spaces. */
  command: string;
  /** Paths of its open files. */
  files(): string[];
}

/**
 * The processes that belong to a folder: it occurs in their environment or arguments, or is their working directory
 * (PostgreSQL overwrites the other two). This finds orphans too.
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
        // Zombies have ended.
        if (!isOurs || state === "Z") return [];
        const files = () => openFiles(pid);
        return [{ pid: Number(pid), parent: Number(parent), command: command.replaceAll("\0", " ").trim(), files }];
      } catch {
        // It exited in the meantime.
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

/** Signals a process that may have exited. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has exited.
  }
}
