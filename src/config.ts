import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { DeweyError } from "./errors.ts";
import type { LogLevel } from "./log.ts";
import { Unfit, jsonTexts, settings } from "./settings.ts";
import type { Setting, SettingName } from "./settings.ts";
import { isLoopback } from "./wire/guard.ts";

// The only reader of the environment: it takes what the commands were given, by the rows of `settings`, to frozen values.

/** What a command was given: the process's environment and the flags, by their names. */
export interface Sources {
  env: Record<string, string | undefined>;
  flags: Record<string, string | boolean | string[] | undefined>;
}

type Values<Name extends SettingName> = {
  [Key in Name]: (typeof settings)[Key] extends { default: string }
    ? ReturnType<(typeof settings)[Key]["parse"]>
    : ReturnType<(typeof settings)[Key]["parse"]> | undefined;
};

/** Where a PostgreSQL is. */
interface PostgresConfig {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  tls: boolean;
}

/** A PostgreSQL, or that the embedded one is to be run. */
type DatabaseConfig = { kind: "embedded" } | ({ kind: "server" } & PostgresConfig);

/** What serving on a port needs, for the server and the proxy alike. */
export interface ListenConfig {
  host: string;
  port: number;
  token: string | undefined;
  allowedOrigins: string[];
  /** File names, so that nothing secret is kept here. */
  tls: { certFile: string; keyFile: string } | undefined;
}

export interface ServeConfig extends ListenConfig {
  database: DatabaseConfig;
  readReplica: PostgresConfig | undefined;
  minConnections: number;
  maxConnections: number;
  deadlineMs: number;
  searchDeadlineMs: number;
  /** Absent when the database's own is to stay. */
  searchLanguage: string | undefined;
  trashDays: number;
  redact: boolean;
  /** More kinds of secrets, by their names. */
  redactPatterns: Record<string, RegExp>;
  dataDir: string;
  logLevel: LogLevel;
}

/** The recorder's queue on disk. */
interface SpoolConfig {
  folder: string;
  limits: { bytes: number; ageMs: number };
  sync: boolean;
}

export interface ProxyConfig extends ListenConfig {
  configFile: string | undefined;
  /** For the upstream that the command line names by its address. */
  upstreamHeaders: Record<string, string>;
  url: string;
  spool: SpoolConfig;
  dataDir: string;
  logLevel: LogLevel;
}

/** Settings that a client's configuration must hand on, because they are not the defaults. */
export interface ConnectConfig {
  url: string | undefined;
  dataDir: string | undefined;
  spoolDir: string | undefined;
}

/** What a client's hooks need: the server, and where to leave what is for it. */
export interface HookConfig extends ClientConfig {
  spoolDir: string;
  dataDir: string;
}

/** What the commands need that only talk to a server. */
export interface ClientConfig {
  url: string;
  token: string | undefined;
  logLevel: LogLevel;
}

/** What reindexing needs: a server, and the language if it is to be another. */
export interface ReindexConfig extends ClientConfig {
  language: string | undefined;
}

/** What a person's environment says of their terminal. These are everybody's variables, not settings of Dewey's. */
export interface TerminalConfig {
  colour: boolean;
  /** The command that pages long texts; none when the person has not named one. */
  pager: string | undefined;
  editor: string;
}

const BYTES_PER_MB = 1_000_000;
const MS_PER_DAY = 86_400_000;

const listening = ["token", "allowedOrigins", "tlsCert", "tlsKey"] as const;
const common = ["dataDir", "logLevel"] as const;

/** The settings that each command obeys; its help and the checks of packaging are made from these. */
export const obeyed = {
  serve: [
    "host",
    "port",
    ...listening,
    "databaseUrl",
    "dbHost",
    "dbPort",
    "dbName",
    "dbUser",
    "dbPassword",
    "dbReadUrl",
    "dbMinConnections",
    "dbMaxConnections",
    "dbDeadlineSeconds",
    "searchDeadlineSeconds",
    "searchLanguage",
    "trashDays",
    "redact",
    "redactPatterns",
    ...common,
  ],
  proxy: [
    "proxyHost",
    "proxyPort",
    ...listening,
    "proxyConfig",
    "upstreamHeaders",
    "url",
    "spoolDir",
    "spoolMaxMb",
    "spoolMaxDays",
    "spoolSync",
    ...common,
  ],
  client: ["url", "token", "logLevel"],
  reindex: ["url", "token", "searchLanguage", "logLevel"],
  hook: ["url", "token", "spoolDir", ...common],
  connect: ["url", "dataDir", "spoolDir"],
} as const satisfies Record<string, readonly SettingName[]>;

/** Reads what `dewey serve` obeys. Throws one `invalid` error that names every mistake. */
export function serveConfig(sources: Sources): ServeConfig {
  return reading(sources, (reader) => {
    const values = reader.read(obeyed.serve);
    const database = databaseConfig(values, reader);
    if (values.dbMinConnections > values.dbMaxConnections) {
      reader.problem("DEWEY_DB_MIN_CONNECTIONS", "should not be more than DEWEY_DB_MAX_CONNECTIONS");
    }
    return {
      ...listenConfig(values.host, values.port, values, sources, reader),
      database,
      readReplica: readReplica(values.dbReadUrl, database, reader),
      minConnections: values.dbMinConnections,
      maxConnections: values.dbMaxConnections,
      deadlineMs: values.dbDeadlineSeconds * 1000,
      searchDeadlineMs: values.searchDeadlineSeconds * 1000,
      searchLanguage: values.searchLanguage,
      trashDays: values.trashDays,
      redact: values.redact === "on",
      redactPatterns: readPatterns(values.redactPatterns, reader),
      dataDir: values.dataDir ?? defaultDataDir(sources.env),
      logLevel: values.logLevel,
    };
  });
}

/** Reads what `dewey proxy` obeys. Throws one `invalid` error that names every mistake. */
export function proxyConfig(sources: Sources): ProxyConfig {
  return reading(sources, (reader) => {
    const values = reader.read(obeyed.proxy);
    const dataDir = values.dataDir ?? defaultDataDir(sources.env);
    return {
      ...listenConfig(values.proxyHost, values.proxyPort, values, sources, reader),
      configFile: values.proxyConfig,
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

/** Reads what is written into a client's configuration: only what differs from what Dewey does by itself. */
export function connectConfig(sources: Sources): ConnectConfig {
  return reading(sources, (reader) => {
    const { url, dataDir, spoolDir } = reader.read(obeyed.connect);
    return { url: url === settings.url.default ? undefined : url, dataDir, spoolDir };
  });
}

/** Reads what `dewey hook` obeys. */
export function hookConfig(sources: Sources): HookConfig {
  return reading(sources, (reader) => {
    const { url, token, logLevel, ...values } = reader.read(obeyed.hook);
    const dataDir = values.dataDir ?? defaultDataDir(sources.env);
    return { url, token, logLevel, dataDir, spoolDir: values.spoolDir ?? join(dataDir, "spool") };
  });
}

/** Reads what the commands obey that only talk to a server. */
export function clientConfig(sources: Sources): ClientConfig {
  return reading(sources, (reader) => reader.read(obeyed.client));
}

/** Reads what `dewey reindex` obeys. */
export function reindexConfig(sources: Sources): ReindexConfig {
  return reading(sources, (reader) => {
    const { searchLanguage, ...client } = reader.read(obeyed.reindex);
    return { ...client, language: searchLanguage };
  });
}

/** NO_COLOR counts when it holds anything (https://no-color.org); vi is the editor that POSIX promises. */
export function terminalConfig(env: Sources["env"]): TerminalConfig {
  return {
    colour: !env["NO_COLOR"] && env["TERM"] !== "dumb",
    pager: env["PAGER"] || undefined,
    editor: env["VISUAL"] || env["EDITOR"] || "vi",
  };
}

/** The environment for programs that Dewey starts for others: without Dewey's own settings, which hold its secrets. */
export function foreignEnvironment(env: Sources["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("DEWEY_"),
    ),
  );
}

/** Variables that begin like Dewey's and are none: most likely misspelt, so that a command can say so. */
export function unknownVariables(env: Sources["env"]): string[] {
  const known = new Set(
    Object.values(settings).flatMap((row) => ("secret" in row ? [row.env, `${row.env}_FILE`] : [row.env])),
  );
  return Object.keys(env).filter((name) => name.startsWith("DEWEY_") && !known.has(name));
}

/** Collects mistakes while values are read, so that all of them can be named at once. */
interface Reader {
  read<Name extends SettingName>(names: readonly Name[]): Values<Name>;
  problem(name: string, message: string): void;
}

/** Stops before a config is made of wrong values: what `read` returned for a mistake is never used. */
class Mistakes extends Error {}

function reading<Config extends object>(sources: Sources, build: (reader: Reader) => Config): Readonly<Config> {
  const problems: string[] = [];
  const reader: Reader = {
    read: (names) => readValues(names, sources, problems),
    problem: (name, message) => problems.push(`${name} ${message}`),
  };
  let config: Config | undefined;
  try {
    config = build(reader);
  } catch (error) {
    if (!(error instanceof Mistakes)) throw error;
  }
  if (config === undefined || problems.length > 0) {
    throw new DeweyError("invalid", `The configuration is wrong:\n${problems.map((line) => `  ${line}`).join("\n")}`);
  }
  return Object.freeze(config);
}

function readValues<Name extends SettingName>(
  names: readonly Name[],
  sources: Sources,
  problems: string[],
): Values<Name> {
  const values: Record<string, unknown> = {};
  const before = problems.length;
  for (const name of names) {
    const row: Setting<unknown> = settings[name];
    const given = givenText(row, sources, problems);
    if (given === undefined) continue;
    try {
      values[name] = row.parse(given.text);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      problems.push(`${given.source} ${error.message}${row.secret ? "" : `, not ${JSON.stringify(given.text)}`}`);
    }
  }
  if (problems.length > before) throw new Mistakes();
  return values as Values<Name>;
}

/** The text of a setting and where it came from: the flag, else the variable, else the file, else the default. */
function givenText(
  row: Setting<unknown>,
  sources: Sources,
  problems: string[],
): { text: string; source: string } | undefined {
  const flag = row.flag === undefined ? undefined : sources.flags[row.flag];
  if (typeof flag === "string") return { text: flag, source: `--${row.flag}` };
  // An empty variable means that none is given: compose files and units pass them on like that.
  const variable = sources.env[row.env] || undefined;
  const file = row.secret ? sources.env[`${row.env}_FILE`] || undefined : undefined;
  if (variable !== undefined && file !== undefined)
    problems.push(`${row.env} and ${row.env}_FILE are both given; give one`);
  if (variable !== undefined) return { text: variable, source: row.env };
  const content = file === undefined ? undefined : secretFile(`${row.env}_FILE`, file, problems);
  if (content !== undefined) return { text: content, source: `${row.env}_FILE` };
  return row.default === undefined ? undefined : { text: row.default, source: row.env };
}

/** A secret from its file, without the line end that editors add. An empty file means that there is none. */
function secretFile(name: string, file: string, problems: string[]): string | undefined {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "") || undefined;
  } catch {
    problems.push(`${name} should be a file that can be read, not ${JSON.stringify(file)}`);
    return undefined;
  }
}

function listenConfig(
  host: string,
  port: number,
  values: Values<(typeof listening)[number]>,
  sources: Sources,
  reader: Reader,
): ListenConfig {
  if ((values.tlsCert === undefined) !== (values.tlsKey === undefined)) {
    reader.problem("DEWEY_TLS_CERT and DEWEY_TLS_KEY", "go together; give both or none");
  }
  if (!isLoopback(host) && values.token === undefined && sources.flags["no-auth"] !== true) {
    reader.problem("DEWEY_TOKEN", `should be given to listen on ${host}, which others can reach (or say --no-auth)`);
  }
  const tls = values.tlsCert && values.tlsKey ? { certFile: values.tlsCert, keyFile: values.tlsKey } : undefined;
  return { host, port, token: values.token, allowedOrigins: values.allowedOrigins, tls };
}

function databaseConfig(
  values: Values<"databaseUrl" | "dbHost" | "dbPort" | "dbName" | "dbUser" | "dbPassword">,
  reader: Reader,
): DatabaseConfig {
  if (values.databaseUrl !== undefined) {
    if (values.dbHost !== undefined) reader.problem("DEWEY_DATABASE_URL and DEWEY_DB_HOST", "are both given; give one");
    const url = new URL(values.databaseUrl);
    const [database, user] = [settings.dbName.default, settings.dbUser.default];
    const defaults = { database, user, password: values.dbPassword, tls: false };
    return { kind: "server", ...postgresFromUrl("DEWEY_DATABASE_URL", url, defaults, reader) };
  }
  if (values.dbHost === undefined && values.dbPassword === undefined) return { kind: "embedded" };
  if (values.dbPassword === undefined)
    reader.problem("DEWEY_DB_PASSWORD", "should be given for the database at DEWEY_DB_HOST");
  return {
    kind: "server",
    // The name of the database's machine where the prototype ran.
    host: values.dbHost ?? "irina",
    port: values.dbPort,
    database: values.dbName,
    user: values.dbUser,
    password: values.dbPassword ?? "",
    tls: false,
  };
}

/** A replica has the database, the users and the passwords of its primary, so its address may leave them out. */
function readReplica(url: string | undefined, primary: DatabaseConfig, reader: Reader): PostgresConfig | undefined {
  if (url === undefined) return undefined;
  if (primary.kind === "server") return postgresFromUrl("DEWEY_DB_READ_URL", new URL(url), primary, reader);
  reader.problem("DEWEY_DB_READ_URL", "should come with DEWEY_DATABASE_URL or DEWEY_DB_HOST, whose replica it names");
  return undefined;
}

function postgresFromUrl(
  variable: string,
  url: URL,
  defaults: Pick<PostgresConfig, "database" | "user" | "tls"> & { password: string | undefined },
  reader: Reader,
): PostgresConfig {
  for (const name of url.searchParams.keys()) {
    if (name !== "sslmode") reader.problem(variable, `has the parameter ${name}; only sslmode is known`);
  }
  const sslmode = url.searchParams.get("sslmode") ?? (defaults.tls ? "require" : "disable");
  if (sslmode !== "disable" && sslmode !== "require") {
    reader.problem(variable, "has an sslmode that is not known; give disable or require");
  }
  const password = decodeURIComponent(url.password) || defaults.password;
  if (password === undefined) reader.problem(variable, "should hold a password (or give DEWEY_DB_PASSWORD)");
  return {
    host: decodeURIComponent(url.hostname),
    port: url.port === "" ? Number(settings.dbPort.default) : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)) || defaults.database,
    user: decodeURIComponent(url.username) || defaults.user,
    password: password ?? "",
    tls: sslmode === "require",
  };
}

/** `{"ticket number": "T-\\d{6}"}`: each name is what stands in the place of what its expression matches. */
function readPatterns(file: string | undefined, reader: Reader): Record<string, RegExp> {
  if (file === undefined) return {};
  try {
    const parsed = jsonTexts(readFileSync(file, "utf8"));
    return Object.fromEntries(Object.entries(parsed).map(([name, source]) => [name, new RegExp(source)]));
  } catch (error) {
    const reason = error instanceof SyntaxError ? `: ${error.message}` : "";
    reader.problem("DEWEY_REDACT_PATTERNS", `should be a JSON file of names and regular expressions${reason}`);
    return {};
  }
}

/** By the XDG rule for a person, and where system services keep their state for root. */
function defaultDataDir(env: Sources["env"]): string {
  if (process.getuid?.() === 0) return "/var/lib/dewey";
  return join(env["XDG_DATA_HOME"] || join(env["HOME"] || homedir(), ".local", "share"), "dewey");
}
