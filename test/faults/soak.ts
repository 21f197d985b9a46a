import { parseArgs } from "node:util";
import { keepFolder, leaveNothing } from "../support/leftovers.ts";
import { nastyRounds } from "./nasty.ts";
import { run } from "./run.ts";
import { randomRounds } from "./strikes.ts";

// The long form of the fault harness: `bun run soak [--rounds N] [--seed S] [--strikes MOST] [--least LEAST]`. The last two
// are per round. The same seed gives the same strikes at the same moments. `--nasty` runs the rounds of `nasty.ts`.

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    strikes: { type: "string", default: "3" },
    least: { type: "string", default: "1" },
    nasty: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const strikes = { least: Number(values.least), most: Number(values.strikes) };

leaveNothing();

console.log(`seed ${values.seed}`);
const { totals, violations, logs } = await run({
  seed,
  rounds: values.nasty ? nastyRounds : randomRounds(seed, Number(values.rounds), strikes),
  say: (line) => console.log(`${new Date().toISOString().slice(11, 23)} ${line}`),
});
for (const [name, count] of Object.entries(totals)) console.log(`${name.padEnd(24)} ${count}`);
for (const violation of violations) console.log(violation);
if (logs !== undefined) console.log(`logs: ${keepFolder(logs)}`);
process.exit(violations.length === 0 ? 0 : 1);
