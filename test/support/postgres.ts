import { appendFileSync, chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { startEmbedded } from "../../src/store/engine/embedded.ts";
import { placesIn } from "../../src/store/engine/engine.ts";
import { createRedactor } from "../../src/store/redact/redact.ts";
import { openStore } from "../../src/store/store.ts";
import type { Connection } from "../../src/store/database/connection.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import { quiet } from "./quiet.ts";

/** A running PostgreSQL that its test may kill, freeze or stop. */
export interface Cluster {
  connection: Connection;
  /** The current pid of the postmaster. */
  pid(): number;
  stop(): Promise<void>;
}

/** A PostgreSQL version that Dewey supports. */
export interface Engine {
  name: string;
  start(folder: string): Promise<Cluster>;
}

const DEBIAN_PROGRAMS = "/usr/lib/postgresql/15/bin";

const embedded: Engine = {
  name: "the embedded PostgreSQL",
  async start(folder) {
    const running = await startEmbedded({ dataDir: folder, log: quiet });
    return {
      connection: running.connection,
      pid: () => postmasterIn(placesIn(folder).cluster),
      stop: () => running.stop(),
    };
  },
};

const hasDebian = existsSync(DEBIAN_PROGRAMS);

/** The only engine that can make a replica: the embedded one has no `pg_basebackup`. */
export const debian: Engine | undefined = hasDebian
  ? { name: "Debian's PostgreSQL 15", start: startDebian }
  : undefined;

/** The file to which statements are recorded; then on the engine alone whose log can be read. */
const statementsFile = process.env["DEWEY_TEST_STATEMENTS"];

export const engines: Engine[] = debian ? (statementsFile === undefined ? [embedded, debian] : [debian]) : [embedded];

/** A temporary folder that PostgreSQL's own user may traverse when the tests run as root. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pg-"));
  chmodSync(folder, 0o711);
  return folder;
}

/** A PostgreSQL for one test; it is stopped and its files are removed when the block ends. */
export async function privateCluster(engine: Engine): Promise<Cluster & AsyncDisposable> {
  const folder = temporaryFolder();
  const cluster = await engine.start(folder);
  return {
    ...cluster,
    async [Symbol.asyncDispose]() {
      await cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const shared = new Map<Engine, Promise<Cluster & AsyncDisposable>>();
let databases = 0;

/** The cluster that all test files of a process share. */
function sharedCluster(engine: Engine): Promise<Cluster & AsyncDisposable> {
  const known = shared.get(engine);
  if (known) return known;
  const starting = privateCluster(engine);
  shared.set(engine, starting);
  return starting;
}

/** Stops the shared clusters; the preload calls it after the last test. */
export async function stopSharedClusters(): Promise<void> {
  for (const cluster of shared.values()) await (await cluster)[Symbol.asyncDispose]();
  shared.clear();
  templates.clear();
}

/** An empty database in the shared cluster, removed together with it. */
export async function emptyDatabase(engine: Engine): Promise<Connection> {
  return copyOf("template1", engine);
}

/** A store with a database of its own, closed when the block ends. */
export async function testStore(engine: Engine, options: Partial<StoreOptions> = {}): Promise<Store & AsyncDisposable> {
  const connection = options.connection ?? (await copyOf(await migratedTemplate(engine), engine));
  const store = await openStore(storeOptions(connection, options));
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}

async function copyOf(template: string, engine: Engine): Promise<Connection> {
  const { connection } = await sharedCluster(engine);
  databases += 1;
  const database = `test_${databases}`;
  await using sql = connect({ ...connection, database: "postgres" });
  await sql.unsafe(`create database ${database} template ${template}`);
  return { ...connection, database };
}

const templates = new Map<Engine, Promise<string>>();

/** A migrated database in the shared cluster: copying it is faster than migrating each new one. */
function migratedTemplate(engine: Engine): Promise<string> {
  const migrated = templates.get(engine) ?? migrate(engine);
  templates.set(engine, migrated);
  return migrated;
}

async function migrate(engine: Engine): Promise<string> {
  const connection = await emptyDatabase(engine);
  await (await openStore(storeOptions(connection))).close();
  return connection.database;
}

export function storeOptions(connection: Connection, options: Partial<StoreOptions> = {}): StoreOptions {
  return {
    connection,
    minConnections: 1,
    maxConnections: 4,
    deadlineMs: 10_000,
    searchDeadlineMs: 5000,
    trashDays: 30,
    redactor: createRedactor(),
    log: quiet,
    ...options,
  };
}

/** A plain connection, for tests that inspect or damage data directly. */
export function connect(connection: Connection): SQL {
  return new SQL({
    adapter: "postgres",
    path: `${connection.host}/.s.PGSQL.${connection.port}`,
    username: connection.user,
    password: typeof connection.password === "string" ? connection.password : "",
    database: connection.database,
    max: 1,
  });
}

async function startDebian(folder: string): Promise<Cluster> {
  const data = join(folder, "data");
  giveToPostgres(folder);
  runProgram("initdb", "-D", data, "-U", "dewey", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync");
  // Where statements are recorded, its log has each, and goes to the file that the variable names.
  return statementsFile === undefined
    ? serveDebian(folder)
    : serveDebian(folder, STATEMENTS_LOGGED, (text) => appendFileSync(statementsFile, text));
}

/** Settings with which PostgreSQL logs every statement, without the values that it is given. */
const STATEMENTS_LOGGED = ["log_min_duration_statement=0", "log_parameter_max_length=0", "log_line_prefix=@@@ "];

/** PostgreSQL refuses to run as root, so it runs as `nobody`. */
const postgresUser = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

export function giveToPostgres(folder: string): void {
  if (postgresUser) chownSync(folder, postgresUser.uid, postgresUser.gid);
}

/** Runs one of PostgreSQL's programs until it exits. */
export function runProgram(name: string, ...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([join(DEBIAN_PROGRAMS, name), ...args], {
    cwd: "/",
    stdout: "ignore",
    stderr: "pipe",
    ...postgresUser,
  });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

/** Serves the cluster in the folder's `data` on a socket in the folder. `heard` receives PostgreSQL's log. */
export async function serveDebian(
  folder: string,
  settings: string[] = [],
  heard: (text: string) => void = () => {},
): Promise<Cluster> {
  const args = [
    "-D",
    join(folder, "data"),
    "-k",
    folder,
    ...["listen_addresses=", ...settings].flatMap((each) => ["-c", each]),
  ];
  // It must not outlive the tests, even if they are killed.
  const child = Bun.spawn(["setpriv", "--pdeathsig", "INT", join(DEBIAN_PROGRAMS, "postgres"), ...args], {
    cwd: "/",
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    ...postgresUser,
  });
  await untilReady(child.stderr, heard);
  return {
    connection: { host: folder, port: 5432, database: "postgres", user: "dewey" },
    pid: () => child.pid,
    async stop() {
      child.kill("SIGCONT");
      child.kill("SIGINT");
      await child.exited;
    },
  };
}

async function untilReady(stderr: ReadableStream<Uint8Array>, heard: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  const reader = stderr.getReader();
  let text = "";
  const read = async () => {
    const { done, value } = await reader.read();
    const more = decoder.decode(value, { stream: true });
    heard(more);
    text += more;
    return !done;
  };
  while (!/ready to accept (read-only )?connections/.test(text)) {
    if (!(await read())) throw new Error(`PostgreSQL did not start: ${text}`);
  }
  // Unread output would fill the pipe and block the server.
  void (async () => {
    while (await read()) text = "";
  })();
}

function postmasterIn(data: string): number {
  return Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]);
}

/** Freezes a PostgreSQL: the postmaster and all client backends. */
export async function freeze(cluster: Cluster): Promise<Disposable> {
  await using sql = connect(cluster.connection);
  const serving: { pid: number }[] = await sql`
    select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`;
  const processes = [cluster.pid(), ...serving.map((row) => row.pid)];
  for (const pid of processes) process.kill(pid, "SIGSTOP");
  return {
    [Symbol.dispose]() {
      for (const pid of processes) process.kill(pid, "SIGCONT");
    },
  };
}
