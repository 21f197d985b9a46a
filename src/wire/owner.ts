import { readFileSync } from "node:fs";
import { DeweyError } from "../errors.ts";
import { withoutSecrets } from "./address.ts";
import { isLoopback } from "../loopback.ts";
import type { Link } from "./link.ts";
import { isPortLocked } from "./listening.ts";

// Any user of a machine can listen on a loopback port, and everybody's commands look for their server on the same one. The
// kernel's tables say which user a socket belongs to, so no secret has to be shared to recognise one's own server.

/** The kernel's tables of TCP sockets; Linux only. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const ESTABLISHED = "01";
const LISTEN = "0A";

/** Addresses as the tables write them: each group of four bytes in the order of the machine. */
const LOOPBACK_OR_ANY = /^(?:[0-9A-F]{6}7F|0{8}|0{32}|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F|0{16}FFFF00000{8})$/;

/**
 * Whose server listens on a loopback port: "own", "other" (with the user's number), "unseen" when no process listens there,
 * as behind a container's forwarding, "unproven" where the system does not tell and no server of ours has locked the port's
 * file, or "unknown" in a sandbox of a system that would tell.
 */
export type PortOwner = { kind: "own" | "unseen" | "unproven" | "unknown" } | { kind: "other"; uid: number };

/** How a system tells whose a port is. */
export interface OwnershipSigns {
  /** Its tables of sockets. */
  tables: readonly string[];
  /** Whether servers lock a file for their port instead. */
  haveLocks: boolean;
  isLocked: (port: number) => boolean;
}

const signs: OwnershipSigns = {
  tables: TABLES,
  haveLocks: process.platform !== "linux",
  isLocked: (port) => isPortLocked(port),
};

/** Whether servers of this system must lock a file for their port, because the system does not tell whose they are. */
export const needsPortLock = signs.haveLocks;

/**
 * The users of the sockets that a connection to a loopback port may have reached: those that listen, and those that were
 * accepted. A socket that was not accepted yet, or is closing, belongs to no process, and the tables show user 0 for it.
 */
export function ownersIn(table: string, port: number): Set<number> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const owners = new Set<number>();
  for (const line of table.split("\n")) {
    const [, local = "", , state, , , , uid, , inode] = line.trim().split(/ +/);
    if (!local.endsWith(suffix) || (state !== LISTEN && state !== ESTABLISHED) || inode === "0") continue;
    if (LOOPBACK_OR_ANY.test(local.slice(0, -suffix.length))) owners.add(Number(uid));
  }
  return owners;
}

/** Looks in the kernel's tables, or for the lock of the port's file. `uid` is this process's user. */
export function portOwner(
  port: number,
  uid: number | undefined = process.getuid?.(),
  { tables: paths, haveLocks, isLocked }: OwnershipSigns = signs,
): PortOwner {
  if (haveLocks) return { kind: isLocked(port) ? "own" : "unproven" };
  const tables = paths.flatMap(textOf);
  // A sandbox may show tables without any socket.
  if (uid === undefined || !tables.some((table) => table.trim().includes("\n"))) return { kind: "unknown" };
  const owners = new Set(tables.flatMap((table) => [...ownersIn(table, port)]));
  const other = [...owners].find((each) => each !== uid);
  if (other !== undefined) return { kind: "other", uid: other };
  return { kind: owners.size === 0 ? "unseen" : "own" };
}

/**
 * The complaint about a server on this machine that is not this user's, and the remedy; undefined when it is, when a token
 * proves it instead, when the address is another machine's, and when the system does not tell.
 */
export function foreignServer(
  { url, token }: { url: string; token: string | undefined },
  owner: (port: number) => PortOwner = portOwner,
): { complaint: string; remedy: string } | undefined {
  const { hostname, port, protocol } = new URL(url);
  if (token !== undefined || !isThisMachine(hostname)) return undefined;
  const found = owner(Number(port) || (/^(?:wss|https):$/.test(protocol) ? 443 : 80));
  if (found.kind === "own" || found.kind === "unknown") return undefined;
  const whose =
    found.kind === "other"
      ? `belongs to another user of this machine (uid ${found.uid})`
      : found.kind === "unproven"
        ? "is not known as this user's, who has started none there"
        : "belongs to no process that can be seen here, as in a container";
  return {
    complaint: `the server at ${withoutSecrets(url)} ${whose}`,
    remedy: "set DEWEY_TOKEN to the token that it wants, or use a server of your own (dewey serve, DEWEY_URL)",
  };
}

/**
 * Throws `unavailable` for a server on this machine that is another user's, unless a token is set, and closes the link to
 * it, if there is one.
 */
export function requireOwnServer(address: { url: string; token: string | undefined }, link?: Link): void {
  const foreign = foreignServer(address);
  if (foreign === undefined) return;
  link?.close();
  throw new DeweyError("unavailable", `${foreign.complaint}, so nothing was sent to it; ${foreign.remedy}`);
}

function isThisMachine(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  if (isLoopback(name) || name.endsWith(".localhost")) return true;
  return name === "0.0.0.0" || name === "[::]" || /^\[::ffff:(?:7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)\]$/.test(name);
}

function textOf(path: string): string[] {
  try {
    return [readFileSync(path, "utf8")];
  } catch {
    return [];
  }
}
