import { spawnStdio } from "../../src/wire/stdio.ts";
import { quiet } from "./quiet.ts";

// Starts the command in its arguments as an upstream, prints a line, and waits to be killed.
const [command = "", ...args] = process.argv.slice(2);
const link = spawnStdio({ command, args, env: { PATH: process.env["PATH"] ?? "" }, log: quiet });
link.open({ frame: (text) => process.stdout.write(`${text}\n`), drained: () => {}, closed: () => {} });
await new Promise(() => {});
