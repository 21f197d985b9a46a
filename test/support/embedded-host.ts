import { createLog } from "../../src/log.ts";
import { startEmbedded } from "../../src/store/engine/embedded.ts";

// Runs only the embedded PostgreSQL, in the folder given as an argument. Tests start it as a separate process to kill it,
// to run several at once, or to run it as another user. It prints a line for each step, and stops when its stdin closes,
// so that it cannot outlive the tests.

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
