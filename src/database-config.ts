import type { SettingsReader, Values } from "./given.ts";
import { settings } from "./settings.ts";

/** Where a PostgreSQL is. */
export interface PostgresConfig {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  tls: boolean;
}

/** A PostgreSQL, or that the embedded one is to be run. */
export type DatabaseConfig = { kind: "embedded" } | ({ kind: "server" } & PostgresConfig);

/** The database that is set, or that none is. */
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
export function readReplica(
  url: string | undefined,
  primary: DatabaseConfig,
  reader: SettingsReader,
): PostgresConfig | undefined {
  if (url === undefined) return undefined;
  if (primary.kind === "server") return postgresFromUrl("DEWEY_DB_READ_URL", new URL(url), primary, reader);
  reader.problem("DEWEY_DB_READ_URL", "should come with DEWEY_DATABASE_URL or DEWEY_DB_HOST, whose replica it names");
  return undefined;
}

function postgresFromUrl(
  variable: string,
  url: URL,
  defaults: Pick<PostgresConfig, "database" | "user" | "tls"> & { password: string | undefined },
  reader: SettingsReader,
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
