import { existsSync } from "node:fs";

const POSTGRES = "/usr/lib/postgresql/15/bin";

/** What the cluster is made of, as Debian names the packages. */
const programs = {
  "postgresql-15": `${POSTGRES}/postgres`,
  patroni: "/usr/bin/patroni",
  "etcd-server": "/usr/bin/etcd",
  haproxy: "/usr/sbin/haproxy",
  pgbouncer: "/usr/sbin/pgbouncer",
};

export const { patroni, haproxy, pgbouncer, "etcd-server": etcd } = programs;
export const postgresPrograms = POSTGRES;

/** The packages that are missing on this machine. */
export const missingPackages: readonly string[] = Object.entries(programs).flatMap(([name, file]) =>
  existsSync(file) ? [] : [name],
);

/** PostgreSQL refuses to run as root, so everything runs as `nobody`. */
export const ordinaryUser = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** A program that runs until it is stopped, and can be started again with the same arguments. */
export class Service {
  readonly #command: string[];
  readonly #options: { env?: Record<string, string>; log: string };
  #child: Bun.Subprocess | undefined;

  /** Its output goes to the file `log`. */
  constructor(command: string[], options: { env?: Record<string, string>; log: string }) {
    this.#command = command;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): void {
    const { env, log } = this.#options;
    // It must not outlive the run, even if that is killed.
    this.#child = Bun.spawn(
      ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'exec "$@" >>"$0" 2>&1', log, ...this.#command],
      {
        env: { ...process.env, ...env },
        cwd: "/",
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
        ...ordinaryUser,
      },
    );
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.exited;
  }
}
