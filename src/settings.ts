import { existsSync } from "node:fs";
import { logLevels } from "./log.ts";
import { tlsModes } from "./postgres-address.ts";
import {
  text,
  checked,
  named,
  existingFile,
  folder,
  oneOf,
  toolChoice,
  contextWrites,
  onOrOff,
  integer,
  port,
  webSocketUrl,
  postgresUrl,
  upstreamUrl,
  embeddingsUrl,
  prefixText,
  origins,
  hosts,
  headers,
} from "./setting-values.ts";

/**
 * One setting: its variable, flag, meaning, default and valid values. Each command lists the settings it obeys, and its
 * help is generated from the same rows.
 */
export interface Setting<Value> {
  /** The environment variable. */
  env: string;
  /** The command-line flag that overrides it, for settings that people change by hand. */
  flag?: string;
  /** Placeholder for the value in help. */
  value: string;
  summary: string;
  /** Never printed, and may also be read from the file that `${env}_FILE` names. */
  secret?: true;
  /** Parses the given text, or the default. Throws `Unfit`. */
  parse(text: string): Value;
  /** Parsed when nothing is given; a setting without a default may be missing. */
  default?: string;
}

type Defaulted<Value> = Setting<Value> & { default: string };

const optional = <Value>(row: Omit<Setting<Value>, "default">): Setting<Value> => row;
const defaulted = <Value>(row: Defaulted<Value>): Defaulted<Value> => row;

/** All settings of all commands. */
export const settings = {
  host: defaulted({
    env: "DEWEY_MCP_HOST",
    flag: "host",
    value: "ADDRESS",
    summary: "address that the server listens on",
    default: "127.0.0.1",
    parse: named("an address"),
  }),
  port: defaulted({
    env: "DEWEY_MCP_PORT",
    flag: "port",
    value: "PORT",
    summary: "the server's port",
    default: "9020",
    parse: port,
  }),
  proxyHost: defaulted({
    env: "DEWEY_PROXY_HOST",
    flag: "host",
    value: "ADDRESS",
    summary: "address that the proxy listens on",
    default: "127.0.0.1",
    parse: named("an address"),
  }),
  proxyPort: defaulted({
    env: "DEWEY_PROXY_PORT",
    flag: "port",
    value: "PORT",
    summary: "the proxy's port",
    default: "9000",
    parse: port,
  }),
  proxyConfig: optional({
    env: "DEWEY_PROXY_CONFIG",
    flag: "config",
    value: "FILE",
    summary: "upstream servers, in the `mcpServers` format of MCP clients",
    parse: named("a file"),
  }),
  upstreamUrl: optional({
    env: "DEWEY_UPSTREAM_URL",
    value: "URL",
    summary: "address for `dewey proxy --stdio`, where a key in it is not seen on the command line",
    secret: true,
    parse: upstreamUrl,
  }),
  upstreamHeaders: optional({
    env: "DEWEY_UPSTREAM_HEADERS",
    value: "JSON",
    summary: "HTTP headers for the upstream of `dewey proxy --stdio URL`, as a JSON object",
    secret: true,
    parse: headers,
  }),
  url: defaulted({
    env: "DEWEY_URL",
    flag: "url",
    value: "URL",
    summary: "address of the Dewey server",
    default: "ws://localhost:9020",
    parse: webSocketUrl,
  }),
  token: optional({
    env: "DEWEY_TOKEN",
    value: "TOKEN",
    summary: "token that every client must send, and that Dewey's own commands send",
    secret: true,
    parse: checked((value) => /^[\x21-\x7e]+$/.test(value), "should be visible ASCII characters without spaces"),
  }),
  allowedOrigins: defaulted({
    env: "DEWEY_ALLOWED_ORIGINS",
    value: "ORIGINS",
    summary: "web origins that may connect, separated by commas",
    default: "",
    parse: origins,
  }),
  allowedHosts: defaulted({
    env: "DEWEY_ALLOWED_HOSTS",
    value: "NAMES",
    summary: "names by which clients may reach this machine without a token, separated by commas",
    default: "",
    parse: hosts,
  }),
  tlsCert: optional({
    env: "DEWEY_TLS_CERT",
    value: "FILE",
    summary: "certificate (PEM) for serving TLS",
    parse: existingFile,
  }),
  tlsKey: optional({
    env: "DEWEY_TLS_KEY",
    value: "FILE",
    summary: "private key (PEM) of that certificate",
    parse: existingFile,
  }),
  dataDir: optional({
    env: "DEWEY_DATA_DIR",
    flag: "data-dir",
    value: "FOLDER",
    summary: "where Dewey stores its files (default: $XDG_DATA_HOME/dewey, or /var/lib/dewey for root)",
    parse: folder,
  }),
  spoolDir: optional({
    env: "DEWEY_SPOOL_DIR",
    flag: "spool-dir",
    value: "FOLDER",
    summary: "where the proxy queues its recordings (default: `spool` in the data folder)",
    parse: folder,
  }),
  spoolMaxMb: defaulted({
    env: "DEWEY_SPOOL_MAX_MB",
    value: "N",
    summary: "maximum size of that queue in megabytes; recording stops at the limit until some is delivered",
    // A week without a server, at 3 GB of frames a day.
    default: "20000",
    parse: integer(1, 1_000_000_000, "a number of megabytes from 1 to 1000000000"),
  }),
  spoolMaxDays: defaulted({
    env: "DEWEY_SPOOL_MAX_DAYS",
    value: "N",
    summary: "maximum age of the oldest queued entry in days; recording stops at the limit until it is delivered",
    default: "60",
    parse: integer(1, 36_500, "a number of days from 1 to 36500"),
  }),
  spoolSync: defaulted({
    env: "DEWEY_SPOOL_SYNC",
    value: "on|off",
    summary: "sync each frame to disk before relaying it, so that a power failure loses none; slows every frame",
    default: "off",
    parse: onOrOff,
  }),
  databaseUrl: optional({
    env: "DEWEY_DATABASE_URL",
    value: "URL",
    summary: "address of a PostgreSQL to use instead of the embedded one",
    secret: true,
    parse: postgresUrl,
  }),
  dbReadUrl: optional({
    env: "DEWEY_DB_READ_URL",
    value: "URL",
    summary: "address of a streaming replica for searches, lists and reads (omitted parts are those of the primary)",
    secret: true,
    parse: postgresUrl,
  }),
  dbHost: optional({
    env: "DEWEY_DB_HOST",
    value: "HOST",
    summary: "host of a PostgreSQL to use instead of the embedded one, or several, separated by commas",
    parse: named("a host"),
  }),
  dbPort: optional({
    env: "DEWEY_DB_PORT",
    value: "PORT",
    summary: "its port (default: PGPORT, or 5432)",
    parse: port,
  }),
  dbName: optional({
    env: "DEWEY_DB_NAME",
    value: "NAME",
    summary:
      "its database (default: PGDATABASE; else dewey for an address, and winni, as in earlier versions, for DEWEY_DB_HOST)",
    parse: named("a name"),
  }),
  dbUser: optional({
    env: "DEWEY_DB_USER",
    value: "NAME",
    summary: "its user (default: PGUSER, or dewey)",
    parse: named("a name"),
  }),
  dbPassword: optional({
    env: "DEWEY_DB_PASSWORD",
    value: "PASSWORD",
    summary: "its password (default: PGPASSWORD, or that in ~/.pgpass)",
    secret: true,
    parse: text,
  }),
  dbSslMode: optional({
    env: "DEWEY_DB_SSLMODE",
    value: "MODE",
    summary: `TLS to it: ${tlsModes.join(", ")} (default: verify-full, or allow on this machine)`,
    parse: oneOf(tlsModes, `should be one of ${tlsModes.join(", ")}`),
  }),
  dbSslRootCert: optional({
    env: "DEWEY_DB_SSLROOTCERT",
    value: "FILE",
    summary: "certificates (PEM) of the authorities that may have signed its own, or system for those of this machine",
    parse: checked((value) => value === "system" || existsSync(value), "should be a file that exists, or system"),
  }),
  dbSslCert: optional({
    env: "DEWEY_DB_SSLCERT",
    value: "FILE",
    summary: "certificate (PEM) that Dewey shows it",
    parse: existingFile,
  }),
  dbSslKey: optional({
    env: "DEWEY_DB_SSLKEY",
    value: "FILE",
    summary: "private key (PEM) of the certificate that Dewey shows the database",
    parse: existingFile,
  }),
  dbPooler: optional({
    env: "DEWEY_DB_POOLER",
    value: "transaction",
    summary: "a pooler stands before it, for one that Dewey does not find out by itself",
    parse: oneOf(["transaction"], "should be transaction"),
  }),
  dbMinConnections: defaulted({
    env: "DEWEY_DB_MIN_CONNECTIONS",
    value: "N",
    summary: "database connections opened at start and kept",
    default: "1",
    parse: integer(1, 1000, "a number from 1 to 1000"),
  }),
  dbMaxConnections: defaulted({
    env: "DEWEY_DB_MAX_CONNECTIONS",
    value: "N",
    summary: "maximum number of database connections",
    default: "10",
    parse: integer(2, 1000, "a number from 2 to 1000 (searches have connections of their own)"),
  }),
  dbDeadlineSeconds: defaulted({
    env: "DEWEY_DB_DEADLINE_SECONDS",
    value: "N",
    summary: "time limit of one call to the database",
    default: "10",
    parse: integer(1, 600, "a number from 1 to 600"),
  }),
  searchDeadlineSeconds: defaulted({
    env: "DEWEY_SEARCH_DEADLINE_SECONDS",
    value: "N",
    summary: "time limit of one statement of a search",
    default: "5",
    parse: integer(1, 600, "a number from 1 to 600"),
  }),
  searchLanguage: optional({
    env: "DEWEY_SEARCH_LANGUAGE",
    flag: "search-language",
    value: "LANGUAGE",
    summary: "language of the search index, such as german or simple (a new database starts with english)",
    parse: checked(
      (value) => /^[a-z_][a-z0-9_]{0,62}$/.test(value),
      "should be PostgreSQL's name of a language, such as english or german",
    ),
  }),
  trashDays: defaulted({
    env: "DEWEY_TRASH_DAYS",
    value: "N",
    summary: "days that a deleted conversation can be restored",
    default: "30",
    parse: integer(0, 36_500, "a number of days from 0 to 36500"),
  }),
  embeddingsUrl: optional({
    env: "DEWEY_EMBEDDINGS_URL",
    value: "URL",
    summary: "address of an embeddings endpoint in OpenAI's form, which search by meaning uses; texts are sent there",
    parse: embeddingsUrl,
  }),
  embeddingsModel: optional({
    env: "DEWEY_EMBEDDINGS_MODEL",
    value: "NAME",
    summary: "its model, such as embeddinggemma",
    parse: named("the name of a model"),
  }),
  embeddingsKey: optional({
    env: "DEWEY_EMBEDDINGS_KEY",
    value: "KEY",
    summary: "its key, sent as a bearer token",
    secret: true,
    parse: checked((value) => /^[\x21-\x7e]+$/.test(value), "should be visible ASCII characters without spaces"),
  }),
  embeddingsDimensions: optional({
    env: "DEWEY_EMBEDDINGS_DIMENSIONS",
    value: "N",
    summary: "dimensions to ask for, where the model can shorten its vectors",
    parse: integer(16, 8192, "a number from 16 to 8192"),
  }),
  embeddingsQueryPrefix: optional({
    env: "DEWEY_EMBEDDINGS_QUERY_PREFIX",
    value: "TEXT",
    summary: "what the model wants before a query, or none (default: known for e5, nomic, bge, Qwen3, EmbeddingGemma)",
    parse: prefixText,
  }),
  embeddingsDocumentPrefix: optional({
    env: "DEWEY_EMBEDDINGS_DOCUMENT_PREFIX",
    value: "TEXT",
    summary: "what the model wants before what is stored, or none (default: likewise)",
    parse: prefixText,
  }),
  redact: defaulted({
    env: "DEWEY_REDACT",
    value: "on|off",
    summary: "remove secrets (tokens, keys, passwords) from everything before it is stored",
    default: "on",
    parse: onOrOff,
  }),
  redactPatterns: optional({
    env: "DEWEY_REDACT_PATTERNS",
    value: "FILE",
    summary: "more secrets to remove: a JSON file of names and regular expressions",
    parse: existingFile,
  }),
  contextWrites: defaulted({
    env: "DEWEY_CONTEXT_WRITES",
    value: "on|inactive|off",
    summary:
      "what MCP clients may do to startup contexts: everything, activate one only when they ask for it, or nothing",
    default: "on",
    parse: oneOf(contextWrites, "should be on, inactive or off"),
  }),
  tools: defaulted({
    env: "DEWEY_TOOLS",
    value: "all|read|NAMES",
    summary: "the tools that MCP clients are offered: all, those that only read, or some, separated by commas",
    default: "all",
    parse: toolChoice,
  }),
  watch: defaulted({
    env: "DEWEY_WATCH",
    value: "on|off",
    summary: "let `dewey up`, and a server that clients start, follow the sessions of all agents as `dewey watch` does",
    default: "on",
    parse: onOrOff,
  }),
  digest: defaulted({
    env: "DEWEY_DIGEST",
    value: "on|off",
    summary: "tell a new session where the last ones in its folder ended",
    default: "on",
    parse: onOrOff,
  }),
  logLevel: defaulted({
    env: "DEWEY_LOG_LEVEL",
    flag: "log-level",
    value: "LEVEL",
    summary: `lowest level to log: ${logLevels.join(", ")}`,
    default: "info",
    parse: oneOf(logLevels, `should be one of ${logLevels.join(", ")}`),
  }),
};

export type SettingName = keyof typeof settings;
