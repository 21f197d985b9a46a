import { rmSync } from "node:fs";
import { join } from "node:path";
import { connect, giveToPostgres, runProgram, serveDebian, temporaryFolder } from "./postgres.ts";
import type { Cluster } from "./postgres.ts";

/** A streaming replica of a cluster, which a test may pause, kill, freeze, restart or promote. */
export interface Standby extends Cluster {
  /** Every statement run on the replica. */
  statements(): string[];
  /** Pauses or resumes replay. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Kills all of its processes at once, as a crash does. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** Makes a base backup of the cluster and streams from it; stopped, and its files removed, when the block ends. */
export async function startStandby(primary: Cluster, settings: string[] = []): Promise<Standby & AsyncDisposable> {
  const folder = temporaryFolder();
  giveToPostgres(folder);
  const { host, user } = primary.connection;
  const data = join(folder, "data");
  runProgram("pg_basebackup", "-h", host, "-U", user, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync");
  let logged = "";
  const serve = () => serveDebian(folder, ["log_statement=all", ...settings], (text) => (logged += text));
  let running = await serve();
  const { connection } = running;
  const run = async (statement: string) => {
    await using sql = connect(connection);
    await sql.unsafe(statement);
  };
  return {
    connection,
    pid: () => running.pid(),
    stop: () => running.stop(),
    statements: () =>
      [...logged.matchAll(/LOG: {2}(?:statement|execute [^:]*): ([^\n]*(?:\n[\t ][^\n]*)*)/g)].map(
        ([, text = ""]) => text,
      ),
    pause: () => run("select pg_wal_replay_pause()"),
    resume: () => run("select pg_wal_replay_resume()"),
    async kill() {
      process.kill(running.pid(), "SIGQUIT");
      await running.stop();
    },
    async restart() {
      running = await serve();
    },
    async [Symbol.asyncDispose]() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
