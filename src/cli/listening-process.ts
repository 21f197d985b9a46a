import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

// Only Linux tells which process listens on a port, and only of this user's processes, which are those that may be stopped.

/** The kernel's tables of TCP sockets. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const LISTEN = "0A";

/** This user's processes that listen on a port of this machine; empty also where the system does not tell. */
export function listeningProcesses(port: number): number[] {
  const sockets = new Set(TABLES.flatMap((table) => listeningSockets(textOf(table), port)));
  if (sockets.size === 0) return [];
  const processes = namesIn("/proc").filter((name) => /^\d+$/.test(name));
  return processes.filter((name) => openFiles(`/proc/${name}/fd`).some((file) => sockets.has(file))).map(Number);
}

/** This user's server of Dewey's that listens on a port of this machine, whether it answers or not. */
export function serverOn(port: number): number | undefined {
  return listeningProcesses(port).find(isServer);
}

/** The name of the program that a process runs; undefined for one that has ended. */
export function programOf(pid: number): string | undefined {
  const path = linkOf(`/proc/${pid}/exe`);
  // An update replaces the binary of a server that runs.
  return path === undefined ? undefined : basename(withoutSuffix(path, " (deleted)"));
}

/** Whether a process is over, so that its locks and ports are free; its parent may still have to take notice of that. */
export function hasEnded(pid: number): boolean {
  // The name before the state is in parentheses, and may hold some.
  const state = textOf(`/proc/${pid}/stat`).split(") ").at(-1) ?? "";
  return state === "" || /^[ZX]/.test(state);
}

/** Whether a process runs, and is a server of Dewey's: other programs pass connections to one on, such as SSH. */
export function isServer(pid: number): boolean {
  const program = programOf(pid);
  return program !== undefined && isServerCommand(program, textOf(`/proc/${pid}/cmdline`).split("\0"));
}

/** Whether this program with these words is `dewey serve` or `dewey up`; run from source, Bun is the program. */
export function isServerCommand(program: string, [, ...words]: string[]): boolean {
  const isSource = program.startsWith("bun") && (words[0] ?? "").endsWith("main.ts");
  // Its binary may have been given another name, as this one.
  if (!isSource && !program.startsWith("dewey") && program !== basename(process.execPath)) return false;
  return ["serve", "up"].includes(words[isSource ? 1 : 0] ?? "");
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
  return namesIn(folder).flatMap((name) => linkOf(`${folder}/${name}`) ?? []);
}

/** Undefined for a file that was closed meanwhile, and for a process that has ended. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function withoutSuffix(text: string, suffix: string): string {
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
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
