import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { processesOf, signal } from "../faults/processes.ts";
import type { Random } from "../faults/random.ts";
import { until } from "../support/rpc.ts";
import { Service, etcd, haproxy, ordinaryUser, patroni, pgbouncer, postgresPrograms } from "./programs.ts";

const root = join(import.meta.dir, "../..");
const NAMES = ["a", "b", "c"] as const;
/** Patroni's least `ttl`, so that a failover is as quick as it can be; the rest as small as that allows. */
const TIMES = { ttl: 20, loop_wait: 2, retry_timeout: 3 };
/** Polls of Patroni's API. */
const POLL_MS = 200;
/** A standby that is less behind than this streams. */
const CLOSE_BYTES = 1_000_000;
const SUPERUSER = { username: "postgres", password: "postgres" };

export interface ClusterOptions {
  /** Whether a commit waits for a standby. */
  isSynchronous: boolean;
  random: Random;
}

interface Node {
  name: string;
  address: string;
  folder: string;
  service: Service;
}

/** A node as Patroni sees it. */
interface Member {
  name: string;
  role: string;
  state: string;
  timeline?: number;
  /** Bytes behind the leader; a word where it is unknown, absent for the leader. */
  lag?: number | string;
}

/**
 * Three nodes of PostgreSQL under Patroni with etcd, HAProxy before them with the configuration of `deploy`, and PgBouncer in
 * transaction mode before that. Each node has a loopback address of its own, so that all have the usual ports.
 */
export class Cluster {
  readonly folder: string;
  readonly nodes: readonly Node[];
  readonly balancer: Service;
  readonly pooler: Service;
  /** Where HAProxy listens for PostgreSQL's protocol, and where PgBouncer does. */
  readonly balancerAddress: Address;
  readonly poolerAddress: Address;
  readonly #etcd: Service;
  readonly #subnet: string;
  readonly #isSynchronous: boolean;
  #guard: Bun.Subprocess | undefined;
  #isKept = true;

  constructor({ isSynchronous, random }: ClusterOptions) {
    this.folder = mkdtempSync(join(tmpdir(), "dewey-ha-"));
    chmodSync(this.folder, 0o755);
    if (ordinaryUser) chownSync(this.folder, ordinaryUser.uid, ordinaryUser.gid);
    this.#isSynchronous = isSynchronous;
    this.#subnet = `127.${random.integer(2, 250)}.${random.integer(0, 250)}`;
    this.nodes = NAMES.map((name, index) => this.#node(name, `${this.#subnet}.${index + 1}`, isSynchronous));
    this.balancerAddress = { host: `${this.#subnet}.20`, port: 5432 };
    this.poolerAddress = { host: `${this.#subnet}.21`, port: 6432 };
    this.#etcd = this.#etcdService();
    this.balancer = this.#balancerService();
    this.pooler = this.#poolerService();
  }

  /** Starts everything, and makes the database. Resolves when the standbys stream. */
  async start(): Promise<void> {
    this.#watchOver();
    this.#etcd.start();
    for (const { service } of this.nodes) service.start();
    void this.#supervise();
    this.balancer.start();
    this.pooler.start();
    await this.whole();
    await using sql = this.connect("postgres", "postgres");
    await until("the primary behind HAProxy", () =>
      sql`select`.then(
        () => true,
        () => false,
      ),
    );
    await sql.unsafe("create role dewey login");
    await sql.unsafe("create database dewey owner dewey");
  }

  /** A connection through HAProxy, as that role. */
  connect(database = "dewey", username = "dewey"): SQL {
    const { host: hostname, port } = this.balancerAddress;
    return new SQL({ adapter: "postgres", hostname, port, username, password: "x", database, max: 1, prepare: false });
  }

  /** A copy of a configuration of `deploy`, which an ordinary user can read. */
  configuration(name: string): string {
    const copy = join(this.folder, name);
    copyFileSync(join(root, "deploy", name), copy);
    return copy;
  }

  /** The node that Patroni calls the leader. */
  async leader(): Promise<Node> {
    return until("a leader", async () => {
      const leader = (await this.#members()).find(({ role, state }) => role === "leader" && state === "running");
      return this.nodes.find(({ name }) => name === leader?.name);
    });
  }

  /** Resolves once one node leads and both others follow it closely, one of them synchronously where that is asked for. */
  async whole(): Promise<void> {
    await until("a whole cluster", async () => {
      const members = await this.#members();
      await Bun.sleep(POLL_MS);
      const leader = members.find(({ role, state }) => role === "leader" && state === "running");
      const followers = members.filter(
        ({ lag, timeline }) => typeof lag === "number" && lag < CLOSE_BYTES && timeline === leader?.timeline,
      );
      const isSafe = !this.#isSynchronous || members.some(({ role }) => role === "sync_standby");
      return leader !== undefined && followers.length === 2 && isSafe;
    });
  }

  /** Asks Patroni for another leader. */
  async switchover(): Promise<void> {
    const { name, address } = await this.leader();
    const answer = await fetch(`http://${address}:8008/switchover`, {
      method: "POST",
      body: JSON.stringify({ leader: name }),
    });
    if (!answer.ok) throw new Error(`Patroni refuses a switchover: ${answer.status} ${await answer.text()}`);
  }

  /** Every process of a node: Patroni, PostgreSQL and its backends. */
  processes({ folder }: Node): number[] {
    return processesOf(folder).map(({ pid }) => pid);
  }

  async stop(): Promise<void> {
    this.#isKept = false;
    for (let tries = 0; tries < 5; tries += 1) {
      for (const { pid } of processesOf(this.folder)) signal(pid, "SIGKILL");
      await Promise.all([this.balancer.stop("SIGKILL"), this.pooler.stop("SIGKILL"), this.#etcd.stop("SIGKILL")]);
      if (processesOf(this.folder).length === 0) break;
      await Bun.sleep(POLL_MS);
    }
    this.#guard?.kill("SIGKILL");
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** As systemd does for a site: a Patroni that has died is started again, unless its node is switched off. */
  async #supervise(): Promise<void> {
    for (; this.#isKept; await Bun.sleep(1000))
      for (const { folder, service } of this.nodes)
        if (this.#isKept && !service.isRunning && !existsSync(join(folder, "off"))) service.start();
  }

  async #members(): Promise<Member[]> {
    for (const { address } of this.nodes) {
      try {
        const answer = await fetch(`http://${address}:8008/cluster`, { signal: AbortSignal.timeout(1000) });
        return ((await answer.json()) as { members: Member[] }).members;
      } catch {
        // This node is down or frozen.
      }
    }
    return [];
  }

  #node(name: string, address: string, isSynchronous: boolean): Node {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const file = join(folder, "patroni.json");
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(this.#patroniOf(name, address, folder, isSynchronous), null, 2));
    if (ordinaryUser) chownSync(folder, ordinaryUser.uid, ordinaryUser.gid);
    return { name, address, folder, service: new Service([patroni, file], { log: join(folder, "patroni.log") }) };
  }

  #patroniOf(name: string, address: string, folder: string, isSynchronous: boolean): object {
    const anybody = ["local all all trust", "host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"];
    return {
      scope: "dewey",
      name,
      restapi: { listen: `${address}:8008`, connect_address: `${address}:8008` },
      etcd3: { host: `${this.#subnet}.10:2379` },
      bootstrap: {
        dcs: {
          ...TIMES,
          synchronous_mode: isSynchronous,
          maximum_lag_on_failover: 1_048_576,
          postgresql: { use_pg_rewind: true, parameters: { max_connections: 100, wal_keep_size: "256MB" } },
        },
        initdb: [{ encoding: "UTF8" }, { locale: "C.UTF-8" }, "data-checksums"],
        pg_hba: anybody,
      },
      postgresql: {
        listen: `${address}:5432`,
        connect_address: `${address}:5432`,
        data_dir: join(folder, "data"),
        bin_dir: postgresPrograms,
        pgpass: join(folder, "pgpass"),
        authentication: { superuser: SUPERUSER, replication: SUPERUSER, rewind: SUPERUSER },
        parameters: { unix_socket_directories: folder },
      },
    };
  }

  #etcdService(): Service {
    const [client, peer] = [`http://${this.#subnet}.10:2379`, `http://${this.#subnet}.10:2380`];
    const data = join(this.folder, "etcd");
    const options = {
      "data-dir": data,
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `default=${peer}`,
    };
    const flags = Object.entries(options).map(([flag, value]) => `--${flag}=${value}`);
    return new Service([etcd, ...flags], { log: join(this.folder, "etcd.log") });
  }

  #balancerService(): Service {
    const { host, port } = this.balancerAddress;
    const [a, b, c] = this.nodes.map(({ address }) => `${address}:5432`);
    return new Service([haproxy, "-db", "-f", this.configuration("haproxy-postgres.cfg")], {
      env: { DEWEY_PG_BIND: `${host}:${port}`, DEWEY_PG_A: `${a}`, DEWEY_PG_B: `${b}`, DEWEY_PG_C: `${c}` },
      log: join(this.folder, "haproxy.log"),
    });
  }

  #poolerService(): Service {
    const file = join(this.folder, "pgbouncer.ini");
    const users = join(this.folder, "users");
    const { host, port } = this.poolerAddress;
    const lines = [
      "[databases]",
      `* = host=${this.balancerAddress.host} port=${this.balancerAddress.port}`,
      "[pgbouncer]",
      `listen_addr = ${host}`,
      `listen_port = ${port}`,
      "auth_type = trust",
      `auth_file = ${users}`,
      "unix_socket_dir =",
      "pool_mode = transaction",
      // Otherwise it refuses logins for 15 s after the server was away once.
      "server_login_retry = 1",
    ];
    writeFileSync(file, lines.join("\n"));
    writeFileSync(users, '"dewey" "x"\n');
    return new Service([pgbouncer, file], { log: join(this.folder, "pgbouncer.log") });
  }

  /** Patroni's PostgreSQL is nobody's child, so it would outlive a run that is killed. */
  #watchOver(): void {
    const script = 'read -r _; for file in "$0"/?/data/postmaster.pid; do kill -QUIT "$(head -1 "$file")"; done';
    this.#guard = Bun.spawn(["/bin/sh", "-c", script, this.folder], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      cwd: "/",
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#guard.unref();
  }
}

export interface Address {
  host: string;
  port: number;
}

export type { Node };
