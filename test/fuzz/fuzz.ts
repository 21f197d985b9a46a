import { parseArgs } from "node:util";
import { leaveNothing } from "../support/leftovers.ts";
import { run } from "./run.ts";

// `bun run fuzz [--seconds N] [--seed S]`: texts of hostile shapes for a real server and proxy. The same seed gives the same
// texts in the same order.

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
  },
});

leaveNothing();

console.log(`seed ${values.seed}`);
const { totals, violations, heldTurns } = await run({
  seed: Number(values.seed),
  seconds: Number(values.seconds),
  say: (line) => console.log(`${new Date().toISOString().slice(11, 23)} ${line}`),
});
for (const [name, count] of Object.entries(totals)) console.log(`${name.padEnd(44)} ${count}`);
const count = violations.length + heldTurns.length;
console.log(count === 0 ? "nothing was violated" : `${count} violations`);
process.exit(count === 0 ? 0 : 1);
