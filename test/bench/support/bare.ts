import { join } from "node:path";

/** Builds `bare-program.ts` into a folder with the options of Dewey's build, and returns its path. */
export async function buildBare(folder: string): Promise<string> {
  const outfile = join(folder, "bare");
  await Bun.build({
    entrypoints: [join(import.meta.dir, "../bare-program.ts")],
    minify: true,
    bytecode: true,
    splitting: true,
    format: "esm",
    sourcemap: "linked",
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  return outfile;
}
