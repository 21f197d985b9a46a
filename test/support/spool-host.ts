import { Spool } from "../../src/proxy/spool.ts";
import { quiet } from "./postgres.ts";

// Appends a small, a large and a small entry to a spool, and prints which were written.
const spool = new Spool(process.argv[2] ?? "", quiet, () => {});
const written: boolean[] = [];
for (const [index, size] of [10, 10_000_000, 10].entries()) {
  const entry = {
    kind: "frame",
    session: "s",
    sequence: index + 1,
    direction: "up",
    time: 1,
    frame: "x".repeat(size),
  } as const;
  written.push(await new Promise<boolean>((resolve) => spool.append(entry, resolve)));
}
console.log(JSON.stringify(written));
spool.segment?.release();
