import type { Log } from "../../log.ts";
import { recoverPieces, snapshot } from "../backup/backup.ts";
import { runCluster } from "./cluster.ts";
import type { Connection } from "../database/connection.ts";
import { Database } from "../database/database.ts";
import { engineIdentity, finish, initialize, removeEarlier, removeLeftovers } from "./engine.ts";
import type { Identity, EngineFolders } from "./engine.ts";

export interface CarryOverOptions {
  dataDir: string;
  /** Programs and cluster of the earlier engine. */
  from: EngineFolders;
  /** Programs of our engine, and the path at which its cluster is made. */
  to: EngineFolders;
  /** Identity of our engine. */
  identity: Identity;
  log: Log;
}

/** Deadline of the statements around the copy; the copy itself has none. */
const DEADLINE_MS = 30_000;

/**
 * Copies the data of an earlier engine into ours: a backup piped into a recovery, while both engines run on private sockets.
 * The new cluster gets its name once it is complete and on disk; a start killed before that leaves the earlier cluster
 * unchanged, and the next start begins again. `pg_upgrade` would need the programs of both engines from one build, and
 * would not update statistics and schema.
 */
export async function carryOver(options: CarryOverOptions): Promise<void> {
  const { dataDir, from, to, identity, log } = options;
  const unfinished = await initialize(dataDir, to, identity);
  await copy(options, unfinished);
  await finish(unfinished, to.cluster);
  log.info("carried over to a newer PostgreSQL", { from: from.cluster, to: to.cluster });
  removeEarlier(dataDir, to);
  removeLeftovers(dataDir, to);
}

/** Copies everything. When it resolves both engines have stopped, so all data is on disk. */
async function copy({ dataDir, from, to, identity, log }: CarryOverOptions, unfinished: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const earlier = await runCluster({
    ...from,
    dataDir,
    socket: "socket-earlier",
    engine: "earlier",
    identity: engineIdentity(dataDir, from.cluster),
    log,
  });
  stack.defer(() => earlier.stop());
  const ours = await runCluster({
    programs: to.programs,
    cluster: unfinished,
    dataDir,
    socket: "socket",
    engine: "ours",
    identity,
    log,
  });
  stack.defer(() => ours.stop());
  const source = open(earlier.connection, log);
  stack.defer(() => source.close());
  const target = open(ours.connection, log);
  stack.defer(() => target.close());
  await recoverPieces(target, snapshot(source), true);
}

function open(connection: Connection, log: Log): Database {
  return new Database({ connection, minConnections: 1, maxConnections: 2, deadlineMs: DEADLINE_MS, log });
}
