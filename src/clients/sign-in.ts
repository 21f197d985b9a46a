import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { PROTOCOL_VERSION } from "../tool-client.ts";
import { isSse, urlOf } from "./mcp-servers.ts";

/** A server that does not answer within this time stays direct. */
const PROBE_DEADLINE_MS = 3000;

/**
 * Returns the reason why a remote server should stay direct: it signs in by OAuth, which the client does with the user in a
 * browser, so that a proxy would have no token. Servers whose entry has its own authorization are not asked.
 */
export async function signInProblem(entry: Json): Promise<string | undefined> {
  const url = urlOf(entry);
  const headers = isObject(entry["headers"]) ? entry["headers"] : {};
  if (url === undefined || !/^https?:/.test(url) || /\$\{?\w/.test(url)) return undefined;
  if (Object.keys(headers).some((name) => /^(authorization|x-api-key)$/i.test(name))) return undefined;
  try {
    if (isSse(entry)) return signIn(await fetch(url, { ...sseRequest(headers), signal: deadline() }));
    const response = await fetch(url, {
      method: "POST",
      headers: {
        ...(headers as Record<string, string>),
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 0,
        method: "initialize",
        params: { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo: { name: "dewey", version: "0" } },
      }),
      signal: deadline(),
    });
    return await signIn(response);
  } catch {
    return "does not answer, so that its sign-in is unknown; run dewey connect again when it does";
  }
}

const deadline = () => AbortSignal.timeout(PROBE_DEADLINE_MS);

/** The request that opens a session over the older HTTP+SSE transport. */
function sseRequest(headers: object): RequestInit {
  return { headers: { ...(headers as Record<string, string>), accept: "text/event-stream" } };
}

async function signIn(response: Response): Promise<string | undefined> {
  await response.body?.cancel();
  return response.status === 401 || response.status === 403
    ? "signs in by OAuth, which only the client itself can do"
    : undefined;
}
