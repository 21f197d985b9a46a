import type { Actor } from "../store/audit.ts";

/** Who sent a request. */
export interface Caller {
  actor: Actor;
  /** The request's JSON-RPC id. */
  requestId: string | number | null;
  /** Aborts when the caller cancels the request or disconnects. */
  signal: AbortSignal;
  /** Whether its revision knows links to resources in results: 2025-06-18 or later. */
  takesLinks: boolean;
}

/** Limit on the part of a client's name that is kept; clients may send anything. */
const MAX_CLIENT_NAME_CHARACTERS = 200;

/** Who a client is. `session` is null for requests that belong to none. */
export function actorOf(
  session: string | null,
  client: { name: string; version: string } | undefined,
  address: string | null,
): Actor {
  const kept = (text: string | undefined) =>
    text?.slice(0, MAX_CLIENT_NAME_CHARACTERS).toWellFormed().replaceAll("\0", "\uFFFD") ?? null;
  return { session, client_name: kept(client?.name), client_version: kept(client?.version), address };
}
