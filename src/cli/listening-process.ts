import { readFileSync, readdirSync, readlinkSync } from "node:fs";

// Only Linux tells which process listens on a port, and only of this user's processes, which are those that may be stopped.

/** The kernel's tables of TCP sockets. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const LISTEN = "0A";

/** This user's process that listens on a port of this machine; undefined when there is none, or the system does not tell. */
export function listeningProcess(port: number): number | undefined {
  const sockets = new Set(TABLES.flatMap((table) => listeningSockets(textOf(table), port)));
  if (sockets.size === 0) return undefined;
  const processes = namesIn("/proc").filter((name) => /^\d+$/.test(name));
  const holder = processes.find((name) => openFiles(`/proc/${name}/fd`).some((file) => sockets.has(file)));
  return holder === undefined ? undefined : Number(holder);
}

/** The sockets that listen on a port, as the links in a process's folder of open files name them. */
export function listeningSockets(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/ +/);
    return local.endsWith(suffix) && state === LISTEN ? [`socket:[${inode}]`] : [];
  });
}

function openFiles(folder: string): string[] {
  return namesIn(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`)];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

/** Empty for a folder of another user's process, and for one that has ended. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
