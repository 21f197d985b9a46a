import { rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { engineArchive, hostTarget, layEngine, layNoEngine, targets } from "./engine.ts";
import type { Target } from "./engine.ts";
import { componentsOf } from "./components.ts";
import { layPage } from "./page.ts";
import { billOfMaterials, noticesText, SOURCE_NOTICES } from "./notices.ts";
import { writeWhole } from "./whole-file.ts";

// `bun run build [--target linux-x64|linux-arm64|darwin-x64|darwin-arm64] [--no-engine]` makes the binary, by default for this
// machine; without the engine it needs a PostgreSQL of its user's. `--release REPOSITORY` makes a release's: it knows where newer
// releases are, and lies apart from `dist/dewey`.

const root = join(import.meta.dir, "../..");

const { values } = parseArgs({
  options: {
    target: { type: "string", default: `${process.platform}-${process.arch}` },
    "no-engine": { type: "boolean", default: false },
    release: { type: "string" },
  },
});
const target = targets.find((each) => each === values.target);
if (target === undefined) {
  console.error(`build: there is no target ${values.target}; choose one of: ${targets.join(", ")}`);
  process.exit(2);
}
await build(target, !values["no-engine"], values.release);

async function build(target: Target, withEngine: boolean, repository: string | undefined): Promise<void> {
  const archive = withEngine ? await engineArchive(target) : layNoEngine();
  if (withEngine && target === hostTarget) await layEngine();
  await layPage();
  const outfile = outputFile(target, withEngine, repository !== undefined);
  console.log(`Building ${relative(root, outfile)} …`);
  const components = await componentsOf(target, withEngine);
  const notices = noticesFile(outfile, repository !== undefined);
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

/** `dist/dewey`, with the platform if that is another one, and `slim` without the engine; a release's binary lies apart. */
function outputFile(target: Target, withEngine: boolean, isRelease: boolean): string {
  const name = ["dewey", isRelease || target !== hostTarget ? [target] : [], withEngine ? [] : ["slim"]]
    .flat()
    .join("-");
  return join(root, isRelease ? "dist/release/build" : "dist", name);
}

/** Where the notices are written: beside a release's binary, or where the source imports them. */
function noticesFile(outfile: string, isRelease: boolean): string {
  if (isRelease) return `${outfile}.notices.txt`;
  return SOURCE_NOTICES.replace(/\.txt$/, `${basename(outfile).slice("dewey".length)}.txt`);
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
