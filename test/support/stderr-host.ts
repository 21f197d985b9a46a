import { createLog } from "../../src/log.ts";
import { spawnStdio } from "../../src/wire/stdio.ts";
import { until } from "./rpc.ts";

// Logs the stderr of the command in its arguments until that prints "the last". Prints what was logged, and by how many bytes
// its own memory grew: in a process of its own, since a test's process holds what other tests have left.

const [command = "", ...args] = process.argv.slice(2);
const lines: string[] = [];
const log = createLog({
  level: "debug",
  format: "json",
  write(text) {
    const { event, line } = JSON.parse(text) as { event: string; line: string };
    if (event === "stderr") lines.push(line);
  },
});
const before = process.memoryUsage().rss;
const link = spawnStdio({ command, args, env: { PATH: process.env["PATH"] ?? "" }, log });
await until("the last line", () => lines.at(-1)?.endsWith("the last"));
console.log(JSON.stringify({ lines, grownBytes: process.memoryUsage().rss - before }));
link.close();
