import type { Log } from "../../log.ts";
import { recoverPieces, snapshot } from "../backup/backup.ts";
import { runCluster } from "./cluster.ts";
import type { Connection } from "../database/connection.ts";
import { Database } from "../database/database.ts";
import { engineIdentity, finish, initialize, removeEarlier, removeLeftovers } from "./engine.ts";
import type { Identity, EngineFolders } from "./engine.ts";

export interface CarryOverOptions {
  dataDir: string;
  /** The earlier engine's programs and cluster. */
  from: EngineFolders;
  /** Ours; its cluster is made here. */
  to: EngineFolders;
  /** As whom ours runs. */
  identity: Identity;
  log: Log;
}

/** How long a step of the copy's bookkeeping may take; the copy itself has no deadline. */
const DEADLINE_MS = 30_000;

/**
 * Carries what an earlier engine kept over to ours, as a backup and a recovery without a file between them: both engines
 * run on private sockets meanwhile. The new cluster gets its name when it is whole and on the disk; until then a start
 * that is killed leaves the earlier one as it was, and the next start begins again. `pg_upgrade` would need both
 * engines' programs of one build, and leaves statistics and schema as they were.
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

/** Copies everything; both engines have stopped when it resolves, and with that all is on the disk. */
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
