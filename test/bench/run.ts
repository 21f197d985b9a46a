import { bulk } from "./bulk.ts";
import { growth } from "./growth.ts";
import { importing } from "./importing.ts";
import { large } from "./large.ts";
import { long } from "./long.ts";
import { many } from "./many.ts";
import { redacting } from "./redacting.ts";
import { relaying } from "./relaying.ts";
import { servers } from "./servers.ts";
import { starting } from "./starting.ts";
import { storing } from "./storing.ts";
import { judge, table } from "./support/row.ts";
import type { Judged, Row } from "./support/row.ts";

// All claims about speed relative to a peer or a bound, measured in one run; started by bench.ts.

const benches: Record<string, () => Promise<Row[]>> = {
  storing,
  bulk,
  growth,
  servers,
  relaying,
  many,
  starting,
  importing,
  redacting,
};
/** Slow benches, which run only on request. */
const onRequest: Record<string, () => Promise<Row[]>> = { long, large };

const args = process.argv.slice(2);
const json = args.includes("--json");
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined;
const all = { ...benches, ...onRequest };
if (only !== undefined && !(only in all)) {
  console.error(`there is no bench ${only}; there are: ${Object.keys(all).join(", ")}`);
  process.exit(2);
}
const rows: Judged[] = [];
for (const [name, bench] of Object.entries(only === undefined ? benches : all)) {
  if (only !== undefined && name !== only) continue;
  if (!json) console.error(`${name} …`);
  rows.push(...(await bench()).map(judge));
}
console.log(json ? JSON.stringify(rows, null, 2) : table(rows));
process.exit(rows.some((row) => row.met === false) ? 1 : 0);
