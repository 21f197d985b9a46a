import { join } from "node:path";
import type { ServeConfig } from "../config.ts";
import type { Log } from "../log.ts";
import type { Listener } from "../mcp/listener.ts";
import { startEmbedded } from "../store/engine/embedded.ts";
import type { EmbeddedOptions } from "../store/engine/embedded.ts";
import { createRedactor, noRedactor } from "../store/redact/redact.ts";
import type { Connection } from "../store/database/connection.ts";
import type { Store } from "../store/store.ts";
import { isLoopback } from "../loopback.ts";
import { lockPort } from "../wire/listening.ts";
import { needsPortLock } from "../wire/owner.ts";
import { listenOptions } from "./listen.ts";

/** Interval between purges of the trash: retention is counted in days, so an hour is soon enough. */
const PURGE_INTERVAL_MS = 3_600_000;

/** How often the same pattern is named. */
const WARNING_INTERVAL_MS = 60_000;

export interface RunningServer {
  listener: Listener;
  /** Takes another token and certificate, and opens the connections to the database anew. */
  rotate(options: Parameters<Listener["rotate"]>[0]): void;
  stop(): Promise<void>;
}

export interface ServerOptions {
  config: ServeConfig;
  log: Log;
  version: string;
  onProgress?: EmbeddedOptions["onProgress"];
}

/** Starts the parts of `dewey serve` in the order of their dependencies; a failure stops those already running. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, log, version } = options;
  await using stack = new AsyncDisposableStack();
  const [connection, { openStore, Workshop, startListener, formats }] = await Promise.all([
    startDatabase(options, stack),
    loadParts(),
  ]);
  const named = <Given extends Connection>(given: Given): Given => ({
    applicationName: `dewey/${version} serve`,
    ...given,
  });
  const store = await openStore({
    connection: named(connection),
    readConnection: config.readReplica && named(config.readReplica),
    minConnections: config.minConnections,
    maxConnections: config.maxConnections,
    deadlineMs: config.deadlineMs,
    searchDeadlineMs: config.searchDeadlineMs,
    searchLanguage: config.searchLanguage,
    trashDays: config.trashDays,
    embeddings: config.embeddings,
    redactor: config.redact ? createRedactor(config.redactPatterns, endedPatternWarning(log)) : noRedactor,
    log,
  });
  stack.defer(() => store.close());
  const stopping = new AbortController();
  void store.search.vocabulary.keep(stopping.signal);
  void store.reindexer.keep(stopping.signal);
  void store.backfill.keep(stopping.signal);
  void store.primary.keep(stopping.signal);
  void store.size.keep(stopping.signal);
  const meaning = store.meaning?.keep(stopping.signal);
  stack.defer(async () => {
    stopping.abort();
    // Another server may embed at once.
    await meaning;
  });
  if (config.embeddings) tellWhereTextsGo(config.embeddings.url, log);
  const purge = setInterval(() => {
    void purgeTrash(store, log);
    void store.audit
      .purge()
      .catch((error: unknown) => log.warn("could not purge the audit; will try again", { error }));
  }, PURGE_INTERVAL_MS);
  stack.defer(() => clearInterval(purge));
  // What is shared is cut even where nothing that is stored is.
  const shareRedactor = createRedactor(config.redactPatterns, endedPatternWarning(log));
  const workshop = new Workshop(shareRedactor, log);
  stack.defer(() => workshop.close());
  const listener = startListener({
    store,
    log,
    version,
    contextWrites: config.contextWrites,
    tools: config.tools,
    sharing: { formats, workshop },
    ...listenOptions(config),
  });
  stack.defer(() => listener.stop());
  if (needsPortLock) await proveOwnership(listener.port, log, stack);
  if (!isLoopback(config.host) && config.tls === undefined) {
    log.warn("listening beyond loopback without TLS: others on the network can read the traffic", {
      host: config.host,
    });
  }
  const running = stack.move();
  return {
    listener,
    rotate(given) {
      listener.rotate(given);
      store.renewConnections();
    },
    stop: () => running.disposeAsync(),
  };
}

/**
 * Loads the parts of the server while PostgreSQL starts, which takes about as long. Waits one turn of the event loop, so that
 * PostgreSQL's process is spawned first.
 */
async function loadParts() {
  await Bun.sleep(0);
  const [{ openStore }, { Workshop }, { startListener }, { html, markdown, jsonl }] = await Promise.all([
    import("../store/store.ts"),
    import("../store/workshop/workshop.ts"),
    import("../mcp/listener.ts"),
    import("../capture/export.ts"),
  ]);
  return { openStore, Workshop, startListener, formats: { html, markdown, json: jsonl } };
}

async function startDatabase(options: ServerOptions, stack: AsyncDisposableStack): Promise<Connection> {
  const { database, dataDir } = options.config;
  if (database.kind === "server") {
    const { kind: _, ...connection } = database;
    return connection;
  }
  const embedded = await startEmbedded({
    dataDir: join(dataDir, "postgres"),
    log: options.log,
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
  stack.defer(() => embedded.stop());
  return embedded.connection;
}

/** What is stored and asked leaves this machine then. */
function tellWhereTextsGo(url: string, log: Log): void {
  const { hostname, origin } = new URL(url);
  if (isLoopback(hostname)) return;
  log.warn("texts of messages and queries are sent to another machine, to be embedded", { url: origin });
}

/** Locks the file by which this user's commands recognise the server. */
async function proveOwnership(port: number, log: Log, stack: AsyncDisposableStack): Promise<void> {
  try {
    const lock = await lockPort(port);
    if (lock === undefined)
      log.warn("another server has locked this port's file; commands will ask for a token", { port });
    else stack.defer(() => lock.release());
  } catch (error) {
    log.warn("the file that proves whose this server is cannot be locked; commands will ask for a token", { error });
  }
}

/** Names a pattern that was ended; once a minute for each, because a text may come again and again. */
function endedPatternWarning(log: Log): (pattern: string) => void {
  const warned = new Map<string, number>();
  return (pattern) => {
    const now = performance.now();
    if (now - (warned.get(pattern) ?? -Infinity) < WARNING_INTERVAL_MS) return;
    warned.set(pattern, now);
    log.warn(
      "a pattern of DEWEY_REDACT_PATTERNS took too long and was ended; the text is stored without the rest of its cuts",
      {
        pattern,
      },
    );
  };
}

async function purgeTrash(store: Store, log: Log): Promise<void> {
  try {
    const purged = await store.conversations.purgeTrash();
    if (purged > 0) log.info("purged expired conversations from the trash", { purged });
  } catch (error) {
    log.warn("could not purge the trash; will try again", { error });
  }
}
