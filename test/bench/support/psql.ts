import type { Connection } from "../../../src/store/database/connection.ts";

const PROGRAM = "/usr/lib/postgresql/15/bin/psql";

/** Copies a file into a table in one transaction, with Debian's psql. */
export async function copyIn(connection: Connection, table: string, columns: string[], file: string): Promise<void> {
  await psql(connection, `copy ${table} (${columns.join(", ")}) from stdin`, {
    stdin: Bun.file(file),
    stdout: "ignore",
  });
}

/** Writes the result of a query to a file for COPY. */
export async function copyOut(connection: Connection, query: string, file: string): Promise<void> {
  await psql(connection, `copy (${query}) to stdout`, { stdin: "ignore", stdout: Bun.file(file) });
}

interface Streams {
  stdin: Bun.BunFile | "ignore";
  stdout: Bun.BunFile | "ignore";
}

async function psql(connection: Connection, command: string, streams: Streams): Promise<void> {
  const { host, port, user, database } = connection;
  const child = Bun.spawn([PROGRAM, "-X", "-q", "-h", host, "-p", `${port}`, "-U", user, "-c", command, database], {
    ...streams,
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "" },
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`psql: ${errors}`);
}
