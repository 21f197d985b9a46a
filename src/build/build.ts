import { rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { engineArchive, hostTarget, layEngine, targets } from "./engine.ts";
import type { Target } from "./engine.ts";
import { componentsOf } from "./components.ts";
import { layPage } from "./page.ts";
import { billOfMaterials, noticesText, SOURCE_NOTICES } from "./notices.ts";
import { writeWhole } from "./whole-file.ts";

// `bun run build [--target linux-x64|linux-arm64|darwin-x64|darwin-arm64]` makes the binary, by default for this machine.
// `--release REPOSITORY` makes a release's: it knows where newer releases are, and lies apart from `dist/dewey`.

const root = join(import.meta.dir, "../..");

const { values } = parseArgs({
  options: { target: { type: "string", default: `${process.platform}-${process.arch}` }, release: { type: "string" } },
});
const target = targets.find((each) => each === values.target);
if (target === undefined) {
  console.error(`build: there is no target ${values.target}; choose one of: ${targets.join(", ")}`);
  process.exit(2);
}
await build(target, values.release);

async function build(target: Target, repository: string | undefined): Promise<void> {
  const archive = await engineArchive(target);
  if (target === hostTarget) await layEngine();
  await layPage();
  const own = target === hostTarget ? "dewey" : `dewey-${target}`;
  const outfile =
    repository === undefined ? join(root, "dist", own) : join(root, "dist/release/build", `dewey-${target}`);
  console.log(`Building ${relative(root, outfile)} …`);
  const components = await componentsOf(target);
  const notices = noticesFile(target, repository === undefined ? undefined : outfile);
  writeWhole(notices, noticesText(components));
  // The names of chunks are hashes, so that those of earlier builds would accumulate.
  for (const map of new Bun.Glob("chunk-*.js.map").scanSync(dirname(outfile))) rmSync(join(dirname(outfile), map));
  await Bun.build({
    // The program of a thread is an entry point of its own.
    entrypoints: [join(root, "src/main.ts"), join(root, "src/store/workshop/worker.ts")],
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
    ...(repository === undefined ? {} : { define: { RELEASED_BY: JSON.stringify(repository) } }),
    plugins: [carry({ "postgres.tar.zst": archive, "third-party-notices.txt": notices })],
  });
  writeWhole(`${outfile}.cdx.json`, billOfMaterials(components));
  console.log(`Built ${relative(root, outfile)} (${Math.round(statSync(outfile).size / 1e6)} MB)`);
}

/** Where the notices are written: beside a release's binary, or where the source imports them. */
function noticesFile(target: Target, released: string | undefined): string {
  if (released !== undefined) return `${released}.notices.txt`;
  return target === hostTarget ? SOURCE_NOTICES : SOURCE_NOTICES.replace(/\.txt$/, `-${target}.txt`);
}

/** Replaces the files that the source imports by the target's. */
function carry(files: Record<string, string>): Bun.BunPlugin {
  return {
    name: "target's files",
    setup(builder) {
      for (const [name, path] of Object.entries(files))
        builder.onResolve({ filter: new RegExp(`/${name.replaceAll(".", "\\.")}$`) }, () => ({ path }));
    },
  };
}
