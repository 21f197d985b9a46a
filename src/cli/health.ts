/** A server that takes longer than this to report its health is not healthy. */
const HEALTH_DEADLINE_MS = 5000;

/** Requests `/healthz` of the server or proxy at a WebSocket address; undefined when nothing answers. */
export async function askHealth(webSocketUrl: string): Promise<Response | undefined> {
  try {
    return await fetch(httpAddress(webSocketUrl, "/healthz"), { signal: AbortSignal.timeout(HEALTH_DEADLINE_MS) });
  } catch {
    return undefined;
  }
}

/** The HTTP address of a route of the server or proxy at a WebSocket address. */
export function httpAddress(webSocketUrl: string, path: string): URL {
  const url = new URL(webSocketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = path;
  return url;
}
