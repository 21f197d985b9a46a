import { expect, test } from "bun:test";
import { keepFolder } from "../support/leftovers.ts";
import { run } from "./run.ts";
import { blows, randomRounds } from "./strikes.ts";

// The short form of the fault harness: every kind of strike once. `bun run soak` runs the long form.

const ROUNDS = 6;

test("nothing is lost, duplicated or mixed up while processes are killed and frozen and connections cut at random", async () => {
  const seed = Math.floor(Math.random() * 1_000_000);
  const strikes = Math.ceil(blows.length / ROUNDS);
  const said: string[] = [];
  const { violations, totals, logs } = await run({
    seed,
    rounds: randomRounds(seed, ROUNDS, { least: strikes, most: strikes }),
    say: (line) => said.push(line),
  });
  if (violations.length > 0) {
    console.log(
      [
        ...said,
        `logs: ${logs && keepFolder(logs)}`,
        `repeat it with: bun run soak --rounds ${ROUNDS} --strikes ${strikes} --least ${strikes} --seed ${seed}`,
      ].join("\n"),
    );
  }
  expect(violations).toEqual([]);
  expect(totals["answered"]).toBeGreaterThan(0);
}, 600_000);
