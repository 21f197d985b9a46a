import { chownSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Connection } from "../../src/store/database/connection.ts";
import { freePort } from "./ports.ts";
import { giveToPostgres, temporaryFolder } from "./postgres.ts";

const program = Bun.which("pgbouncer") ?? Bun.which("/usr/sbin/pgbouncer");

export const hasPgBouncer = program !== null;

/** Whether it lets clients prepare statements in transaction mode, as versions from 1.21 on do. */
export const knowsPreparedStatements = program !== null && versionOf(program) >= 121;

/** 1.18 is 118. */
function versionOf(path: string): number {
  const [, major, minor] = /PgBouncer (\d+)\.(\d+)/.exec(Bun.spawnSync([path, "--version"]).stdout.toString()) ?? [];
  return 100 * Number(major) + Number(minor);
}

/** A PgBouncer before a PostgreSQL; stopped when the block ends. `settings` are lines of its configuration. */
export async function startPgBouncer(
  to: Connection,
  settings: string[],
): Promise<{ connection: Connection } & AsyncDisposable> {
  const folder = temporaryFolder();
  giveToPostgres(folder);
  const port = freePort();
  const lines = [
    "[databases]",
    `* = host=${to.host} port=${to.port}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "auth_type = trust",
    `auth_file = ${join(folder, "users")}`,
    "unix_socket_dir =",
    ...settings,
  ];
  writeFileSync(join(folder, "pgbouncer.ini"), lines.join("\n"));
  writeFileSync(join(folder, "users"), `"${to.user}" "x"\n`);
  const asRoot = process.getuid?.() === 0;
  if (asRoot) for (const name of ["pgbouncer.ini", "users"]) chownSync(join(folder, name), 65_534, 65_534);
  // It must not outlive the tests, even if they are killed.
  const child = Bun.spawn(["setpriv", "--pdeathsig", "TERM", program ?? "", join(folder, "pgbouncer.ini")], {
    cwd: "/",
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    ...(asRoot ? { uid: 65_534, gid: 65_534 } : {}),
  });
  await listening(port);
  return {
    connection: { host: "127.0.0.1", port, database: to.database, user: to.user, password: "x" },
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).catch(() => undefined);
    if (socket) return void socket.end();
    await Bun.sleep(10);
  }
}
