import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../faults/random.ts";
import { start } from "../support/binary.ts";
import type { Running } from "../support/binary.ts";
import { echoCommand } from "../support/echo-server.ts";
import { Forwarder } from "../support/forwarder.ts";
import { plainEnvironment } from "../support/home.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/rpc.ts";
import { Cluster } from "./cluster.ts";
import type { Address } from "./cluster.ts";
import { Service, haproxy } from "./programs.ts";
import { dealt } from "./strikes.ts";
import type { Kind } from "./strikes.ts";
import { Caller, Writer } from "./writer.ts";

const WRITERS = 8;
const CALLERS = 2;
/** Stores of each writer before a strike, and after it until the service counts as back. */
const STEADY = 10;
/** The balancer runs as another user than the clients, so they know their server by a token. */
const TOKEN = "highly-available";
/** Pause before a strike, so that the moments differ. */
const BEFORE_MS = { least: 200, most: 2000 };

export interface RunOptions {
  seed: number;
  strikes: number;
  isSynchronous: boolean;
  say(line: string): void;
}

/** One strike and what its clients saw. */
interface StrikeSeen {
  kind: string;
  /** Longest time in which no store of any writer was acknowledged. */
  gapMs: number;
  /** Longest time from the first attempt of a store to its acknowledgement. */
  waitMs: number;
  failed: number;
}

export interface Outcome {
  strikes: StrikeSeen[];
  acknowledged: number;
  /** Acknowledged stores that are not in the database, and those that are in it twice. */
  missing: number;
  doubled: number;
  /** Calls through the proxy that were answered, and their answers that are not stored, or twice. */
  called: number;
  callsMissing: number;
  callsDoubled: number;
  /** How often the proxy delivered again. */
  redeliveries: number;
  /** Dewey's processes that ended before they were told to. */
  ended: string[];
  /** Why the run ended early: for example, the service did not come back. */
  failure: string | undefined;
  logs: string;
}

type Audited = Omit<Outcome, "strikes" | "failure" | "logs">;

const NOTHING_AUDITED: Audited = {
  acknowledged: 0,
  missing: 0,
  doubled: 0,
  called: 0,
  callsMissing: 0,
  callsDoubled: 0,
  redeliveries: 0,
  ended: [],
};

/** Strikes a highly available PostgreSQL under Dewey's load, and compares what was acknowledged with what is stored. */
export async function run(options: RunOptions): Promise<Outcome> {
  const random = new Random(options.seed);
  const cluster = new Cluster({ isSynchronous: options.isSynchronous, random });
  const site = new Site(cluster);
  const strikes: StrikeSeen[] = [];
  const ended = { strikes, failure: undefined, logs: cluster.folder };
  try {
    await cluster.start();
    options.say("the cluster is whole");
    await site.start();
    for (const kind of dealt(random, options.strikes)) {
      strikes.push(await struck(site, kind, random));
      options.say(lineOf(strikes.length, strikes.at(-1) as StrikeSeen));
    }
    return { ...ended, ...(await site.audit()) };
  } catch (error) {
    return { ...ended, ...NOTHING_AUDITED, failure: String(error) };
  } finally {
    await site.stop();
    await cluster.stop();
  }
}

async function struck(site: Site, kind: Kind, random: Random): Promise<StrikeSeen> {
  await site.cluster.whole();
  await site.steady();
  await Bun.sleep(random.integer(BEFORE_MS.least, BEFORE_MS.most));
  const fromMs = performance.now();
  const failedBefore = site.failed();
  await kind.strike({ cluster: site.cluster, cables: site.cables, random });
  await site.steady();
  await site.cluster.whole();
  return { kind: kind.name, ...site.seenSince(fromMs), failed: site.failed() - failedBefore };
}

function lineOf(number: number, { kind, gapMs, waitMs, failed }: StrikeSeen): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  return `${number}. ${kind}: gap ${seconds(gapMs)} s, longest wait ${seconds(waitMs)} s, ${failed} attempts failed`;
}

/** Two Dewey servers on one database, one of them through PgBouncer, behind HAProxy; a proxy; and clients of all. */
class Site {
  readonly cluster: Cluster;
  readonly cables: Forwarder[] = [];
  readonly #services: { name: string; running: Running }[] = [];
  #front: Service | undefined;
  #proxyUrl = "";
  #writers: Writer[] = [];
  #callers: Caller[] = [];

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  async start(): Promise<void> {
    const { balancerAddress, poolerAddress } = this.cluster;
    // One after the other, as the first makes the tables.
    const a = await this.#serve("direct", await this.#cable(balancerAddress));
    const b = await this.#serve("pooled", await this.#cable(poolerAddress));
    const front = await this.#balance(a, b);
    this.#proxyUrl = await this.#relay(front);
    this.#writers = Array.from(
      { length: WRITERS },
      (_, index) => new Writer(`writer ${index + 1}`, { url: front, token: TOKEN }),
    );
    for (let count = 0; count < CALLERS; count += 1) this.#callers.push(await Caller.open(this.#proxyUrl, TOKEN));
  }

  failed(): number {
    return this.#writers.reduce((sum, { failed }) => sum + failed, 0);
  }

  /** Resolves when each writer has stored some more, so that the service is back for all. */
  async steady(): Promise<void> {
    const before = this.#writers.map(({ acknowledged }) => acknowledged.length);
    await until("stores of every writer", () =>
      this.#writers.every(({ acknowledged }, index) => acknowledged.length >= (before[index] ?? 0) + STEADY),
    );
  }

  seenSince(fromMs: number): Pick<StrikeSeen, "gapMs" | "waitMs"> {
    const since = this.#writers.flatMap(({ acknowledged }) => acknowledged.filter((each) => each.answeredMs >= fromMs));
    const times = [fromMs, ...since.map(({ answeredMs }) => answeredMs).toSorted((one, other) => one - other)];
    const gaps = times.slice(1).map((ms, index) => ms - (times[index] ?? ms));
    return {
      gapMs: Math.max(...gaps),
      waitMs: Math.max(...since.map(({ askedMs, answeredMs }) => answeredMs - askedMs)),
    };
  }

  /** Ends the clients, waits for the proxy's deliveries, and reads the database. */
  async audit(): Promise<Audited> {
    await Promise.all([...this.#writers, ...this.#callers].map((each) => each.stop()));
    const health = `${this.#proxyUrl.replace("ws:", "http:")}healthz`;
    const headers = { authorization: `Bearer ${TOKEN}` };
    const recorder = async () => ((await (await fetch(health, { headers })).json()) as Health).recorder;
    await until("the proxy's deliveries", async () => (await recorder()).queued_bytes === 0);
    const ended = this.#services.flatMap(({ name, running }) => (running.process.exitCode === null ? [] : [name]));
    const { redeliveries } = await recorder();
    await using sql = this.cluster.connect();
    const rows: { id: string; content: string; role: string }[] = await sql`select id, content, role from messages`;
    const ids = new Set(rows.map(({ id }) => id));
    const acknowledged = this.#writers.flatMap((each) => each.acknowledged);
    const called = this.#callers.flatMap(({ answered }) => answered);
    const times = countedBy(rows.map(({ content }) => content));
    return {
      acknowledged: acknowledged.length,
      missing: acknowledged.filter(({ id }) => !ids.has(id)).length,
      doubled: acknowledged.filter(({ content }) => (times.get(content) ?? 0) > 1).length,
      called: called.length,
      callsMissing: called.filter((text) => !times.has(text)).length,
      callsDoubled: called.filter((text) => (times.get(text) ?? 0) > 1).length,
      redeliveries,
      ended,
    };
  }

  async stop(): Promise<void> {
    for (const client of [...this.#writers, ...this.#callers]) client.abandon();
    for (const { name, running } of this.#services.toReversed()) {
      await running.stop("SIGKILL");
      writeFileSync(join(this.cluster.folder, `${name}.log`), running.stderr());
    }
    await this.#front?.stop();
    for (const cable of this.cables) cable.stop();
  }

  async #cable(to: Address): Promise<number> {
    const cable = await Forwarder.to(to.port, to.host);
    this.cables.push(cable);
    return cable.port;
  }

  async #serve(name: string, databasePort: number): Promise<string> {
    const port = freePort();
    const home = this.#home(name);
    const running = start(["serve", "--port", `${port}`, "--data-dir", join(home, "data")], {
      ...plainEnvironment(home),
      DEWEY_TOKEN: TOKEN,
      DEWEY_DATABASE_URL: `postgres://dewey@127.0.0.1:${databasePort}/dewey`,
    });
    this.#services.push({ name: `the ${name} server`, running });
    await running.until("stderr", /"event":"serving"/);
    return `127.0.0.1:${port}`;
  }

  async #balance(a: string, b: string): Promise<string> {
    const port = freePort();
    this.#front = new Service([haproxy, "-db", "-f", this.cluster.configuration("haproxy.cfg")], {
      env: { DEWEY_BIND: `127.0.0.1:${port}`, DEWEY_A: a, DEWEY_B: b },
      log: join(this.cluster.folder, "front.log"),
    });
    this.#front.start();
    const isReady = () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until("a Dewey server behind HAProxy", isReady);
    return `ws://127.0.0.1:${port}/`;
  }

  async #relay(front: string): Promise<string> {
    const home = this.#home("proxy");
    const config = join(home, "mcp.json");
    writeFileSync(config, JSON.stringify({ mcpServers: { echo: echoCommand } }));
    const args = ["--port", "0", "--config", config, "--url", front, "--data-dir", join(home, "data")];
    const running = start(["proxy", ...args], { ...plainEnvironment(home), DEWEY_TOKEN: TOKEN });
    this.#services.push({ name: "the proxy", running });
    const [, url = ""] = await running.until("stderr", /"event":"relaying","url":"([^"]+)"/);
    return url;
  }

  #home(name: string): string {
    const home = join(this.cluster.folder, name);
    mkdirSync(home);
    return home;
  }
}

interface Health {
  recorder: { queued_bytes: number; redeliveries: number };
}

function countedBy(texts: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}
