import { importing } from "./importing.ts";
import { redacting } from "./redacting.ts";
import { relaying } from "./relaying.ts";
import { starting } from "./starting.ts";
import { storing } from "./storing.ts";
import { judge, table } from "./support/row.ts";
import type { Judged, Row } from "./support/row.ts";

// `bun run bench [--only NAME] [--json]`: every promise about speed beside a peer or the limit, measured in one run.

const benches: Record<string, () => Promise<Row[]>> = { storing, relaying, starting, importing, redacting };

const args = process.argv.slice(2);
const json = args.includes("--json");
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined;
if (only !== undefined && !(only in benches)) {
  console.error(`there is no bench ${only}; there are: ${Object.keys(benches).join(", ")}`);
  process.exit(2);
}
const rows: Judged[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (only !== undefined && name !== only) continue;
  if (!json) console.error(`${name} …`);
  rows.push(...(await bench()).map(judge));
}
console.log(json ? JSON.stringify(rows, null, 2) : table(rows));
process.exit(rows.some((row) => row.met === false) ? 1 : 0);
