import { parseArgs } from "node:util";
import { keepFolder, leaveNothing } from "../support/leftovers.ts";
import { missingPackages } from "./programs.ts";
import { brokenPromises, table } from "./report.ts";
import { run } from "./run.ts";

// `bun run ha [--strikes N] [--seed S] [--async]`: Dewey on a highly available PostgreSQL that is struck again and again. See
// README.md beside this file. `--async` has commits wait for no standby.

const { values } = parseArgs({
  options: {
    strikes: { type: "string", default: "30" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    async: { type: "boolean", default: false },
  },
});
if (missingPackages.length > 0) {
  console.error(`bun run ha needs Debian's packages: apt-get install ${missingPackages.join(" ")}`);
  process.exit(2);
}

leaveNothing();

console.log(`seed ${values.seed}`);
const say = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
const isSynchronous = !values.async;
const outcome = await run({ seed: Number(values.seed), strikes: Number(values.strikes), isSynchronous, say });
console.log(table(outcome));
const broken = brokenPromises(outcome, isSynchronous);
for (const line of broken) console.log(line);
if (broken.length > 0) console.log(`logs: ${keepFolder(outcome.logs)}`);
process.exit(broken.length === 0 ? 0 : 1);
