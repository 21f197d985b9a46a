import { clientConfig, obeyed, serveConfig } from "../../config.ts";
import type { ServeConfig } from "../../config.ts";
import { stderrLog } from "../../log.ts";
import type { Command, Invocation } from "../command.ts";
import { usageError } from "../command.ts";
import { runSession } from "../../proxy/relay/session.ts";
import { noTap } from "../../proxy/relay/tap.ts";
import { ownStdio } from "../../wire/stdio.ts";
import { requireOwnServer } from "../../wire/owner.ts";
import { dialWebSocket } from "../../wire/websocket.ts";
import { startAttachedWatch } from "../attached-watch.ts";
import { ensureLocalServer } from "../local-server.ts";
import { keepRotating } from "../rotation.ts";
import { serviceManager } from "../service-manager.ts";
import type { RunningServer } from "../server.ts";
import { aborted, warnOfUnknownVariables } from "../signals.ts";

/** Interval at which a server with --idle-exit checks for clients. */
const IDLE_CHECK_MS = 1000;

export const serve: Command = {
  name: "serve",
  summary: "the librarian: keeps conversations in PostgreSQL and answers MCP clients",
  usage: ["dewey serve [flags]", "dewey serve --stdio [flags]"],
  examples: ["dewey serve", "dewey serve --port 9021 --data-dir ~/dewey"],
  about: [
    "Listens for MCP over WebSocket on / and /mcp and over Streamable HTTP on /mcp; GET /healthz reports its health.",
    "Without a configured database it runs the embedded PostgreSQL, with its data in the data folder.",
    "With --stdio it relays its stdin and stdout to the server at DEWEY_URL. If none runs there and the address is local, it",
    "starts one, which exits ten minutes after its last client has disconnected.",
  ].join(" "),
  settings: [...obeyed.serve, "url"],
  flags: {
    stdio: { summary: "serve the client that started this command, through the server at DEWEY_URL" },
    "no-auth": { summary: "listen beyond loopback without a token" },
    watch: { summary: "also follow the sessions of all agents on this machine, unless DEWEY_WATCH=off" },
    "idle-exit": { value: "SECONDS", summary: "exit after this long without a client" },
  },
  operands: 0,
  async run(invocation) {
    if (invocation.flags["stdio"] === true) return relayStdio(invocation);
    const config = serveConfig(invocation);
    const log = stderrLog(config.logLevel);
    warnOfUnknownVariables(invocation.env, log);
    const idleExitMs = idleExit(invocation);
    const manager = await serviceManager(invocation.env, log);
    const { startServer } = await import("../server.ts");
    const running = await startServer({
      config,
      log,
      version: invocation.version,
      onProgress: (step) => log.info(`the embedded PostgreSQL: ${step}`),
    });
    await using watching = new AsyncDisposableStack();
    if (invocation.flags["watch"] === true)
      watching.use(startAttachedWatch(config, ownUrl(config, running), invocation.env, log));
    const rotating = new AbortController();
    void keepRotating(running, invocation, { config, log, signal: rotating.signal });
    log.info("serving", { url: running.listener.url, database: databaseName(config) });
    manager.ready();
    await Promise.race([aborted(invocation.stopping), idleExitMs === undefined ? forever : idle(running, idleExitMs)]);
    log.info("stopping");
    manager.stopping();
    rotating.abort();
    await watching.disposeAsync();
    await running.stop();
    return 0;
  },
};

const forever = new Promise<never>(() => {});

/** Relays the client that started this command to the server, and starts the server if it is not running. */
async function relayStdio(invocation: Invocation): Promise<number> {
  // Read in full, so that a mistake is reported here and not in the log of the server that would be started.
  const { dataDir, logLevel } = serveConfig(invocation);
  const { url, token } = clientConfig(invocation);
  const log = stderrLog(logLevel);
  const downstream = ownStdio(log);
  void aborted(invocation.stopping).then(() => downstream.close());
  await runSession({
    downstream,
    upstreamName: "dewey",
    tap: noTap,
    onUpstream: (reason) => {
      if (reason !== undefined) log.warn("the server is down", { reason });
    },
    async dial() {
      await ensureLocalServer({ url, token, dataDir, env: invocation.env, log });
      const headers = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
      const link = await dialWebSocket({ url, ...headers });
      requireOwnServer({ url, token }, link);
      return link;
    },
  });
  return 0;
}

function idleExit(invocation: Invocation): number | undefined {
  const given = invocation.flags["idle-exit"];
  if (typeof given !== "string") return undefined;
  if (!/^[1-9]\d{0,6}$/.test(given)) throw usageError(serve, "needs a number of seconds after --idle-exit");
  return Number(given) * 1000;
}

/** Resolves when no client has been connected for the given time. */
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

/** The address at which this machine reaches the server. */
function ownUrl({ tls }: ServeConfig, { listener }: RunningServer): string {
  return `ws${tls ? "s" : ""}://localhost:${listener.port}`;
}

function databaseName(config: ServeConfig): string {
  return config.database.kind === "embedded" ? "embedded" : `${config.database.host}:${config.database.port}`;
}
