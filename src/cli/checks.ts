import { accessSync, constants, existsSync, readdirSync, statSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookQueue } from "../capture/hook-queue.ts";
import { codexServers } from "../clients/codex-config.ts";
import { ConfigFile } from "../clients/config-file.ts";
import { withHooks } from "../clients/hooks.ts";
import { DEWEY } from "../clients/mcp-servers.ts";
import type { Servers } from "../clients/mcp-servers.ts";
import { clientConfig, hookConfig, proxyConfig, serveConfig, unknownVariables } from "../config.ts";
import { createLog } from "../log.ts";
import { Database } from "../store/database/database.ts";
import { ENGINE_VERSION, earlierPlaces, placesIn } from "../store/engine/engine.ts";
import { Replica } from "../store/database/replica.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { withoutSecrets } from "../wire/websocket.ts";
import { whyUnreachable } from "./client-command.ts";
import { clientKind, hookCommand, programFor, serversIn } from "./clients.ts";
import type { ClientKind } from "./clients.ts";
import type { Invocation } from "./command.ts";
import { askHealth } from "./commands/health.ts";
import { queueFolder } from "./commands/hook.ts";
import { readUpstreams } from "./commands/proxy.ts";
import { bytesText, counted } from "./terminal.ts";

/** What a check has found. A note is neither well nor at fault: something that is not used. */
export interface Finding {
  state: "ok" | "note" | "fault";
  text: string;
  /** What to do about it. */
  remedy?: string;
}

/** A check that throws is a fault, too, and the error's message says what and the remedy. */
type Check = (invocation: Invocation) => Promise<Finding>;

/** Less room than this is a fault: a store and its log need some to go on at all. */
const LEAST_FREE_BYTES = 1_000_000_000;
/** What waits for longer has nobody who delivers it. */
const LONGEST_WAIT_MS = 3_600_000;
const DATABASE_DEADLINE_MS = 5000;

/** What goes wrong is a finding, not a line of a log. */
const nothing = createLog({ level: "error", format: "text", write: () => {} });

/** Every check by its name, in the order in which they are told. */
export const checks: Record<string, Check> = {
  configuration,
  versions,
  server,
  database,
  replica,
  search,
  engine,
  disk,
  spool,
  upstreams,
  clients,
  hooks,
};

async function configuration(invocation: Invocation): Promise<Finding> {
  for (const read of [serveConfig, proxyConfig, clientConfig]) read(invocation);
  const unknown = unknownVariables(invocation.env);
  if (unknown.length > 0) {
    return fault(`${unknown.join(", ")}: no setting of Dewey`, "correct the name, or unset it");
  }
  return ok("every setting can be read");
}

async function versions(invocation: Invocation): Promise<Finding> {
  const platform = `${process.platform}-${process.arch}`;
  return ok(`Dewey ${invocation.version}, carrying PostgreSQL ${ENGINE_VERSION}, on ${platform}`);
}

async function server(invocation: Invocation): Promise<Finding> {
  const { url, token } = clientConfig(invocation);
  const place = withoutSecrets(url);
  const health = await healthAt(url);
  const unreachable = await whyUnreachable({ url, token });
  if (unreachable) throw unreachable;
  const version = health?.["version"];
  if (version !== invocation.version) {
    return fault(
      `the server at ${place} is Dewey ${String(version)}, this is ${invocation.version}`,
      "restart it with this one",
    );
  }
  return ok(`${place} answers`);
}

/** Asked through the server, and directly where there is none: it may be why there is none. */
async function database(invocation: Invocation): Promise<Finding> {
  const health = await healthAt(clientConfig(invocation).url);
  const told = health?.["database"];
  if (isObject(told)) {
    if (told["status"] !== "ok") return fault(`the server says: ${String(told["reason"])}`, "its log says more");
    const migrations = isObject(health?.["migrations"]) ? health["migrations"]["newest"] : undefined;
    return ok(`PostgreSQL ${String(told["version"])}, schema ${String(migrations)}`);
  }
  const { database: config } = serveConfig(invocation);
  if (config.kind === "embedded") return note("the embedded one, which runs while a server does");
  const { kind: _, ...connection } = config;
  const options = { connection, minConnections: 1, maxConnections: 2, deadlineMs: DATABASE_DEADLINE_MS, log: nothing };
  const asked = new Database(options);
  try {
    const [row] = await asked.repeatable((sql) => sql`select current_setting('server_version') as version`);
    return ok(`PostgreSQL ${String(row.version).split(" ")[0]} at ${connection.host}:${connection.port}`);
  } finally {
    await asked.close();
  }
}

async function search(invocation: Invocation): Promise<Finding> {
  const told = (await healthAt(clientConfig(invocation).url))?.["search"];
  if (!isObject(told)) return note("a server that runs knows");
  const { language, reindexing, corrections } = told;
  const { searchLanguage } = serveConfig(invocation);
  if (searchLanguage !== undefined && searchLanguage !== language) {
    const remedy = `run: dewey reindex, or set DEWEY_SEARCH_LANGUAGE=${String(language)}`;
    return fault(`messages are searched in ${String(language)}, and ${searchLanguage} is set`, remedy);
  }
  if (isObject(reindexing)) {
    return ok(
      `in ${String(language)}; ${String(reindexing["walked"])} of ${String(reindexing["total"])} messages are so far`,
    );
  }
  if (corrections !== true) return note(`in ${String(language)}; typing errors are not corrected without pg_trgm`);
  return ok(`in ${String(language)}`);
}

/** Asked like the database: a wrong one keeps a server from starting. */
async function replica(invocation: Invocation): Promise<Finding> {
  const told = (await healthAt(clientConfig(invocation).url))?.["replica"];
  if (isObject(told)) return replicaFinding(told["status"] === "ok" ? undefined : String(told["reason"]));
  const { database: primary, readReplica } = serveConfig(invocation);
  if (readReplica === undefined || primary.kind === "embedded") return note("not used: there is no DEWEY_DB_READ_URL");
  const options = { minConnections: 1, maxConnections: 2, deadlineMs: DATABASE_DEADLINE_MS, log: nothing };
  const { kind: _, ...connection } = primary;
  const database = new Database({ ...options, connection });
  try {
    const opened = await Replica.open(database, readReplica, { ...options, connection });
    const { reason } = await opened.health();
    await opened.close();
    return replicaFinding(reason);
  } finally {
    await database.close();
  }
}

function replicaFinding(reason: string | undefined): Finding {
  if (reason === undefined) return ok("reads go there while it has all that is committed");
  return fault(`it does not serve, and reads go to the primary: ${reason}`, "start it, or correct DEWEY_DB_READ_URL");
}

async function engine(invocation: Invocation): Promise<Finding> {
  const { database, dataDir } = serveConfig(invocation);
  if (database.kind === "server") return note("not used: a database is configured");
  const folder = join(dataDir, "postgres");
  if (!existsSync(folder)) return note(`${folder} is made at the first start of a server`);
  accessSync(folder, constants.R_OK | constants.X_OK);
  const places = placesIn(folder);
  const earlier = earlierPlaces(folder, places);
  if (earlier) return ok(`${earlier.cluster} is carried over at the next start`);
  return existsSync(places.cluster)
    ? ok(places.cluster)
    : note(`${places.cluster} is made at the first start of a server`);
}

async function disk(invocation: Invocation): Promise<Finding> {
  const { dataDir } = serveConfig(invocation);
  const { bavail, bsize } = statfsSync(existing(dataDir));
  const free = `${bytesText(bavail * bsize)} free for ${dataDir}`;
  if (bavail * bsize >= LEAST_FREE_BYTES) return ok(free);
  return fault(free, "make room, or set DEWEY_DATA_DIR to a folder where there is some");
}

function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}

async function spool(invocation: Invocation): Promise<Finding> {
  const { folder } = proxyConfig(invocation).spool;
  const recorder = (await proxyHealth(invocation))?.["recorder"];
  if (isObject(recorder) && recorder["recording"] !== true) {
    return fault(
      `the proxy does not record: ${String(recorder["not_recording_because"])}`,
      "what it relays meanwhile is lost",
    );
  }
  const events = new HookQueue(queueFolder(hookConfig(invocation))).waiting();
  const files = [
    ...filesIn(folder)
      .filter((name) => name.endsWith(".spool"))
      .map((name) => join(folder, name)),
    ...events.map((name) => join(queueFolder(hookConfig(invocation)), name)),
  ].flatMap((path) => statSync(path, { throwIfNoEntry: false }) ?? []);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const oldestMs = Math.min(...files.map((file) => file.mtimeMs));
  const waiting = `${bytesText(bytes)} wait in ${folder}`;
  if (Date.now() - oldestMs < LONGEST_WAIT_MS || files.length === 0)
    return ok(files.length === 0 ? "nothing waits" : waiting);
  const since = new Date(oldestMs).toISOString();
  return fault(
    `${waiting}, since ${since}`,
    "start a server (dewey serve), and the proxy (dewey proxy), which delivers it",
  );
}

async function upstreams(invocation: Invocation): Promise<Finding> {
  const { byName } = readUpstreams(proxyConfig(invocation), invocation.env);
  const health = await proxyHealth(invocation);
  const states = (Array.isArray(health?.["upstreams"]) ? health["upstreams"] : []).filter(isObject);
  const down = states.find((each) => each["state"] === "down");
  if (down) {
    return fault(`${String(down["name"])} is away: ${String(down["last_error"])}`, "start it, or correct its entry");
  }
  for (const upstream of byName.values()) {
    if (upstream.wire !== "stdio") continue;
    const { PATH = invocation.env["PATH"] } = upstream.env;
    const options = {
      ...(PATH === undefined ? {} : { PATH }),
      ...(upstream.cwd === undefined ? {} : { cwd: upstream.cwd }),
    };
    if (Bun.which(upstream.command, options) === null) {
      return fault(
        `the command of ${upstream.name}, ${upstream.command}, is not there`,
        "install it, or correct its entry",
      );
    }
  }
  const names = [...byName.keys()].join(", ");
  return health ? ok(names) : note(`${names}; no proxy answers (dewey proxy starts one)`);
}

async function clients(invocation: Invocation): Promise<Finding> {
  const connected: string[] = [];
  for (const { label, name, servers } of knownClients(invocation)) {
    const entry = servers.map((each) => each[DEWEY]).find(isObject);
    if (!entry) continue;
    const { command } = entry;
    if (typeof command === "string" && Bun.which(command, { PATH: invocation.env["PATH"] ?? "" }) === null) {
      return fault(`${label} starts Dewey as ${command}, which is not there`, `dewey connect ${name}`);
    }
    connected.push(label);
  }
  if (connected.length > 0) return ok(`connected: ${connected.join(", ")}`);
  return note("none is connected: dewey connect claude-code, codex, gemini, or a file");
}

async function hooks(invocation: Invocation): Promise<Finding> {
  const claude = knownClients(invocation).find(({ name }) => name === "claude-code");
  if (claude?.kind.hooks === undefined || !claude.servers.some((each) => DEWEY in each)) {
    return note("Claude Code is not connected here");
  }
  const settings = new ConfigFile(claude.kind.hooks).json();
  const command = hookCommand(programFor(invocation));
  if (!Bun.deepEquals(withHooks(settings, command), settings)) {
    return fault("Claude Code's hooks are not in place, or are another Dewey's", "dewey connect claude-code");
  }
  const { length } = new HookQueue(queueFolder(hookConfig(invocation))).waiting();
  return ok(length === 0 ? "in place" : `in place; ${counted(length, "event")} on the way`);
}

interface KnownClient {
  name: string;
  label: string;
  kind: ClientKind;
  servers: Servers[];
}

/** The clients whose configuration is there, in the person's home. */
function knownClients({ env }: Invocation): KnownClient[] {
  return ["claude-code", "codex", "gemini"].flatMap((name): KnownClient[] => {
    const kind = clientKind(name, false, env);
    const file = new ConfigFile(kind.servers);
    if (file.text === undefined) return [];
    const servers = kind.form === "toml" ? [codexServers(file.text, file.path)] : serversIn(file.json());
    return [{ name, label: kind.label, kind, servers }];
  });
}

/** What `/healthz` says, also when it says that something is wrong. */
async function healthAt(url: string): Promise<Json | undefined> {
  const said: unknown = await (await askHealth(url))?.json().catch(() => undefined);
  return isObject(said) ? said : undefined;
}

async function proxyHealth(invocation: Invocation): Promise<Json | undefined> {
  const { port, tls } = proxyConfig(invocation);
  return healthAt(`${tls ? "wss" : "ws"}://localhost:${port}`);
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

const ok = (text: string): Finding => ({ state: "ok", text });
const note = (text: string): Finding => ({ state: "note", text });
const fault = (text: string, remedy: string): Finding => ({ state: "fault", text, remedy });
