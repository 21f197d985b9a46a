import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "../../../src/store/database/connection.ts";

const PROGRAM = "/usr/lib/postgresql/15/bin/pgbench";

/** Time for connections to start their backends and plan every script. */
const WARM_UP_SECONDS = 3;

export interface PgbenchOptions {
  connection: Connection;
  clients: number;
  seconds: number;
  /** Transactions, one script each, chosen at random. */
  scripts: string[];
}

/** The result of pgbench. */
export interface Pgbench {
  /** Transactions per second. */
  rate: number;
  p99Ms: number;
}

/** Runs Debian's pgbench with prepared statements in one thread: it shares the machine with the database. */
export async function pgbench({ connection, clients, seconds, scripts }: PgbenchOptions): Promise<Pgbench> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pgbench-"));
  try {
    const files = scripts.flatMap((script, index) => {
      const file = join(folder, `${index}.sql`);
      writeFileSync(file, script);
      return ["-f", file];
    });
    const { host, port, user, database } = connection;
    const load = `-n -M prepared -l -j 1 -c ${clients} -T ${WARM_UP_SECONDS + seconds}`.split(" ");
    const child = Bun.spawn([PROGRAM, ...load, "-h", host, "-p", `${port}`, "-U", user, ...files, database], {
      cwd: folder,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "" },
    });
    const [, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    if ((await child.exited) !== 0) throw new Error(`pgbench: ${errors}`);
    return lastSeconds(folder, seconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From the log, one line per transaction: client, number, µs, script, and its end in s and µs. */
function lastSeconds(folder: string, seconds: number): Pgbench {
  const ended = readdirSync(folder)
    .filter((name) => name.startsWith("pgbench_log"))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n"))
    .map((line) => line.split(" ").map(Number))
    .map(([, , tookUs = Number.NaN, , second = 0, us = 0]) => ({ tookUs, atSeconds: second + us / 1e6 }));
  const last = ended.reduce((most, { atSeconds }) => Math.max(most, atSeconds), 0);
  const took = ended.filter(({ atSeconds }) => atSeconds > last - seconds).map(({ tookUs }) => tookUs);
  const p99Us = took.toSorted((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? Number.NaN;
  return { rate: took.length / seconds, p99Ms: p99Us / 1000 };
}
