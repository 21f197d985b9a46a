import { clientConfig, serveConfig } from "../../config.ts";
import { createLog } from "../../log.ts";
import { Database } from "../../store/database/database.ts";
import { one } from "../../store/database/one.ts";
import { Replica } from "../../store/database/replica.ts";
import { isObject } from "../../wire/frame.ts";
import type { Invocation } from "../command.ts";
import { fault, healthAt, note, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

const DATABASE_DEADLINE_MS = 5000;

/** Failures become findings, not log lines. */
const nothing = createLog({ level: "error", format: "text", write: () => {} });

/** Asks the server about its database. Without a server it connects directly: the database may be why none runs. */
export async function database(invocation: Invocation): Promise<Finding> {
  const health = await healthAt(clientConfig(invocation));
  const told = health?.["database"];
  if (isObject(told)) {
    const { status, reason = "its database is unavailable", version } = told;
    if (status !== "ok") return fault(`the server says: ${String(reason)}`, "see the server's log");
    if (typeof version !== "string") return ok("the server says that it works");
    const migrations = isObject(health?.["migrations"]) ? health["migrations"]["newest"] : undefined;
    return ok(`PostgreSQL ${version}, schema ${String(migrations)}`);
  }
  const { database: config } = serveConfig(invocation);
  if (config.kind === "embedded") return note("embedded; it runs while a server does");
  const { kind: _, ...connection } = config;
  const options = { connection, minConnections: 1, maxConnections: 2, deadlineMs: DATABASE_DEADLINE_MS, log: nothing };
  const asked = new Database(options);
  try {
    const { version } = await asked.retried((sql) =>
      one<{ version: string }>(sql`select current_setting('server_version') as version`),
    );
    return ok(`PostgreSQL ${version.split(" ")[0]} at ${connection.host}:${connection.port}`);
  } finally {
    await asked.close();
  }
}

/** Checked like the database: a wrong replica keeps a server from starting. */
export async function replica(invocation: Invocation): Promise<Finding> {
  const told = (await healthAt(clientConfig(invocation)))?.["replica"];
  if (isObject(told)) return replicaFinding(told["status"] === "ok" ? undefined : String(told["reason"]));
  const { database: primary, readReplica } = serveConfig(invocation);
  if (readReplica === undefined || primary.kind === "embedded") return note("not used: DEWEY_DB_READ_URL is not set");
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
  if (reason === undefined) return ok("serves reads while it is up to date");
  return fault(`not used, reads go to the primary: ${reason}`, "start it, or correct DEWEY_DB_READ_URL");
}

export async function search(invocation: Invocation): Promise<Finding> {
  const told = (await healthAt(clientConfig(invocation)))?.["search"];
  if (!isObject(told)) return note("known only while a server runs, to those who have its token");
  const { language, reindexing, corrections } = told;
  const { searchLanguage } = serveConfig(invocation);
  if (searchLanguage !== undefined && searchLanguage !== language) {
    const remedy = `run: dewey reindex, or set DEWEY_SEARCH_LANGUAGE=${String(language)}`;
    return fault(`the search index is in ${String(language)}, but ${searchLanguage} is configured`, remedy);
  }
  if (isObject(reindexing)) {
    return ok(
      `in ${String(language)}; ${String(reindexing["walked"])} of ${String(reindexing["total"])} messages reindexed`,
    );
  }
  if (corrections !== true)
    return note(`in ${String(language)}; typing errors are not corrected because pg_trgm is missing`);
  return ok(`in ${String(language)}`);
}
