import { clientConfig, obeyed } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** A server that cannot say within this time how it is, is not well. */
const HEALTH_DEADLINE_MS = 5000;

export const health: Command = {
  name: "health",
  summary: "asks a server or a proxy how it is: prints the answer, exits 0 when all is well",
  usage: ["dewey health [--url URL]"],
  about: "Meant for health checks, and for images that hold no curl. The proxy answers too: --url ws://localhost:9000",
  settings: obeyed.client,
  flags: {},
  operands: 0,
  async run(invocation) {
    const { url } = clientConfig(invocation);
    const response = await askHealth(url);
    if (response === undefined) {
      throw new DeweyError("unavailable", `nothing answers at ${url}; start a server with: dewey serve`);
    }
    invocation.print(`${(await response.text()).trim()}\n`);
    return response.ok ? 0 : 1;
  },
};

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
