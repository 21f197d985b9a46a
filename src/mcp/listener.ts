import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js";
import { within } from "../deadline.ts";
import { asDeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import type { Store } from "../store/store.ts";
import { Watchdog } from "../watchdog.ts";
import { refusal } from "../wire/guard.ts";
import { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { Port, upgrade } from "../wire/port.ts";
import type { ListenOptions, PortOptions } from "../wire/port.ts";
import { linkTransport } from "../wire/transport.ts";
import { BackupRoutes } from "./backup-routes.ts";
import { handleReindex } from "./reindex-route.ts";
import { handleContextWrite } from "./context-route.ts";
import { createMcpServer } from "./server.ts";
import type { ContextWrites } from "./server.ts";

export interface ListenerOptions extends ListenOptions {
  store: Store;
  log: Log;
  version: string;
  /** Default "on". */
  contextWrites?: ContextWrites;
}

export interface Listener {
  /** The WebSocket address, for people and logs. */
  url: string;
  port: number;
  /** Number of WebSocket connections, HTTP sessions, and backups, recoveries and rebuilds of the index in progress. */
  clients(): number;
  stop(): Promise<void>;
}

/** How long calls in flight may take when the server stops. */
const STOP_DEADLINE_MS = 5000;

/** Serves the tools on one port: WebSocket on `/` and `/mcp`, Streamable HTTP on `/mcp`, and `/healthz`. */
export function startListener(options: ListenerOptions): Listener {
  const { store, log, version, contextWrites = "on" } = options;
  const links = new Set<Link>();
  const metrics = new Metrics();
  const watchdog = new Watchdog(log, metrics);
  const calls = metrics.counter("dewey_tool_calls_total", "Tool calls, by tool and outcome.");
  metrics.gauge("dewey_clients", "Open WebSocket connections and HTTP sessions.", () => links.size + http.size);
  const durations = metrics.durations("dewey_tool_call_duration_seconds", "Durations of tool calls, by tool.");
  const onCall = (tool: string, outcome: string, ms: number) => {
    calls({ tool, outcome })(1);
    durations({ tool })(ms);
  };
  meterDatabase(metrics, store);
  const serve = () => createMcpServer({ store, version, log, contextWrites, onCall });
  const backups = new BackupRoutes(store, log);
  const http = new HttpSessions({
    log,
    versions: SUPPORTED_PROTOCOL_VERSIONS,
    opened: (link) => void serveLink(link, serve, log),
  });
  const opened = (link: Link) => {
    links.add(link);
    void serveLink(link, serve, log).finally(() => links.delete(link));
  };
  const port = new Port({
    ...options,
    metrics,
    health: () => health(options),
    route: router(options, { http, backups, opened }),
  });
  return {
    url: port.url,
    port: port.number,
    clients: () => links.size + http.size + backups.size + (store.reindexer.isWalking ? 1 : 0),
    async stop() {
      // Accepts no new connections, lets the calls in flight finish, then closes the rest.
      await within(STOP_DEADLINE_MS, port.drain(), () => {});
      http.stop();
      await backups.stop();
      await port.close();
      watchdog.stop();
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
  metrics.gauge("dewey_database_connections_max", "Maximum number of connections, by pool.", () =>
    pools().map(([pool, { most }]) => [{ pool }, most]),
  );
  metrics.gauge("dewey_database_waiting_calls", "Callers waiting for a connection, by pool.", () =>
    pools().map(([pool, { waiting }]) => [{ pool }, waiting]),
  );
}

/** Resolves when the link has closed. */
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

interface Routes {
  http: HttpSessions;
  backups: BackupRoutes;
  opened: (link: Link) => void;
}

function router({ store, log }: ListenerOptions, { http, backups, opened }: Routes): PortOptions["route"] {
  return (visit) => {
    const { request, server } = visit;
    const { pathname } = visit.url;
    if (visit.isWebSocket && (pathname === "/" || pathname === "/mcp")) return upgrade(visit, opened);
    if (pathname === "/mcp") return http.handle(request, server);
    if (pathname === "/contexts") return handleContextWrite(request, store, log);
    const [, owner = ""] = pathname.split("/");
    if (["backup", "recover", "reindex"].includes(owner)) {
      // They change or export everything: a link or an image of a web page must not do that.
      if (request.method !== "POST") return refusal(405, `use POST ${pathname}`, { allow: "POST" });
      return owner === "reindex" ? handleReindex(request, store, log) : backups.handle(request, server);
    }
    return refusal(404, "use WebSocket on / and /mcp, Streamable HTTP on /mcp, GET /healthz or GET /metrics");
  };
}

async function health(options: ListenerOptions): Promise<Response> {
  const { store, version } = options;
  try {
    const { database, version: postgres, ...rest } = await store.health();
    return Response.json({
      status: "ok",
      version,
      database: { status: database, version: postgres },
      ...rest,
    });
  } catch (thrown) {
    const reason = asDeweyError(thrown).message;
    return Response.json(
      { status: "unavailable", version, database: { status: "unavailable", reason } },
      { status: 503 },
    );
  }
}
