import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "../../../src/store/connection.ts";

const PROGRAM = "/usr/lib/postgresql/15/bin/pgbench";

/** Connections need so long until their processes have started and planned every script. */
const WARM_UP_SECONDS = 3;

export interface PgbenchOptions {
  connection: Connection;
  clients: number;
  seconds: number;
  /** Transactions, chosen at random; each is one script. */
  scripts: string[];
}

/** Transactions a second by Debian's pgbench, prepared, in one thread: it shares the machine with the database. */
export async function pgbench({ connection, clients, seconds, scripts }: PgbenchOptions): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pgbench-"));
  try {
    const files = scripts.flatMap((script, index) => {
      const file = join(folder, `${index}.sql`);
      writeFileSync(file, script);
      return ["-f", file];
    });
    const { host, port, user, database } = connection;
    const load = `-n -M prepared -P 1 -j 1 -c ${clients} -T ${WARM_UP_SECONDS + seconds}`.split(" ");
    const child = Bun.spawn([PROGRAM, ...load, "-h", host, "-p", `${port}`, "-U", user, ...files, database], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "" },
    });
    const [, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    // A line a second: "progress: 4.0 s, 5120.0 tps, lat …".
    const rates = [...errors.matchAll(/progress: [\d.]+ s, ([\d.]+) tps/g)].map((match) => Number(match[1]));
    const counted = rates.slice(WARM_UP_SECONDS, WARM_UP_SECONDS + seconds);
    if ((await child.exited) !== 0 || counted.length === 0) throw new Error(`pgbench: ${errors}`);
    return counted.reduce((sum, rate) => sum + rate, 0) / counted.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
