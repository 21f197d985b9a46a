import { obeyed, serveConfig, unknownVariables } from "../config.ts";
import type { ServeConfig } from "../config.ts";
import { stderrLog } from "../log.ts";
import type { Log } from "../log.ts";
import type { Command, Invocation } from "./command.ts";
import { usageError } from "./command.ts";
import { relayStdio } from "./local-server.ts";
import { startServer } from "./server.ts";
import type { RunningServer } from "./server.ts";

/** How often a server that ends when idle looks whether anybody is there. */
const IDLE_CHECK_MS = 1000;

export const serve: Command = {
  name: "serve",
  summary: "the librarian: keeps conversations in PostgreSQL and answers MCP clients",
  usage: ["dewey serve [flags]", "dewey serve --stdio [flags]"],
  about: [
    "Listens for MCP over WebSocket on / and /mcp and over Streamable HTTP on /mcp; GET /healthz tells how it is.",
    "Without a database in the environment it runs the PostgreSQL that the binary carries, in the data folder.",
    "With --stdio it relays its stdin and stdout to the server at DEWEY_URL, and starts one when none runs there and",
    "the address is this machine's; that one ends ten minutes after its last client left.",
  ].join("\n"),
  settings: [...obeyed.serve, "url"],
  flags: {
    stdio: { summary: "serve the client that started this command, through the server at DEWEY_URL" },
    "no-auth": { summary: "listen beyond loopback without a token" },
    "idle-exit": { value: "SECONDS", summary: "end when no client has been there for so long" },
  },
  operands: 0,
  async run(invocation) {
    if (invocation.flags["stdio"] === true) return relayStdio(invocation);
    const config = serveConfig(invocation);
    const log = stderrLog(config.logLevel);
    warnOfUnknownVariables(invocation.env, log);
    const idleExitMs = idleExit(invocation);
    const running = await startServer({
      config,
      log,
      version: invocation.version,
      onProgress: (step) => log.info(`the embedded PostgreSQL: ${step}`),
    });
    log.info("serving", { url: running.listener.url, database: databaseName(config) });
    await Promise.race([aborted(invocation.stopping), idleExitMs === undefined ? forever : idle(running, idleExitMs)]);
    log.info("stopping");
    await running.stop();
    return 0;
  },
};

export function warnOfUnknownVariables(env: Invocation["env"], log: Log): void {
  for (const variable of unknownVariables(env))
    log.warn("this variable is no setting of Dewey; is it misspelt?", { variable });
}

export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

const forever = new Promise<never>(() => {});

function idleExit(invocation: Invocation): number | undefined {
  const given = invocation.flags["idle-exit"];
  if (typeof given !== "string") return undefined;
  if (!/^[1-9]\d{0,6}$/.test(given)) throw usageError(serve, "wants a number of seconds behind --idle-exit");
  return Number(given) * 1000;
}

/** Resolves when no client has been there for the given time. */
function idle(running: RunningServer, limitMs: number): Promise<void> {
  let seenMs = performance.now();
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (running.listener.clients() > 0) seenMs = performance.now();
      if (performance.now() - seenMs < limitMs) return;
      clearInterval(timer);
      resolve();
    }, IDLE_CHECK_MS);
  });
}

function databaseName(config: ServeConfig): string {
  return config.database.kind === "embedded" ? "embedded" : `${config.database.host}:${config.database.port}`;
}
