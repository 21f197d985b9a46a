import { rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { engineArchive, hostTarget, layEngine, targets } from "./engine.ts";
import type { Target } from "./engine.ts";

// `bun run build [--target linux-x64|linux-arm64|darwin-x64|darwin-arm64]` makes the binary, by default for this machine.

const root = join(import.meta.dir, "../..");

const { values } = parseArgs({
  options: { target: { type: "string", default: `${process.platform}-${process.arch}` } },
});
const target = targets.find((each) => each === values.target);
if (target === undefined) {
  console.error(`build: there is no target ${values.target}; choose one of: ${targets.join(", ")}`);
  process.exit(2);
}
await build(target);

async function build(target: Target): Promise<void> {
  const archive = await engineArchive(target);
  if (target === hostTarget) await layEngine();
  const outfile = join(root, "dist", target === hostTarget ? "dewey" : `dewey-${target}`);
  console.log(`Building ${relative(root, outfile)} …`);
  // The names of chunks are hashes, so that those of earlier builds would accumulate.
  for (const map of new Bun.Glob("chunk-*.js.map").scanSync(dirname(outfile))) rmSync(join(dirname(outfile), map));
  await Bun.build({
    entrypoints: [join(root, "src/main.ts")],
    minify: true,
    bytecode: true,
    // Each command loads only the chunks that it uses: a client waits for its hook at every step.
    splitting: true,
    format: "esm",
    sourcemap: "linked",
    compile: {
      target: `bun-${target}`,
      outfile,
      // The binary obeys only its own settings, never files in the current folder.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    plugins: [carry(archive)],
  });
  console.log(`Built ${relative(root, outfile)} (${Math.round(statSync(outfile).size / 1e6)} MB)`);
}

/** Replaces the archive that the source imports by the target's. */
function carry(archive: string): Bun.BunPlugin {
  return {
    name: "engine",
    setup: (builder) => void builder.onResolve({ filter: /\/postgres\.tar\.zst$/ }, () => ({ path: archive })),
  };
}
