import { existsSync } from "node:fs";
import { resolve } from "node:path";
// The small form of zod: commands that a client waits for read their settings too, and the large one takes longer to load
// than all else that they do.
import * as z from "zod/mini";
import { logLevels } from "./log.ts";

/**
 * Every setting stands here once: its variable, its flag, its meaning, its default and what it must be. Commands name
 * the settings they obey, and their help is made from the same rows.
 */
export interface Setting<Schema extends z.ZodMiniType> {
  /** The environment variable. */
  env: string;
  /** The command-line flag that goes over it, where people change it by hand. */
  flag?: string;
  /** What stands for the value in help. */
  value: string;
  summary: string;
  /** Never printed, and also readable from the file that `${env}_FILE` names. */
  secret?: true;
  /** Takes the text as it was given, or the default. */
  schema: Schema;
  /** The text that is taken when nothing is given; absent means that the setting may be missing. */
  default?: string;
}

type Defaulted<Schema extends z.ZodMiniType> = Setting<Schema> & { default: string };

const optional = <Schema extends z.ZodMiniType>(row: Omit<Setting<Schema>, "default">): Setting<Schema> => row;
const defaulted = <Schema extends z.ZodMiniType>(row: Defaulted<Schema>): Defaulted<Schema> => row;

const text = z.string();
const named = (what: string) => text.check(z.minLength(1, `should be ${what}`));

const integer = (least: number, most: number, what: string) =>
  z.pipe(
    text.check(
      z.regex(/^\d+$/, `should be ${what}`),
      z.refine((value) => Number(value) >= least && Number(value) <= most, `should be ${what}`),
    ),
    z.transform(Number),
  );

const port = integer(0, 65_535, "a port number from 0 (any free one) to 65535");

/** Whether every part of an address can be read: a stray percent sign would throw later, far from its cause. */
function decodable(url: URL): boolean {
  try {
    return decodeURIComponent(url.href) !== "";
  } catch {
    return false;
  }
}

const postgresUrl = text.check(
  z.refine((value) => {
    const url = URL.parse(value);
    return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== "" && decodable(url);
  }, "should look like postgres://user:password@host:5432/database"),
);

const webSocketUrl = text.check(
  z.refine((value) => {
    const url = URL.parse(value);
    return url !== null && (url.protocol === "ws:" || url.protocol === "wss:");
  }, "should be a WebSocket address such as ws://localhost:9020"),
);

const origins = z.pipe(
  text,
  z.transform((value, context) => {
    const list = value
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean);
    for (const origin of list) {
      if (URL.parse(origin)?.origin !== origin) {
        const message = "should be origins such as https://example.org, separated by commas";
        context.issues.push({ code: "custom", message, input: value });
        return z.NEVER;
      }
    }
    return list;
  }),
);

const headers = z.pipe(
  text,
  z.transform((value, context) => {
    try {
      return z.record(z.string(), z.string()).parse(JSON.parse(value));
    } catch {
      context.issues.push({ code: "custom", message: "should be a JSON object of texts", input: value });
      return z.NEVER;
    }
  }),
);

/** All settings of all commands. */
export const settings = {
  host: defaulted({
    env: "DEWEY_MCP_HOST",
    flag: "host",
    value: "ADDRESS",
    summary: "address to listen on",
    default: "127.0.0.1",
    schema: named("an address"),
  }),
  port: defaulted({
    env: "DEWEY_MCP_PORT",
    flag: "port",
    value: "PORT",
    summary: "port to listen on",
    default: "9020",
    schema: port,
  }),
  proxyHost: defaulted({
    env: "DEWEY_PROXY_HOST",
    flag: "host",
    value: "ADDRESS",
    summary: "address to listen on",
    default: "127.0.0.1",
    schema: named("an address"),
  }),
  proxyPort: defaulted({
    env: "DEWEY_PROXY_PORT",
    flag: "port",
    value: "PORT",
    summary: "port to listen on",
    default: "9000",
    schema: port,
  }),
  proxyConfig: optional({
    env: "DEWEY_PROXY_CONFIG",
    flag: "config",
    value: "FILE",
    summary: "upstream servers, in the clients' own `mcpServers` form",
    schema: named("a file"),
  }),
  upstreamHeaders: optional({
    env: "DEWEY_UPSTREAM_HEADERS",
    value: "JSON",
    summary: "headers for the upstream that `dewey proxy --stdio URL` names, as an object",
    secret: true,
    schema: headers,
  }),
  url: defaulted({
    env: "DEWEY_URL",
    flag: "url",
    value: "URL",
    summary: "where the Dewey server is",
    default: "ws://localhost:9020",
    schema: webSocketUrl,
  }),
  token: optional({
    env: "DEWEY_TOKEN",
    value: "TOKEN",
    summary: "token that every client must show, and that Dewey's own commands show",
    secret: true,
    schema: text.check(z.regex(/^[\x21-\x7e]+$/, "should be visible ASCII characters without spaces")),
  }),
  allowedOrigins: defaulted({
    env: "DEWEY_ALLOWED_ORIGINS",
    value: "ORIGINS",
    summary: "web origins that may connect, separated by commas",
    default: "",
    schema: origins,
  }),
  tlsCert: optional({
    env: "DEWEY_TLS_CERT",
    value: "FILE",
    summary: "certificate (PEM) to serve TLS with",
    schema: text.check(z.refine(existsSync, "should be a file that exists")),
  }),
  tlsKey: optional({
    env: "DEWEY_TLS_KEY",
    value: "FILE",
    summary: "key (PEM) of that certificate",
    schema: text.check(z.refine(existsSync, "should be a file that exists")),
  }),
  dataDir: optional({
    env: "DEWEY_DATA_DIR",
    flag: "data-dir",
    value: "FOLDER",
    summary: "where Dewey keeps its files (default: $XDG_DATA_HOME/dewey, or /var/lib/dewey for root)",
    schema: z.pipe(
      named("a folder"),
      z.transform((value) => resolve(value)),
    ),
  }),
  spoolDir: optional({
    env: "DEWEY_SPOOL_DIR",
    flag: "spool-dir",
    value: "FOLDER",
    summary: "where the proxy queues what it records (default: `spool` in the data folder)",
    schema: z.pipe(
      named("a folder"),
      z.transform((value) => resolve(value)),
    ),
  }),
  spoolMaxMb: defaulted({
    env: "DEWEY_SPOOL_MAX_MB",
    value: "N",
    summary: "megabytes that may wait in that folder; then nothing more is recorded until some are delivered",
    // A week without a server, at 3 GB of frames a day.
    default: "20000",
    schema: integer(1, 1_000_000_000, "a number of megabytes from 1 to 1000000000"),
  }),
  spoolMaxDays: defaulted({
    env: "DEWEY_SPOOL_MAX_DAYS",
    value: "N",
    summary: "days that the oldest may wait there; then nothing more is recorded until it is delivered",
    default: "60",
    schema: integer(1, 36_500, "a number of days from 1 to 36500"),
  }),
  spoolSync: defaulted({
    env: "DEWEY_SPOOL_SYNC",
    value: "on|off",
    summary: "relay a frame only when the disk has it, so that a power cut loses none; every frame waits for the disk",
    default: "off",
    schema: z.enum(["on", "off"], "should be on or off"),
  }),
  databaseUrl: optional({
    env: "DEWEY_DATABASE_URL",
    value: "URL",
    summary: "PostgreSQL to use instead of the embedded one, as one address",
    secret: true,
    schema: postgresUrl,
  }),
  dbReadUrl: optional({
    env: "DEWEY_DB_READ_URL",
    value: "URL",
    summary: "a streaming replica of it to search, list and read in, as one address (what it leaves out is as there)",
    secret: true,
    schema: postgresUrl,
  }),
  dbHost: optional({
    env: "DEWEY_DB_HOST",
    value: "HOST",
    summary: "PostgreSQL to use instead of the embedded one (irina when only a password is given)",
    schema: named("a host"),
  }),
  dbPort: defaulted({ env: "DEWEY_DB_PORT", value: "PORT", summary: "its port", default: "5432", schema: port }),
  dbName: defaulted({
    env: "DEWEY_DB_NAME",
    value: "NAME",
    summary: "its database",
    default: "winni",
    schema: named("a name"),
  }),
  dbUser: defaulted({
    env: "DEWEY_DB_USER",
    value: "NAME",
    summary: "its user",
    default: "dewey",
    schema: named("a name"),
  }),
  dbPassword: optional({
    env: "DEWEY_DB_PASSWORD",
    value: "PASSWORD",
    summary: "its password",
    secret: true,
    schema: text,
  }),
  dbMinConnections: defaulted({
    env: "DEWEY_DB_MIN_CONNECTIONS",
    value: "N",
    summary: "connections opened at start and kept",
    default: "1",
    schema: integer(1, 1000, "a number from 1 to 1000"),
  }),
  dbMaxConnections: defaulted({
    env: "DEWEY_DB_MAX_CONNECTIONS",
    value: "N",
    summary: "connections at most",
    default: "10",
    schema: integer(2, 1000, "a number from 2 to 1000 (searches have connections of their own)"),
  }),
  dbDeadlineSeconds: defaulted({
    env: "DEWEY_DB_DEADLINE_SECONDS",
    value: "N",
    summary: "how long a call may wait for the database",
    default: "10",
    schema: integer(1, 600, "a number from 1 to 600"),
  }),
  searchDeadlineSeconds: defaulted({
    env: "DEWEY_SEARCH_DEADLINE_SECONDS",
    value: "N",
    summary: "how long one statement of a search may take",
    default: "5",
    schema: integer(1, 600, "a number from 1 to 600"),
  }),
  trashDays: defaulted({
    env: "DEWEY_TRASH_DAYS",
    value: "N",
    summary: "days that a deleted conversation can be restored",
    default: "30",
    schema: integer(0, 36_500, "a number of days from 0 to 36500"),
  }),
  redact: defaulted({
    env: "DEWEY_REDACT",
    value: "on|off",
    summary: "take secrets (tokens, keys, passwords) out of everything that is stored",
    default: "on",
    schema: z.enum(["on", "off"], "should be on or off"),
  }),
  redactPatterns: optional({
    env: "DEWEY_REDACT_PATTERNS",
    value: "FILE",
    summary: "more to take out: a JSON file of names and regular expressions",
    schema: text.check(z.refine(existsSync, "should be a file that exists")),
  }),
  logLevel: defaulted({
    env: "DEWEY_LOG_LEVEL",
    flag: "log-level",
    value: "LEVEL",
    summary: `least level that is logged: ${logLevels.join(", ")}`,
    default: "info",
    schema: z.enum(logLevels, `should be one of ${logLevels.join(", ")}`),
  }),
};

export type SettingName = keyof typeof settings;
