import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { signal } from "../faults/processes.ts";
import type { Random } from "../faults/random.ts";
import type { Cluster, Node } from "./cluster.ts";

/** What strikes have at hand. */
interface Struck {
  cluster: Cluster;
  /** The cables between the Dewey servers and their database. */
  cables: readonly { cut(): void; hold(): void; mend(): void }[];
  random: Random;
}

/** One kind of fault: it strikes, and undoes what does not mend by itself. */
export interface Kind {
  name: string;
  strike(struck: Struck): Promise<void>;
}

/** How long a frozen or switched off primary is away: longer than Patroni's `ttl`, so that another one leads meanwhile. */
const AWAY_MS = { least: 22_000, most: 28_000 };
/** How long a balancer, a pooler or a network is away. */
const OUT_MS = { least: 1000, most: 6000 };

const pauseOf = ({ random }: Struck, { least, most }: { least: number; most: number }) =>
  Bun.sleep(random.integer(least, most));

const kinds: readonly Kind[] = [
  {
    name: "kill -9 of the primary's postmaster",
    strike: async ({ cluster }) => signal(postmasterOf(await cluster.leader()), "SIGKILL"),
  },
  {
    name: "primary switched off",
    async strike(struck) {
      const { cluster } = struck;
      const node = await cluster.leader();
      writeFileSync(join(node.folder, "off"), "");
      for (const pid of cluster.processes(node)) signal(pid, "SIGKILL");
      await pauseOf(struck, AWAY_MS);
      rmSync(join(node.folder, "off"));
    },
  },
  { name: "switchover", strike: ({ cluster }) => cluster.switchover() },
  {
    // As a watchdog does it, which Patroni asks for: a node that is thawed while another one leads may write over that one's lock
    // in etcd (Patroni 3.0.2 puts it there without a comparison), and then what was acknowledged meanwhile is lost to all.
    name: "primary frozen, then reset",
    async strike(struck) {
      const { cluster } = struck;
      const node = await cluster.leader();
      const frozen = cluster.processes(node);
      for (const pid of frozen) signal(pid, "SIGSTOP");
      await pauseOf(struck, AWAY_MS);
      for (const pid of frozen) signal(pid, "SIGKILL");
    },
  },
  {
    name: "pg_terminate_backend of all",
    async strike({ cluster }) {
      await using sql = cluster.connect("dewey", "postgres");
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and usename = 'dewey'`;
    },
  },
  {
    name: "HAProxy restarted",
    async strike(struck) {
      await struck.cluster.balancer.stop("SIGKILL");
      await pauseOf(struck, OUT_MS);
      struck.cluster.balancer.start();
    },
  },
  {
    name: "PgBouncer restarted",
    async strike(struck) {
      await struck.cluster.pooler.stop("SIGKILL");
      await pauseOf(struck, OUT_MS);
      struck.cluster.pooler.start();
    },
  },
  {
    name: "network to the database cut",
    async strike(struck) {
      for (const cable of struck.cables) cable.cut();
      await pauseOf(struck, OUT_MS);
      for (const cable of struck.cables) cable.mend();
    },
  },
  {
    name: "network to the database silent",
    async strike(struck) {
      for (const cable of struck.cables) cable.hold();
      await pauseOf(struck, OUT_MS);
      for (const cable of struck.cables) cable.mend();
    },
  },
  {
    name: "kill -9 of the primary's Patroni",
    strike: async ({ cluster }) => signal((await cluster.leader()).service.pid ?? 0, "SIGKILL"),
  },
];

/** Kinds dealt like cards: all of them occur before one repeats. */
export function dealt(random: Random, count: number): Kind[] {
  const strikes: Kind[] = [];
  while (strikes.length < count) strikes.push(...random.shuffled(kinds));
  return strikes.slice(0, count);
}

function postmasterOf({ folder }: Node): number {
  return Number(readFileSync(join(folder, "data/postmaster.pid"), "utf8").split("\n")[0]);
}
