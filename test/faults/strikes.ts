import type { Ledger } from "./ledger.ts";
import { signal } from "./processes.ts";
import { Random } from "./random.ts";
import { cables, roles } from "./world.ts";
import type { Cable, Role, World } from "./world.ts";

/** A fault and its target: a signal to a process, or the interruption of a cable. */
type Blow =
  | { kind: "kill" | "freeze" | "stop"; role: Role }
  /** `cut` breaks connections and refuses new ones; `hold` forwards nothing. */
  | { kind: "cut" | "hold"; cable: Cable };

/** A blow with its time from the start of the round and its duration. */
type Strike = Blow & {
  atMs: number;
  forMs: number;
  /** Selects one of several targets, as a fraction of their number. */ choice: number;
};

export const blows: readonly Blow[] = [
  ...roles.flatMap((role): Blow[] => [
    { kind: "kill", role },
    { kind: "freeze", role },
  ]),
  ...cables.flatMap((cable): Blow[] => [
    { kind: "cut", cable },
    { kind: "hold", cable },
  ]),
  { kind: "stop", role: "proxy" },
  { kind: "stop", role: "server" },
];

/** Latest start of a blow within a round, and its longest duration. */
const LATEST_MS = 1000;
const LONGEST_MS = 2500;

/** A round of faults; afterwards everything is restored and checked. */
export interface Round {
  title: string;
  /** Runs it and returns the kinds of strikes that hit something. */
  play(world: World, ledger: Ledger): Promise<string[]>;
}

/** Rounds of random strikes. Blows are dealt like cards: all of them occur before one repeats. */
export function randomRounds(seed: number, count: number, strikes: { least: number; most: number }): Round[] {
  const random = new Random(seed);
  let deck: Blow[] = [];
  const draw = (): Strike => {
    if (deck.length === 0) deck = random.shuffled(blows);
    const blow = deck.pop();
    if (!blow) throw new Error("there are no blows");
    const [atMs, forMs] = [random.integer(0, LATEST_MS), random.integer(0, LONGEST_MS)];
    return { ...blow, atMs, forMs, choice: random.next() };
  };
  return Array.from({ length: count }, () => {
    const drawn = Array.from({ length: random.integer(strikes.least, strikes.most) }, draw);
    return {
      title: drawn.map(described).join(", "),
      async play(world) {
        const fallen = await Promise.all(drawn.map(async (each) => ((await strike(world, each)) ? [each.kind] : [])));
        return fallen.flat();
      },
    };
  });
}

const signals = { kill: "SIGKILL", freeze: "SIGSTOP", stop: "SIGTERM" } as const;

/**
 * Runs a strike to its end and returns whether it had a target. Restoring the world restarts processes that were
 * killed.
 */
async function strike(world: World, strike: Strike): Promise<boolean> {
  await Bun.sleep(strike.atMs);
  if ("cable" in strike) {
    world.cable(strike.cable)[strike.kind]();
    await Bun.sleep(strike.forMs);
    world.cable(strike.cable).mend();
    return true;
  }
  const found = world.find(strike.role);
  const struck = found[Math.floor(strike.choice * found.length)];
  if (!struck) return false;
  signal(struck.pid, signals[strike.kind]);
  await Bun.sleep(strike.forMs);
  if (strike.kind === "freeze") signal(struck.pid, "SIGCONT");
  return true;
}

function described(strike: Strike): string {
  const target = "cable" in strike ? strike.cable : strike.role;
  return `${strike.kind} ${target} at ${strike.atMs} ms for ${strike.forMs} ms`;
}
