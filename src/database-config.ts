import type { SettingsReader, Values } from "./given.ts";
import { settings } from "./settings.ts";

/** Address and account of a PostgreSQL database. */
export interface PostgresConfig {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  tls: boolean;
}

/** The embedded PostgreSQL, or a server's address. */
export type DatabaseConfig = { kind: "embedded" } | ({ kind: "server" } & PostgresConfig);

/** Reads which database to use; the embedded one when none is configured. */
export function databaseConfig(
  values: Values<"databaseUrl" | "dbHost" | "dbPort" | "dbName" | "dbUser" | "dbPassword">,
  reader: SettingsReader,
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
    // The database host of the prototype's installation.
    host: values.dbHost ?? "irina",
    port: values.dbPort,
    database: values.dbName,
    user: values.dbUser,
    password: values.dbPassword ?? "",
    tls: false,
  };
}

/** Reads the replica's address; the database, user and password default to the primary's. */
export function readReplica(
  url: string | undefined,
  primary: DatabaseConfig,
  reader: SettingsReader,
): PostgresConfig | undefined {
  if (url === undefined) return undefined;
  if (primary.kind === "server") return postgresFromUrl("DEWEY_DB_READ_URL", new URL(url), primary, reader);
  reader.problem("DEWEY_DB_READ_URL", "needs DEWEY_DATABASE_URL or DEWEY_DB_HOST, whose replica it names");
  return undefined;
}

function postgresFromUrl(
  variable: string,
  url: URL,
  defaults: Pick<PostgresConfig, "database" | "user" | "tls"> & { password: string | undefined },
  reader: SettingsReader,
): PostgresConfig {
  for (const name of url.searchParams.keys()) {
    if (name !== "sslmode") reader.problem(variable, `has the parameter ${name}; only sslmode is supported`);
  }
  const sslmode = url.searchParams.get("sslmode") ?? (defaults.tls ? "require" : "disable");
  if (sslmode !== "disable" && sslmode !== "require") {
    reader.problem(variable, "has an unsupported sslmode; give disable or require");
  }
  const password = decodeURIComponent(url.password) || defaults.password;
  if (password === undefined) reader.problem(variable, "should contain a password (or give DEWEY_DB_PASSWORD)");
  return {
    host: decodeURIComponent(url.hostname),
    port: url.port === "" ? Number(settings.dbPort.default) : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)) || defaults.database,
    user: decodeURIComponent(url.username) || defaults.user,
    password: password ?? "",
    tls: sslmode === "require",
  };
}
