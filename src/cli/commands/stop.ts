import { clientConfig, obeyed } from "../../config.ts";
import type { ClientConfig } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import { withoutSecrets } from "../../wire/address.ts";
import { isLoopback } from "../../loopback.ts";
import { requireOwnServer } from "../../wire/owner.ts";
import type { Command } from "../command.ts";
import { askHealth, portOf } from "../health.ts";
import { hasEnded, listeningProcesses, programOf, serverOn } from "../listening-process.ts";

/** A server finishes its calls and stops PostgreSQL; a busy machine takes many times the usual second. */
const STOP_DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 50;

export const stop: Command = {
  name: "stop",
  summary: "stops the server on this machine",
  usage: ["dewey stop [--url URL]"],
  about:
    "Calls in flight are finished first. It stops dewey up too, with its proxy. Clients with hooks, and commands, start a " +
    "server again when they need one.",
  examples: ["dewey stop"],
  settings: obeyed.client,
  flags: {},
  operands: 0,
  async run(invocation) {
    const config = clientConfig(invocation);
    const place = withoutSecrets(config.url);
    const pid = await serverProcess(config);
    if (pid === undefined) {
      invocation.print(`No Dewey server runs at ${place}.\n`);
      return 0;
    }
    tellToStop(pid);
    const deadlineMs = performance.now() + STOP_DEADLINE_MS;
    while (!hasEnded(pid)) {
      if (performance.now() > deadlineMs)
        throw new DeweyError("unavailable", `the server at ${place} (process ${pid}) was told to stop, but still runs`);
      await Bun.sleep(POLL_INTERVAL_MS);
    }
    invocation.print(`Stopped the server at ${place}.\n`);
    return 0;
  },
};

/** Undefined when none runs. Throws `invalid` for a server that cannot be stopped from here. */
async function serverProcess(config: ClientConfig): Promise<number | undefined> {
  const { url } = config;
  const isHere = isLoopback(new URL(url).hostname);
  const response = await askHealth(url);
  if (response === undefined) {
    // One that is busy, or whose TLS the address does not fit, is to be stopped too.
    const silent = isHere ? serverOn(portOf(url)) : undefined;
    if (silent !== undefined) requireOwnServer(config);
    return silent;
  }
  const problem = (reason: string) => new DeweyError("invalid", `${withoutSecrets(url)} ${reason}`);
  if (!isHere) throw problem("is on another machine; stop the server there");
  requireOwnServer(config);
  const health = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (health["database"] === undefined) throw problem("is not the address of a Dewey server; correct DEWEY_URL");
  const pid = serverOn(portOf(url));
  if (pid !== undefined) return pid;
  const [other] = listeningProcesses(portOf(url)).flatMap((each) => programOf(each) ?? []);
  const whose = other === undefined ? "no process that can be seen here" : `${other}, which is no server of Dewey's`;
  throw problem(`belongs to ${whose}; stop the server where it was started`);
}

/** Does nothing for a process that has ended meanwhile. */
function tellToStop(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
