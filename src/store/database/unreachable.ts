import { lookup } from "node:dns/promises";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { within } from "../../deadline.ts";
import { hostText, isSocket, socketPath } from "../../postgres-host.ts";
import type { Host } from "../../postgres-host.ts";

/** How long the search for a reason may take; the caller waits for it. */
const REASON_LIMIT_MS = 1000;

/** No server could be connected to. The message names each host with its reason. */
export class Unreachable extends Error {}

/** Why a connection could not be opened. Bun's own error says no more than that it failed. */
export async function whyUnreachable(at: Host, error: unknown): Promise<string> {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (/TIMEOUT|ETIMEDOUT/.test(code)) return `${hostText(at)} does not answer`;
  const reason = await within(REASON_LIMIT_MS, findReason(at), () => "it does not answer");
  return `${hostText(at)}: ${reason}`;
}

async function findReason(at: Host): Promise<string> {
  if (isSocket(at.host) && !existsSync(socketPath(at))) return "there is no such socket";
  try {
    if (!isSocket(at.host)) await lookup(at.host);
  } catch {
    return "this name is not known";
  }
  const socket = connect(isSocket(at.host) ? { path: socketPath(at) } : { host: at.host, port: at.port });
  try {
    await new Promise((resolve, reject) => socket.on("connect", resolve).on("error", reject));
    return "the connection was closed";
  } catch (error) {
    return reasonByCode[codeOf(error)] ?? `connecting failed (${codeOf(error)})`;
  } finally {
    socket.destroy();
  }
}

const reasonByCode: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  EACCES: "this process may not use the socket",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no route to it",
};

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
