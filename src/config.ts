import { homedir } from "node:os";
import { join } from "node:path";
import { databaseConfig, databaseSettings, readReplica } from "./database-config.ts";
import type { DatabaseConfig, PostgresConfig } from "./database-config.ts";
import { reading } from "./given.ts";
import type { SettingsReader, Sources, Values } from "./given.ts";
import type { LogLevel } from "./log.ts";
import { readPlainFile, rereading } from "./plain-file.ts";
import { jsonTexts } from "./setting-values.ts";
import { settings } from "./settings.ts";
import type { SettingName } from "./settings.ts";
import { MS_PER_DAY } from "./units.ts";
import { AddedPattern } from "./store/redact/added-pattern.ts";
import { isLoopback } from "./loopback.ts";

// The only reader of the environment. It turns flags and variables into frozen values, by the rows of `settings`.

/** Where the server or the proxy listens, and who may connect. */
export interface ListenConfig {
  host: string;
  port: number;
  token: string | undefined;
  allowedOrigins: string[];
  allowedHosts: string[];
  /** File names, so that no secret is held here. */
  tls: { certFile: string; keyFile: string } | undefined;
}

export interface ServeConfig extends ListenConfig {
  database: DatabaseConfig;
  readReplica: PostgresConfig | undefined;
  minConnections: number;
  maxConnections: number;
  deadlineMs: number;
  searchDeadlineMs: number;
  /** Undefined to keep the database's current language. */
  searchLanguage: string | undefined;
  trashDays: number;
  /** Where vectors for search by meaning come from; undefined while it is off. */
  embeddings: EmbeddingsConfig | undefined;
  redact: boolean;
  /** More kinds of secrets, by name. */
  redactPatterns: Record<string, RegExp>;
  /** What MCP clients may do to startup contexts. */
  contextWrites: "on" | "inactive" | "off";
  /** Which tools MCP clients are offered. */
  tools: "all" | "read" | string[];
  /** Whether a server for this machine's user follows the sessions of all agents. */
  watch: boolean;
  dataDir: string;
  logLevel: LogLevel;
}

/** An embeddings endpoint; prefixes are undefined where the model's family decides. */
export interface EmbeddingsConfig {
  url: string;
  model: string;
  /** One from a file is read again for each request. */
  key: string | (() => string) | undefined;
  dimensions: number | undefined;
  queryPrefix: string | undefined;
  documentPrefix: string | undefined;
}

/** The recorder's queue on disk. */
interface SpoolConfig {
  folder: string;
  limits: { bytes: number; ageMs: number };
  sync: boolean;
}

export interface ProxyConfig extends ListenConfig {
  configFile: string | undefined;
  /** The upstream of `dewey proxy --stdio`, when its address is not on the command line. */
  upstreamUrl: string | undefined;
  /** Sent to the upstream whose address is given. */
  upstreamHeaders: Record<string, string>;
  url: string;
  spool: SpoolConfig;
  dataDir: string;
  logLevel: LogLevel;
}

/** Settings to write into a client's configuration; undefined for those with the default value. */
export interface ConnectConfig {
  /** The server that the client will talk to; its token is not written. */
  server: { url: string; token: string | undefined };
  url: string | undefined;
  dataDir: string | undefined;
  spoolDir: string | undefined;
  /** Where the content of shared files from before Dewey is kept. */
  backupDir: string;
}

/** A client's hooks: the server, and the folders where they queue events for it. */
export interface HookConfig extends ClientConfig {
  spoolDir: string;
  /** Whether a new session is told where the last ones ended. */
  digest: boolean;
}

/** Commands that only talk to a server. */
export interface ClientConfig extends ServerAddress {
  /** Where a server that a command starts keeps its data, and where the last list is remembered. */
  dataDir: string;
}

interface ServerAddress {
  url: string;
  token: string | undefined;
  logLevel: LogLevel;
}

/** `dewey reindex`: the server, and the new language, if any. */
export interface ReindexConfig extends ClientConfig {
  language: string | undefined;
}

/** Conventions of the user's terminal, from variables that all programs share; they are no settings of Dewey. */
export interface TerminalConfig {
  colour: boolean;
  /** The command that pages long texts: PAGER, or less where it is installed; undefined for an empty PAGER. */
  pager: string | undefined;
  editor: string;
}

const BYTES_PER_MB = 1_000_000;

const listening = ["token", "allowedOrigins", "allowedHosts", "tlsCert", "tlsKey"] as const;
const common = ["dataDir", "logLevel"] as const;
const embeddings = [
  "embeddingsUrl",
  "embeddingsModel",
  "embeddingsKey",
  "embeddingsDimensions",
  "embeddingsQueryPrefix",
  "embeddingsDocumentPrefix",
] as const;

/** The settings that each command obeys. Its help and the packaging checks are generated from these. */
export const obeyed = {
  serve: [
    "host",
    "port",
    ...listening,
    ...databaseSettings,
    "dbReadUrl",
    "dbMinConnections",
    "dbMaxConnections",
    "dbDeadlineSeconds",
    "searchDeadlineSeconds",
    "searchLanguage",
    "trashDays",
    ...embeddings,
    "redact",
    "redactPatterns",
    "contextWrites",
    "tools",
    "watch",
    ...common,
  ],
  proxy: [
    "proxyHost",
    "proxyPort",
    ...listening,
    "proxyConfig",
    "upstreamUrl",
    "upstreamHeaders",
    "url",
    "spoolDir",
    "spoolMaxMb",
    "spoolMaxDays",
    "spoolSync",
    ...common,
  ],
  client: ["url", "token", ...common],
  reindex: ["url", "token", "searchLanguage", ...common],
  hook: ["url", "token", "spoolDir", "digest", ...common],
  connect: ["url", "token", "dataDir", "spoolDir"],
} as const satisfies Record<string, readonly SettingName[]>;

/** The configuration of `dewey serve`. Throws one `invalid` error that names every mistake, like all functions below. */
export function serveConfig(sources: Sources): ServeConfig {
  return reading(sources, (reader) => {
    const values = reader.read(obeyed.serve);
    const database = databaseConfig(values, sources.env, reader);
    if (values.dbMinConnections > values.dbMaxConnections) {
      reader.problem("DEWEY_DB_MIN_CONNECTIONS", "should not be more than DEWEY_DB_MAX_CONNECTIONS");
    }
    return {
      ...listenConfig(values.host, values.port, values, sources, reader),
      database,
      readReplica: readReplica(values.dbReadUrl, database, sources.env, reader),
      minConnections: values.dbMinConnections,
      maxConnections: values.dbMaxConnections,
      deadlineMs: values.dbDeadlineSeconds * 1000,
      searchDeadlineMs: values.searchDeadlineSeconds * 1000,
      searchLanguage: values.searchLanguage,
      trashDays: values.trashDays,
      embeddings: embeddingsConfig(values, sources.env, reader),
      redact: values.redact === "on",
      redactPatterns: readPatterns(values.redactPatterns, reader),
      contextWrites: values.contextWrites,
      tools: values.tools,
      watch: values.watch === "on",
      dataDir: values.dataDir ?? defaultDataDir(sources.env),
      logLevel: values.logLevel,
    };
  });
}

/** The configuration of `dewey proxy`. */
export function proxyConfig(sources: Sources): ProxyConfig {
  return reading(sources, (reader) => {
    const values = reader.read(obeyed.proxy);
    const dataDir = values.dataDir ?? defaultDataDir(sources.env);
    return {
      ...listenConfig(values.proxyHost, values.proxyPort, values, sources, reader),
      configFile: values.proxyConfig,
      upstreamUrl: values.upstreamUrl,
      upstreamHeaders: values.upstreamHeaders ?? {},
      url: values.url,
      spool: {
        folder: values.spoolDir ?? join(dataDir, "spool"),
        limits: { bytes: values.spoolMaxMb * BYTES_PER_MB, ageMs: values.spoolMaxDays * MS_PER_DAY },
        sync: values.spoolSync === "on",
      },
      dataDir,
      logLevel: values.logLevel,
    };
  });
}

/** The settings that `dewey connect` writes into a client's configuration. */
export function connectConfig(sources: Sources): ConnectConfig {
  return reading(sources, (reader) => {
    const { url, token, dataDir, spoolDir } = reader.read(obeyed.connect);
    const backupDir = join(dataDir ?? defaultDataDir(sources.env), "before-dewey");
    const given = url === settings.url.default ? undefined : url;
    return { server: { url, token }, url: given, dataDir, spoolDir, backupDir };
  });
}

/** The configuration of `dewey hook`. */
export function hookConfig(sources: Sources): HookConfig {
  return reading(sources, (reader) => {
    const { url, token, logLevel, ...values } = reader.read(obeyed.hook);
    const dataDir = values.dataDir ?? defaultDataDir(sources.env);
    const spoolDir = values.spoolDir ?? join(dataDir, "spool");
    return { url, token, logLevel, dataDir, spoolDir, digest: values.digest === "on" };
  });
}

/** The configuration of commands that only talk to a server. */
export function clientConfig(sources: Sources): ClientConfig {
  return reading(sources, (reader) => {
    const { dataDir = defaultDataDir(sources.env), ...server } = reader.read(obeyed.client);
    return { ...server, dataDir };
  });
}

/** The configuration of `dewey reindex`. */
export function reindexConfig(sources: Sources): ReindexConfig {
  return reading(sources, (reader) => {
    const { searchLanguage, dataDir = defaultDataDir(sources.env), ...client } = reader.read(obeyed.reindex);
    return { ...client, dataDir, language: searchLanguage };
  });
}

/** NO_COLOR counts unless it is empty (https://no-color.org); POSIX guarantees vi. */
export function terminalConfig(env: Sources["env"]): TerminalConfig {
  return {
    colour: !env["NO_COLOR"] && env["TERM"] !== "dumb",
    pager: env["PAGER"] === undefined ? defaultPager(env) : env["PAGER"] || undefined,
    editor: env["VISUAL"] || env["EDITOR"] || "vi",
  };
}

function defaultPager(env: Sources["env"]): string | undefined {
  return Bun.which("less", { PATH: env["PATH"] ?? "" }) === null ? undefined : "less";
}

/** The environment for other programs: without Dewey's own settings, which contain its secrets. */
export function foreignEnvironment(env: Sources["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("DEWEY_"),
    ),
  );
}

/** Variables that start with DEWEY_ but are no setting: most likely misspelt, so commands warn of them. */
export function unknownVariables(env: Sources["env"]): string[] {
  const known = new Set(
    Object.values(settings).flatMap((row) => ("secret" in row ? [row.env, `${row.env}_FILE`] : [row.env])),
  );
  return Object.keys(env).filter((name) => name.startsWith("DEWEY_") && !known.has(name));
}

function listenConfig(
  host: string,
  port: number,
  values: Values<(typeof listening)[number]>,
  sources: Sources,
  reader: SettingsReader,
): ListenConfig {
  if ((values.tlsCert === undefined) !== (values.tlsKey === undefined)) {
    reader.problem("DEWEY_TLS_CERT and DEWEY_TLS_KEY", "belong together; give both or neither");
  }
  if (!isLoopback(host) && values.token === undefined && sources.flags["no-auth"] !== true) {
    reader.problem(
      "DEWEY_TOKEN",
      `is required to listen on ${host}, which other machines can reach (or pass --no-auth)`,
    );
  }
  const tls = values.tlsCert && values.tlsKey ? { certFile: values.tlsCert, keyFile: values.tlsKey } : undefined;
  const { token, allowedOrigins, allowedHosts } = values;
  return { host, port, token, allowedOrigins, allowedHosts, tls };
}

/** The endpoint, when its address is given. The rest alone is most likely a mistake. */
function embeddingsConfig(
  values: Values<(typeof embeddings)[number]>,
  env: Sources["env"],
  reader: SettingsReader,
): EmbeddingsConfig | undefined {
  const { embeddingsUrl: url, embeddingsModel: model } = values;
  if (url === undefined) {
    const given = embeddings.find((name) => values[name] !== undefined);
    if (given !== undefined)
      reader.problem(settings[given].env, "belongs to DEWEY_EMBEDDINGS_URL; give both or neither");
    return undefined;
  }
  if (model === undefined) {
    reader.problem("DEWEY_EMBEDDINGS_MODEL", "is required with DEWEY_EMBEDDINGS_URL: the model that it should use");
    return undefined;
  }
  return {
    url,
    model,
    key: embeddingsKey(values.embeddingsKey, env),
    dimensions: values.embeddingsDimensions,
    queryPrefix: values.embeddingsQueryPrefix,
    documentPrefix: values.embeddingsDocumentPrefix,
  };
}

function embeddingsKey(given: string | undefined, env: Sources["env"]): EmbeddingsConfig["key"] {
  const file = env[`${settings.embeddingsKey.env}_FILE`];
  return given === undefined || !file ? given : rereading(file, given, (text) => settings.embeddingsKey.parse(text));
}

/** `{"ticket number": "T-\\d{6}"}`: each match is replaced by the name of its expression. */
function readPatterns(file: string | undefined, reader: SettingsReader): Record<string, RegExp> {
  if (file === undefined) return {};
  try {
    const parsed = jsonTexts(readPlainFile(file));
    return Object.fromEntries(Object.entries(parsed).map(([name, source]) => [name, readPattern(name, source)]));
  } catch (error) {
    const reason = error instanceof SyntaxError ? `: ${error.message}` : "";
    reader.problem("DEWEY_REDACT_PATTERNS", `should be a JSON file of names and regular expressions${reason}`);
    return {};
  }
}

/** Throws a SyntaxError that names the pattern, also for one that could take time without limit. */
function readPattern(name: string, source: string): RegExp {
  try {
    void new AddedPattern(source);
    return new RegExp(source);
  } catch (error) {
    throw new SyntaxError(`${name}: ${(error as Error).message}`);
  }
}

/** The XDG data folder for a user; for root, where system services keep their state. */
function defaultDataDir(env: Sources["env"]): string {
  if (process.getuid?.() === 0) return "/var/lib/dewey";
  return join(env["XDG_DATA_HOME"] || join(env["HOME"] || homedir(), ".local", "share"), "dewey");
}
