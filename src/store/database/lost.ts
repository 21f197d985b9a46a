import { SQL } from "bun";
import { Unreachable } from "./unreachable.ts";

/** SQLSTATE of an error from PostgreSQL; Bun has it in `errno`. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof SQL.PostgresError && typeof error.errno === "string" ? error.errno : undefined;
}

/** Whether a connection was lost, or could not be opened. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  if (!(error instanceof Error)) return false;
  // 08: connection exceptions; 57P01 to 57P03: the server is stopping, has crashed, or is starting; 57P05: it was idle.
  if (/^(08|57P0[1235])/.test(sqlState(error) ?? "")) return true;
  const code = "code" in error ? String(error.code) : "";
  return /CONNECTION|ECONN|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|FailedToOpenSocket|EAI_/.test(code);
}

/** SQLSTATE of a write on a server that takes none. */
export const READ_ONLY = "25006";

/** A server was found to take no writes before any was tried. */
export class ReadOnly extends Error {}

/**
 * Whether the server takes no writes. After a failover it is most likely the old primary, which is a standby now: the
 * connection is of no more use, and nothing was changed.
 */
export function isReadOnly(error: unknown): boolean {
  return error instanceof ReadOnly || sqlState(error) === READ_ONLY;
}

/** Whether the server has no connection left for Dewey. */
export function isFull(error: unknown): boolean {
  return sqlState(error) === "53300";
}
