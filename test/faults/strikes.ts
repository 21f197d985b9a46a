import type { Random } from "./random.ts";
import { signal } from "./processes.ts";
import { cables, roles } from "./world.ts";
import type { Cable, Role, World } from "./world.ts";

/** What is done to whom: a signal to a process, or something to a cable. */
type Blow =
  | { kind: "kill" | "freeze" | "stop"; role: Role }
  /** `cut` breaks the connections and refuses new ones, `hold` passes nothing on. */
  | { kind: "cut" | "hold"; cable: Cable };

/** A blow, when it falls after the round's beginning, and how long it lasts. */
export type Strike = Blow & {
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

/** Deals out blows like cards: each comes once before one comes again. */
export class Deck {
  readonly #random: Random;
  #left: Blow[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  draw({ least, most }: { least: number; most: number }): Strike[] {
    return Array.from({ length: this.#random.integer(least, most) }, () => {
      if (this.#left.length === 0) this.#left = this.#random.shuffled(blows);
      const blow = this.#left.pop();
      if (!blow) throw new Error("the deck is empty");
      const [atMs, forMs] = [this.#random.integer(0, LATEST_MS), this.#random.integer(0, LONGEST_MS)];
      return { ...blow, atMs, forMs, choice: this.#random.next() };
    });
  }
}

const signals = { kill: "SIGKILL", freeze: "SIGSTOP", stop: "SIGTERM" } as const;

/**
 * Lets a strike fall and ends it, and answers whether there was anybody to be struck. What was killed is brought back by
 * whoever restores the world.
 */
export async function strike(world: World, strike: Strike): Promise<boolean> {
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

export function described(strike: Strike): string {
  const target = "cable" in strike ? strike.cable : strike.role;
  return `${strike.kind} ${target} at ${strike.atMs} ms for ${strike.forMs} ms`;
}
