import type { Server as BunServer } from "bun";
import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js";
import { asDeweyError, DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import type { Store } from "../store/store.ts";
import { MAX_FRAME_BYTES } from "../wire/frame.ts";
import { createGuard, isLoopback, refusal } from "../wire/guard.ts";
import { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { linkTransport } from "../wire/transport.ts";
import { acceptedWebSocket, selectSubprotocol } from "../wire/websocket.ts";
import type { Accepted } from "../wire/websocket.ts";
import { BackupRoutes } from "./backup-routes.ts";
import { handleReindex } from "./reindex-route.ts";
import { createMcpServer } from "./server.ts";

export interface ListenerOptions {
  store: Store;
  host: string;
  /** 0 takes any free one. */
  port: number;
  token?: string;
  allowedOrigins: readonly string[];
  tls?: { cert: string; key: string };
  log: Log;
  version: string;
}

export interface Listener {
  /** The WebSocket address, for people and logs. */
  url: string;
  port: number;
  /** Clients that are connected over WebSocket, open HTTP sessions, and backups and reindexing that are under way. */
  clients(): number;
  stop(): Promise<void>;
}

/** How long calls that are under way may take when the server stops. */
const STOP_DEADLINE_MS = 5000;

/** Serves the tools on one port: WebSocket on `/` and `/mcp`, Streamable HTTP on `/mcp`, and `/healthz`. */
export function startListener(options: ListenerOptions): Listener {
  const { store, log, version } = options;
  const links = new Set<Link>();
  const metrics = new Metrics();
  const calls = metrics.counter("dewey_tool_calls_total", "Calls of tools, by tool and outcome.");
  metrics.gauge("dewey_clients", "Open WebSocket connections and HTTP sessions.", () => links.size + http.size);
  const durations = metrics.durations("dewey_tool_call_duration_seconds", "How long calls of tools took, by tool.");
  const onCall = (tool: string, outcome: string, ms: number) => {
    calls({ tool, outcome })(1);
    durations({ tool })(ms);
  };
  meterDatabase(metrics, store);
  const serve = () => createMcpServer({ store, version, log, onCall });
  const backups = new BackupRoutes(store, log);
  const http = new HttpSessions({
    log,
    versions: SUPPORTED_PROTOCOL_VERSIONS,
    opened: (link) => void serveLink(link, serve, log),
  });
  const accept = () => ({
    opened(link: Link) {
      links.add(link);
      void serveLink(link, serve, log).finally(() => links.delete(link));
    },
  });
  const server = listen(options, router(options, { http, backups, accept, metrics }));
  return {
    url: `${options.tls ? "wss" : "ws"}://${server.hostname}:${server.port}/`,
    port: server.port ?? options.port,
    clients: () => links.size + http.size + backups.size + (store.reindexer.isWalking ? 1 : 0),
    async stop() {
      // No new connections; calls under way may end; then whatever is left is closed.
      await Promise.race([server.stop(), drained(server), Bun.sleep(STOP_DEADLINE_MS)]);
      http.stop();
      await backups.stop();
      await server.stop(true);
    },
  };
}

function meterDatabase(metrics: Metrics, store: Store): void {
  if (store.reads()) {
    metrics.counted("dewey_reads_total", "Searches, lists and reads, by the database that answered.", () =>
      Object.entries(store.reads() ?? {}).map(([database, count]) => [{ database }, count]),
    );
  }
  const pools = () => Object.entries(store.pools());
  metrics.gauge("dewey_database_connections", "Connections to the database, by pool and state.", () =>
    pools().flatMap(([pool, { busy, idle }]) => [
      [{ pool, state: "busy" }, busy],
      [{ pool, state: "idle" }, idle],
    ]),
  );
  metrics.gauge("dewey_database_connections_max", "Connections that a pool may have.", () =>
    pools().map(([pool, { most }]) => [{ pool }, most]),
  );
  metrics.gauge("dewey_database_waiting_calls", "Callers that wait for a connection, by pool.", () =>
    pools().map(([pool, { waiting }]) => [{ pool }, waiting]),
  );
}

/** Open sockets without a pending request do not keep the server: nothing of theirs would be lost. */
async function drained(server: BunServer<Accepted>): Promise<void> {
  const poll = 20;
  while (server.pendingRequests > 0) await Bun.sleep(poll);
}

/** Resolves when the link is over. */
async function serveLink(link: Link, serve: () => ReturnType<typeof createMcpServer>, log: Log): Promise<void> {
  const closed = Promise.withResolvers<void>();
  try {
    const server = await serve();
    server.onclose = () => closed.resolve();
    await server.connect(linkTransport(link));
    await closed.promise;
  } catch (error) {
    log.warn("a session could not be served", { error });
    link.close("Dewey could not serve this session");
  }
}

type Fetch = (request: Request, server: BunServer<Accepted>) => Promise<Response | undefined>;

interface Routes {
  http: HttpSessions;
  backups: BackupRoutes;
  accept: () => Accepted;
  metrics: Metrics;
}

function router(options: ListenerOptions, { http, backups, accept, metrics }: Routes): Fetch {
  const guard = createGuard({
    ...(options.token === undefined ? {} : { token: options.token }),
    allowedOrigins: options.allowedOrigins,
    loopback: isLoopback(options.host),
  });
  return async (request, server) => {
    const { pathname } = new URL(request.url);
    const refused = guard(request, { open: pathname === "/healthz" });
    if (refused) return refused;
    if (pathname === "/healthz") return health(options);
    if (pathname === "/metrics") return metrics.response();
    const isSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    if (isSocket && (pathname === "/" || pathname === "/mcp")) return upgrade(request, server, accept());
    if (pathname === "/mcp") return http.handle(request, server);
    if (pathname === "/backup" || pathname === "/recover") return backups.handle(request, server);
    if (pathname === "/reindex") return handleReindex(request, options.store, options.log);
    return refusal(404, "there is WebSocket on / and /mcp, Streamable HTTP on /mcp, GET /healthz and GET /metrics");
  };
}

function upgrade(request: Request, server: BunServer<Accepted>, data: Accepted): Response | undefined {
  const selected = selectSubprotocol(request);
  if (!selected.ok) return refusal(400, "the subprotocol is mcp, or none");
  return server.upgrade(request, { data, headers: selected.headers })
    ? undefined
    : refusal(400, "this is no WebSocket handshake");
}

async function health(options: ListenerOptions): Promise<Response> {
  const { store, version } = options;
  try {
    const { database, version: postgres, migrations, search, replica } = await store.health();
    return Response.json({
      status: "ok",
      version,
      database: { status: database, version: postgres },
      migrations,
      search,
      ...(replica ? { replica } : {}),
    });
  } catch (thrown) {
    const reason = asDeweyError(thrown).message;
    return Response.json(
      { status: "unavailable", version, database: { status: "unavailable", reason } },
      { status: 503 },
    );
  }
}

function listen(options: ListenerOptions, fetch: Fetch): BunServer<Accepted> {
  try {
    return Bun.serve({
      hostname: options.host,
      port: options.port,
      ...(options.tls ? { tls: options.tls } : {}),
      maxRequestBodySize: MAX_FRAME_BYTES,
      fetch,
      websocket: acceptedWebSocket,
      error(error) {
        options.log.error("a request failed", { error });
        return refusal(500, "the request failed inside Dewey; its log says more");
      },
    });
  } catch (cause) {
    const address = `${options.host}:${options.port}`;
    throw new DeweyError("unavailable", `${address} cannot be listened on: ${(cause as Error).message}`, { cause });
  }
}
