import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js";
import { within } from "../deadline.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import { meterProcess } from "../process-metrics.ts";
import { unknownActor } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { Watchdog } from "../watchdog.ts";
import { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { Port } from "../wire/port.ts";
import type { ListenOptions, Visit } from "../wire/port.ts";
import { BackupRoutes } from "./backup-routes.ts";
import { meterCalls } from "./call-metrics.ts";
import { health, readiness, stopping } from "./health.ts";
import { offeredTools } from "./offered-tools.ts";
import type { ToolChoice } from "./offered-tools.ts";
import { Page } from "./page.ts";
import { PageSessions } from "./page-sessions.ts";
import { ResourceChanges } from "./resource-changes.ts";
import { router } from "./routes.ts";
import { Serving } from "./serving.ts";
import type { Sharing } from "./share-route.ts";
import { meterDatabase, meterMeaning } from "./store-metrics.ts";
import type { ContextWrites } from "./tool-calls.ts";

export interface ListenerOptions extends ListenOptions {
  store: Store;
  log: Log;
  version: string;
  /** Default "on". */
  contextWrites?: ContextWrites;
  /** Default "all". */
  tools?: ToolChoice;
  /** How conversations are written for others; without it, none are. */
  sharing?: Sharing;
  /** Interval between looks at the list of resources while a client watches it. */
  resourcePollMs?: number;
}

export interface Listener {
  /** The WebSocket address, for people and logs. */
  url: string;
  port: number;
  /** Number of WebSocket connections, HTTP sessions, and backups, recoveries and rebuilds of the index in progress. */
  clients(): number;
  /** Takes another token and certificate from now on. Throws when they are wrong. */
  rotate(options: Pick<ListenOptions, "token" | "tls">): void;
  stop(): Promise<void>;
}

/** How long calls in flight may take when the server stops. */
const STOP_DEADLINE_MS = 5000;

/**
 * Serves the tools on one port: WebSocket on `/` and `/mcp`, Streamable HTTP on `/mcp`, `/healthz`, and the web page. Throws
 * `invalid` for a tool that does not exist.
 */
export function startListener(options: ListenerOptions): Listener {
  const { store, log, version, contextWrites = "on" } = options;
  const offered = offeredTools(options.tools ?? "all");
  const links = new Set<Link>();
  const metrics = new Metrics();
  meterProcess(metrics, version);
  const watchdog = new Watchdog(log, metrics);
  const { underWay, onBegin, onCall } = meterCalls(metrics, () => links.size + http.size);
  let isDraining = false;
  meterDatabase(metrics, store);
  meterMeaning(metrics, store);
  const changes = new ResourceChanges(store, log, options.resourcePollMs);
  const serving = new Serving({ store, version, log, contextWrites, offered, onBegin, onCall, changes });
  const backups = new BackupRoutes(store, log);
  const page = new Page();
  const sessions = new PageSessions({
    token: options.token,
    isTls: options.tls !== undefined,
    signedIn: (address) => store.audit.note({ action: "page.sign_in", actor: { ...unknownActor, address } }, "ok"),
  });
  const http = new HttpSessions({
    log,
    versions: SUPPORTED_PROTOCOL_VERSIONS,
    opened: (link, _, address) => void serving.link(link, address),
  });
  const opened = (link: Link, address: string | undefined) => {
    links.add(link);
    return serving.link(link, address).finally(() => links.delete(link));
  };
  const refused = (response: Response, { request, server }: Visit) => port.countRefusal(response, request, server);
  const port: Port = new Port({
    ...options,
    metrics,
    health: () => health(store, version),
    ready: () => (isDraining ? stopping : readiness(store)),
    isOpen: (request, url) => sessions.isOpen(request, url),
    admits: (request) => sessions.admits(request),
    refused: ({ status, address, count }) => {
      const outcome = status === 401 ? "unauthorized" : "forbidden";
      store.audit.note({ action: "request.refused", actor: { ...unknownActor, address } }, outcome, count);
    },
    // The page holds nothing of the store, and asks for the token itself.
    withoutToken: (request, url) => (page.isFor(request, url) ? page.respond(request, url.pathname) : undefined),
    route: router({
      store,
      log,
      sharing: options.sharing,
      http,
      serving,
      backups,
      page,
      sessions,
      opened,
      isDraining: () => isDraining,
      refused,
    }),
  });
  return {
    url: port.url,
    port: port.number,
    clients: () => links.size + http.size + serving.size + backups.size + (store.reindexer.isWalking ? 1 : 0),
    rotate(given) {
      port.rotate(given);
      sessions.rotate(given.token);
    },
    async stop() {
      // Takes no new session, and answers the calls under way before it closes the connections. Meanwhile it still listens,
      // so that a balancer reads that it should send clients elsewhere.
      isDraining = true;
      serving.stop();
      const drained = port.idle(() => underWay() > 0).then(() => port.drain());
      await within(STOP_DEADLINE_MS, drained, () => {});
      http.stop();
      sessions.stop();
      await backups.stop();
      await port.close();
      watchdog.stop();
      changes.stop();
    },
  };
}
