import { existsSync } from "node:fs";
import { join } from "node:path";
import { Audit } from "./audit.ts";
import type { Findings } from "./audit.ts";
import { isAnswered, Ledger } from "./ledger.ts";
import { Random } from "./random.ts";
import type { Round } from "./strikes.ts";
import { World, within } from "./world.ts";

/** How long clients keep working after everything is restored. */
const AFTERMATH_MS = 300;
/** Within this time after the restore every call has a response, or its connection has ended. */
const ANSWER_DEADLINE_MS = 60_000;
/**
 * Within this time after the restore all records are delivered: after a long outage a recorder polls the store every
 * half minute.
 */
const DELIVERY_DEADLINE_MS = 180_000;
/** How long a search is retried while the database is busy. */
const SEARCH_DEADLINE_MS = 20_000;
/** Calls per round that are also searched for. */
const SEARCHED_CALLS = 3;

export interface RunOptions {
  /** Seeds the clients' behaviour. */
  seed: number;
  rounds: Round[];
  say(line: string): void;
}

/** The result of a run. Each entry of `violations` is a broken guarantee. */
export interface Outcome {
  totals: Record<string, number>;
  violations: string[];
  /** The folder with all logs, kept only when a guarantee was broken. */
  logs: string | undefined;
}

/**
 * Strikes a world of clients, proxies, upstreams and a server, round by round, and compares the stored data with what the
 * clients saw.
 */
export async function run(options: RunOptions): Promise<Outcome> {
  return new Run(options).play();
}

class Run {
  readonly #options: RunOptions;
  readonly #ledger = new Ledger();
  readonly #audit = new Audit(this.#ledger);
  readonly #world: World;
  readonly #violations: string[] = [];
  readonly #strikes: Record<string, number> = {};
  #round = 0;
  #processesLeft = 0;
  #segmentsLeft = 0;
  #hung = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#world = new World(new Random(options.seed), this.#ledger);
  }

  async play(): Promise<Outcome> {
    try {
      await this.#world.start();
      for (const round of this.#options.rounds) {
        this.#round += 1;
        await this.#play(round);
      }
    } catch (error) {
      this.#violated("failed", [String(error instanceof Error ? error.stack : error)]);
    }
    await this.#end();
    const isBroken = this.#violations.length > 0;
    if (!isBroken) this.#world.remove();
    return { totals: this.#totals(), violations: this.#violations, logs: isBroken ? this.#world.home : undefined };
  }

  async #play(round: Round): Promise<void> {
    this.#options.say(`round ${this.#round}: ${round.title}`);
    const steps: [string, () => Promise<unknown>][] = [
      ["struck", () => this.#strike(round)],
      ["brought back", () => this.#world.restore()],
      ["answered", () => this.#rest()],
      ["delivered", () => this.#deliver()],
      ["found", () => this.#search()],
      ["cleared", () => this.#findOrphans()],
    ];
    const times: string[] = [];
    for (const [name, step] of steps) {
      const startedMs = performance.now();
      await step();
      times.push(`${name} in ${Math.round(performance.now() - startedMs)} ms`);
    }
    this.#options.say(`round ${this.#round}: ${times.join(", ")}; ${this.#ledger.calls.size} calls so far`);
    await this.#world.resumeClients();
  }

  /** Lets the clients work for a while, then pauses them. */
  async #rest(): Promise<void> {
    await Bun.sleep(AFTERMATH_MS);
    const hung = await this.#world.pauseClients(ANSWER_DEADLINE_MS);
    this.#hung += hung.length;
    this.#violated("never answered", hung);
  }

  async #findOrphans(): Promise<void> {
    const orphans = await this.#world.orphans();
    this.#processesLeft += orphans.length;
    this.#violated("a process is left", orphans);
  }

  async #strike(round: Round): Promise<void> {
    for (const kind of await round.play(this.#world, this.#ledger))
      this.#strikes[kind] = (this.#strikes[kind] ?? 0) + 1;
  }

  /** Waits until all records are stored, and checks them. */
  async #deliver(): Promise<void> {
    const world = this.#world;
    if (world.leftSegments().length > 0) await world.withNextProxy(() => this.#awaitDelivery());
    else await this.#awaitDelivery();
    const left = world.leftSegments();
    this.#segmentsLeft += left.length;
    this.#violated("a segment is left", left);
    const { lost_frames, set_aside } = await world.recorder();
    if (lost_frames !== 0 || set_aside !== 0 || existsSync(join(world.spool, "set-aside.jsonl"))) {
      this.#violated("recorder", [`${String(lost_frames)} frames lost, ${String(set_aside)} records set aside`]);
    }
  }

  async #awaitDelivery(): Promise<void> {
    const world = this.#world;
    let findings: Findings | undefined;
    await within(DELIVERY_DEADLINE_MS, "everything was delivered", async () => {
      const hasChanged = await world.dewey((rpc) => this.#audit.read(rpc));
      findings = this.#audit.find();
      const { queued_bytes } = await world.recorder();
      return !hasChanged && findings.lost.length === 0 && queued_bytes === 0 && world.leftSegments().length === 0;
    }).catch((error: unknown) => this.#violated("delivery", [String(error)]));
    for (const [kind, found] of Object.entries(findings ?? {})) this.#violated(kind, found as string[]);
  }

  async #search(): Promise<void> {
    const answered = [...this.#ledger.calls.values()].filter(
      (call) => call.state === "success" && call.tool === "echo",
    );
    for (const call of answered.slice(-SEARCHED_CALLS)) {
      const find = () => this.#world.dewey((rpc) => this.#audit.isFound(rpc, call));
      await within(SEARCH_DEADLINE_MS, `${call.token} was found`, find).catch((error: unknown) =>
        this.#violated("search", [String(error)]),
      );
    }
  }

  /** Stops everything and checks all stored data once more. */
  async #end(): Promise<void> {
    try {
      await this.#world.finish();
      await within(DELIVERY_DEADLINE_MS, "everything stored was read", async () => {
        await this.#world.dewey((rpc) => this.#audit.read(rpc, true));
        return true;
      });
      for (const [kind, found] of Object.entries(this.#audit.find())) this.#violated(kind, found as string[]);
    } catch (error) {
      this.#violated("failed", [String(error)]);
    }
    const { processes, files } = await this.#world.stop();
    this.#processesLeft += processes.length;
    this.#violated("a process is left at the end", processes);
    this.#violated("a file is left in the spool", files);
    this.#violated("a client received data of another session", this.#ledger.wrong);
  }

  #violated(kind: string, found: string[]): void {
    for (const each of found) {
      const violation = `${kind}: ${each}`;
      if (this.#violations.some((known) => known.endsWith(violation))) continue;
      this.#violations.push(`round ${this.#round}: ${violation}`);
      this.#options.say(`round ${this.#round}: VIOLATION ${violation}`);
    }
  }

  #totals(): Record<string, number> {
    const calls = [...this.#ledger.calls.values()];
    const of = (kind: string) => this.#violations.filter((each) => each.includes(`: ${kind}: `)).length;
    return {
      rounds: this.#round,
      ...Object.fromEntries(Object.entries(this.#strikes).map(([kind, count]) => [`strikes: ${kind}`, count])),
      calls: calls.length,
      answered: calls.filter(isAnswered).length,
      "answered with an error": this.#ledger.count("error"),
      "in flight at a strike": this.#ledger.count("broken", "open"),
      "calls stored": this.#audit.storedCalls,
      lost: of("lost"),
      doubled: of("doubled"),
      "out of order": of("disordered"),
      "cross-talk": of("mixed") + this.#ledger.wrong.length,
      "never answered": this.#hung,
      "processes left": this.#processesLeft,
      "segments left": this.#segmentsLeft,
    };
  }
}
