/** A server that cannot say within this time how it is, is not well. */
const HEALTH_DEADLINE_MS = 5000;

/** What `/healthz` at the address of a server or a proxy answers; undefined when nothing does. */
export async function askHealth(webSocketUrl: string): Promise<Response | undefined> {
  try {
    return await fetch(httpAddress(webSocketUrl, "/healthz"), { signal: AbortSignal.timeout(HEALTH_DEADLINE_MS) });
  } catch {
    return undefined;
  }
}

/** A route of the server or proxy at a WebSocket address. */
export function httpAddress(webSocketUrl: string, path: string): URL {
  const url = new URL(webSocketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = path;
  return url;
}
