import {
  chmodSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "../support/binary.ts";
import { plainEnvironment } from "../support/home.ts";
import { echoCommand } from "../support/echo-server.ts";
import { Forwarder } from "../support/forwarder.ts";
import { freePort } from "../support/ports.ts";
import { Rpc } from "../support/rpc.ts";
import { Client } from "./client.ts";
import type { Ledger } from "./ledger.ts";
import { processesOf, signal } from "./processes.ts";
import type { Process } from "./processes.ts";
import type { Random } from "./random.ts";

/** The processes that strikes can hit. */
export const roles = [
  "server",
  "postgres",
  "connection of postgres",
  "proxy",
  "stdio proxy",
  "stdio upstream",
  "websocket upstream",
  "http upstream",
  "client",
] as const;
export type Role = (typeof roles)[number];

/** The connections that strikes can hit. */
export const cables = ["client to proxy", "proxy to server", "proxy to websocket", "proxy to http"] as const;
export type Cable = (typeof cables)[number];

/** Every pair of client wire and upstream wire. */
const pairs = (["websocket", "http", "stdio"] as const).flatMap((wire) =>
  (["stdio", "websocket", "http"] as const).map((upstream) => ({ wire, upstream })),
);
const CLIENTS = 6;
/** Deadline of a database statement: shorter than most freezes. */
const DATABASE_DEADLINE_SECONDS = 2;
/** Deadline for a process to become ready. */
const START_DEADLINE_MS = 60_000;
/** Deadline for orphans to exit: a child that ignores all signals is killed after four seconds. */
const END_DEADLINE_MS = 20_000;
const POLL_INTERVAL_MS = 50;

/** All participants: a server, a proxy, upstreams and clients, each a process, with cables between them. */
export class World {
  readonly home = mkdtempSync(join(tmpdir(), "dewey-faults-"));
  readonly spool = join(this.home, "spool");
  readonly #data = join(this.home, "data");
  readonly #config = join(this.home, "mcp.json");
  readonly #serverPort = freePort();
  readonly #proxyPort = freePort();
  readonly #upstreamPorts = { websocket: freePort(), http: freePort() };
  readonly #env = { ...plainEnvironment(this.home), DEWEY_DB_DEADLINE_SECONDS: `${DATABASE_DEADLINE_SECONDS}` };
  readonly #random: Random;
  readonly #ledger: Ledger;
  #pairs: typeof pairs = [];
  #clients: Client[] = [];
  #born = 0;
  #cables: Record<Cable, Forwarder> | undefined;

  constructor(random: Random, ledger: Ledger) {
    this.#random = random;
    this.#ledger = ledger;
    // PostgreSQL's own user must be able to traverse it when this runs as root.
    chmodSync(this.home, 0o711);
    // No process may outlive this one.
    process.once("exit", () => this.#end());
  }

  #end(): void {
    for (const { pid } of processesOf(this.home)) signal(pid, "SIGKILL");
  }

  get serverUrl(): string {
    return `ws://127.0.0.1:${this.#serverPort}/`;
  }

  async start(): Promise<void> {
    const { websocket, http } = this.#upstreamPorts;
    const cables = {
      "client to proxy": await Forwarder.to(this.#proxyPort),
      "proxy to server": await Forwarder.to(this.#serverPort),
      "proxy to websocket": await Forwarder.to(websocket),
      "proxy to http": await Forwarder.to(http),
    };
    this.#cables = cables;
    const mcpServers = {
      stdio: echoCommand,
      websocket: { type: "ws", url: `ws://127.0.0.1:${cables["proxy to websocket"].port}/` },
      http: { type: "http", url: `http://127.0.0.1:${cables["proxy to http"].port}/mcp` },
    };
    writeFileSync(this.#config, JSON.stringify({ mcpServers }));
    await this.restore();
  }

  cable(name: Cable): Forwarder {
    if (!this.#cables) throw new Error("the world has not been started");
    return this.#cables[name];
  }

  /** The processes that currently have a role. */
  find(role: Role): Process[] {
    return processesOf(this.home).filter((each) => this.#plays(each, role));
  }

  #plays({ command, pid }: Process, role: Role): boolean {
    const commands: Record<Role, (command: string) => boolean> = {
      server: (command) => command.startsWith(`${binary} serve`),
      postgres: (command) => /^\S+bin\/postgres -D/.test(command),
      "connection of postgres": (command) => command.startsWith("postgres: dewey "),
      proxy: (command) => command.startsWith(`${binary} proxy --port ${this.#proxyPort} `),
      "stdio proxy": (command) => command.startsWith(`${binary} proxy --stdio`),
      "stdio upstream": (command) => command === [echoCommand.command, ...echoCommand.args].join(" "),
      "websocket upstream": (command) => command.includes("upstream-host.ts websocket"),
      "http upstream": (command) => command.includes("upstream-host.ts http"),
      client: () => this.#clients.some((client) => client.pid === pid),
    };
    return commands[role](command);
  }

  /** Restarts everything that is missing and mends every cable. Throws with the name of what does not come back. */
  async restore(): Promise<void> {
    for (const name of cables) this.cable(name).mend();
    for (const { pid } of processesOf(this.home)) signal(pid, "SIGCONT");
    const url = `ws://127.0.0.1:${this.cable("proxy to server").port}/`;
    const serve = ["serve", "--port", `${this.#serverPort}`, "--data-dir", this.#data];
    const proxy = ["proxy", "--port", `${this.#proxyPort}`, ...this.#proxyFlags(url)];
    const host = join(import.meta.dir, "upstream-host.ts");
    const upstream = (wire: "websocket" | "http") => [process.execPath, host, wire, `${this.#upstreamPorts[wire]}`];
    await Promise.all([
      this.#bringBack("server", [binary, ...serve], () => isHealthy(this.#serverPort)),
      this.#bringBack("proxy", [binary, ...proxy], () => isHealthy(this.#proxyPort)),
      this.#bringBack("websocket upstream", upstream("websocket"), () => answers(this.#upstreamPorts.websocket)),
      this.#bringBack("http upstream", upstream("http"), () => answers(this.#upstreamPorts.http)),
    ]);
    await this.#replaceClients();
  }

  async #bringBack(role: Role, command: string[], isThere: () => Promise<boolean>): Promise<void> {
    await within(START_DEADLINE_MS, `the ${role} is there`, async () => {
      // A stdio proxy may start a server too; the second one exits.
      if (this.find(role).length === 0) this.#spawn(command, role);
      return isThere();
    });
  }

  #spawn(command: string[], name: string): Bun.Subprocess {
    const log = openSync(join(this.home, `${name.replaceAll(" ", "-")}.log`), "a");
    return Bun.spawn(command, { env: this.#env, cwd: this.home, stdin: "ignore", stdout: log, stderr: log });
  }

  #proxyFlags(url: string): string[] {
    return ["--config", this.#config, "--url", url, "--spool-dir", this.spool, "--data-dir", this.#data];
  }

  async #replaceClients(): Promise<void> {
    for (const client of this.#clients.filter((each) => !each.isAlive)) await this.#bury(client);
    while (this.#clients.length < CLIENTS) this.#clients.push(this.#client());
  }

  async #bury(client: Client): Promise<void> {
    await client.kill();
    this.#ledger.ended(client.name);
    this.#clients = this.#clients.filter((each) => each !== client);
  }

  #client(): Client {
    if (this.#pairs.length === 0) this.#pairs = this.#random.shuffled(pairs);
    const { wire, upstream } = this.#pairs.pop() ?? { wire: "websocket", upstream: "stdio" };
    this.#born += 1;
    const { port } = this.cable("client to proxy");
    const address = {
      websocket: [`ws://127.0.0.1:${port}/?upstream=${upstream}`],
      http: [`http://127.0.0.1:${port}/mcp?upstream=${upstream}`],
      stdio: [binary, "proxy", "--stdio", ...this.#proxyFlags(this.serverUrl), upstream],
    }[wire];
    return new Client({
      name: `s${this.#born}${wire[0]}${upstream[0]}`,
      seed: this.#random.integer(0, 2 ** 31),
      wire,
      address,
      home: this.home,
      env: this.#env,
      onReport: (report) => this.#ledger.take(report),
    });
  }

  /** Pauses all clients. Returns those still waiting for a response, after ending them. */
  async pauseClients(limitMs: number): Promise<string[]> {
    const late = Bun.sleep(limitMs).then(() => "late" as const);
    const hung: string[] = [];
    await Promise.all(
      this.#clients.map(async (client) => {
        if ((await Promise.race([client.pause(), late])) !== "late") return;
        hung.push(client.name);
        await this.#bury(client);
      }),
    );
    return hung;
  }

  async resumeClients(): Promise<void> {
    await this.#replaceClients();
    for (const client of this.#clients) client.resume();
  }

  /** Opens a client of the server's tools. */
  async dewey<Result>(ask: (rpc: Rpc) => Promise<Result>): Promise<Result> {
    const rpc = await Rpc.open(this.serverUrl);
    try {
      await rpc.initialize("audit");
      return await ask(rpc);
    } finally {
      rpc.close();
    }
  }

  /** The recorder's state as reported by the proxy. */
  async recorder(): Promise<Record<string, unknown>> {
    const response = await fetch(`http://127.0.0.1:${this.#proxyPort}/healthz`);
    const { recorder } = (await response.json()) as { recorder: Record<string, unknown> };
    return recorder;
  }

  /** Starts another proxy on the same spool. */
  spawnProxy(): Bun.Subprocess {
    return this.#spawn([binary, "proxy", "--port", "0", ...this.#proxyFlags(this.serverUrl)], "next-proxy");
  }

  /** Runs another proxy on the same spool during an action, as if a person had started the next one. */
  async withNextProxy(work: () => Promise<void>): Promise<void> {
    const next = this.spawnProxy();
    try {
      await work();
    } finally {
      next.kill("SIGTERM");
      await next.exited;
    }
  }

  /** Segments of journals that no running process has locked. */
  leftSegments(): string[] {
    if (!existsSync(this.spool)) return [];
    const open = new Set(
      processesOf(this.home).flatMap((each) => (each.command.includes("proxy") ? each.files() : [])),
    );
    return readdirSync(this.spool).filter((name) => {
      const [, owner] = /^(.{36})-\d+\.spool$/.exec(name) ?? [];
      return owner !== undefined && !open.has(join(this.spool, `${owner}.lock`));
    });
  }

  /** Orphans among our processes, except for a server started by a stdio proxy and its children. */
  async orphans(): Promise<string[]> {
    const server = Number(readFileSync(join(this.#data, "postgres", "owner"), "utf8"));
    const find = () => orphansAmong(processesOf(this.home), server);
    await within(END_DEADLINE_MS, "", async () => find().length === 0).catch(() => {});
    return find().map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`);
  }

  /** Ends the clients and stops the proxy, as a person would. Throws when part of the spool stays undelivered. */
  async finish(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.leave()));
    await this.#terminate("proxy");
    // A stopping proxy leaves undelivered records to the next one.
    const isDelivered = async () => this.leftSegments().length === 0;
    if (!(await isDelivered())) {
      await this.withNextProxy(() => within(START_DEADLINE_MS, "the spool was delivered", isDelivered));
    }
  }

  /** Stops everything and returns leftovers: processes, and files of the spool. */
  async stop(): Promise<{ processes: string[]; files: string[] }> {
    for (const role of ["server", "websocket upstream", "http upstream"] as const) await this.#terminate(role);
    await within(END_DEADLINE_MS, "", async () => processesOf(this.home).length === 0).catch(() => {});
    const left = processesOf(this.home);
    this.#end();
    for (const name of cables) this.cable(name).stop();
    const processes = left.map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`);
    return { processes, files: readdirSync(this.spool) };
  }

  async #terminate(role: Role): Promise<void> {
    for (const { pid } of this.find(role)) signal(pid, "SIGTERM");
    await within(END_DEADLINE_MS, "", async () => this.find(role).length === 0).catch(() => {});
  }

  /** Removes the folder with all logs. */
  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

function orphansAmong(processes: Process[], server: number): Process[] {
  const byPid = new Map(processes.map((each) => [each.pid, each]));
  const hasRoot = (each: Process | undefined): boolean =>
    each !== undefined && (each.pid === server || each.parent === process.pid || hasRoot(byPid.get(each.parent)));
  return processes.filter((each) => !hasRoot(each));
}

/** Polls until the condition holds. A rejection counts as false: the database may be busy. */
export async function within(limitMs: number, what: string, ask: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    let reason = "";
    try {
      if (await ask()) return;
    } catch (error) {
      reason = `: ${String(error)}`;
    }
    if (performance.now() > deadlineMs) throw new Error(`timed out after ${limitMs / 1000} s, before ${what}${reason}`);
    await Bun.sleep(POLL_INTERVAL_MS);
  }
}

async function isHealthy(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(5000) }).catch(
    () => undefined,
  );
  return response?.ok ?? false;
}

async function answers(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
  return response !== undefined;
}
