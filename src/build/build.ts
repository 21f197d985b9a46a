import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { placeEngine, targets } from "./engine.ts";
import type { Target } from "./engine.ts";

// `bun run build [--target linux-x64|linux-arm64|darwin-x64|darwin-arm64]` makes the binary, by default for this machine.

const root = join(import.meta.dir, "../..");
const host = `${process.platform}-${process.arch}`;
const { values } = parseArgs({ options: { target: { type: "string", default: host } } });
const target = targets.find((each) => each === values.target);
if (target === undefined) {
  console.error(`build: there is no target ${values.target}; there are: ${targets.join(", ")}`);
  process.exit(2);
}
await build(target);

async function build(target: Target): Promise<void> {
  mkdirSync(join(root, "dist"), { recursive: true });
  await placeEngine(target);
  const outfile = join(root, "dist", target === host ? "dewey" : `dewey-${target}`);
  console.log(`Building ${outfile} …`);
  const result = await Bun.build({
    entrypoints: [join(root, "src/main.ts")],
    minify: true,
    bytecode: true,
    format: "esm",
    sourcemap: "linked",
    compile: {
      target: `bun-${target}`,
      outfile,
      // The binary obeys its own settings only, never files that lie in the folder it is started in.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  for (const message of result.logs) console.error(message);
  // The tests and the source read the archive of this machine's PostgreSQL.
  if (target !== host && targets.some((each) => each === host)) await placeEngine(host as Target);
}
