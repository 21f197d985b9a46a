import type { Ledger } from "./ledger.ts";
import { signal } from "./processes.ts";
import { Random } from "./random.ts";
import { cables, roles } from "./world.ts";
import type { Cable, Role, World } from "./world.ts";

/** What is done to whom: a signal to a process, or something to a cable. */
type Blow =
  | { kind: "kill" | "freeze" | "stop"; role: Role }
  /** `cut` breaks the connections and refuses new ones, `hold` passes nothing on. */
  | { kind: "cut" | "hold"; cable: Cable };

/** A blow, when it falls after the round's beginning, and how long it lasts. */
type Strike = Blow & {
  atMs: number;
  forMs: number;
  /** Which of several, as a share of them. */ choice: number;
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

/** When in a round the last blow may fall, and how long one may last. */
const LATEST_MS = 1000;
const LONGEST_MS = 2500;

/** Something bad that happens, after which everything is brought back and looked at. */
export interface Round {
  title: string;
  /** Lets it happen, and answers what kinds of strikes fell. */
  play(world: World, ledger: Ledger): Promise<string[]>;
}

/** Rounds of strikes at random. Blows are dealt out like cards: each comes once before one comes again. */
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
 * Lets a strike fall and ends it, and answers whether there was anybody to be struck. What was killed is brought back by
 * whoever restores the world.
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
