import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { SettingsReader, Sources, Values } from "./given.ts";
import { passwordFor } from "./password-file.ts";
import { rereading } from "./plain-file.ts";
import { hostList, parsePostgresAddress, targets, tlsModes } from "./postgres-address.ts";
import type { PostgresAddress } from "./postgres-address.ts";
import { settings } from "./settings.ts";
import { isSocket } from "./postgres-host.ts";
import type { Host } from "./postgres-host.ts";
import type { Connection, Login, Password, Target, Tls } from "./store/database/connection.ts";
import { isLoopback } from "./loopback.ts";

/** Address and account of a PostgreSQL database. */
export type PostgresConfig = Connection;

/** The embedded PostgreSQL, or a server's address. */
export type DatabaseConfig = { kind: "embedded" } | ({ kind: "server" } & PostgresConfig);

/** The settings of a database. */
export const databaseSettings = [
  "databaseUrl",
  "dbHost",
  "dbPort",
  "dbName",
  "dbUser",
  "dbPassword",
  "dbSslMode",
  "dbSslRootCert",
  "dbSslCert",
  "dbSslKey",
  "dbPooler",
] as const;

/** The parameters of an address that Dewey obeys. */
const parameters = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "target_session_attrs",
  "application_name",
];

/** Folders where PostgreSQL's packages place its socket. */
const SOCKET_FOLDERS = ["/run/postgresql", "/tmp"];
const DEFAULT_PORT = "5432";
/** The database where an address names none. */
const DEFAULT_DATABASE = "dewey";
/** Host and database of the prototype's installation: still the defaults beside DEWEY_DB_HOST or DEWEY_DB_PASSWORD. */
const FORMER_HOST = "irina";
const FORMER_DATABASE = "winni";

/** What a part of the address is when the address does not give it. */
interface Fallback {
  hosts: () => Host[];
  port: string;
  database: string;
  user: string;
  password: Password | undefined;
  tls: Partial<Tls>;
  target: Target | undefined;
  applicationName: string | undefined;
  isPooled: boolean;
}

/**
 * Reads which database to use; the embedded one when none is configured. What the address and Dewey's own settings leave
 * out comes from libpq's variables (`PGUSER` …) and its file of passwords; they alone do not select a database.
 */
export function databaseConfig(
  values: Values<(typeof databaseSettings)[number]>,
  env: Sources["env"],
  reader: SettingsReader,
): DatabaseConfig {
  const fallback = fallbackFrom(values, env, reader);
  if (values.databaseUrl !== undefined) {
    if (values.dbHost !== undefined) reader.problem("DEWEY_DATABASE_URL and DEWEY_DB_HOST", "are both given; give one");
    return { kind: "server", ...fromUrl("DEWEY_DATABASE_URL", values.databaseUrl, { fallback, env, reader }) };
  }
  if (values.dbHost === undefined && values.dbPassword === undefined) return { kind: "embedded" };
  const address: PostgresAddress = { hosts: hostList(values.dbHost ?? FORMER_HOST), parameters: new Map() };
  return { kind: "server", ...connectionOf("DEWEY_DB_HOST", address, { fallback, env, reader }) };
}

/** Reads the replica's address; what it leaves out is that of the primary. */
export function readReplica(
  url: string | undefined,
  primary: DatabaseConfig,
  env: Sources["env"],
  reader: SettingsReader,
): PostgresConfig | undefined {
  if (url === undefined) return undefined;
  if (primary.kind === "server") {
    const { database, user, password, tls, applicationName } = primary;
    const ofPrimary = { host: primary.host, port: primary.port, database, user };
    const fallback: Fallback = {
      hosts: () => socketFolder(DEFAULT_PORT),
      port: DEFAULT_PORT,
      database,
      user,
      // From a file, the replica's own, where it has one.
      password: typeof password === "function" ? (login) => password(login) ?? password(ofPrimary) : password,
      tls: tls ?? {},
      target: undefined,
      applicationName,
      isPooled: false,
    };
    return fromUrl("DEWEY_DB_READ_URL", url, { fallback, env, reader, isReplica: true });
  }
  reader.problem("DEWEY_DB_READ_URL", "needs DEWEY_DATABASE_URL or DEWEY_DB_HOST, whose replica it names");
  return undefined;
}

interface Reading {
  fallback: Fallback;
  env: Sources["env"];
  reader: SettingsReader;
  isReplica?: boolean;
}

function fallbackFrom(
  values: Values<(typeof databaseSettings)[number]>,
  env: Sources["env"],
  reader: SettingsReader,
): Fallback {
  const port = `${values.dbPort ?? (env["PGPORT"] || DEFAULT_PORT)}`;
  const { PGHOST, PGSSLMODE } = env;
  return {
    hosts: () => (PGHOST ? hostsOf("PGHOST", hostList(PGHOST), port, reader) : socketFolder(port)),
    port,
    database: values.dbName ?? (env["PGDATABASE"] || (values.databaseUrl ? DEFAULT_DATABASE : FORMER_DATABASE)),
    user: values.dbUser ?? (env["PGUSER"] || "dewey"),
    password: passwordOf(values.dbPassword, env) ?? (env["PGPASSWORD"] || undefined),
    tls: {
      ...mode(values.dbSslMode ?? modeOf("PGSSLMODE", PGSSLMODE || undefined, reader)),
      ...present("rootCert", values.dbSslRootCert ?? env["PGSSLROOTCERT"]),
      ...present("cert", values.dbSslCert ?? env["PGSSLCERT"]),
      ...present("key", values.dbSslKey ?? env["PGSSLKEY"]),
    },
    target: targetOf("PGTARGETSESSIONATTRS", env["PGTARGETSESSIONATTRS"] || undefined, reader),
    applicationName: env["PGAPPNAME"] || undefined,
    isPooled: values.dbPooler !== undefined,
  };
}

/** A password from a file is read again at each new connection. */
function passwordOf(given: string | undefined, env: Sources["env"]): Password | undefined {
  const file = env[`${settings.dbPassword.env}_FILE`];
  if (given === undefined || !file) return given;
  return rereading(file, given, (text) => text);
}

function fromUrl(variable: string, url: string, reading: Reading): PostgresConfig {
  const address = parsePostgresAddress(url) as PostgresAddress;
  const file = reading.env[`${variable}_FILE`];
  const connection = connectionOf(variable, address, reading);
  if (!file || address.password === undefined) return connection;
  return {
    ...connection,
    password: rereading(file, address.password, (text) => parsePostgresAddress(text)?.password),
  };
}

function connectionOf(variable: string, address: PostgresAddress, reading: Reading): PostgresConfig {
  const { fallback, env, reader, isReplica } = reading;
  for (const name of address.parameters.keys()) {
    if (!parameters.includes(name))
      reader.problem(
        variable,
        `has the parameter ${name}, which Dewey does not know; it knows ${parameters.join(", ")}`,
      );
  }
  const hosts =
    address.hosts.length === 0
      ? fallback.hosts()
      : hostsOf(variable, address.hosts, address.parameters.get("port") ?? fallback.port, reader);
  const [first = { host: FORMER_HOST, port: Number(DEFAULT_PORT) }, ...others] = hosts;
  const asked = targetOf(variable, address.parameters.get("target_session_attrs"), reader) ?? fallback.target;
  if (!isReplica && asked !== undefined && !["any", "read-write", "primary"].includes(asked))
    reader.problem(variable, `has target_session_attrs=${asked}, but Dewey writes; give read-write`);
  // Of several, only the one that takes writes can serve.
  const target = asked ?? (others.length > 0 && !isReplica ? "read-write" : undefined);
  const database = address.database ?? fallback.database;
  const user = address.user ?? fallback.user;
  const logins = hosts.map((host) => ({ ...host, database, user }));
  const password = address.password ?? fallback.password ?? passwordFromFile(logins, env);
  const tls = tlsOf(variable, address, { fallback, hosts, reader });
  return {
    ...first,
    ...(others.length > 0 ? { others } : {}),
    database,
    user,
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
    ...(target ? { target } : {}),
    ...(fallback.isPooled ? { isPooled: true } : {}),
    ...present("applicationName", address.parameters.get("application_name") ?? fallback.applicationName),
  };
}

/**
 * The passwords in libpq's file, asked again at each new connection, where each host has its own; undefined where it has none
 * now. While the file is being replaced, the last one holds.
 */
function passwordFromFile(logins: readonly Login[], env: Sources["env"]): Password | undefined {
  const file = env["PGPASSFILE"] || join(env["HOME"] || homedir(), ".pgpass");
  const last = new Map<string, string>();
  const read = (login: Login): string | undefined => {
    const key = JSON.stringify([login.host, login.port, login.database, login.user]);
    const password = passwordFor(file, login) ?? last.get(key);
    if (password !== undefined) last.set(key, password);
    return password;
  };
  return logins.some((login) => read(login) !== undefined) ? read : undefined;
}

function hostsOf(
  variable: string,
  hosts: readonly { host: string; port?: string }[],
  port: string,
  reader: SettingsReader,
): Host[] {
  return hosts.map((each) => {
    const number = Number(each.port ?? port);
    if (!Number.isInteger(number) || number < 1 || number > 65_535)
      reader.problem(variable, `has the port ${each.port ?? port}; give one from 1 to 65535`);
    if (each.host === "") reader.problem(variable, "has a host without a name");
    return { host: each.host, port: number };
  });
}

function socketFolder(port: string): Host[] {
  const folder = SOCKET_FOLDERS.find((each) => existsSync(each)) ?? "/run/postgresql";
  return [{ host: folder, port: Number(port) }];
}

/**
 * TLS as it is configured. By default the certificate of a host beyond this machine is verified; on this machine TLS is used
 * only where the server demands it.
 */
function tlsOf(
  variable: string,
  { parameters: given }: PostgresAddress,
  { fallback, hosts, reader }: { fallback: Fallback; hosts: Host[]; reader: SettingsReader },
): Tls | undefined {
  const overNetwork = hosts.filter(({ host }) => !isSocket(host));
  if (overNetwork.length === 0) return undefined;
  const asked = modeOf(variable, given.get("sslmode"), reader) ?? fallback.tls.mode;
  const isLocal = overNetwork.every(({ host }) => isLoopback(host));
  const tls: Tls = {
    mode: asked ?? (isLocal ? "allow" : "verify-full"),
    ...present("rootCert", given.get("sslrootcert") ?? fallback.tls.rootCert),
    ...present("cert", given.get("sslcert") ?? fallback.tls.cert),
    ...present("key", given.get("sslkey") ?? fallback.tls.key),
  };
  if ((tls.cert === undefined) !== (tls.key === undefined))
    reader.problem(variable, "needs sslcert and sslkey together; give both or neither");
  for (const file of [tls.rootCert, tls.cert, tls.key]) {
    if (file !== undefined && file !== "system" && !existsSync(file))
      reader.problem(variable, `names the file ${file}, which does not exist`);
  }
  return tls;
}

function modeOf(variable: string, text: string | undefined, reader: SettingsReader): Tls["mode"] | undefined {
  const known = tlsModes.find((each) => each === text);
  if (text !== undefined && !known)
    reader.problem(variable, `has an unknown sslmode; give one of ${tlsModes.join(", ")}`);
  return known;
}

function targetOf(variable: string, text: string | undefined, reader: SettingsReader): Target | undefined {
  const known = targets.find((each) => each === text);
  if (text !== undefined && !known)
    reader.problem(variable, `has an unknown target_session_attrs; give one of ${targets.join(", ")}`);
  return known;
}

const mode = (known: Tls["mode"] | undefined): Partial<Tls> => (known ? { mode: known } : {});

const present = <Name extends string>(name: Name, value: string | undefined) =>
  (value ? { [name]: value } : {}) as Partial<Record<Name, string>>;
