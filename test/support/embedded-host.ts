import { createLog } from "../../src/log.ts";
import { startEmbedded } from "../../src/store/engine/embedded.ts";

// A Dewey that is nothing but its PostgreSQL, in the folder that it is given: tests start it as a process of its own,
// to kill it, to have several at once, or to run it as somebody else. It says in a line each how far it is, and stops
// when its stdin ends, so that it does not outlive the tests.

const log = createLog({ level: "error", format: "text", write: (line) => process.stderr.write(line) });
try {
  const embedded = await startEmbedded({
    dataDir: process.argv[2] ?? "",
    log,
    onProgress: (step) => console.log(step),
  });
  console.log(JSON.stringify(embedded.connection));
  for await (const _ of Bun.stdin.stream());
  await embedded.stop();
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
