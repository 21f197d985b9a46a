import { Spool } from "../../src/proxy/spool/spool.ts";
import { frameEntry, sessionOpen, spoolOptions } from "./spool-folder.ts";

// Appends a small, a large and a small entry to a spool, and prints the number of lost frames after each, until killed.
const spool = new Spool(spoolOptions(process.argv[2] ?? ""));
const open = sessionOpen();
const lost: number[] = [];
for (const [index, size] of [10, 10_000_000, 10].entries()) {
  await new Promise<void>((passed) =>
    spool.append({ open, entry: frameEntry(open.session, index + 1, "x".repeat(size)), pass: passed }),
  );
  lost.push(spool.lostFrames);
}
process.stdout.write(JSON.stringify(lost));
process.kill(process.pid, "SIGKILL");
