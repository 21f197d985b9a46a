import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js";
import { within } from "../deadline.ts";
import { asDeweyError, errorCodes } from "../errors.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import { meterProcess } from "../process-metrics.ts";
import { unknownActor } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { tools } from "../tools/tools.ts";
import { Watchdog } from "../watchdog.ts";
import { receive } from "../wire/body.ts";
import { isObject, viewFrame } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";
import { refusal } from "../wire/guard.ts";
import { SESSION_HEADER } from "../wire/headers.ts";
import { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { Port, upgrade } from "../wire/port.ts";
import type { Health, ListenOptions, PortOptions, Visit } from "../wire/port.ts";
import { linkTransport } from "../wire/transport.ts";
import { BackupRoutes } from "./backup-routes.ts";
import { handleReindex } from "./reindex-route.ts";
import { handleContextWrite } from "./context-route.ts";
import { offeredTools } from "./offered-tools.ts";
import type { ToolChoice } from "./offered-tools.ts";
import { Page } from "./page.ts";
import { PageSessions } from "./page-sessions.ts";
import { ResourceChanges } from "./resource-changes.ts";
import { createMcpServer } from "./server.ts";
import type { McpServerOptions, Session } from "./server.ts";
import { SHARE_PATH, handleShare } from "./share-route.ts";
import type { Sharing } from "./share-route.ts";
import { StatelessHttp } from "./stateless-http.ts";
import { StatelessLink } from "./stateless-link.ts";
import { Stateless } from "./stateless.ts";
import { Subscriptions } from "./subscriptions.ts";
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

const FIRST_VERSION_WITH_LINKS = "2025-06-18";
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
  const calls = metrics.counter("dewey_tool_calls_total", "Tool calls, by tool and outcome.");
  metrics.gauge("dewey_clients", "Open WebSocket connections and HTTP sessions.", () => links.size + http.size);
  const durations = metrics.durations("dewey_tool_call_duration_seconds", "Durations of tool calls, by tool.");
  for (const tool of tools.keys()) {
    durations({ tool });
    for (const outcome of ["ok", ...errorCodes]) calls({ tool, outcome });
  }
  let underWay = 0;
  let isDraining = false;
  const onBegin = () => void (underWay += 1);
  const onCall = (tool: string, outcome: string, ms: number) => {
    underWay -= 1;
    calls({ tool, outcome })(1);
    durations({ tool })(ms);
  };
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
    health: () => health(options),
    ready: () => (isDraining ? stopping : readiness(store)),
    isOpen: (request, url) => sessions.isOpen(request, url),
    admits: (request) => sessions.admits(request),
    refused: ({ status, address, count }) => {
      const outcome = status === 401 ? "unauthorized" : "forbidden";
      store.audit.note({ action: "request.refused", actor: { ...unknownActor, address } }, outcome, count);
    },
    // The page holds nothing of the store, and asks for the token itself.
    withoutToken: (request, url) => (page.isFor(request, url) ? page.respond(request, url.pathname) : undefined),
    route: router(options, { http, serving, backups, page, sessions, opened, isDraining: () => isDraining, refused }),
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
      const drained = port.idle(() => underWay > 0).then(() => port.drain());
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

function meterMeaning(metrics: Metrics, { meaning }: Store): void {
  if (!meaning) return;
  const state = () => meaning.state();
  metrics.gauge("dewey_meaning_endpoint_up", "Whether the embeddings endpoint gives vectors.", () =>
    state().endpoint === "ok" ? 1 : 0,
  );
  metrics.gauge(
    "dewey_meaning_queued_messages",
    "Messages that still lack vectors, counted to 100,000 every ten seconds.",
    () => state().queued,
  );
  metrics.gauge("dewey_meaning_passages", "Passages that queries are compared with.", () => state().passages);
  metrics.gauge("dewey_meaning_index_bytes", "Memory for comparing queries with passages.", () => state().index_bytes);
  metrics.counted(
    "dewey_meaning_embedded_passages_total",
    "Passages that this server has embedded.",
    () => state().embedded.passages,
  );
  metrics.counted(
    "dewey_meaning_embedded_messages_total",
    "Messages that this server has embedded.",
    () => state().embedded.messages,
  );
  metrics.counted(
    "dewey_meaning_refused_messages_total",
    "Messages with texts that the endpoint refuses.",
    () => state().embedded.refused,
  );
  metrics.counted(
    "dewey_meaning_failures_total",
    "Failures of the endpoint while embedding.",
    () => state().embedded.failures,
  );
  metrics.counted("dewey_meaning_queries_total", "Queries by how their vectors were found.", () =>
    Object.entries(state().queries).map(([outcome, count]) => [{ outcome }, count]),
  );
}

function meterDatabase(metrics: Metrics, store: Store): void {
  metrics.gauge("dewey_database_up", "1 if the database answered when it was last looked at, else 0.", () =>
    Number(store.primary.isUp),
  );
  metrics.gauge("dewey_database_writable", "1 if it took writes then, else 0.", () => Number(store.primary.isWritable));
  metrics.gauge("dewey_database_size_bytes", "Room that the database takes on its disk.", () =>
    store.size.bytes === undefined ? [] : [[{}, store.size.bytes]],
  );
  const { messages } = store;
  metrics.counted("dewey_stored_messages_total", "Messages stored by this server.", () => messages.stored.messages);
  metrics.counted("dewey_stored_bytes_total", "Bytes of their contents.", () => messages.stored.bytes);
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

/** Both eras of MCP on the same addresses: sessions of the SDK, and requests that stand alone (2026-07-28). */
class Serving {
  readonly http: StatelessHttp;
  readonly #options: McpServerOptions;
  readonly #stateless: Stateless;
  readonly #subscriptions: Subscriptions;

  constructor(options: McpServerOptions) {
    this.#options = options;
    this.#stateless = new Stateless(options);
    this.#subscriptions = new Subscriptions(this.#stateless, options.changes);
    this.http = new StatelessHttp(this.#stateless, this.#subscriptions);
  }

  /** Number of clients without a session: one when any has asked recently, and each that has subscribed. */
  get size(): number {
    return this.#subscriptions.size + (this.http.isInUse ? 1 : 0);
  }

  stop(): void {
    this.#subscriptions.stop();
  }

  /** Serves the requests of a link from a network address. Resolves when it has closed. */
  async link(link: Link, from: string | undefined): Promise<void> {
    const left = new AbortController();
    const address = from ?? null;
    const stateless = new StatelessLink(link, this.#stateless, this.#subscriptions, address);
    const session: Session = { left: left.signal, takesLinks: false, address };
    // Before the server of its session is there: a request that stands alone need not wait for that.
    const transport = linkTransport(link, (view) => {
      session.takesLinks ||= asksForLinks(view);
      return stateless.take(view);
    });
    try {
      const server = await createMcpServer(this.#options, session);
      const closed = Promise.withResolvers<void>();
      server.onclose = () => closed.resolve();
      await server.connect(transport);
      await closed.promise;
    } catch (error) {
      this.#options.log.warn("a session could not be served", { error });
      link.close("Dewey could not serve this session");
    } finally {
      left.abort();
      stateless.close();
    }
  }
}

/** Whether this is an `initialize` by a revision that knows links to resources; the SDK answers with the same or a later one. */
function asksForLinks(view: FrameView): boolean {
  if (view.kind !== "request" || view.method !== "initialize") return false;
  const { params } = view.message;
  const version = isObject(params) ? params["protocolVersion"] : undefined;
  return typeof version === "string" && version >= FIRST_VERSION_WITH_LINKS;
}

interface Routes {
  http: HttpSessions;
  serving: Serving;
  backups: BackupRoutes;
  page: Page;
  sessions: PageSessions;
  /** Resolves when the link has closed. */
  opened: (link: Link, address: string | undefined) => Promise<void>;
  isDraining: () => boolean;
  /** Counts a refused attempt to sign in. */
  refused: (response: Response, visit: Visit) => void;
}

function router(
  { store, log, sharing }: ListenerOptions,
  { http, serving, backups, page, sessions, opened, isDraining, refused }: Routes,
): PortOptions["route"] {
  return (visit) => {
    const { request, server } = visit;
    const { pathname } = visit.url;
    const address = server.requestIP(request)?.address;
    if (isDraining() && !request.headers.has(SESSION_HEADER)) return stoppingAnswer();
    if (visit.isWebSocket && (pathname === "/" || pathname === "/mcp")) {
      const follow = sessions.follower(request);
      return upgrade(visit, (link) => follow(link, opened(link, address)));
    }
    if (pathname === "/mcp") return handleMcp(visit, serving.http, http);
    if (pathname === "/contexts") return handleContextWrite(request, { store, log }, address);
    if (pathname === SHARE_PATH && sharing) {
      // The client's disk may be slow, and a file that ends early looks complete.
      server.timeout(request, 0);
      return handleShare(request, store, log, sharing);
    }
    const [, owner = ""] = pathname.split("/");
    if (["backup", "recover", "reindex"].includes(owner)) {
      // They change or export everything: a link or an image of a web page must not do that.
      if (request.method !== "POST") return refusal(405, `use POST ${pathname}`, { allow: "POST" });
      return owner === "reindex" ? handleReindex(request, store, log) : backups.handle(request, server);
    }
    return pageOrRefusal({ page, sessions, refused }, visit);
  };
}

async function pageOrRefusal(
  { page, sessions, refused }: Pick<Routes, "page" | "sessions" | "refused">,
  visit: Visit,
): Promise<Response> {
  const { request, url, server } = visit;
  const ways = "WebSocket on / and /mcp, Streamable HTTP on /mcp, GET /healthz, GET /metrics, or open / in a browser";
  const answer = await sessions.handle(request, server);
  if (answer) refused(answer, visit);
  return answer ?? (await page.respond(request, url.pathname)) ?? refusal(404, `use ${ways}`);
}

/** Each request says by itself to which era it belongs. */
async function handleMcp(
  { request, server }: Visit,
  stateless: StatelessHttp,
  sessions: HttpSessions,
): Promise<Response> {
  if (request.method !== "POST") return stateless.refuseMethod(request) ?? sessions.handle(request, server);
  const text = await receive(request, server, (arriving) => arriving.text());
  if (text instanceof Response) return text;
  const frame = { text, view: viewFrame(text) };
  return (await stateless.handle(request, server, frame)) ?? sessions.handle(request, server, frame);
}

/** Whether clients should be sent here: the database takes writes. */
async function readiness(store: Store): Promise<Health> {
  try {
    await store.primary.check();
    return { isWell: true, brief: { status: "ready" } };
  } catch (thrown) {
    return { isWell: false, brief: { status: "unavailable" }, rest: { reason: asDeweyError(thrown).message } };
  }
}

const STOPPING = { status: "stopping", reason: "Dewey is stopping; connect again in a moment" };
const STOP_RETRY_SECONDS = 1;
const stopping: Health = { isWell: false, brief: STOPPING, retryAfterSeconds: STOP_RETRY_SECONDS };

function stoppingAnswer(): Response {
  return Response.json(STOPPING, { status: 503, headers: { "retry-after": `${STOP_RETRY_SECONDS}` } });
}

/** Whether the database is well also says that this is a server. */
async function health(options: ListenerOptions): Promise<Health> {
  const { store, version } = options;
  try {
    const { database, version: postgres, timeline, ...rest } = await store.health();
    const known = { version: postgres, writable: true, ...(timeline === undefined ? {} : { timeline }) };
    return {
      isWell: true,
      brief: { status: "ok", database: { status: database } },
      rest: { version, database: { status: database, ...known }, ...rest },
    };
  } catch (thrown) {
    const database = { status: "unavailable" };
    const reason = asDeweyError(thrown).message;
    return {
      isWell: false,
      brief: { status: "unavailable", database },
      rest: { version, database: { ...database, reason } },
    };
  }
}
