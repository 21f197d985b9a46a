import { expect, test } from "bun:test";
import { keepFolder } from "../support/leftovers.ts";
import { missingPackages } from "./programs.ts";
import { brokenPromises, table } from "./report.ts";
import { run } from "./run.ts";

// The short form of `bun run ha`.

const STRIKES = 3;

if (missingPackages.length > 0)
  console.warn(`no highly available PostgreSQL is tested: ${missingPackages.join(", ")} are not here`);

test.skipIf(missingPackages.length > 0)(
  "on a highly available PostgreSQL nothing acknowledged is lost or doubled, and the service comes back by itself",
  async () => {
    const seed = Math.floor(Math.random() * 1_000_000);
    const said: string[] = [];
    const outcome = await run({ seed, strikes: STRIKES, isSynchronous: true, say: (line) => said.push(line) });
    const broken = brokenPromises(outcome, true);
    if (broken.length > 0) {
      const again = `repeat it with: bun run ha --strikes ${STRIKES} --seed ${seed}`;
      console.log([...said, table(outcome), `logs: ${keepFolder(outcome.logs)}`, again].join("\n"));
    }
    expect(broken).toEqual([]);
    expect([outcome.acknowledged > 100, outcome.called > 10]).toEqual([true, true]);
  },
  600_000,
);
